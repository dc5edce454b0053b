//! GitHub's `on` as JSON, in the forms that people write in YAML.
//!
//! What YAML lets people leave out is understood: an event with nothing behind its colon, one name
//! where a list may stand, a number or a truth where text is meant. What stands under an event and
//! is no filter of ours (`inputs` of a dispatch, `workflows` of `workflow_run`, `cron` of a
//! schedule) is allowed where GitHub allows it, and left alone.

use serde_json::{Map, Value};
use toml::Spanned;

use super::github::{Documented, documented};
use super::{EventFilter, On, TimeConfig};

/// Names of filters, as [`EventFilter`] has them.
const FILTERS: [&str; 7] =
    ["types", "branches", "branches-ignore", "tags", "tags-ignore", "paths", "paths-ignore"];

/// The most events of one `on`: several times as many as there are.
const EVENTS_MAX: usize = 500;

impl On {
    /// Reads an `on`.
    ///
    /// # Errors
    ///
    /// The first thing that has a form which GitHub does not know, with its place: `on.push.paths[1]`.
    /// What the filters say is checked by [`super::Filters::compile`].
    pub fn from_json(on: &Value) -> Result<Self, String> {
        match on {
            Value::String(name) => Ok(Self(vec![(event("on", name)?, EventFilter::default())])),
            Value::Array(names) => {
                let mut found = Self::default();
                for (at, name) in names.iter().enumerate() {
                    let place = format!("on[{at}]");
                    let Value::String(name) = name else {
                        return Err(format!("{place}: {} is not an event's name", shape(name)));
                    };
                    found.add(event(&place, name)?, EventFilter::default())?;
                }
                Ok(found)
            }
            Value::Object(events) => {
                let mut found = Self::default();
                for (name, filters) in events {
                    found.add(event("on", name)?, filter(name, filters)?)?;
                }
                Ok(found)
            }
            other => Err(format!(
                "on: {} is not an event's name, a list of names, or a map of names with their \
                 filters",
                shape(other)
            )),
        }
    }

    fn add(&mut self, name: String, filter: EventFilter) -> Result<(), String> {
        if self.0.len() == EVENTS_MAX {
            return Err(format!("on: more than {EVENTS_MAX} events"));
        }
        if self.0.iter().any(|(known, _)| *known == name) {
            return Err(format!("on: event `{name}` is named twice"));
        }
        self.0.push((name, filter));
        Ok(())
    }
}

fn event(place: &str, name: &str) -> Result<String, String> {
    match name {
        "" => Err(format!("{place}: an event's name is empty")),
        name => Ok(name.to_owned()),
    }
}

/// What stands under an event.
fn filter(event: &str, value: &Value) -> Result<EventFilter, String> {
    let place = format!("on.{event}");
    match value {
        Value::Null => Ok(EventFilter::default()),
        Value::Array(times) if event == "schedule" => {
            let is_cron = |it: &Value| it.get("cron").is_some_and(Value::is_string);
            match times.iter().position(|it| !is_cron(it)) {
                None if times.is_empty() => Err(format!("{place}: the list is empty")),
                None => Ok(EventFilter {
                    times: times.iter().filter_map(time).collect(),
                    ..EventFilter::default()
                }),
                Some(at) => Err(format!("{place}[{at}]: it is not `cron:` with a text")),
            }
        }
        Value::Object(filters) if event != "schedule" => read(event, &place, filters),
        other => Err(format!("{place}: {} is not a map of filters", shape(other))),
    }
}

/// A time with its zone, which GitHub calls `timezone`.
fn time(value: &Value) -> Option<TimeConfig> {
    let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    Some(TimeConfig::of_file(text("cron")?, text("timezone")))
}

fn read(event: &str, place: &str, filters: &Map<String, Value>) -> Result<EventFilter, String> {
    let has = documented(event).unwrap_or(Documented::OWN);
    let mut found = EventFilter::default();
    for (key, value) in filters {
        let place = format!("{place}.{key}");
        let slot = match key.as_str() {
            "types" => &mut found.types,
            "branches" => &mut found.branches,
            "branches-ignore" => &mut found.branches_ignore,
            "tags" => &mut found.tags,
            "tags-ignore" => &mut found.tags_ignore,
            "paths" => &mut found.paths,
            "paths-ignore" => &mut found.paths_ignore,
            other if has.others.contains(&other) => continue,
            _ => return Err(format!("{place}: unknown filter, known are {}", FILTERS.join(", "))),
        };
        *slot = Some(texts(&place, value)?);
    }
    Ok(found)
}

