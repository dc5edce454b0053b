//! A concurrency group as people ask for it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::forms::mapping;
use crate::model::{GroupTerms, PendingPolicy};

/// A concurrency group: its key alone, or a mapping.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Group {
    /// Its name.
    pub key: String,
    /// How many of its members run at once; one when nothing is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Whether a new member asks those that are in the group to stop.
    pub cancel_in_progress: bool,
    /// What becomes of members that wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<Pending>,
    /// The most that may wait; makes it a queue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_max: Option<u32>,
}

/// What becomes of members that wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pending {
    /// Only the one that came last waits, the others are cancelled.
    Latest,
    /// All wait, in order.
    Queue,
}

impl TryFrom<Value> for Group {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Form {
            key: String,
            limit: Option<u32>,
            #[serde(default, alias = "cancel-in-progress")]
            cancel_in_progress: bool,
            pending: Option<Pending>,
            queue_max: Option<u32>,
        }
        if let Value::String(key) = value {
            return Ok(Self {
                key,
                limit: None,
                cancel_in_progress: false,
                pending: None,
                queue_max: None,
            });
        }
        let Form { key, limit, cancel_in_progress, pending, queue_max } =
            mapping(value, "a group's key or { key, limit, pending }")?;
        Ok(Self { key, limit, cancel_in_progress, pending, queue_max })
    }
}

impl Group {
    /// A group of GitHub's kind: one runs, and only the last one waits.
    pub fn like_github(key: String, cancel_in_progress: bool) -> Self {
        let pending = Some(Pending::Latest);
        Self { key, limit: None, cancel_in_progress, pending, queue_max: None }
    }

    /// A group of which one runs and `max` wait in order.
    pub fn queue(key: String, max: u32) -> Self {
        let pending = Some(Pending::Queue);
        Self { key, limit: None, cancel_in_progress: false, pending, queue_max: Some(max) }
    }

    /// What cannot be meant at once.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let queues = self.pending == Some(Pending::Queue) || self.queue_max.is_some();
        if self.pending == Some(Pending::Latest) && self.queue_max.is_some() {
            return Some("`pending: latest` keeps one, `queue_max` keeps more; say one of them");
        }
        (self.cancel_in_progress && queues).then_some(
            "`cancel_in_progress` stops the older for the newest, a queue lets each have its turn; \
             say one of them",
        )
    }

    /// As the scheduler has it. Where a new member stops the others and nothing else is said, it
    /// also takes the place of those that wait: they are as outdated.
    pub(super) fn terms(&self) -> GroupTerms {
        let latest = self.pending == Some(Pending::Latest)
            || (self.pending.is_none() && self.queue_max.is_none() && self.cancel_in_progress);
        GroupTerms {
            key: self.key.trim().into(),
            limit: self.limit.unwrap_or(1),
            cancel_in_progress: self.cancel_in_progress,
            pending: match (latest, self.queue_max) {
                (true, _) => PendingPolicy::Latest,
                (false, Some(max)) => PendingPolicy::Queue { max },
                (false, None) => PendingPolicy::default(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn group(value: Value) -> Group {
        Group::try_from(value).unwrap()
    }

    #[test]
    fn a_key_alone_is_a_queue_of_one_at_a_time() {
        let terms = group(json!("deploy")).terms();
        assert_eq!((&*terms.key, terms.limit), ("deploy", 1));
        assert_eq!(terms.pending, PendingPolicy::default());
        let github = Group::like_github("deploy".to_owned(), true).terms();
        assert_eq!((github.pending, github.cancel_in_progress), (PendingPolicy::Latest, true));
    }

    #[test]
    fn whoever_stops_the_others_also_replaces_those_that_wait() {
        let terms = group(json!({ "key": "g", "limit": 2, "cancel-in-progress": true })).terms();
        assert_eq!((terms.limit, terms.pending), (2, PendingPolicy::Latest));
        let queue = group(json!({ "key": "g", "queue_max": 3 })).terms();
        assert_eq!(queue.pending, PendingPolicy::Queue { max: 3 });
    }

    #[test]
    fn contradictions_are_found() {
        for wrong in [
            json!({ "key": "g", "pending": "latest", "queue_max": 3 }),
            json!({ "key": "g", "cancel_in_progress": true, "pending": "queue" }),
            json!({ "key": "g", "cancel_in_progress": true, "queue_max": 1 }),
        ] {
            assert!(group(wrong.clone()).contradiction().is_some(), "{wrong}");
        }
        assert_eq!(group(json!({ "key": "g", "pending": "queue" })).contradiction(), None);
        assert!(
            Group::try_from(json!({ "limit": 1 })).unwrap_err().contains("missing field `key`")
        );
    }
}
