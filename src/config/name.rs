//! What may be a name: of a source, a tenant, a pool, a token, a skill, a resource.
//!
//! Names become parts of addresses, labels of metrics, keys of the database and segments of
//! namespaces, which `::` parts.

/// The longest name, in characters.
const NAME_CHARS_MAX: usize = 64;
/// The longest name of a resource: `repo:OWNER/NAME` may be that long.
const RESOURCE_CHARS_MAX: usize = 200;

/// A name of our own making: letters, digits, `-` and `_`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn plain(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_CHARS_MAX || !name.chars().all(plain) {
        return Err(format!(
            "the name `{name}` is not 1 to {NAME_CHARS_MAX} of the letters a-z, digits, `-` and `_`"
        ));
    }
    Ok(())
}

/// A name that others made: of a skill (`c++`).
///
/// # Errors
/// What is wrong with it.
pub(super) fn free(name: &str) -> Result<(), String> {
    if name.contains('*') {
        return Err(format!("the name `{name}` has a `*`, which has no meaning here"));
    }
    visible(name, NAME_CHARS_MAX)
}

/// The name of a variable of workflow files.
///
/// # Errors
/// What is wrong with it.
pub(super) fn variable(name: &str) -> Result<(), String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    if !starts || name.len() > RESOURCE_CHARS_MAX || !name.chars().all(plain) {
        return Err(format!(
            "the name `{name}` is not 1 to {RESOURCE_CHARS_MAX} letters, digits and `_`, not starting with a \
             digit"
        ));
    }
    Ok(())
}

/// The name of a resource, or with a `*` at its end the beginning of many.
///
/// # Errors
/// What is wrong with it.
pub(super) fn resource(name: &str) -> Result<(), String> {
    if name.strip_suffix('*').unwrap_or(name).contains('*') {
        return Err(format!("the name `{name}` has a `*` before its end: one may stand last"));
    }
    visible(name, RESOURCE_CHARS_MAX)
}

fn visible(name: &str, chars_max: usize) -> Result<(), String> {
    let chars = name.chars().count();
    if chars == 0 || chars > chars_max {
        return Err(format!(
            "the name `{name}` has {chars} characters: 1 to {chars_max} are allowed"
        ));
    }
    if name.chars().any(|c| c.is_whitespace() || c.is_control()) {
        return Err(format!("the name `{name}` has spaces or control characters"));
    }
    if name.contains("::") {
        return Err(format!("the name `{name}` has `::` in it, which parts namespaces"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_never_has_what_parts_namespaces() {
        let long = "a".repeat(65);
        for (name, is_plain, is_free, is_resource) in [
            ("acme-1_x", true, true, true),
            ("", false, false, false),
            ("a::b", false, false, false),
            ("a b", false, false, false),
            ("c++", false, true, true),
            ("repo:*", false, false, true),
            ("*", false, false, true),
            ("re*po", false, false, false),
            (&long, false, false, true),
        ] {
            assert_eq!(plain(name).is_ok(), is_plain, "{name}");
            assert_eq!(free(name).is_ok(), is_free, "{name}");
            assert_eq!(resource(name).is_ok(), is_resource, "{name}");
        }
    }
}
