//! A JSON Schema of the configuration file, for editors.
//!
//! Keys, kinds of values and choices are read off the sections' types, as [`super::keys`] reads
//! their keys, so that they are written nowhere else and cannot fall behind; defaults are the types'
//! own. What the schema cannot say, `check` does: whether names exist, ranges of numbers, what
//! must not stand beside what. <https://json-schema.org/draft/2020-12>

mod probe;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::section::Section;
use super::{
    AccessConfig, DatabaseConfig, ExecutorConfig, InstancesConfig, LimitsConfig, PoolConfig,
    ProvisionerConfig, ReportsConfig, ResourceConfig, RetentionConfig, RouteConfig,
    SchedulerConfig, ServerConfig, SessionsConfig, SourceConfig, TenantConfig, WorkflowConfig,
};
use crate::trigger::RuleConfig;
use probe::{Asked, Step, ask};

/// Deeper than any key of the configuration lies.
const DEPTH_MAX: usize = 12;

/// The schema of a configuration file.
pub fn schema() -> Value {
    let mut sections = Map::new();
    section::<ServerConfig>(&mut sections);
    section::<DatabaseConfig>(&mut sections);
    section::<InstancesConfig>(&mut sections);
    section::<SchedulerConfig>(&mut sections);
    section::<LimitsConfig>(&mut sections);
    section::<RetentionConfig>(&mut sections);
    section::<ReportsConfig>(&mut sections);
    section::<SessionsConfig>(&mut sections);
    section::<AccessConfig>(&mut sections);
    section::<WorkflowConfig>(&mut sections);
    let named = |of: Value| json!({ "type": "object", "additionalProperties": of });
    let list = |of: Value| json!({ "type": "array", "items": of });
    let pools = json!({ "type": "array", "items": { "type": "string" } });
    let member = json!({ "type": ["integer", "string"] });
    let mut trigger = table::<RuleConfig>();
    trigger["properties"]["on"] = on();
    for (name, schema) in [
        ("tenants", named(table::<TenantConfig>())),
        ("agent_pools", named(table::<PoolConfig>())),
        ("skill_mapping", named(pools)),
        ("teams", named(list(member))),
        ("vars", named(json!({ "type": "string" }))),
        ("resources", named(table::<ResourceConfig>())),
        ("source", list(table::<SourceConfig>())),
        ("trigger", list(trigger)),
        ("executor", list(table::<ExecutorConfig>())),
        ("provisioner", list(table::<ProvisionerConfig>())),
        ("route", list(table::<RouteConfig>())),
    ] {
        sections.insert(name.to_owned(), schema);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dispatchyard.toml",
        "type": "object",
        "additionalProperties": false,
        "properties": sections,
    })
}

/// A section that is there once, with its defaults.
fn section<T: Section + Serialize>(sections: &mut Map<String, Value>) {
    let mut schema = table::<T>();
    // The types of this room are structs of plain values: JSON can say all of them.
    let defaults = serde_json::to_value(T::default()).unwrap_or_default();
    if let (Some(keys), Value::Object(defaults)) = (schema["properties"].as_object_mut(), defaults)
    {
        for (key, default) in defaults {
            if let Some(schema) = keys.get_mut(&key) {
                schema["default"] = default;
            }
        }
    }
    sections.insert(T::NAME.to_owned(), schema);
}

/// A table of keys, of which times can be written with their unit too.
fn table<T: DeserializeOwned>() -> Value {
    let mut schema = of::<T>(&mut Vec::new());
    let keys: Vec<String> = match schema["properties"].as_object() {
        Some(keys) => keys.keys().cloned().collect(),
        None => Vec::new(),
    };
    for key in keys {
        if let Some(base) = key.strip_suffix("_ms") {
            let time = json!({ "type": "string", "pattern": "^[0-9]+(ms|s|m|h|d)$" });
            schema["properties"][base] = time;
        }
    }
    schema
}

/// What may stand at a place of a type.
fn of<T: DeserializeOwned>(path: &mut Vec<Step>) -> Value {
    if path.len() > DEPTH_MAX {
        return json!({});
    }
    match ask::<T>(path) {
        Asked::Anything => json!({}),
        Asked::Truth => json!({ "type": "boolean" }),
        Asked::Whole => json!({ "type": "integer" }),
        Asked::Number => json!({ "type": "number" }),
        Asked::Text => json!({ "type": "string" }),
        Asked::List => {
            let items = below::<T>(path, Step::Item);
            // A list of tables in a section is written out key by key like any other.
            json!({ "type": "array", "items": items })
        }
        Asked::Names => {
            json!({ "type": "object", "additionalProperties": below::<T>(path, Step::Entry) })
        }
        Asked::Keys(keys) => {
            object(keys.iter().map(|key| (*key, below::<T>(path, Step::Key(key)))))
        }
        Asked::Choice(variants) => choice::<T>(path, variants),
        Asked::Nothing => Value::Null,
    }
}

fn below<T: DeserializeOwned>(path: &mut Vec<Step>, step: Step) -> Value {
    path.push(step);
    let schema = of::<T>(path);
    path.pop();
    schema
}

fn object<'a>(properties: impl Iterator<Item = (&'a str, Value)>) -> Value {
    let properties: Map<_, _> = properties.map(|(key, schema)| (key.to_owned(), schema)).collect();
    json!({ "type": "object", "additionalProperties": false, "properties": properties })
}

