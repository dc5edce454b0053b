//! YAML text as a tree whose every node knows its place.
//!
//! The typed reader of `serde-saphyr` stops at the first fault; a tree lets [`super::read`] tell
//! all of them, each with its path of keys. Depth, size, number of nodes and what aliases may
//! blow up to are bounded while parsing. Merge keys (`<<`) are refused, as GitHub does; anchors
//! and aliases are read.

use std::fmt;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Number, Value as Json};
use serde_saphyr::budget::BudgetBreach;
use serde_saphyr::{DuplicateKeyPolicy, Error, Location, MergeKeyPolicy, Spanned};

/// The largest file, in bytes.
pub(super) const FILE_BYTES_MAX: usize = 512 * 1024;
const DEPTH_MAX: usize = 16;
const NODES_MAX: usize = 50_000;
const ALIASES_MAX: usize = 200;

/// A node with its place.
pub(super) type Node = Spanned<Value>;

/// What a node is. Plain scalars are typed by YAML 1.2's core schema.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Spanned<String>, Node)>),
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "a boolean",
            Self::Integer(_) => "a number",
            Self::Float(_) => "a fraction",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }
}

/// A tree as JSON, for types that all languages share. A number that JSON cannot hold becomes
/// nothing, which no key takes.
pub(super) fn json(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Integer(number) => Number::from_i128(*number).map_or(Json::Null, Json::Number),
        Value::Float(number) => Number::from_f64(*number).map_or(Json::Null, Json::Number),
        Value::Text(text) => Json::String(text.clone()),
        Value::List(items) => Json::Array(items.iter().map(json).collect()),
        Value::Map(entries) => {
            entries.iter().map(|(key, value)| (key.value.clone(), json(value))).collect()
        }
    }
}

/// A tree that was read before, without places.
pub(super) fn from_json(value: &Json) -> Node {
    let value = match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match number.as_i128() {
            Some(number) => Value::Integer(number),
            None => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::Text(text.clone()),
        Json::Array(items) => Value::List(items.iter().map(from_json).collect()),
        Json::Object(entries) => {
            let key =
                |key: &String| Spanned::new(key.clone(), Location::UNKNOWN, Location::UNKNOWN);
            Value::Map(entries.iter().map(|(name, value)| (key(name), from_json(value))).collect())
        }
    };
    Spanned::new(value, Location::UNKNOWN, Location::UNKNOWN)
}

/// Why a text is no tree: the message, line and column.
#[derive(Debug)]
pub(super) struct ParseError {
    pub(super) message: String,
    pub(super) line: u64,
    pub(super) column: u64,
}

/// Parses one document.
pub(super) fn parse(text: &str) -> Result<Node, ParseError> {
    if text.len() > FILE_BYTES_MAX {
        let message = format!("{} bytes, at most {FILE_BYTES_MAX}", text.len());
        return Err(ParseError { message, line: 1, column: 1 });
    }
    let budget = serde_saphyr::budget! {
        max_depth: DEPTH_MAX,
        flow_nesting_limit: DEPTH_MAX,
        max_nodes: NODES_MAX,
        max_events: 4 * NODES_MAX,
        max_aliases: ALIASES_MAX,
        max_anchors: ALIASES_MAX,
        max_recorded_anchor_events: NODES_MAX,
        max_recorded_anchor_bytes: 4 * FILE_BYTES_MAX,
        max_total_scalar_bytes: 4 * FILE_BYTES_MAX,
        max_documents: 1,
    };
    let alias_limits = serde_saphyr::alias_limits! {
        max_total_replayed_events: NODES_MAX,
        max_replay_stack_depth: DEPTH_MAX,
    };
    let options = serde_saphyr::options! {
        budget: budget,
        alias_limits: alias_limits,
        duplicate_keys: DuplicateKeyPolicy::Error,
        merge_keys: MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        emit_comments: false,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let place = error.location();
        let message = message(error.without_snippet());
        let (line, column) = place.map_or((0, 0), |it| (it.line(), it.column()));
        ParseError { message, line, column }
    })
}

