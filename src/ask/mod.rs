//! What people ask of the scheduler, in their words, and what it means in ours.
//!
//! ```text
//! x-dispatch of a workflow file, `dispatch` of a trigger, fields of a submission
//!      -> Ask (names, "2h") -> or (who outranks whom) -> resolve (Catalogue) -> Planned -> settle (event)
//! ```
//!
//! One type has all the keys, so that they are the same wherever they are written. [`Ask::faults`]
//! finds what is wrong in itself, [`Ask::resolve`] what the configuration does not know; what holds
//! for every plan is checked by [`crate::model::PlannedWorkload::check`].
//!
//! Not here: labels, timeouts, needs and matrices, which each place writes in its own way.

mod check;
mod forms;
mod group;
mod resolve;
mod span;

use serde::{Deserialize, Serialize};

use crate::model::{JobPriority, RunIf};

pub use check::{Fault, Level};
pub use forms::{Affinity, Names, Preferences, Region, Resources, SpreadAsk};
pub use group::{Group, Pending};
pub use resolve::{Later, Planned, Resolved};
pub use span::{Deadline, Span, millis};

/// What is asked for a workload or one of its jobs. What is absent is not said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ask {
    /// `x64`, `arm64`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// `linux`, `macos`, `windows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// Gigabytes of memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_memory_gb: Option<u32>,
    /// Cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_cpu_cores: Option<u32>,
    /// Whether containers must be available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requires_docker: Option<bool>,
    /// Number of graphics processors; `true` is 1.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "forms::gpu")]
    pub gpu: Option<u32>,
    /// The pool, or pools in order, whose runners may take it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pool: Option<Names>,
    /// Skills, all of which its pool must have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skills: Option<Names>,
    /// Where it must or had better run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Region>,
    /// Labels that the runner had better have, or not have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preferred: Option<Preferences>,
    /// Units of resources that it holds while a runner has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Names by which routes find it, parted by `::`, beside those that every job has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Near to which jobs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Affinity>,
    /// Away from which jobs: a key that they share.
    #[serde(skip_serializing_if = "Option::is_none", alias = "anti-affinity")]
    pub anti_affinity: Option<String>,
    /// Among which jobs it is spread, and over what.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<SpreadAsk>,
    /// How urgent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<JobPriority>,
    /// Charged failures that may be followed by another try.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The first backoff in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u32>,
    /// By when its work should have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline: Option<Deadline>,
    /// How long it should wait at most before it is given to a runner.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait: Option<Span>,
    /// How long it may be pending before it is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout: Option<Span>,
    /// What the ends of its needs must be for it to run; of a job only.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "forms::run_if")]
    pub run_if: Option<RunIf>,
    /// The concurrency group of the workload, or of the job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<Group>,
    /// How many jobs of the workload may be with runners at once; of a workload only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether the first job that fails cancels all others; of a workload only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fail_fast: Option<bool>,
}

macro_rules! first {
    ($one:ident, $other:ident: $($key:ident)*) => {
        Self { $($key: $one.$key.clone().or_else(|| $other.$key.clone())),* }
    };
}

impl Ask {
    /// Every key, with its second spellings.
    pub const KEYS: [&str; 26] = [
        "architecture",
        "os",
        "min_memory_gb",
        "min_cpu_cores",
        "requires_docker",
        "gpu",
        "pool",
        "skills",
        "region",
        "preferred",
        "resources",
        "namespace",
        "affinity",
        "anti-affinity",
        "anti_affinity",
        "spread",
        "priority",
        "max_retries",
        "backoff_ms",
        "deadline",
        "max_wait",
        "queue_timeout",
        "run_if",
        "group",
        "max_parallel",
        "fail_fast",
    ];

    /// What is asked here, and where nothing is, what `default` asks.
    pub fn or(&self, default: &Self) -> Self {
        first!(self, default: architecture os min_memory_gb min_cpu_cores requires_docker gpu pool
            skills region preferred resources namespace affinity anti_affinity spread priority max_retries
            backoff_ms deadline max_wait queue_timeout run_if group max_parallel fail_fast)
    }

    /// What a workload asks for each of its jobs: all but what it asks as a whole.
    pub fn for_jobs(&self) -> Self {
        Self { group: None, max_parallel: None, fail_fast: None, ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_keys_is_what_can_be_read() {
        let error = serde_json::from_str::<Ask>(r#"{"zz": 1}"#).unwrap_err().to_string();
        let named: Vec<_> = error.split('`').skip(1).step_by(2).collect();
        let mut keys = Ask::KEYS.to_vec();
        keys.insert(0, "zz");
        assert_eq!(named, keys);
    }

    #[test]
    fn what_is_read_can_be_written_and_read_again() {
        let text = r#"{"gpu": true, "pool": "fast", "skills": ["a", "b"], "region": ["eu", "us"],
            "preferred": ["ssd", {"label": "spot", "weight": -5}], "resources": "none", "namespace": "ml::train",
            "affinity": "app", "anti-affinity": "db", "spread": {"key": "web", "over": "zone"},
            "deadline": "2h", "max_wait": "90s", "run_if": "always", "group": "deploy"}"#;
        let ask: Ask = serde_json::from_str(text).unwrap();
        let written = serde_json::to_string(&ask).unwrap();
        assert_eq!(serde_json::from_str::<Ask>(&written).unwrap(), ask, "{written}");
        let written = toml::to_string(&ask).unwrap();
        assert_eq!(toml::from_str::<Ask>(&written).unwrap(), ask, "{written}");
    }

    #[test]
    fn what_a_workload_asks_as_a_whole_is_not_asked_for_its_jobs() {
        let whole: Ask = serde_json::from_str(
            r#"{"group": "g", "max_parallel": 2, "fail_fast": true, "gpu": 1}"#,
        )
        .unwrap();
        assert_eq!(whole.for_jobs(), Ask { gpu: Some(1), ..Ask::default() });
    }
}
