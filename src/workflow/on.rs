//! `on` of a workflow file: the events that start it, and the inputs of a start by hand.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json};

use super::read::{Fields, Reader};
use super::yaml::{Node, Value, json};
use crate::trigger::{EventFilter, Filters, On, TimeConfig};

/// The most inputs; GitHub's limit.
const INPUTS_MAX: usize = 25;

/// What starts a file.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FileOn {
    /// Events with their filters, those that no delivery brings left out.
    pub events: On,
    /// Times. In a file of a repository they start nothing: its other events say at which commit it is.
    pub schedules: Vec<TimeConfig>,
    /// Whether it is meant to be started by hand.
    pub by_hand: bool,
    /// Inputs of `workflow_dispatch`, by their names.
    pub inputs: BTreeMap<String, Input>,
}

/// One input of a start by hand.
#[derive(Clone, PartialEq, Debug)]
pub struct Input {
    /// What it is for.
    pub description: Option<String>,
    /// Whether it must be given.
    pub required: bool,
    /// What it is when it is not given.
    pub default: Option<Json>,
    /// What it may be.
    pub kind: InputKind,
}

/// What an input may be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputKind {
    /// Any text; an environment's name too.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// One of these.
    Choice(Vec<String>),
}

impl FileOn {
    /// Takes `on` out of a file.
    pub(super) fn read(file: &mut Fields, reader: &mut Reader<'_>) -> Option<Self> {
        let (node, path) = file.take("on")?;
        let written = json(&node);
        let on = match On::from_json(&written) {
            Ok(on) => on,
            Err(fault) => {
                let (key, message) = fault.split_once(": ").unwrap_or((&path, &fault));
                let at = find(&node, key.strip_prefix("on").unwrap_or("")).unwrap_or(&node);
                reader.fault(at.referenced, key, message);
                return None;
            }
        };
        let filters = Filters::compile(&on, "on").err().unwrap_or_default();
        for fault in filters.into_iter().chain(TimeConfig::faults(&on)) {
            // It begins with its place where it has one.
            let (key, message) = match fault.message.split_once(": ") {
                Some((key, message)) if key.starts_with("on.") => (key, message),
                _ => (path.as_str(), fault.message.as_str()),
            };
            let at = nearest(&node, key.strip_prefix("on").unwrap_or_default());
            reader.fault(at.referenced, key, message);
            fault.hint.into_iter().for_each(|hint| reader.hint(hint));
        }
        if on.0.iter().any(|(name, _)| name == "workflow_call") {
            let at = find(&node, ".workflow_call").unwrap_or(&node);
            reader.fault(at.referenced, "on.workflow_call", "workflows cannot call each other");
            reader.hint(
                "copy the jobs to where they are called, or start the file by an event of its own",
            );
        }
        if let Some(at) = find(&node, ".workflow_run.workflows") {
            reader.fault(
                at.referenced,
                "on.workflow_run.workflows",
                "events do not tell the other workflow's name",
            );
            reader.hint("leave it out, and look at `github.event.workflow_run.name` in the `if` of the jobs");
        }
        let schedules = on.0.iter().find(|(name, _)| name == "schedule");
        let schedules = schedules.map(|(_, filter)| filter.times.clone()).unwrap_or_default();
        let by_hand = on.0.iter().any(|(name, _)| name == "workflow_dispatch");
        let inputs = find(&node, ".workflow_dispatch.inputs");
        let inputs =
            inputs.map(|node| read_inputs(node.clone(), "on.workflow_dispatch.inputs", reader));
        Some(Self { events: events(on), schedules, by_hand, inputs: inputs.unwrap_or_default() })
    }

    /// What starts the file where its times count: its events and these.
    pub fn with_times(&self) -> On {
        let mut on = self.events.clone();
        if !self.schedules.is_empty() {
            let times = self.schedules.clone();
            on.0.push(("schedule".to_owned(), EventFilter { times, ..EventFilter::default() }));
        }
        on
    }

    /// The context `inputs` of a start by hand: what was given, what the file says else, each of its kind.
    ///
    /// # Errors
    ///
    /// What is missing, unknown or of another kind.
    pub fn inputs(&self, given: &Map<String, Json>) -> Result<Map<String, Json>, String> {
        if let Some(name) = given.keys().find(|name| !self.inputs.contains_key(*name)) {
            let known: Vec<&str> = self.inputs.keys().map(String::as_str).collect();
            return Err(format!("no input `{name}`; known are {}", known.join(", ")));
        }
        let mut inputs = Map::new();
        for (name, input) in &self.inputs {
            let value = match given.get(name).filter(|it| !it.is_null()) {
                Some(value) => {
                    input.kind.read(value).map_err(|fault| format!("input `{name}`: {fault}"))?
                }
                None if input.default.is_some() => input.default.clone().unwrap_or_default(),
                None if input.required => return Err(format!("input `{name}` is required")),
                None => input.kind.blank(),
            };
            inputs.insert(name.clone(), value);
        }
        Ok(inputs)
    }
}