/// The parser's fault in our words, where its own speak of options that no user can set.
fn message(error: &Error) -> String {
    match error {
        Error::DuplicateMappingKey { key: Some(key), .. } => format!("key `{key}` stands twice"),
        Error::DuplicateMappingKey { .. } => "a key stands twice".to_owned(),
        Error::MergeKeyNotAllowed { .. } => {
            "merge keys (`<<`) are not supported; repeat the entries".to_owned()
        }
        Error::MultipleDocuments { .. }
        | Error::Budget { breach: BudgetBreach::Documents { .. }, .. } => {
            "more than one document; put each workflow into a file of its own".to_owned()
        }
        Error::Budget { breach: BudgetBreach::Depth { .. }, .. } => {
            format!("nested deeper than {DEPTH_MAX} levels")
        }
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => {
            format!(
                "over {NODES_MAX} values or {ALIASES_MAX} aliases, those within aliases counted"
            )
        }
        Error::AliasError { error, .. } => message(error),
        Error::NonFiniteFloat { .. } => {
            "a number beyond what YAML can hold; write it in quotes".to_owned()
        }
        other => {
            let mut text = other.to_string();
            // The place has fields of its own.
            if let Some(at) = text.find(" at line ") {
                text.truncate(at);
            }
            text
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Integer(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        let error = parse(text).unwrap_err();
        format!("{}:{}: {}", error.line, error.column, error.message)
    }

    #[test]
    fn every_node_knows_its_place_and_type() {
        let node = parse("on: yes\nlist:\n  - 1.5\n  - true\n  - '1'\n").unwrap();
        let Value::Map(map) = node.value else { panic!("a mapping") };
        let (key, list) = &map[1];
        assert_eq!(map[0].0.value, "on");
        assert_eq!(map[0].1.value, Value::Text("yes".into()));
        assert_eq!((key.value.as_str(), key.referenced.line()), ("list", 2));
        let Value::List(items) = &list.value else { panic!("a list") };
        let values: Vec<_> = items.iter().map(|it| it.value.clone()).collect();
        assert_eq!(values, [Value::Float(1.5), Value::Bool(true), Value::Text("1".into())]);
        assert_eq!((items[1].referenced.line(), items[1].referenced.column()), (4, 5));
    }

    #[test]
    fn faults_of_the_text_have_a_place() {
        insta::assert_snapshot!(message("a: 1\nb: 2\na: 3\n"), @"3:1: key `a` stands twice");
        insta::assert_snapshot!(message("a: [1\nb: 2\n"), @"2:2: illegal placement of ':' indicator");
        insta::assert_snapshot!(message("a: &x {b: 1}\nc:\n  <<: *x\n"), @"3:3: merge keys (`<<`) are not supported; repeat the entries");
        insta::assert_snapshot!(message("a: 1\n---\nb: 2\n"), @"2:1: more than one document; put each workflow into a file of its own");
        insta::assert_snapshot!(message("a: *nowhere\n"), @"1:4: alias references unknown anchor");
        insta::assert_snapshot!(message("a: !shell rm\n"), @"1:11: unsupported tag `!shell`");
        insta::assert_snapshot!(message("a: 1e999\n"), @"1:4: a number beyond what YAML can hold; write it in quotes");
    }

    #[test]
    fn bombs_are_refused_quickly() {
        let mut bomb = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
        for at in 1..10 {
            let alias = vec![format!("*a{}", at - 1); 10].join(", ");
            bomb.push_str(&format!("a{at}: &a{at} [{alias}]\n"));
        }
        insta::assert_snapshot!(message(&bomb), @"5:20: over 50000 values or 200 aliases, those within aliases counted");
        let flow = "[".repeat(100_000);
        insta::assert_snapshot!(message(&flow), @"1:17: recursion limit exceeded");
        let deep: String = (0..60).map(|at| format!("{}a:\n", " ".repeat(at))).collect();
        insta::assert_snapshot!(message(&deep), @"17:17: nested deeper than 16 levels");
        insta::assert_snapshot!(message(&" ".repeat(FILE_BYTES_MAX + 1)), @"1:1: 524289 bytes, at most 524288");
    }
}
