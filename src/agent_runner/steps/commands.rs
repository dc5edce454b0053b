//! Workflow commands, as a step writes them to its output: `::name key=value,key=value::data`. Pure.
//!
//! The form is GitHub's:
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>. In the data
//! `%25`, `%0D` and `%0A` stand for `%` and line ends, in values of properties `%3A` and `%2C` besides for
//! `:` and `,`. Names do not differ by their case.
//!
//! What a command does is decided in [`super::command_stream`]; here is only what a line says.

/// The most properties that are kept of one command; no command has more than seven.
const PROPERTIES_MAX: usize = 16;

/// A line that has the form of a command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Command {
    /// In lower case.
    pub(super) name: String,
    /// In the order of the line, keys in lower case.
    properties: Vec<(String, String)>,
    /// What follows, with its escapes undone. Bytes, because a secret need not be text.
    pub(super) data: Vec<u8>,
}

impl Command {
    /// Reads a line without its line end; `None` where it is no command.
    pub(super) fn parse(line: &[u8]) -> Option<Self> {
        let rest = line.trim_ascii_start().strip_prefix(b"::")?;
        let end = rest.windows(2).position(|two| two == b"::")?;
        let (head, data) = (String::from_utf8_lossy(&rest[..end]), &rest[end + 2..]);
        let (name, properties) = head.split_once(' ').unwrap_or((&head, ""));
        if name.is_empty() {
            return None;
        }
        let property = |text: &str| {
            let (key, value) = text.split_once('=')?;
            let value = unescape(value.as_bytes(), &PROPERTY_ESCAPES);
            let key = key.trim().to_ascii_lowercase();
            Some((key, String::from_utf8_lossy(&value).into_owned()))
        };
        let properties = properties.split(',').filter_map(property).take(PROPERTIES_MAX).collect();
        let data = unescape(data, &DATA_ESCAPES);
        Some(Self { name: name.to_ascii_lowercase(), properties, data })
    }

    /// A property, unless it is missing or empty.
    pub(super) fn property(&self, key: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(name, _)| name == key);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The data as text.
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.data).into_owned()
    }

    /// The data as a message, behind the place that the properties name: `src/a.rs:3:7: title: text`.
    pub(super) fn message(&self) -> String {
        let mut place = String::new();
        if let Some(file) = self.property("file") {
            place.push_str(file);
            for key in ["line", "col"] {
                match self.property(key) {
                    Some(number) => {
                        place.push(':');
                        place.push_str(number);
                    }
                    None => break,
                }
            }
            place.push_str(": ");
        }
        if let Some(title) = self.property("title") {
            place.push_str(title);
            place.push_str(": ");
        }
        place + &self.text()
    }
}

/// What stands for a byte that a line cannot hold as it is.
type Escape = (&'static [u8], u8);

const DATA_ESCAPES: [Escape; 3] = [(b"%25", b'%'), (b"%0D", b'\r'), (b"%0A", b'\n')];
const PROPERTY_ESCAPES: [Escape; 5] =
    [(b"%25", b'%'), (b"%0D", b'\r'), (b"%0A", b'\n'), (b"%3A", b':'), (b"%2C", b',')];

/// Undoes escapes, each once.
fn unescape(value: &[u8], escapes: &[Escape]) -> Vec<u8> {
    let (mut meant, mut rest) = (Vec::with_capacity(value.len()), value);
    while let [first, others @ ..] = rest {
        match escapes.iter().find(|(text, _)| rest.starts_with(text)) {
            Some((text, byte)) => {
                meant.push(*byte);
                rest = &rest[text.len()..];
            }
            None => {
                meant.push(*first);
                rest = others;
            }
        }
    }
    meant
}

/// The value of an `::add-mask::` as its writer meant it.
pub(in crate::agent_runner) fn unescape_data(value: &[u8]) -> Vec<u8> {
    unescape(value, &DATA_ESCAPES)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What a line says: name, properties and data, for people.
    fn read(line: &str) -> String {
        let Some(command) = Command::parse(line.as_bytes()) else { return "none".to_owned() };
        format!("{} {:?} {:?}", command.name, command.properties, command.text())
    }

    #[test]
    fn a_line_is_read_as_github_reads_it() {
        let table = [
            ("::error::boom", r#"error [] "boom""#),
            ("  ::Error file=a.rs,line=3::b", r#"error [("file", "a.rs"), ("line", "3")] "b""#),
            ("::error file=a%2Cb%3Ac,=x,junk::", r#"error [("file", "a,b:c"), ("", "x")] """#),
            ("::warning::100%25%0Aof %0d it%3A%2c", r#"warning [] "100%\nof %0d it%3A%2c""#),
            ("::warning::%250A", r#"warning [] "%0A""#),
            ("::set-output name=a::b::c", r#"set-output [("name", "a")] "b::c""#),
            ("::group::", r#"group [] """#),
            ("::group:", "none"),
            (":: x::y", "none"),
            ("::::y", "none"),
            ("x ::error::y", "none"),
            ("", "none"),
        ];
        for (line, expected) in table {
            assert_eq!(read(line), expected, "{line}");
        }
    }

    #[test]
    fn a_message_tells_its_place_as_far_as_it_is_named() {
        let table = [
            ("::error file=a.rs,line=3,col=7::m", "a.rs:3:7: m"),
            ("::error file=a.rs,col=7,title=Lint::m", "a.rs: Lint: m"),
            ("::error line=3::m", "m"),
            ("::notice title=T::m", "T: m"),
        ];
        for (line, expected) in table {
            let command = Command::parse(line.as_bytes()).expect("a command");
            assert_eq!(command.message(), expected, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_growing(line in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Some(command) = Command::parse(&line) {
                prop_assert!(command.data.len() <= line.len());
                prop_assert!(!command.name.is_empty());
                prop_assert!(command.properties.len() <= PROPERTIES_MAX);
            }
        }

        #[test]
        fn what_a_toolkit_escapes_is_what_is_read(
            data in "(?s).{0,40}", value in "(?s)[^\0]{1,20}",
        ) {
            let data_text = data.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            let property = value.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A");
            let property = property.replace(':', "%3A").replace(',', "%2C");
            let line = format!("::error title={property}::{data_text}");
            let command = Command::parse(line.as_bytes()).expect("a command");
            prop_assert_eq!(command.text(), data);
            prop_assert_eq!(command.property("title"), Some(value.as_str()));
        }
    }
}
