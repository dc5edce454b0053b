//! The form of `GITHUB_OUTPUT`, `GITHUB_ENV` and `GITHUB_STATE`: `name=value`, or a value of several lines
//! between `name<<DELIMITER` and the delimiter. Pure.
//!
//! As GitHub documents it:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands#multiline-strings>.
//! Values are unmasked: later steps get them as they were written.

/// The most that is read of one such file, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 256 * 1024;
/// The most entries of one file.
const ENTRIES_MAX: usize = 200;
/// How much of a wrong line is told.
const TOLD_CHARS_MAX: usize = 80;

/// What was in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Entries {
    /// In the order of the file; of two with one name the later one counts.
    pub(super) pairs: Vec<(String, String)>,
    /// What is wrong with it, for the job's log.
    pub(super) faults: Vec<String>,
}

/// Reads what was in the file that the variable `file` names. What is told of it passes `mask`.
pub(super) fn parse(bytes: &[u8], file: &str, mask: &dyn Fn(&str) -> String) -> Entries {
    // Masked before it is cut: a part of a secret would not be known.
    let shown = |text: &str| mask(text).chars().take(TOLD_CHARS_MAX).collect::<String>();
    let mut entries = Entries::default();
    if bytes.len() > FILE_BYTES_MAX {
        // Half of what was written could be worse than nothing of it.
        entries.faults.push(format!("{file} has more than {FILE_BYTES_MAX} bytes: it is dropped"));
        return entries;
    }
    let text = String::from_utf8_lossy(bytes);
    let mut rest = text.strip_prefix('\u{feff}').unwrap_or(&text);
    while !rest.is_empty() {
        let (line, after) = next_line(rest);
        rest = after;
        if line.trim().is_empty() {
            continue;
        }
        if entries.pairs.len() == ENTRIES_MAX {
            entries.faults.push(format!("{file}: entries beyond {ENTRIES_MAX} are dropped"));
            break;
        }
        let (equals, heredoc) = (line.find('='), line.find("<<"));
        match (equals, heredoc) {
            (Some(at), _) if heredoc.is_none_or(|heredoc| at < heredoc) => {
                entries.add(file, &line[..at], &line[at + 1..]);
            }
            (_, Some(at)) => {
                let (name, delimiter) = (&line[..at], &line[at + 2..]);
                match value_until(rest, delimiter) {
                    Some((value, after)) => {
                        rest = after;
                        entries.add(file, name, value);
                    }
                    None => {
                        entries.faults.push(format!(
                            "{file}: the value of `{}` is not ended by a line `{}`: it and what \
                             follows are dropped",
                            shown(name),
                            shown(delimiter)
                        ));
                        break;
                    }
                }
            }
            _ => entries.faults.push(format!(
                "{file}: `{}` is neither name=value nor name<<DELIMITER",
                shown(line)
            )),
        }
    }
    entries
}

impl Entries {
    fn add(&mut self, file: &str, name: &str, value: &str) {
        let name = name.trim();
        if name.is_empty() {
            self.faults.push(format!("{file}: a value without a name is dropped"));
        } else {
            self.pairs.push((name.to_owned(), value.to_owned()));
        }
    }
}

/// The first line without its line end, and what follows it.
fn next_line(text: &str) -> (&str, &str) {
    let (line, rest) = text.split_once('\n').unwrap_or((text, ""));
    (line.strip_suffix('\r').unwrap_or(line), rest)
}

