//! Reading a tree into types: values are taken out of mappings by key, every fault is noted with
//! its place and path of keys, and what is left over at the end is unknown.

use std::collections::BTreeMap;

use serde_saphyr::{Location, Spanned};

use super::FileError;
use super::place::Place;
use super::script::Policy;
use super::text::TEXT_BYTES_MAX;
use super::yaml::{Node, Value};
use crate::expression::{ParseError, Uses};
use crate::model::{ENV_ENTRIES_MAX, ENV_VALUE_BYTES_MAX, SHORT_BYTES_MAX};

/// The most labels or needs in one list.
const LIST_MAX: usize = 256;

/// One reading of one file.
pub(super) struct Reader<'a> {
    pub(super) file: &'a str,
    pub(super) text: &'a str,
    /// What becomes of values from outside in scripts.
    pub(super) policy: Policy,
    pub(super) faults: Vec<FileError>,
}

impl Reader<'_> {
    /// Notes a fault.
    pub(super) fn fault(&mut self, at: Location, key: &str, message: impl Into<String>) {
        self.faults.push(FileError {
            file: self.file.to_owned(),
            line: at.line(),
            column: at.column(),
            key: key.to_owned(),
            message: message.into(),
            hint: None,
        });
    }

    /// Notes a fault at an offset in a text: a script has many lines, and the place in it helps more than the
    /// script's own. What is folded or escaped has the text's place.
    pub(super) fn fault_in(
        &mut self,
        node: &Node,
        offset: usize,
        key: &str,
        message: impl Into<String>,
    ) {
        self.fault(node.referenced, key, message);
        let Value::Text(text) = &node.value else { return };
        let from = node.defined.span().byte_offset().and_then(|it| usize::try_from(it).ok());
        let Some(source) = from.and_then(|from| self.text.get(from..)) else { return };
        // The line of the text that the offset is in, as it stands in the file.
        let Some(before) = text.get(..offset) else { return };
        let line = text[before.rfind('\n').map_or(0, |it| it + 1)..].lines().next().unwrap_or("");
        let Some(found) = nth_line(source, line, before.matches('\n').count()) else { return };
        let at =
            from.unwrap_or(0) + found + (before.len() - before.rfind('\n').map_or(0, |it| it + 1));
        let before = &self.text[..at.min(self.text.len())];
        if let Some(fault) = self.faults.last_mut() {
            fault.line = 1 + before.matches('\n').count() as u64;
            let start = before.rfind('\n').map_or(0, |it| it + 1);
            fault.column = 1 + before[start..].chars().count() as u64;
        }
    }

    /// Adds what to do to the latest fault.
    pub(super) fn hint(&mut self, hint: impl Into<String>) {
        if let Some(last) = self.faults.last_mut() {
            last.hint = Some(hint.into());
        }
    }

    fn wrong(&mut self, node: &Node, key: &str, wanted: &str) {
        self.fault(node.referenced, key, format!("{} where {wanted} belongs", node.value.kind()));
    }

    /// The entries of a mapping at `path`.
    pub(super) fn map(&mut self, node: Node, path: &str) -> Option<Fields> {
        match node.value {
            Value::Map(entries) => {
                Some(Fields { path: path.to_owned(), at: node.referenced, entries, known: vec![] })
            }
            _ => {
                self.wrong(&node, path, "a mapping");
                None
            }
        }
    }

    /// The items of a list.
    pub(super) fn list(&mut self, node: Node, path: &str) -> Option<Vec<Node>> {
        match node.value {
            Value::List(items) => Some(items),
            _ => {
                self.wrong(&node, path, "a list");
                None
            }
        }
    }

    /// Text of at most `bytes_max` bytes, not empty.
    pub(super) fn text(&mut self, node: Node, path: &str, bytes_max: usize) -> Option<String> {
        let at = node.referenced;
        match node.value {
            Value::Text(text) if text.trim().is_empty() => self.fault(at, path, "it is empty"),
            Value::Text(text) if text.len() > bytes_max => {
                self.fault(at, path, format!("{} bytes, at most {bytes_max}", text.len()));
            }
            Value::Text(text) => return Some(text),
            Value::Bool(_) | Value::Integer(_) | Value::Float(_) => {
                self.wrong(&node, path, "text");
                self.hint("write it in quotes");
            }
            _ => self.wrong(&node, path, "text"),
        }
        None
    }

    /// Text as short as a name.
    pub(super) fn short(&mut self, node: Node, path: &str) -> Option<String> {
        self.text(node, path, SHORT_BYTES_MAX)
    }

    /// One short text, or a list of them, with their places.
    pub(super) fn shorts(&mut self, node: Node, path: &str) -> Vec<Spanned<String>> {
        let (at, defined) = (node.referenced, node.defined);
        let items = match node.value {
            Value::Text(_) => vec![node],
            Value::List(items) if items.len() > LIST_MAX => {
                self.fault(at, path, format!("{} entries, at most {LIST_MAX}", items.len()));
                return Vec::new();
            }
            Value::List(items) => items,
            _ => {
                self.wrong(&Node::new(node.value, at, defined), path, "text or a list of texts");
                return Vec::new();
            }
        };
        let mut found = Vec::with_capacity(items.len());
        for item in items {
            let (at, defined) = (item.referenced, item.defined);
            found.extend(self.short(item, path).map(|text| Spanned::new(text, at, defined)));
        }
        found
    }

    /// An `if`: an expression, or `true` or `false`. `parse` says what it looks at, and what comes of it.
    pub(super) fn condition<T>(
        &mut self,
        node: &Node,
        path: &str,
        place: Place,
        parse: impl FnOnce(&str) -> Result<(Uses, T), ParseError>,
    ) -> Option<T> {
        let text = match &node.value {
            Value::Bool(value) => value.to_string(),
            _ => self.text(node.clone(), path, TEXT_BYTES_MAX)?,
        };
        match parse(&text) {
            Err(error) => {
                self.fault_in(node, error.at, path, error.message);
                error.hint.into_iter().for_each(|hint| self.hint(hint));
                None
            }
            Ok((uses, condition)) => {
                if let Some((message, hint)) = place.fault(&uses) {
                    self.fault_in(node, 0, path, message);
                    self.hint(hint);
                }
                Some(condition)
            }
        }
    }

    /// A whole number, which `fault` then accepts or not.
    pub(super) fn number(
        &mut self,
        node: &Node,
        path: &str,
        fault: impl Fn(u32) -> Option<String>,
    ) -> Option<u32> {
        let Value::Integer(number) = node.value else {
            self.wrong(node, path, "a whole number");
            return None;
        };
        let checked = u32::try_from(number).map_err(|_| format!("{number} is out of range"));
        match checked.and_then(|number| fault(number).map_or(Ok(number), Err)) {
            Ok(number) => Some(number),
            Err(message) => {
                self.fault(node.referenced, path, message);
                None
            }
        }
    }

    /// A boolean.
    pub(super) fn boolean(&mut self, node: &Node, path: &str) -> Option<bool> {
        match node.value {
            Value::Bool(value) => Some(value),
            _ => {
                self.wrong(node, path, "`true` or `false`");
                None
            }
        }
    }

    /// An `env` mapping: names to texts, numbers or booleans; texts may hold expressions.
    pub(super) fn env(&mut self, node: Node, path: &str, place: Place) -> BTreeMap<String, String> {
        self.values(node, path, place, |name| {
            let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
            if name.starts_with("DISPATCHYARD_") {
                Some((
                    "names with DISPATCHYARD_ are reserved",
                    "the runner sets them; choose another name",
                ))
            } else if name.is_empty()
                || name.len() > SHORT_BYTES_MAX
                || !name.chars().all(plain)
                || name.starts_with(|c: char| c.is_ascii_digit())
            {
                Some((
                    "not the name of an environment variable",
                    "use letters, digits and `_`, not starting with a digit",
                ))
            } else {
                None
            }
        })
    }

    /// Names of outputs or of an action's inputs to texts that may hold expressions.
    pub(super) fn inputs(
        &mut self,
        node: Node,
        path: &str,
        place: Place,
    ) -> BTreeMap<String, String> {
        self.values(node, path, place, |name| {
            let plain = |c: char| c.is_ascii_alphanumeric() || "_-. ".contains(c);
            let good = !name.is_empty() && name.len() <= SHORT_BYTES_MAX && name.chars().all(plain);
            (!good).then_some(("not a name", "use letters, digits, `_`, `-` and `.`"))
        })
    }

    fn values(
        &mut self,
        node: Node,
        path: &str,
        place: Place,
        fault: impl Fn(&str) -> Option<(&'static str, &'static str)>,
    ) -> BTreeMap<String, String> {
        let mut values = BTreeMap::new();
        if node.value == Value::Null {
            return values;
        }
        let Some(fields) = self.map(node, path) else { return values };
        if fields.entries.len() > ENV_ENTRIES_MAX {
            let many = fields.entries.len();
            self.fault(fields.at, path, format!("{many} entries, at most {ENV_ENTRIES_MAX}"));
            return values;
        }
        for (name, node) in fields.entries {
            let path = format!("{path}.{}", name.value);
            if let Some((message, hint)) = fault(&name.value) {
                self.fault(name.referenced, &path, message);
                self.hint(hint);
            } else if let Some(text) = self.env_value(&node, &path)
                && self.template(&text, &node, &path, place).is_some()
            {
                values.insert(name.value, text);
            }
        }
        values
    }

    fn env_value(&mut self, node: &Node, path: &str) -> Option<String> {
        let text = match &node.value {
            Value::Text(text) => text.clone(),
            Value::Null => String::new(),
            Value::Bool(value) => value.to_string(),
            Value::Integer(number) => self.as_written(node, path, number.to_string())?,
            Value::Float(number) => self.as_written(node, path, number.to_string())?,
            Value::List(_) | Value::Map(_) => {
                self.wrong(node, path, "one value");
                return None;
            }
        };
        if text.len() > ENV_VALUE_BYTES_MAX {
            let message = format!("{} bytes, at most {ENV_VALUE_BYTES_MAX}", text.len());
            self.fault(node.referenced, path, message);
            return None;
        }
        Some(text)
    }

    /// Refuses a number that YAML would hand on in another form than it was written: `1.10`
    /// becomes 1.1 on GitHub, which is never what a version means.
    fn as_written(&mut self, node: &Node, path: &str, read: String) -> Option<String> {
        let span = node.defined.span();
        let written = span.byte_offset().zip(span.byte_len()).and_then(|(from, len)| {
            self.text.get(usize::try_from(from).ok()?..usize::try_from(from + len).ok()?)
        });
        let Some(written) = written.map(str::trim).filter(|it| *it != read) else {
            return Some(read);
        };
        self.fault(node.referenced, path, format!("`{written}` is the number {read} to YAML"));
        self.hint(format!("write \"{written}\" to keep it as it is"));
        None
    }
}