impl InputKind {
    fn read(&self, value: &Json) -> Result<Json, String> {
        let text = match value {
            Json::String(text) => text.clone(),
            Json::Bool(_) | Json::Number(_) => value.to_string(),
            _ => return Err("it is neither text, number nor boolean".to_owned()),
        };
        match self {
            Self::Text => Ok(Json::String(text)),
            Self::Boolean => match text.as_str() {
                "true" => Ok(Json::Bool(true)),
                "false" => Ok(Json::Bool(false)),
                _ => Err(format!("`{text}` is neither true nor false")),
            },
            Self::Number => match text.parse::<serde_json::Number>() {
                Ok(number) => Ok(Json::Number(number)),
                Err(_) => Err(format!("`{text}` is no number")),
            },
            Self::Choice(options) if options.contains(&text) => Ok(Json::String(text)),
            Self::Choice(options) => Err(format!("`{text}` is none of {}", options.join(", "))),
        }
    }

    /// What an input is that nobody gave.
    fn blank(&self) -> Json {
        match self {
            Self::Text => Json::String(String::new()),
            Self::Boolean => Json::Bool(false),
            Self::Number => Json::from(0),
            // GitHub's form has the first one chosen.
            Self::Choice(options) => options.first().cloned().map_or(Json::Null, Json::String),
        }
    }
}

/// The events that deliveries bring. `pull_request_target` comes as `pull_request`: a file is never taken from the
/// pull request itself, so both mean the same here.
fn events(on: On) -> On {
    let mut events: Vec<(String, EventFilter)> = Vec::with_capacity(on.0.len());
    for (name, filter) in on.0 {
        match name.as_str() {
            // Deliveries of it tell of another workflow that somebody started, at the forge.
            "schedule" | "workflow_call" | "workflow_dispatch" => {}
            "pull_request_target" if events.iter().any(|(known, _)| known == "pull_request") => {}
            "pull_request_target" => events.push(("pull_request".to_owned(), filter)),
            "pull_request" => {
                events.retain(|(known, _)| known != "pull_request");
                events.push((name, filter));
            }
            _ => events.push((name, filter)),
        }
    }
    On(events)
}

/// The node at a path like `.push.paths[1]`, or the one that it would stand in.
fn nearest<'a>(node: &'a Node, path: &str) -> &'a Node {
    let mut path = path;
    loop {
        if let Some(found) = find(node, path) {
            return found;
        }
        path = path.rfind(['.', '[']).map_or("", |end| &path[..end]);
    }
}

/// The node at a path like `.push.paths[1]`.
fn find<'a>(node: &'a Node, path: &str) -> Option<&'a Node> {
    if path.is_empty() {
        return Some(node);
    }
    if let Some(rest) = path.strip_prefix('[') {
        let (number, rest) = rest.split_once(']')?;
        let Value::List(items) = &node.value else { return None };
        return find(items.get(number.parse::<usize>().ok()?)?, rest);
    }
    let rest = path.strip_prefix('.')?;
    let end = rest.find(['.', '[']).unwrap_or(rest.len());
    let Value::Map(entries) = &node.value else { return None };
    find(&entries.iter().find(|(key, _)| key.value == rest[..end])?.1, &rest[end..])
}

fn read_inputs(node: Node, path: &str, reader: &mut Reader<'_>) -> BTreeMap<String, Input> {
    let mut inputs = BTreeMap::new();
    if node.value == Value::Null {
        return inputs;
    }
    let Some(fields) = reader.map(node, path) else { return inputs };
    if fields.entries.len() > INPUTS_MAX {
        let many = fields.entries.len();
        reader.fault(fields.at, path, format!("{many} inputs, at most {INPUTS_MAX}"));
        return inputs;
    }
    for (name, node) in fields.entries {
        let path = format!("{path}.{}", name.value);
        if let Some(input) = read_input(node, &path, reader) {
            inputs.insert(name.value, input);
        }
    }
    inputs
}

fn read_input(node: Node, path: &str, reader: &mut Reader<'_>) -> Option<Input> {
    if node.value == Value::Null {
        let kind = InputKind::Text;
        return Some(Input { description: None, required: false, default: None, kind });
    }
    let mut own = reader.map(node, path)?;
    let description = own.take("description").and_then(|(it, at)| reader.text(it, &at, 4_096));
    let required = own.take("required").and_then(|(it, at)| reader.boolean(&it, &at));
    own.take("deprecationMessage");
    let default = own.take("default");
    let options = own.take("options").map(|(it, at)| reader.shorts(it, &at));
    let options = options.map(|all| all.into_iter().map(|it| it.value).collect::<Vec<_>>());
    let kind = match own.take("type") {
        None => InputKind::Text,
        Some((node, path)) => {
            let at = node.referenced;
            match (reader.short(node, &path)?.as_str(), options) {
                ("string" | "environment", _) => InputKind::Text,
                ("boolean", _) => InputKind::Boolean,
                ("number", _) => InputKind::Number,
                ("choice", Some(options)) if !options.is_empty() => InputKind::Choice(options),
                ("choice", _) => {
                    reader.fault(at, &path, "a choice has no `options`");
                    return None;
                }
                (other, _) => {
                    reader.fault(at, &path, format!("no type `{other}`"));
                    reader.hint("known are string, boolean, number, choice, environment");
                    return None;
                }
            }
        }
    };
    let default = match default {
        None => None,
        Some((node, path)) => match json(&node) {
            Json::Null => None,
            value => match kind.read(&value) {
                Ok(value) => Some(value),
                Err(fault) => {
                    reader.fault(node.referenced, &path, fault);
                    None
                }
            },
        },
    };
    own.finish(reader, &[]);
    Some(Input { description, required: required.unwrap_or(false), default, kind })
}
