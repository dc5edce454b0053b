//! Which files a pattern of `hashFiles` names. Pure.
//!
//! `*` and `?` stay inside of one name, `[..]` is one character of a set, `**` stands for any number of
//! folders. A pattern that names a folder names all that is below it. A pattern after `!` takes files out
//! again. Names beginning with a dot are as all others, and upper and lower case differ.

/// The most patterns of one call, and their longest text.
const PATTERNS_MAX: usize = 100;
const PATTERN_BYTES_MAX: usize = 1_024;

/// The patterns of one call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Patterns(Vec<Pattern>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Pattern {
    takes_out: bool,
    /// What stands between slashes.
    parts: Vec<Vec<char>>,
}

impl Patterns {
    /// Reads the arguments of a call; `workspace` may stand before a pattern.
    ///
    /// # Errors
    ///
    /// The pattern that leads out of the workspace, or is too long.
    pub(super) fn parse(texts: &[String], workspace: &str) -> Result<Self, String> {
        let mut patterns = Vec::new();
        for text in texts.iter().flat_map(|text| text.lines()).map(str::trim) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            if text.len() > PATTERN_BYTES_MAX || patterns.len() == PATTERNS_MAX {
                return Err(format!(
                    "at most {PATTERNS_MAX} patterns of {PATTERN_BYTES_MAX} bytes each"
                ));
            }
            let (takes_out, path) = match text.strip_prefix('!') {
                Some(path) => (true, path.trim_start()),
                None => (false, text),
            };
            let inside = path.strip_prefix(workspace).filter(|it| it.starts_with('/'));
            let path = match inside {
                Some(inside) => inside.trim_start_matches('/'),
                None => path,
            };
            if path.starts_with(['/', '~']) || path.split('/').any(|part| part == "..") {
                return Err(format!("`{text}` leads out of the workspace"));
            }
            let parts = path.split('/').filter(|part| !part.is_empty() && *part != ".");
            let parts = parts.map(|part| part.chars().collect()).collect();
            patterns.push(Pattern { takes_out, parts });
        }
        Ok(Self(patterns))
    }

    /// Whether a file is meant: its path from the workspace, in parts.
    pub(super) fn names(&self, path: &[&str]) -> bool {
        let path: Vec<Vec<char>> = path.iter().map(|part| part.chars().collect()).collect();
        let mut named = false;
        for pattern in &self.0 {
            if pattern.takes_out == named && pattern.matches(&path) {
                named = !pattern.takes_out;
            }
        }
        named
    }
}

impl Pattern {
    /// Whether it names the path, or a folder above it.
    fn matches(&self, path: &[Vec<char>]) -> bool {
        // Which beginnings of the pattern can stand for what was read of the path.
        let mut reached = vec![false; self.parts.len() + 1];
        reached[0] = true;
        self.pass_stars(&mut reached);
        for part in path {
            if reached[self.parts.len()] {
                return true;
            }
            let mut next = vec![false; reached.len()];
            for (at, pattern) in self.parts.iter().enumerate().filter(|(at, _)| reached[*at]) {
                if is_any_folders(pattern) {
                    next[at] = true;
                } else if is_like(pattern, part) {
                    next[at + 1] = true;
                }
            }
            self.pass_stars(&mut next);
            reached = next;
        }
        reached[self.parts.len()]
    }

    /// `**` also stands for no folder.
    fn pass_stars(&self, reached: &mut [bool]) {
        for (at, pattern) in self.parts.iter().enumerate() {
            if reached[at] && is_any_folders(pattern) {
                reached[at + 1] = true;
            }
        }
    }
}

fn is_any_folders(part: &[char]) -> bool {
    part == ['*', '*']
}

/// Whether one name is like one part of a pattern; in time of their lengths' product.
fn is_like(pattern: &[char], name: &[char]) -> bool {
    let (mut at, mut in_name, mut star) = (0, 0, None);
    while in_name < name.len() {
        let step = match pattern.get(at) {
            Some('*') => {
                star = Some((at, in_name));
                at += 1;
                continue;
            }
            Some('?') => Some(1),
            Some('[') => match set(&pattern[at..], name[in_name]) {
                Some((true, len)) => Some(len),
                Some((false, _)) => None,
                None => (name[in_name] == '[').then_some(1),
            },
            Some(c) => (*c == name[in_name]).then_some(1),
            None => None,
        };
        match (step, star) {
            (Some(len), _) => {
                at += len;
                in_name += 1;
            }
            // The last star takes one character more.
            (None, Some((at_star, taken))) => {
                star = Some((at_star, taken + 1));
                at = at_star + 1;
                in_name = taken + 1;
            }
            (None, None) => return false,
        }
    }
    pattern[at..].iter().all(|c| *c == '*')
}

