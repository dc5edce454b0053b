//! Reading a payload as a tree: a place that is absent, null or of another type is `None`.

use serde_json::Value;

use super::PayloadError;
use crate::event::{Address, ChangeSet, Event, EventKind, Subject, text};
use crate::model::{Trust, TrustLevel, Untrusted};

/// Longest name of a kind that a body makes up; bytes.
const KIND_BYTES_MAX: usize = 64;

/// A value of a payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tree<'v>(pub(super) Option<&'v Value>);

impl<'v> Tree<'v> {
    /// The value at that place, a JSON pointer (RFC 6901).
    pub(super) fn at(self, pointer: &str) -> Self {
        Self(self.0.and_then(|value| value.pointer(pointer)))
    }

    /// Text that is not empty.
    pub(super) fn text(self, pointer: &str) -> Option<&'v str> {
        self.at(pointer).0?.as_str().filter(|text| !text.is_empty())
    }

    pub(super) fn int(self, pointer: &str) -> Option<i64> {
        self.at(pointer).0?.as_i64()
    }

    pub(super) fn flag(self, pointer: &str) -> Option<bool> {
        self.at(pointer).0?.as_bool()
    }

    /// Text, or a number as text: ids are sent as both.
    pub(super) fn id(self, pointer: &str) -> Option<String> {
        match self.at(pointer).0? {
            Value::String(text) if !text.is_empty() => Some(text::name(text)),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// Whether there is an object.
    pub(super) fn is_object(self, pointer: &str) -> bool {
        self.at(pointer).0.is_some_and(Value::is_object)
    }

    /// The items of a list; none where there is no list.
    pub(super) fn items(self, pointer: &str) -> impl Iterator<Item = Tree<'v>> + use<'v> {
        self.list(pointer).into_iter().flatten().map(|item| Tree(Some(item)))
    }

    pub(super) fn list(self, pointer: &str) -> Option<&'v Vec<Value>> {
        self.at(pointer).0?.as_array()
    }

    /// A name, cleaned.
    pub(super) fn name(self, pointer: &str) -> Option<String> {
        self.text(pointer).map(text::name)
    }

    /// A name that somebody outside chose, cleaned.
    pub(super) fn untrusted(self, pointer: &str) -> Option<Untrusted> {
        self.text(pointer).map(text::untrusted_name)
    }

    /// A long text that somebody outside wrote, cleaned.
    pub(super) fn body(self, pointer: &str) -> Option<Untrusted> {
        self.text(pointer).map(text::untrusted_body)
    }

    pub(super) fn commit(self, pointer: &str) -> Option<String> {
        self.text(pointer).and_then(text::commit)
    }

    /// A branch's or tag's short name as a full ref.
    pub(super) fn full_ref(self, prefix: &str, pointer: &str) -> Option<Untrusted> {
        self.text(pointer).map(|name| text::untrusted_name(&format!("{prefix}{name}")))
    }
}

/// Reads a payload, which must be an object.
pub(super) fn read(json: &str) -> Result<Value, PayloadError> {
    let value: Value = serde_json::from_str(json)?;
    if value.is_object() { Ok(value) } else { Err(PayloadError::NotAnObject) }
}

/// A kind that a body names: what cannot stand in a name becomes `_`.
pub(super) fn kind(name: &str) -> EventKind {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.:/".contains(c);
    let name = text::clean(name, KIND_BYTES_MAX);
    EventKind::from(name.replace(|c: char| !fits(c), "_"))
}

/// An event of which nothing is known but its kind; not trusted.
pub(super) fn blank(source: &str, kind: EventKind) -> Event {
    Event {
        causation_depth: 0,
        source: source.to_owned(),
        kind,
        action: None,
        repository: None,
        actor: None,
        subject: Subject::default(),
        chat: None,
        address: Address::Everybody,
        git_ref: None,
        base_ref: None,
        head_ref: None,
        sha: None,
        changes: ChangeSet::Unknown,
        labels: Vec::new(),
        label: None,
        inputs: serde_json::Map::new(),
        trust: Trust::new(TrustLevel::Unknown, "nothing is known of who may cause such an event"),
    }
}

/// Whether a commit's name is the zeros by which git says "no commit".
pub(super) fn is_zeros(commit: &str) -> bool {
    !commit.is_empty() && commit.bytes().all(|byte| byte == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_absent_null_or_of_another_type_is_nothing() {
        let value = json!({"a": {"b": "x", "n": 7, "f": true, "e": ""}, "l": [1, null]});
        let tree = Tree(Some(&value));
        assert_eq!(
            (tree.text("/a/b"), tree.int("/a/n"), tree.flag("/a/f")),
            (Some("x"), Some(7), Some(true))
        );
        assert_eq!((tree.text("/a/n"), tree.int("/a/b"), tree.text("/a/e")), (None, None, None));
        assert_eq!(
            (tree.text("/z/z"), tree.items("/a").count(), tree.items("/l").count()),
            (None, 0, 2)
        );
        assert_eq!(
            (tree.id("/a/b").as_deref(), tree.id("/a/n").as_deref()),
            (Some("x"), Some("7"))
        );
    }

    #[test]
    fn a_kind_of_a_body_has_only_what_names_have() {
        assert_eq!(kind("invoice.paid").as_str(), "invoice.paid");
        assert_eq!(kind("Wiki Page\0é").as_str(), "Wiki_Page__");
        assert_eq!(kind(&"x".repeat(100)).as_str().len(), KIND_BYTES_MAX);
        assert_eq!(kind("push"), EventKind::Push);
    }
}
