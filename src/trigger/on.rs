//! GitHub's `on`: event kinds and their filters.
//!
//! The three forms of
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#on> are one
//! type here: `on = "push"`, `on = ["push", "release"]` and `[on.push]` tables.

use std::fmt;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use toml::Spanned;

use super::TimeConfig;

/// Names of event kinds with their filters; no name twice.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct On(pub Vec<(String, EventFilter)>);

/// The filters of one event kind; GitHub's names, of which the include and the ignore form of
/// one thing exclude each other.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EventFilter {
    /// Activity types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<Vec<Spanned<String>>>,
    /// Branches that are wanted: of a pull request the one it would be merged into.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branches: Option<Vec<Spanned<String>>>,
    /// Branches that are not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub branches_ignore: Option<Vec<Spanned<String>>>,
    /// Tags that are wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<Spanned<String>>>,
    /// Tags that are not wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags_ignore: Option<Vec<Spanned<String>>>,
    /// Files of which at least one must have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths: Option<Vec<Spanned<String>>>,
    /// Files beside which at least one other must have changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paths_ignore: Option<Vec<Spanned<String>>>,
    /// Of `schedule`, which has no filters: its times.
    #[serde(skip)]
    pub times: Vec<TimeConfig>,
}

impl On {
    /// Whether it names no event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Serialize for On {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, filter) in &self.0 {
            match filter.times.as_slice() {
                [] => map.serialize_entry(name, filter)?,
                times => map.serialize_entry(name, times)?,
            }
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OnVisitor)
    }
}

struct OnVisitor;

impl<'de> Visitor<'de> for OnVisitor {
    type Value = On;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event's name, a list of names, or a table of names with their filters")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<On, E> {
        Ok(On(vec![(name.to_owned(), EventFilter::default())]))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<On, A::Error> {
        let mut on = On::default();
        while let Some(name) = names.next_element::<String>()? {
            if on.0.iter().any(|(known, _)| *known == name) {
                return Err(A::Error::custom(format!("event `{name}` is named twice")));
            }
            on.0.push((name, EventFilter::default()));
        }
        Ok(on)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut filters: A) -> Result<On, A::Error> {
        let mut on = On::default();
        while let Some(name) = filters.next_key::<String>()? {
            let filter = match name.as_str() {
                "schedule" => EventFilter { times: filters.next_value()?, ..Default::default() },
                _ => filters.next_value()?,
            };
            on.0.push((name, filter));
        }
        Ok(on)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Wrap {
        on: On,
    }

    fn names(text: &str) -> Vec<String> {
        let on = toml::from_str::<Wrap>(text).unwrap().on;
        on.0.into_iter().map(|(name, _)| name).collect()
    }

    #[test]
    fn the_three_forms_are_read() {
        assert_eq!(names("on = 'push'"), ["push"]);
        assert_eq!(names("on = ['push', 'release']"), ["push", "release"]);
        assert_eq!(names("[on.push]\nbranches = ['main']\n[on.issues]"), ["issues", "push"]);
    }

    #[test]
    fn times_stand_in_a_list_beside_other_events_and_can_be_written_again() {
        let text = "[on.push]\n[[on.schedule]]\ncron = '30 2 * * 1-5'\nzone = 'Europe/Berlin'\n";
        let on = toml::from_str::<Wrap>(text).unwrap().on;
        assert_eq!(on.0[1].1.times[0].cron.get_ref(), "30 2 * * 1-5");
        let written = serde_json::to_string(&on).unwrap();
        insta::assert_snapshot!(written, @r#"{"push":{},"schedule":[{"cron":"30 2 * * 1-5","zone":"Europe/Berlin","syntax":"unix","missed":"skip","jitter_ms":0}]}"#);
        let refused = toml::from_str::<Wrap>("[[on.schedule]]\ncron = '* * * * *'\ntz = 'UTC'");
        insta::assert_snapshot!(refused.unwrap_err().message(), @"unknown field `tz`, expected one of `cron`, `zone`, `syntax`, `missed`, `jitter_ms`");
        assert!(toml::from_str::<Wrap>("[on.schedule]\ncron = '* * * * *'").is_err());
    }

    #[test]
    fn other_shapes_and_unknown_filters_are_refused_with_their_line() {
        insta::assert_snapshot!(toml::from_str::<Wrap>("\non = 3").unwrap_err(), @"
        TOML parse error at line 2, column 6
          |
        2 | on = 3
          |      ^
        invalid type: integer `3`, expected an event's name, a list of names, or a table of names with their filters
        ");
        insta::assert_snapshot!(toml::from_str::<Wrap>("[on.push]\nbranch = ['x']").unwrap_err(), @"
        TOML parse error at line 2, column 1
          |
        2 | branch = ['x']
          | ^^^^^^
        unknown field `branch`, expected one of `types`, `branches`, `branches-ignore`, `tags`, `tags-ignore`, `paths`, `paths-ignore`
        ");
        let twice = toml::from_str::<Wrap>("on = ['push', 'push']").unwrap_err();
        assert_eq!(twice.message(), "event `push` is named twice");
    }
}
