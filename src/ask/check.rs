//! What is wrong with an ask in itself, before any configuration is known.
//!
//! Here is what cannot be seen any more in a plan: bounds that protect from typing mistakes,
//! contradictions, keys in the wrong place, and texts that normalisation would drop.

use super::{Ask, Region};
use crate::model::TermsFault;

/// One thing that is wrong with an ask.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{key}: {message}")]
pub struct Fault {
    /// The key of [`Ask`], or `labels`.
    pub key: &'static str,
    /// What is wrong, and what there is instead.
    pub message: String,
}

impl Fault {
    pub(super) fn new(key: &'static str, message: impl Into<String>) -> Self {
        Self { key, message: message.into() }
    }

    /// As a fault of a job, or of the workload as a whole.
    pub fn of_job(self, job: Option<&str>) -> TermsFault {
        TermsFault { job: job.map(str::to_owned), key: self.key, message: self.message }
    }
}

/// For what something is asked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Level {
    /// For a workload, and as defaults of its jobs.
    Workload,
    /// For one job.
    Job,
}

impl Ask {
    /// More than any machine has; a typing mistake is then found at load and not by a job that
    /// waits.
    pub const AMOUNT_MAX: u32 = 65_536;
    /// The most retries of a job.
    pub const RETRIES_MAX: u32 = 100;
    /// One day.
    pub const BACKOFF_MS_MAX: u32 = 86_400_000;

    /// Everything that is wrong with it in itself.
    pub fn faults(&self, level: Level) -> Vec<Fault> {
        let mut found = Vec::new();
        let mut bound = |key, value: Option<u32>, max: u32| {
            if let Some(value) = value.filter(|value| *value > max) {
                found.push(Fault::new(key, format!("{value} is over {max}")));
            }
        };
        bound("min_memory_gb", self.min_memory_gb, Self::AMOUNT_MAX);
        bound("min_cpu_cores", self.min_cpu_cores, Self::AMOUNT_MAX);
        bound("gpu", self.gpu, Self::AMOUNT_MAX);
        bound("max_retries", self.max_retries, Self::RETRIES_MAX);
        bound("backoff_ms", self.backoff_ms, Self::BACKOFF_MS_MAX);
        for key in self.misplaced(level) {
            let place = if level == Level::Job { "the workload" } else { "a job" };
            found.push(Fault::new(key, format!("belongs to {place}")));
        }
        found.extend(self.empty_texts().map(|key| Fault::new(key, "a text is empty")));
        if self.group.as_ref().is_some_and(|group| group.key.contains(char::is_control)) {
            found.push(Fault::new("group", "the key has control characters"));
        }
        if let Some(message) = self.group.as_ref().and_then(|group| group.contradiction()) {
            found.push(Fault::new("group", message));
        }
        found.extend(self.region.as_ref().and_then(outside));
        if let Some(Fault { key, message }) = self.contradictory_places() {
            found.push(Fault { key, message });
        }
        found
    }

    fn misplaced(&self, level: Level) -> impl Iterator<Item = &'static str> {
        let (whole, single) = (level == Level::Workload, level == Level::Job);
        [
            ("run_if", whole && self.run_if.is_some()),
            ("max_parallel", single && self.max_parallel.is_some()),
            ("fail_fast", single && self.fail_fast.is_some()),
        ]
        .into_iter()
        .filter_map(|(key, misplaced)| misplaced.then_some(key))
    }

    /// Keys with a text that is empty, which normalisation would drop or nobody could match.
    fn empty_texts(&self) -> impl Iterator<Item = &'static str> {
        let empty = |text: &str| text.trim().is_empty();
        let any = |texts: &[String]| texts.iter().any(|text| empty(text));
        let one = |text: &Option<String>| text.as_deref().is_some_and(empty);
        let no_name = |names: &super::Names| names.0.is_empty() || any(&names.0);
        [
            ("architecture", one(&self.architecture)),
            ("os", one(&self.os)),
            ("pool", self.pool.as_ref().is_some_and(no_name)),
            ("skills", self.skills.as_ref().is_some_and(|it| any(&it.0))),
            (
                "region",
                self.region.as_ref().is_some_and(|it| any(&it.required) || any(&it.preferred)),
            ),
            ("preferred", self.preferred.iter().flat_map(|it| &it.0).any(|it| empty(&it.label))),
        ]
        .into_iter()
        .filter_map(|(key, is_empty)| is_empty.then_some(key))
    }

    /// Near to jobs that it must be away from.
    fn contradictory_places(&self) -> Option<Fault> {
        let near = self.affinity.as_ref().filter(|near| near.required)?;
        let same = self.anti_affinity.as_ref().is_some_and(|away| away.trim() == near.key.trim());
        let message = || format!("`{}` is also a required affinity", near.key);
        same.then(|| Fault::new("anti_affinity", message()))
    }
}