/// A list of texts, or one text in its place.
fn texts(place: &str, value: &Value) -> Result<Vec<Spanned<String>>, String> {
    let one = |place: &str, value: &Value| {
        let text = match value {
            Value::String(text) => text.clone(),
            // As GitHub reads what YAML takes for something else: `1.0`, `true`.
            Value::Number(number) => number.to_string(),
            Value::Bool(truth) => truth.to_string(),
            other => return Err(format!("{place}: {} is not a text", shape(other))),
        };
        Ok(Spanned::new(0..0, text))
    };
    match value {
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.map(|(at, item)| one(&format!("{place}[{at}]"), item)).collect()
        }
        other => Ok(vec![one(place, other)?]),
    }
}

/// What a value is, for messages: never its text, which may be long.
fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn names(on: &Value) -> Vec<String> {
        On::from_json(on).unwrap().0.into_iter().map(|(name, _)| name).collect()
    }

    fn refused(on: &Value) -> String {
        On::from_json(on).unwrap_err()
    }

    /// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#on>
    #[test]
    fn all_forms_are_read() {
        assert_eq!(names(&json!("push")), ["push"]);
        assert_eq!(names(&json!(["push", "fork"])), ["push", "fork"]);
        assert_eq!(names(&json!({"push": null, "issues": {}})), ["push", "issues"]);
        let rest = json!({
            "schedule": [{"cron": "0 5 * * 1", "timezone": "UTC"}],
            "workflow_dispatch": {"inputs": {"level": {"type": "string"}}},
            "workflow_call": {"inputs": {}, "outputs": {}, "secrets": {}},
            "workflow_run": {"workflows": ["CI"], "types": ["completed"]},
            "repository_dispatch": {"types": ["my-own"]},
        });
        assert_eq!(names(&rest).len(), 5);
    }

    #[test]
    fn what_yaml_reads_otherwise_is_text() {
        let on = json!({"push": {"branches": "main", "tags": [1.5, true, 2]}});
        let filter = On::from_json(&on).unwrap().0.remove(0).1;
        let texts = |list: Option<Vec<Spanned<String>>>| -> Vec<String> {
            list.unwrap().into_iter().map(Spanned::into_inner).collect()
        };
        assert_eq!(texts(filter.branches), ["main"]);
        assert_eq!(texts(filter.tags), ["1.5", "true", "2"]);
    }

    #[test]
    fn other_forms_are_refused_with_their_place() {
        let told = [
            json!(3),
            json!(["push", {"issues": null}]),
            json!(["push", "push"]),
            json!({"push": "main"}),
            json!({"push": {"branch": ["main"]}}),
            json!({"push": {"branches": ["main", ["dev"]]}}),
            json!({"push": {"branches": null}}),
            json!({"push": {"inputs": {}}}),
            json!({"schedule": {"cron": "* * * * *"}}),
            json!({"schedule": [{"cron": "0 0 * * *"}, "0 5 * * *"]}),
            json!(""),
        ]
        .map(|on| refused(&on));
        insta::assert_snapshot!(told.join("\n"), @"
        on: a number is not an event's name, a list of names, or a map of names with their filters
        on[1]: a map is not an event's name
        on: event `push` is named twice
        on.push: a text is not a map of filters
        on.push.branch: unknown filter, known are types, branches, branches-ignore, tags, tags-ignore, paths, paths-ignore
        on.push.branches[1]: a list is not a text
        on.push.branches: nothing is not a text
        on.push.inputs: unknown filter, known are types, branches, branches-ignore, tags, tags-ignore, paths, paths-ignore
        on.schedule: a map is not a map of filters
        on.schedule[1]: it is not `cron:` with a text
        on: an event's name is empty
        ");
    }
}
