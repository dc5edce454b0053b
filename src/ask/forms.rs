//! The short and the long form of each value: one name or a list, a text or a mapping. The same in
//! YAML, TOML and JSON.

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::{Preference, ResourceNeed, RunIf, Spread, SpreadOver};

/// What a value is where something else belongs, in a sentence.
pub(super) fn wrong(value: &Value, wanted: &str) -> String {
    let kind = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a mapping",
    };
    format!("{kind} where {wanted} belongs")
}

/// A mapping of known keys.
pub(super) fn mapping<T: DeserializeOwned>(value: Value, wanted: &str) -> Result<T, String> {
    match value {
        Value::Object(_) => serde_json::from_value(value).map_err(|error| error.to_string()),
        other => Err(wrong(&other, wanted)),
    }
}

fn text(value: Value, wanted: &str) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text),
        other => Err(wrong(&other, wanted)),
    }
}

/// One item, or a list of them.
fn items(value: Value) -> Vec<Value> {
    match value {
        Value::Array(items) => items,
        one => vec![one],
    }
}

/// A number of processors, or whether there is to be one.
pub(super) fn gpu<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    match &value {
        Value::Null => Ok(None),
        Value::Bool(wanted) => Ok(Some((*wanted).into())),
        Value::Number(number) => {
            let number = number.as_u64().and_then(|it| u32::try_from(it).ok());
            number.map(Some).ok_or_else(|| D::Error::custom(format!("{value} is out of range")))
        }
        other => Err(D::Error::custom(wrong(other, "a boolean or number"))),
    }
}

/// When a job runs. What else there is follows from the conditions of workflow files.
pub(super) fn run_if<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RunIf>, D::Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Asked {
        Success,
        Failure,
        Always,
    }
    let asked = Option::<Asked>::deserialize(from)?;
    Ok(asked.map(|asked| match asked {
        Asked::Success => RunIf::Success,
        Asked::Failure => RunIf::Failure,
        Asked::Always => RunIf::Always,
    }))
}

/// One name, or several in order.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Names(pub Vec<String>);

impl TryFrom<Value> for Names {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = |item| text(item, "a name or a list of names");
        items(value).into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Regions in order of preference. A name or a list says where it must run, and which of these is
/// better; the mapping can say both apart.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Region {
    /// One of these it must be; empty for any.
    pub required: Vec<String>,
    /// In order.
    pub preferred: Vec<String>,
}

impl TryFrom<Value> for Region {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Form {
            required: Names,
            preferred: Names,
        }
        if let Value::Object(_) = &value {
            let Form { required, preferred } = mapping(value, "")?;
            return Ok(Self { required: required.0, preferred: preferred.0 });
        }
        let one = |item| text(item, "a region, a list of them or a mapping");
        let required: Vec<_> = items(value).into_iter().map(one).collect::<Result<_, _>>()?;
        let preferred = if required.len() > 1 { required.clone() } else { Vec::new() };
        Ok(Self { required, preferred })
    }
}

/// Labels that a runner had better have. A label alone has the greatest weight, 100.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Preferences(pub Vec<Preference>);

impl TryFrom<Value> for Preferences {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = |item| match item {
            Value::String(label) => Ok(Preference { label: label.into(), weight: 100 }),
            other => mapping(other, "a label or { label, weight }"),
        };
        items(value).into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Units of resources. A name alone is one unit; `none` is what an empty list is.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Resources(pub Vec<ResourceNeed>);

impl TryFrom<Value> for Resources {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let one = |item| match item {
            Value::String(name) => Ok(ResourceNeed { name: name.into(), units: 1 }),
            other => mapping(other, "a resource's name or { name, units }"),
        };
        if value == "none" {
            return Ok(Self::default());
        }
        items(value).into_iter().map(one).collect::<Result<_, _>>().map(Self)
    }
}

/// Jobs to be near to: a key alone prefers a runner that has or had them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Affinity {
    /// What the jobs share.
    pub key: String,
    /// Whether only such a runner will do, once there is one.
    pub required: bool,
}

impl TryFrom<Value> for Affinity {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            key: String,
            #[serde(default)]
            required: bool,
        }
        if let Value::String(key) = value {
            return Ok(Self { key, required: false });
        }
        let Form { key, required } = mapping(value, "a key or { key, required }")?;
        Ok(Self { key, required })
    }
}

/// Jobs to be spread among: a key alone spreads them over runners.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct SpreadAsk(pub Spread);

impl TryFrom<Value> for SpreadAsk {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(key) => Ok(Self(Spread { key: key.into(), over: SpreadOver::default() })),
            other => mapping(other, "a key or { key, over }").map(Self),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_regions_is_required_and_ordered_and_a_mapping_says_which() {
        let read = |value| Region::try_from(value).unwrap();
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
        let both = read(json!(["eu", "us"]));
        assert_eq!((both.required, both.preferred), (names(&["eu", "us"]), names(&["eu", "us"])));
        assert_eq!(read(json!("eu")), Region { required: names(&["eu"]), preferred: vec![] });
        let soft = read(json!({ "preferred": ["eu", "us"] }));
        assert_eq!(soft, Region { required: vec![], preferred: names(&["eu", "us"]) });
    }

    #[test]
    fn a_value_of_another_form_is_told_what_belongs_there() {
        let said = |ask: Value| serde_json::from_value::<super::super::Ask>(ask).unwrap_err();
        for (ask, why) in [
            (json!({ "skills": [3] }), "a number where a name or a list of names belongs"),
            (json!({ "gpu": "many" }), "text where a boolean or number belongs"),
            (json!({ "gpu": -1 }), "-1 is out of range"),
            (json!({ "resources": [{ "name": "x" }] }), "missing field `units`"),
            (json!({ "affinity": true }), "a boolean where a key or { key, required } belongs"),
            (json!({ "spread": { "key": "a", "over": "rack" } }), "unknown variant `rack`"),
            (json!({ "region": { "requires": "eu" } }), "unknown field `requires`"),
        ] {
            assert!(said(ask).to_string().contains(why), "{why}");
        }
    }

    #[test]
    fn a_resource_alone_is_one_unit_and_none_is_an_empty_list() {
        assert_eq!(Resources::try_from(json!("none")), Ok(Resources::default()));
        assert_eq!(Resources::try_from(json!([])), Ok(Resources::default()));
        let one = Resources::try_from(json!("gpu")).unwrap();
        assert_eq!(one.0, [ResourceNeed { name: "gpu".into(), units: 1 }]);
    }
}
