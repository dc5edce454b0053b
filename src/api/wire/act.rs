//! Asking the server to do something.
//!
//! ```text
//! POST /api/v1/workloads                       SubmitRequest      -> SubmitResponse     (Idempotency-Key)
//! POST /api/v1/workloads/{id}/jobs             JoinRequest        -> JoinResponse       (Idempotency-Key)
//! POST /api/v1/workloads/{id}/close            {}                 -> WorkloadView
//! POST /api/v1/events                          EventRequest       -> DeliveryAccepted   (Idempotency-Key)
//! POST /api/v1/workflows/{name}/run            RunRequest         -> DeliveryAccepted
//! POST /api/v1/deliveries/{id}/replay          {}                 -> DeliveryAccepted
//! POST /api/v1/workloads/{id}/cancel           ReasonRequest      -> WorkloadView
//! POST /api/v1/workloads/{id}/retry            ReasonRequest      -> WorkloadView
//! POST /api/v1/jobs/{id}/cancel                ReasonRequest      -> JobView
//! POST /api/v1/jobs/{id}/requeue               RequeueRequest     -> JobView
//! ```

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::{OutlookView, TriggerVerdictView};
use crate::ask::Ask;
use crate::model::{DeliveryId, JobId, JobWork, MatrixTerms, WorkloadId, WorkloadKind};

/// One workload, submitted without an event.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SubmitRequest {
    /// What it is called.
    pub name: String,
    /// Workflow (the default) or agent.
    #[serde(default = "workflow")]
    pub kind: WorkloadKind,
    /// Whether jobs may join it later: needs may then name jobs that are not there yet.
    #[serde(default)]
    pub open: bool,
    /// Its jobs; all are made, or none.
    pub jobs: Vec<SubmitJob>,
    /// Where its beginning and its end are posted to, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// What it asks for as a whole (`group`, `max_parallel`, `fail_fast`), and what its jobs ask
    /// for where they say nothing: the keys of [`Ask`] beside those above.
    #[serde(flatten, deserialize_with = "strict")]
    pub ask: Ask,
}

fn workflow() -> WorkloadKind {
    WorkloadKind::Workflow
}

/// What is left of a mapping when the keys around it are taken: an ask, or a key that nobody knows.
fn strict<'de, D: Deserializer<'de>>(rest: D) -> Result<Ask, D::Error> {
    let rest = Map::<String, Value>::deserialize(rest)?;
    serde_json::from_value(Value::Object(rest)).map_err(serde::de::Error::custom)
}

/// One job of a submission. What is absent has the workload's or the server's default.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SubmitJob {
    /// Unique in the workload.
    pub name: String,
    /// Jobs that must have ended first, by name; `run_if` says how.
    #[serde(default)]
    pub needs: Vec<String>,
    /// Workloads that must have ended first; `run_if` says how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs_workloads: Vec<WorkloadId>,
    /// The jobs of the workload with which it shares a limit and a fate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matrix: Option<MatrixTerms>,
    /// What it requires of a runner.
    #[serde(default)]
    pub requirements: SubmitRequirements,
    /// What it does: `{"steps": [{"run": "make"}]}` or `{"agent": {"profile": .., "prompt": ..}}`.
    pub work: JobWork,
    /// Environment of all steps.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// How long one attempt may run.
    #[serde(default)]
    pub timeout_ms: Option<i64>,
    /// Not before this time, wall milliseconds.
    #[serde(default)]
    pub not_before_ms: Option<i64>,
    /// Whatever else it asks for: the keys of [`Ask`] beside those above, as in `x-dispatch` of
    /// workflow files.
    #[serde(flatten, deserialize_with = "strict")]
    pub ask: Ask,
}

/// Labels, and in a place of their own those keys of [`Ask`] that are about the runner itself. The
/// job's own keys outrank them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct SubmitRequirements {
    /// What the runner's labels must be, all of it: `linux`, `disk=ssd`, `disk=*`, `!spot`.
    #[serde(default)]
    pub labels: Vec<String>,
    /// `architecture`, `os`, `min_memory_gb`, `pool`, `skills`, ...
    #[serde(flatten, deserialize_with = "strict")]
    pub ask: Ask,
}

/// What a submission became.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SubmitResponse {
    /// The workload; with a repeated `Idempotency-Key` the first one.
    pub workload_id: WorkloadId,
    /// Whether it was there already.
    pub duplicate: bool,
    /// What is expected of its jobs with `max_wait` or a deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlooks: Vec<OutlookView>,
}

