//! `x-dispatch`: what GitHub's workflow form has no key for. Other act runners ignore keys that start
//! with `x-`.

use serde_json::{Map, Value as Json};
use serde_saphyr::Location;

use super::read::{Fields, Reader};
use super::yaml::{Node, json};
use crate::ask::{Ask, Level};

/// Keys that people have reason to write, and what to do instead.
const HINTS: [(&str, &str); 4] = [
    ("timeout_minutes", "use GitHub's `timeout-minutes` of the job"),
    ("labels", "use GitHub's `runs-on` of the job"),
    ("needs", "use GitHub's `needs` of the job"),
    ("matrix", "use GitHub's `strategy` of the job"),
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
    /// Reads `x-dispatch`, as far as it is there. `has_group` is whether `concurrency` names a group already.
    pub(super) fn read(
        fields: &mut Fields,
        level: Level,
        has_group: bool,
        reader: &mut Reader<'_>,
    ) -> Self {
        let mut found = Self::default();
        let Some((node, path)) = fields.take("x-dispatch") else { return found };
        let Some(mut own) = reader.map(node, &path) else { return found };
        for key in Ask::KEYS {
            let Some((node, path)) = own.take(key) else { continue };
            let at = node.referenced;
            if let Some(said) = ask_of(key, has_group, &node, &path, reader) {
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

    /// Where a key of [`Ask`] stands, with its path.
    pub(super) fn place(&self, key: &str) -> Option<(Location, &str)> {
        let plain = |key: &str| key.replace('-', "_");
        let found = self.places.iter().rev().find(|(known, ..)| plain(known) == key);
        found.map(|(_, path, at)| (*at, path.as_str()))
    }
}

/// One key's value as an ask that says nothing else.
fn ask_of(
    key: &str,
    has_group: bool,
    node: &Node,
    path: &str,
    reader: &mut Reader<'_>,
) -> Option<Ask> {
    if key == "group" && has_group {
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