/// The entries of a mapping that are not read yet.
pub(super) struct Fields {
    pub(super) path: String,
    pub(super) at: Location,
    pub(super) entries: Vec<(Spanned<String>, Node)>,
    /// Keys that were asked for: those that may stand here.
    known: Vec<&'static str>,
}

impl Fields {
    /// Takes the value of `key` out, with its path.
    pub(super) fn take(&mut self, key: &'static str) -> Option<(Node, String)> {
        self.known.push(key);
        let at = self.entries.iter().position(|(name, _)| name.value == key)?;
        let (_, node) = self.entries.remove(at);
        let path = self.path_of(key);
        Some((node, path))
    }

    /// The path of a key in this mapping.
    pub(super) fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Refuses every key that was not taken. `hints` has what to do about keys that people have
    /// reason to write.
    pub(super) fn finish(self, reader: &mut Reader<'_>, hints: &[(&str, &str)]) {
        for (key, _) in &self.entries {
            let path = self.path_of(&key.value);
            let name = key.value.as_str();
            if let Some((_, hint)) = hints.iter().find(|(known, _)| *known == name) {
                reader.fault(key.referenced, &path, "this key is not supported");
                reader.hint(*hint);
                continue;
            }
            reader.fault(key.referenced, &path, "unknown key");
            let alike = |known: &&&str| known.replace('-', "_") == name.replace('-', "_");
            match self.known.iter().find(alike) {
                Some(known) => reader.hint(format!("did you mean `{known}`?")),
                None => reader.hint(format!("known here are {}", self.known.join(", "))),
            }
        }
    }
}

/// Where the line of a text begins in its source, which is indented there; the `number`th line of a block.
fn nth_line(source: &str, line: &str, number: usize) -> Option<usize> {
    let mut from = 0;
    if number > 0 {
        // Behind the lines before it; the first line of a block is the one with its `|`.
        from = source.match_indices('\n').nth(number - 1).map(|(at, _)| at)?;
    }
    source.get(from..)?.find(line).map(|at| from + at)
}