/// Jobs for a workload that is open.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JoinRequest {
    /// The jobs, as those of a submission; all join, or none. A need may name any job of the
    /// workload, and one that joins later.
    pub jobs: Vec<SubmitJob>,
}

/// What joined.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct JoinResponse {
    /// The workload.
    pub workload_id: WorkloadId,
    /// The jobs, in the order of the request; with a repeated `Idempotency-Key` the first ones.
    pub jobs: Vec<JobId>,
    /// Whether they were there already.
    pub duplicate: bool,
    /// What is expected of those with `max_wait` or a deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlooks: Vec<OutlookView>,
}

/// An event of one's own, run through the triggers.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventRequest {
    /// The event's kind, matched by triggers as a forge's would be.
    pub kind: String,
    /// The activity type.
    #[serde(default)]
    pub action: Option<String>,
    /// The full ref: `refs/heads/main`.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// The commit.
    #[serde(default)]
    pub sha: Option<String>,
    /// `owner/name`.
    #[serde(default)]
    pub repository: Option<String>,
    /// Changed files, where known.
    #[serde(default)]
    pub changed_files: Option<Vec<String>>,
    /// Labels of the subject.
    #[serde(default)]
    pub labels: Vec<String>,
    /// Title of the subject.
    #[serde(default)]
    pub title: Option<String>,
    /// Text of the subject.
    #[serde(default)]
    pub body: Option<String>,
    /// Anything else, for the jobs.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// Where the beginnings and ends of what it starts are posted to, signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callback_url: Option<String>,
    /// The workload whose job sends it: it is no more trusted than that, and a chain of such events ends at
    /// `causation_depth_max`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caused_by: Option<WorkloadId>,
}

/// Starts a workflow of the server's folder by hand.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RunRequest {
    /// The ref that the jobs are told.
    #[serde(default, rename = "ref")]
    pub git_ref: Option<String>,
    /// The repository that the jobs are told.
    #[serde(default)]
    pub repository: Option<String>,
    /// Inputs, for the jobs.
    #[serde(default)]
    pub inputs: Map<String, Value>,
    /// What it asks for, instead of what the file says: the keys of [`Ask`] beside those above.
    #[serde(flatten, deserialize_with = "strict")]
    pub ask: Ask,
}

/// An accepted delivery: the answer to a webhook, an event, a replay or a run.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeliveryAccepted {
    /// The delivery; of a duplicate the first one's.
    pub delivery_id: DeliveryId,
    /// Whether it was there already.
    pub duplicate: bool,
    /// Where it stands: `dispatched`, `ignored`, `failed`, ...
    pub state: String,
    /// What it started.
    pub workloads: Vec<WorkloadId>,
    /// What each trigger said.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub triggers: Vec<TriggerVerdictView>,
    /// What is expected of jobs with `max_wait` or a deadline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outlooks: Vec<OutlookView>,
}

/// Nothing more to say: `{}`, or no body at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nothing {}

/// Why somebody asks for it.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ReasonRequest {
    /// For people.
    pub reason: Option<String>,
}

/// Takes a job away from its runner and queues it again, without charge.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequeueRequest {
    /// For people.
    pub reason: Option<String>,
    /// Give it to another runner while one fits.
    pub avoid_runner: bool,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_submission_takes_the_keys_of_an_ask_and_no_others() {
        let job = json!({ "name": "a", "work": { "steps": [] }, "max_wait": "2m", "group": "g" });
        let body = json!({ "name": "w", "fail_fast": true, "jobs": [job] });
        let request: SubmitRequest = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(request.ask.fail_fast, Some(true));
        assert_eq!(request.jobs[0].ask.max_wait, Some(crate::ask::Span(120_000)));
        let again = serde_json::to_value(&request).unwrap();
        assert_eq!(serde_json::from_value::<SubmitRequest>(again).unwrap(), request);

        let refused = |at: &str, key: &str| {
            let mut body = body.clone();
            body.pointer_mut(at).unwrap()[key] = json!(1);
            serde_json::from_value::<SubmitRequest>(body).unwrap_err().to_string()
        };
        assert!(refused("", "colour").starts_with("unknown field `colour`"));
        assert!(refused("/jobs/0", "colour").starts_with("unknown field `colour`"));
        assert!(serde_json::from_value::<RunRequest>(json!({ "colour": 1 })).is_err());
    }
}