/// A region that is preferred and not allowed.
fn outside(region: &Region) -> Option<Fault> {
    let same = |one: &str, other: &str| one.trim().eq_ignore_ascii_case(other.trim());
    let allowed = |name: &str| region.required.iter().any(|required| same(required, name));
    let wrong = region.preferred.iter().find(|name| !allowed(name));
    let wrong = wrong.filter(|_| !region.required.is_empty())?;
    Some(Fault::new("region", format!("`{wrong}` is preferred and none of the required")))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn faults(ask: Value, level: Level) -> Vec<String> {
        let ask: Ask = serde_json::from_value(ask).unwrap();
        ask.faults(level).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn numbers_over_any_machine_are_typing_mistakes() {
        let ask = json!({ "min_memory_gb": 70_000, "gpu": 65_537, "max_retries": 101 });
        let said = faults(ask, Level::Job);
        let wanted = [
            "min_memory_gb: 70000 is over 65536",
            "gpu: 65537 is over 65536",
            "max_retries: 101 is over 100",
        ];
        assert_eq!(said, wanted);
    }

    #[test]
    fn a_key_of_the_workload_is_not_one_of_a_job() {
        let whole = json!({ "max_parallel": 1, "fail_fast": true });
        assert_eq!(faults(whole.clone(), Level::Workload), [""; 0]);
        let said = ["max_parallel: belongs to the workload", "fail_fast: belongs to the workload"];
        assert_eq!(faults(whole, Level::Job), said);
        let single = json!({ "run_if": "failure" });
        assert_eq!(faults(single.clone(), Level::Job), [""; 0]);
        assert_eq!(faults(single, Level::Workload), ["run_if: belongs to a job"]);
    }

    #[test]
    fn only_conditions_of_workflow_files_lead_to_decisions_and_only_they_allow_failures() {
        for (ask, said) in [
            (json!({ "run_if": "decide" }), "unknown variant `decide`, expected one of `success`"),
            (json!({ "run_if": "never" }), "unknown variant `never`, expected one of `success`"),
            (json!({ "allow_failure": true }), "unknown field `allow_failure`"),
        ] {
            let error = serde_json::from_value::<Ask>(ask).unwrap_err().to_string();
            assert!(error.starts_with(said), "{error}");
        }
        assert_eq!(serde_json::from_value::<Ask>(json!({ "run_if": null })).unwrap().run_if, None);
    }

    #[test]
    fn a_group_has_no_place_for_the_number_of_its_workload() {
        let ask = json!({ "group": format!("deploy-{}", crate::model::RUN_ID) });
        assert_eq!(faults(ask, Level::Workload), ["group: the key has control characters"]);
    }

    #[test]
    fn empty_texts_and_contradictions_are_told() {
        for (ask, said) in [
            (json!({ "region": ["eu", " "] }), "region: a text is empty"),
            (json!({ "pool": [] }), "pool: a text is empty"),
            (json!({ "preferred": [""] }), "preferred: a text is empty"),
            (
                json!({ "region": { "required": "EU", "preferred": ["eu", "us"] } }),
                "region: `us` is preferred and none of the required",
            ),
            (
                json!({ "affinity": { "key": "a", "required": true }, "anti_affinity": "a" }),
                "anti_affinity: `a` is also a required affinity",
            ),
        ] {
            assert_eq!(faults(ask, Level::Job), [said]);
        }
    }
}