/// Names alone, or a table with one of the names as its key.
fn choice<T: DeserializeOwned>(path: &mut Vec<Step>, variants: &'static [&'static str]) -> Value {
    let mut names = Vec::new();
    let mut tables = Vec::new();
    for variant in variants {
        match below::<T>(path, Step::Variant(variant)) {
            Value::Null => names.push(*variant),
            schema => tables.push((*variant, schema)),
        }
    }
    let names = json!({ "type": "string", "enum": names });
    if tables.is_empty() {
        return names;
    }
    let mut tables = object(tables.into_iter());
    tables["minProperties"] = json!(1);
    tables["maxProperties"] = json!(1);
    match names["enum"].as_array().is_none_or(Vec::is_empty) {
        true => tables,
        false => json!({ "anyOf": [names, tables] }),
    }
}

/// GitHub's `on`, which reads itself: a name, names, or names with filters; times under `schedule`.
fn on() -> Value {
    let times =
        json!({ "type": "array", "items": of::<crate::trigger::TimeConfig>(&mut Vec::new()) });
    let filter = of::<crate::trigger::EventFilter>(&mut Vec::new());
    json!({ "anyOf": [
        { "type": "string" },
        { "type": "array", "items": { "type": "string" } },
        { "type": "object", "properties": { "schedule": times }, "additionalProperties": filter },
    ] })
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    /// Whether every key of the document has a place in the schema.
    fn unknown(schema: &Value, document: &Value, path: &str, found: &mut Vec<String>) {
        let any = schema.get("anyOf").and_then(Value::as_array);
        match (document, any) {
            (_, Some(forms)) => {
                let is_table = |form: &&Value| !document.is_object() || form["type"] == "object";
                let tried = forms.iter().filter(is_table).map(|form| {
                    let mut found = Vec::new();
                    unknown(form, document, path, &mut found);
                    found
                });
                found.extend(tried.min_by_key(Vec::len).unwrap_or_default());
            }
            (Value::Object(keys), None) if schema.get("type").is_some() => {
                for (key, value) in keys {
                    let path = format!("{path}.{key}");
                    let more = schema.get("additionalProperties").filter(|it| it.is_object());
                    match schema["properties"].get(key).or(more) {
                        Some(schema) => unknown(schema, value, &path, found),
                        None => found.push(path),
                    }
                }
            }
            (Value::Array(items), None) => {
                items.iter().for_each(|item| unknown(&schema["items"], item, path, found));
            }
            _ => {}
        }
    }

    fn unknown_in(text: &str) -> Vec<String> {
        let document: toml::Value = toml::from_str(text).unwrap();
        let mut found = Vec::new();
        unknown(&schema(), &serde_json::to_value(document).unwrap(), "", &mut found);
        found
    }

    /// The commented file with each comment that is a key, or a table, taken for one.
    fn commented_file() -> String {
        let text = include_str!("../../config/dispatchyard.toml");
        let is_toml = |line: &&str| toml::from_str::<toml::Table>(line).is_ok();
        let line = |line: &'static str| match line.strip_prefix("# ").filter(is_toml) {
            Some(written) => written,
            None => line,
        };
        text.lines().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_key_of_the_commented_file_is_in_the_schema() {
        let text = commented_file();
        assert!(text.contains("\nlease_ms = 60000"), "comments are read as keys");
        // Some stand there in two spellings or twice, which no file may.
        let mut sections: Vec<String> = vec![String::new()];
        for line in text.lines() {
            let table = line.starts_with('[');
            if table {
                sections.push(String::new());
            }
            let section = sections.last_mut().unwrap();
            // A table in a table of a list belongs to the one before it.
            for list in ["executor", "provisioner", "trigger", "source"] {
                if line.starts_with(&format!("[{list}.")) {
                    *section = format!("[[{list}]]");
                }
            }
            if table || toml::from_str::<toml::Table>(&format!("{section}\n{line}")).is_ok() {
                *section = format!("{section}\n{line}");
            }
        }
        let many = sections.iter().filter(|section| section.contains(" = ")).count();
        assert!(many > 20, "{many} sections were read");
        for section in sections {
            assert_eq!(unknown_in(&section), Vec::<String>::new(), "{section}");
        }
    }

    #[test]
    fn keys_that_are_not_there_are_not_in_the_schema() {
        let text = "[scheduler]\nlease = '60s'\nleasing = 1\n[[source]]\nname = 'a'\nkey = 1\n\
                    [[trigger]]\non.push.branch = ['a']\n[trigger.agent]\nx = 1\n[sources]\n";
        assert_eq!(
            unknown_in(text),
            [
                ".scheduler.leasing",
                ".source.key",
                ".sources",
                ".trigger.agent.x",
                ".trigger.on.push.branch"
            ]
        );
    }

    #[test]
    fn kinds_choices_and_defaults_are_read_off_the_types() {
        let schema = schema();
        let of = |path: &str| schema.pointer(path).unwrap().to_string();
        insta::assert_snapshot!(of("/properties/scheduler/properties/learning"), @r#"{"type":"boolean","default":true}"#);
        insta::assert_snapshot!(of("/properties/scheduler/properties/lease_ms"), @r#"{"type":"integer"}"#);
        insta::assert_snapshot!(of("/properties/scheduler/properties/lease"), @r#"{"type":"string","pattern":"^[0-9]+(ms|s|m|h|d)$"}"#);
        insta::assert_snapshot!(of("/properties/route/items/properties/priority"), @r#"{"type":"string","enum":["critical","high","normal","low","background"]}"#);
        insta::assert_snapshot!(of("/properties/access/properties/token/items/properties/role"), @r#"{"type":"string","enum":["admin","operator","viewer","submit","runner"]}"#);
        assert!(Config::from_text("d.toml".as_ref(), "", []).is_ok());
    }
}
