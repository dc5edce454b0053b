//! `x-dispatch`: what GitHub's workflow form has no key for, and `concurrency`, for which it has.
//! Other act runners ignore keys that start with `x-`.

use serde_json::{Map, Number, Value as Json};
use serde_saphyr::Location;

use super::read::{Fields, Reader};
use super::yaml::{Node, Value};
use crate::ask::{Ask, Group, Level};

/// Keys that people have reason to write, and what to do instead.
const HINTS: [(&str, &str); 4] = [
    ("timeout_minutes", "use GitHub's `timeout-minutes` of the job"),
    ("labels", "use GitHub's `runs-on` of the job"),
    ("needs", "use GitHub's `needs` of the job"),
    ("matrix", "matrices are not supported yet"),
];

/// What one place of a file asks: the workflow's are the defaults of each job's.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Dispatch {
    /// What is asked.
    pub ask: Ask,
    /// Where each key stands, with its path.
    places: Vec<(&'static str, String, Location)>,
}

impl Dispatch {
    /// Reads `x-dispatch` and `concurrency`, as far as they are there.
    pub(super) fn read(fields: &mut Fields, level: Level, reader: &mut Reader<'_>) -> Self {
        let mut found = Self::default();
        if let Some((node, path)) = fields.take("concurrency") {
            found.places.push(("group", path.clone(), node.referenced));
            found.ask.group = concurrency(node, &path, reader);
        }
        let Some((node, path)) = fields.take("x-dispatch") else { return found };
        let Some(mut own) = reader.map(node, &path) else { return found };
        for key in Ask::KEYS {
            let Some((node, path)) = own.take(key) else { continue };
            let at = node.referenced;
            if let Some(said) = found.ask_of(key, &node, &path, reader) {
                found.places.push((key, path, at));
                found.ask = said.or(&found.ask);
            }
        }
        own.finish(reader, &HINTS);
        for fault in found.ask.faults(level) {
            let (at, path) = found.place(fault.key).unwrap_or((Location::UNKNOWN, path.as_str()));
            reader.fault(at, path, fault.message);
        }
        found
    }

    /// One key's value as an ask that says nothing else.
    fn ask_of(&self, key: &str, node: &Node, path: &str, reader: &mut Reader<'_>) -> Option<Ask> {
        if key == "group" && self.ask.group.is_some() {
            reader.fault(node.referenced, path, "`concurrency` names a group already");
            reader.hint("keep one of the two");
            return None;
        }
        let entry = Map::from_iter([(key.to_owned(), json(node))]);
        match serde_json::from_value(Json::Object(entry)) {
            Ok(ask) => Some(ask),
            Err(error) => {
                reader.fault(node.referenced, path, error.to_string());
                None
            }
        }
    }

    /// Where a key of [`Ask`] stands, with its path.
    pub(super) fn place(&self, key: &str) -> Option<(Location, &str)> {
        let plain = |key: &str| key.replace('-', "_");
        let found = self.places.iter().rev().find(|(known, ..)| plain(known) == key);
        found.map(|(_, path, at)| (*at, path.as_str()))
    }
}

/// GitHub's group: one runs, the one that came last waits, all others are cancelled. Its rule:
/// <https://docs.github.com/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency>.
fn concurrency(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<Group> {
    if let Value::Text(_) = &node.value {
        let key = reader.short(node, path)?;
        return Some(Group::like_github(key, false));
    }
    let at = node.referenced;
    let mut own = reader.map(node, path)?;
    let Some((name, name_path)) = own.take("group") else {
        reader.fault(at, path, "it has no `group`");
        reader.hint("name the group");
        return None;
    };
    let key = reader.short(name, &name_path);
    let cancel = own.take("cancel-in-progress").map(|(it, at)| reader.boolean(&it, &at));
    own.finish(reader, &[]);
    Some(Group::like_github(key?, cancel.unwrap_or(Some(false))?))
}

/// A tree as JSON, for types that all languages share. A number that JSON cannot hold becomes
/// nothing, which no key takes.
fn json(node: &Node) -> Json {
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
