//! What a job or a workload asks of the scheduler beside a runner that fits: when, beside whom, in
//! which group. Written once, when the job is made, and once more where it is planned again.

use serde::{Deserialize, Serialize};

use super::{ReportTo, Succession, WorkloadId};

/// Terms of a job. Most jobs have none of them, so a row keeps them behind a pointer, or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JobTerms {
    /// What the ends of its needs must be for it to run.
    #[serde(skip_serializing_if = "is_default")]
    pub run_if: RunIf,
    /// Workloads that must have ended first; `run_if` judges them as it does needs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub needs_workloads: Vec<WorkloadId>,
    /// Needs that were no jobs of the open workload when this one was made. One that has not come
    /// when the workload is closed counts as failed, and a job that runs on success fails with it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub late_needs: Vec<Box<str>>,
    /// The concurrency group that it must be in to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupTerms>,
    /// The jobs of its workload with which it shares a limit and a fate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix: Option<MatrixTerms>,
    /// Wall milliseconds by which its work should have ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deadline_ms: Option<i64>,
    /// How long it should wait at most before it is given to a runner, from when it was queued.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_wait_ms: Option<i64>,
    /// How long it may be pending before it is given up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue_timeout_ms: Option<i64>,
    /// Names between kind and workload in the name by which routes find it, parted by `::`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<Box<str>>,
    /// Jobs that it wants to be near to, or away from.
    #[serde(skip_serializing_if = "is_default")]
    pub placement: Placement,
    /// Whether its failure counts as a good end for the jobs that need it, and for its workload.
    #[serde(skip_serializing_if = "is_default")]
    pub allow_failure: bool,
}

/// Terms of a workload.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkloadTerms {
    /// The concurrency group that it must be in for any of its jobs to run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupTerms>,
    /// How many of its jobs may be offered or with runners at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether the first job that fails cancels all others, but for blocked ones that run on
    /// failure or always.
    #[serde(skip_serializing_if = "is_default")]
    pub fail_fast: bool,
    /// What people call this one run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<Box<str>>,
    /// Where it is reported.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub report: Vec<ReportTo>,
    /// What older work it takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub succession: Option<Succession>,
}

/// When a job runs, by how the jobs and workloads that it needs ended.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunIf {
    /// All of them completed.
    #[default]
    Success,
    /// All of them have ended, and one failed, or was skipped because something before it failed.
    Failure,
    /// All of them have ended, however they did.
    Always,
    /// Never: its condition was false already when it was planned.
    Never,
    /// All of them have ended, and the condition that its spec has is true then; the decision comes from
    /// outside the scheduler, which knows neither.
    Decide,
}

/// A concurrency group, as one of its members names it. Groups of two tenants are two groups.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupTerms {
    /// The group's name; not empty.
    pub key: Box<str>,
    /// How many members may be in it at once; the member that was made last decides.
    #[serde(default = "one")]
    pub limit: u32,
    /// Whether a new member that finds no room asks those that are in the group to stop.
    #[serde(default)]
    pub cancel_in_progress: bool,
    /// What becomes of members that wait.
    #[serde(default)]
    pub pending: PendingPolicy,
}

fn one() -> u32 {
    1
}

/// What becomes of the members of a group that wait for their turn.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PendingPolicy {
    /// Only the one that came last waits; the others are cancelled. GitHub's rule:
    /// <https://docs.github.com/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency>.
    Latest,
    /// All wait, in order; one more than `max` is cancelled.
    Queue {
        /// The most that may wait.
        max: u32,
    },
}

impl Default for PendingPolicy {
    fn default() -> Self {
        Self::Queue { max: u32::MAX }
    }
}

/// Jobs of one workload that were made from one: a matrix.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MatrixTerms {
    /// Its name inside the workload.
    pub key: Box<str>,
    /// How many of them may be offered or with runners at once; the same for all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<u32>,
    /// Whether the first that fails cancels the others.
    #[serde(default)]
    pub fail_fast: bool,
}

/// Nearness of jobs to each other. The keys are names that jobs of one tenant share.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Placement {
    /// Prefers a runner that has, or had last, a job with the same key: warm caches.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub affinity: Option<Box<str>>,
    /// Whether only such a runner will do, while there is one that could take the job.
    #[serde(skip_serializing_if = "is_default")]
    pub affinity_required: bool,
    /// Never on a runner that has a job with the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub anti_affinity: Option<Box<str>>,
    /// Prefers the place with the fewest jobs of the same key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spread: Option<Spread>,
}

/// Over what jobs are spread.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Jobs with the same key are spread.
    pub key: Box<str>,
    /// Over what.
    #[serde(default)]
    pub over: SpreadOver,
}

/// What a spread counts as one place.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SpreadOver {
    /// Each runner.
    #[default]
    Runner,
    /// All runners of a zone.
    Zone,
    /// All runners of a region.
    Region,
}

/// Stands in the key of a group for the number of the workload, which nobody knows while it is planned.
/// No text of people has control characters where it becomes a key.
pub const RUN_ID: &str = "\u{1}run_id\u{1}";

impl GroupTerms {
    /// Puts a workload's number where [`RUN_ID`] stands.
    pub fn name_run(&mut self, id: WorkloadId) {
        if self.key.contains(RUN_ID) {
            self.key = self.key.replace(RUN_ID, &id.to_string()).into();
        }
    }
}

impl RunIf {
    /// Whether people may ask for it. The others are for whoever plans workflow files.
    pub fn is_asked(self) -> bool {
        matches!(self, Self::Success | Self::Failure | Self::Always)
    }
}

impl JobTerms {
    /// The terms behind a pointer, or nothing when there are none.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// Wall milliseconds by which the job should be with a runner, from `max_wait_ms` and from
    /// `deadline_ms` with the time that its work is expected to take.
    pub fn start_by_ms(&self, queued_at_ms: i64, expected_run_ms: i64) -> Option<i64> {
        let by_wait = self.max_wait_ms.map(|wait| queued_at_ms.saturating_add(wait));
        let by_deadline = self.deadline_ms.map(|at_ms| at_ms.saturating_sub(expected_run_ms));
        by_wait.into_iter().chain(by_deadline).min()
    }
}

impl WorkloadTerms {
    /// The terms behind a pointer, or nothing when there are none.
    pub fn boxed(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_is_due_by_the_sooner_of_wait_and_deadline() {
        let mut terms = JobTerms { max_wait_ms: Some(50), ..JobTerms::default() };
        assert_eq!(terms.start_by_ms(100, 10), Some(150));
        terms.deadline_ms = Some(120);
        assert_eq!(terms.start_by_ms(100, 10), Some(110));
        assert_eq!(JobTerms::default().start_by_ms(100, 10), None);
    }

    #[test]
    fn absent_terms_are_no_text_and_no_pointer() {
        assert_eq!(JobTerms::default().boxed(), None);
        let terms = JobTerms { run_if: RunIf::Always, ..JobTerms::default() };
        assert_eq!(serde_json::to_string(&terms).unwrap(), r#"{"run_if":"always"}"#);
    }
}
