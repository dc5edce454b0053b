//! What is decided about a job of a workflow file when everything that it needs has ended.
//!
//! The scheduler says when that is so, and knows neither what the job does nor what others put out. A
//! task at the edge reads the [`Facts`], a pure function makes a [`Decision`] of them, and that comes
//! back as a command.

use serde_json::Value;

use super::PlannedJob;

/// What becomes of a job that waited for a decision.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Decision {
    /// It runs as it was planned.
    Run,
    /// Its condition is false.
    Skip {
        /// The same for people, where there is more to say; may be empty.
        why: Box<str>,
    },
    /// It cannot be decided: an expression fails, or what comes of it is no plan.
    Fail {
        /// What is wrong, for people.
        why: Box<str>,
    },
    /// It becomes these jobs of its matrix, at least one. Each of them needs what it needed, and what it
    /// names itself; its own `run_if` holds, so one that is to run over a bad end says so.
    Expand {
        /// The jobs.
        jobs: Vec<PlannedJob>,
    },
    /// It runs as it is planned now. Its name and its needs stay. Its `run_if` and its spec are kept for
    /// the next run: with [`super::RunIf::Decide`] it is decided anew there.
    Replan {
        /// The job.
        job: Box<PlannedJob>,
    },
}

/// What is known when a job is decided, beside its spec.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The context `needs`: of each key of a job that it needs, `result` and `outputs`.
    pub needs: &'a Value,
    /// The context `github`, with what only its workload knows; with `event`, the delivery's body, only
    /// where the spec mentions the context and there is a delivery, as it may be large.
    pub github: &'a Value,
    /// What the status functions say.
    pub status: Status,
    /// The job as it is now, for what stays when it is planned again: its name, the names of what it needs,
    /// its requirements, its terms.
    pub job: &'a PlannedJob,
}

/// What the status functions of conditions say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// `success()`: every job that it needs completed, or was allowed to fail.
    pub success: bool,
    /// `failure()`: a job before it failed, directly or not.
    pub failure: bool,
    /// `cancelled()`: somebody cancelled a job that it needs.
    pub cancelled: bool,
}