/// What stands before the line that is the delimiter, without the line end before it, and what follows.
fn value_until<'a>(text: &'a str, delimiter: &str) -> Option<(&'a str, &'a str)> {
    // An empty one would end the value at its first empty line, which nobody means.
    if delimiter.is_empty() {
        return None;
    }
    let mut at = 0;
    loop {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (line, after) = next_line(rest);
        if line == delimiter {
            let value = &text[..at];
            let value = value.strip_suffix('\n').unwrap_or(value);
            return Some((value.strip_suffix('\r').unwrap_or(value), after));
        }
        at = text.len() - after.len();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let entries = parse(text.as_bytes(), "F", &str::to_owned);
        assert_eq!(entries.faults, Vec::<String>::new(), "{text:?}");
        entries.pairs
    }

    fn fault(text: &str) -> String {
        let entries = parse(text.as_bytes(), "F", &str::to_owned);
        assert_eq!(entries.faults.len(), 1, "{entries:?}");
        entries.faults.concat()
    }

    #[test]
    fn both_forms_are_read_as_github_reads_them() {
        let table: [(&str, &[(&str, &str)]); 9] = [
            ("a=1\r\n\n b = x=y \na=2", &[("a", "1"), ("b", " x=y "), ("a", "2")]),
            ("a<<E\none\n\ntwo=2\nE\nb=3\n", &[("a", "one\n\ntwo=2"), ("b", "3")]),
            ("a<<E\r\none\r\ntwo\r\nE\r\n", &[("a", "one\r\ntwo")]),
            ("a<<E\nE", &[("a", "")]),
            ("a<<E\n\nE", &[("a", "")]),
            ("a=b<<E\nc=<<", &[("a", "b<<E"), ("c", "<<")]),
            ("a<<x=y\n1\nx=y\n", &[("a", "1")]),
            ("a=\n", &[("a", "")]),
            ("\u{feff}a=1", &[("a", "1")]),
        ];
        for (text, expected) in table {
            let expected: Vec<_> =
                expected.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
            assert_eq!(pairs(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_is_wrong_is_told_and_the_rest_is_read() {
        let neither = "F: `nonsense` is neither name=value nor name<<DELIMITER";
        assert_eq!(fault("nonsense\n"), neither);
        assert_eq!(parse(b"nonsense\na=1", "F", &str::to_owned).pairs.len(), 1);
        assert_eq!(fault("=1"), "F: a value without a name is dropped");
        assert!(fault("a<<E\n1\n E\n").starts_with("F: the value of `a` is not ended by a line"));
        assert!(fault("a<<\n1\n\n").contains("is not ended"));
        let many = "a=1\n".repeat(ENTRIES_MAX + 1);
        assert_eq!(fault(&many), "F: entries beyond 200 are dropped");
        let long = format!("a=1\nb={}", "x".repeat(FILE_BYTES_MAX));
        assert!(fault(&long).ends_with("it is dropped"));
        assert!(parse(long.as_bytes(), "F", &str::to_owned).pairs.is_empty());
    }

    #[test]
    fn what_is_told_of_a_wrong_line_is_masked_before_it_is_cut() {
        let secret = "s".repeat(2 * TOLD_CHARS_MAX);
        let mask = |text: &str| text.replace(&secret, "***");
        let entries = parse(format!("{secret}\n<<E\n{secret}<<E\n").as_bytes(), "F", &mask);
        assert!(!entries.faults.is_empty());
        for fault in entries.faults {
            assert!(!fault.contains("sss"), "{fault}");
        }
    }

    proptest! {
        #[test]
        fn any_file_gives_bounded_entries(bytes in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let entries = parse(&bytes, "F", &str::to_owned);
            prop_assert!(entries.pairs.len() <= ENTRIES_MAX);
            prop_assert!(entries.pairs.iter().all(|(name, _)| !name.is_empty() && !name.contains('\n')));
        }

        /// A value cannot become another entry where its writer used a delimiter that is not in it.
        #[test]
        fn what_a_toolkit_writes_is_what_is_read(value in "(?s)[^\u{feff}]{0,60}") {
            prop_assume!(!value.contains("GUID") && !value.ends_with('\r'));
            let entries = parse(format!("a<<GUID\n{value}\nGUID\n").as_bytes(), "F", &str::to_owned);
            prop_assert_eq!(entries.pairs, [("a".to_owned(), value)]);
        }
    }
}