/// Whether a set at the beginning of the pattern has the character, and how long the set is; `None` where
/// it is not closed.
fn set(pattern: &[char], c: char) -> Option<(bool, usize)> {
    let negated = matches!(pattern.get(1), Some('!' | '^'));
    let first = if negated { 2 } else { 1 };
    // A bracket that comes first is one of the set.
    let end = pattern.iter().skip(first + 1).position(|it| *it == ']')? + first + 1;
    let (mut rest, mut has) = (&pattern[first..end], false);
    while let [from, others @ ..] = rest {
        match others {
            ['-', to, after @ ..] => {
                has |= (*from..=*to).contains(&c);
                rest = after;
            }
            _ => {
                has |= *from == c;
                rest = others;
            }
        }
    }
    Some((has != negated, end + 1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(patterns: &[&str], path: &str) -> bool {
        let texts: Vec<String> = patterns.iter().map(|text| (*text).to_owned()).collect();
        let patterns = Patterns::parse(&texts, "/w").expect("inside");
        patterns.names(&path.split('/').collect::<Vec<_>>())
    }

    #[test]
    fn patterns_name_what_github_s_name() {
        let table: [(&[&str], &str, bool); 21] = [
            (&["Cargo.lock"], "Cargo.lock", true),
            (&["Cargo.lock"], "a/Cargo.lock", false),
            (&["cargo.lock"], "Cargo.lock", false),
            (&["**/Cargo.lock"], "Cargo.lock", true),
            (&["**/Cargo.lock"], "a/b/Cargo.lock", true),
            (&["**"], ".hidden/a", true),
            (&["*.rs"], "a/b.rs", false),
            (&["a/*/c"], "a/b/c", true),
            (&["a/**/c"], "a/c", true),
            (&["a/**/c"], "a/b/b/c", true),
            (&["src"], "src/deep/lib.rs", true),
            (&["src/"], "srcs/lib.rs", false),
            (&["./a?c"], "abc", true),
            (&["a[0-9]c"], "a5c", true),
            (&["a[!0-9]c"], "a5c", false),
            (&["a[]x]c"], "a]c", true),
            (&["a[bc"], "a[bc", true),
            (&["/w/**/x"], "a/x", true),
            (&["**", "!a/**"], "a/x", false),
            (&["**", "!a", "a/x"], "a/x", true),
            (&["!a", "# **"], "b", false),
        ];
        for (patterns, path, expected) in table {
            assert_eq!(names(patterns, path), expected, "{patterns:?} {path}");
        }
    }

    #[test]
    fn nothing_outside_of_the_workspace_can_be_named() {
        for text in ["/etc/passwd", "../x", "a/../../x", "~/x", "/wx/y", "!../x"] {
            let error = Patterns::parse(&[text.to_owned()], "/w").expect_err(text);
            assert_eq!(error, format!("`{text}` leads out of the workspace"));
        }
        assert!(Patterns::parse(&["x".repeat(PATTERN_BYTES_MAX + 1)], "/w").is_err());
    }

    proptest! {
        #[test]
        fn a_star_is_any_text(before in "[a-c]{0,4}", between in "[a-c*?\\[]{0,6}", after in "[a-c]{0,4}") {
            let pattern: Vec<char> = format!("{before}*{after}").chars().collect();
            let name: Vec<char> = format!("{before}{between}{after}").chars().collect();
            prop_assert!(is_like(&pattern, &name));
        }

        #[test]
        fn any_pattern_is_answered(pattern in "[a-b*?!^\\[\\]-]{0,12}", name in "[a-b\\[\\]]{0,12}") {
            let pattern: Vec<char> = pattern.chars().collect();
            let name: Vec<char> = name.chars().collect();
            is_like(&pattern, &name);
        }
    }
}
