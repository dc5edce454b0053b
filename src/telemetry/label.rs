//! Labels of metrics. Every value comes from a closed list or from the configuration, so that no
//! sender can make the number of series grow.

use prometheus_client::encoding::EncodeLabelSet;

use crate::model::{JobStateKind, RequeueReason};

/// A delivery's source and what became of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct DeliveryLabels {
    /// The configured source's name; never a name out of a request.
    pub source: String,
    /// `accepted`, `duplicate`, `refused`, ...
    pub outcome: &'static str,
}

impl DeliveryLabels {
    /// For a configured source.
    pub fn new(source: impl Into<String>, outcome: &'static str) -> Self {
        Self { source: source.into(), outcome }
    }
}

/// A source, and why a delivery of it was not believed.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct RejectionLabels {
    /// The configured source's name; never a name out of a request.
    pub source: String,
    /// `missing`, `malformed`, `mismatch`, ...
    pub reason: &'static str,
}

impl RejectionLabels {
    /// For a configured source.
    pub fn new(source: impl Into<String>, reason: &'static str) -> Self {
        Self { source: source.into(), reason }
    }
}

/// The state in which a job ended.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct JobEndLabels {
    state: &'static str,
}

impl From<JobStateKind> for JobEndLabels {
    fn from(state: JobStateKind) -> Self {
        Self { state: state.as_str() }
    }
}

/// Why a job went back to the queue.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct RequeueLabels {
    reason: &'static str,
}

impl From<RequeueReason> for RequeueLabels {
    fn from(reason: RequeueReason) -> Self {
        Self { reason: reason.as_str() }
    }
}

/// A start beside what was said of it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PredictionLabels {
    outcome: &'static str,
}

impl PredictionLabels {
    /// `earlier`, `within` or `later` than the percentiles that were said.
    pub fn new(outcome: &'static str) -> Self {
        Self { outcome }
    }
}

/// What was said of a new job with `max_wait` or a deadline.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PromiseLabels {
    verdict: &'static str,
}

impl PromiseLabels {
    /// `met`, `at_risk` or `cannot`.
    pub fn new(verdict: &'static str) -> Self {
        Self { verdict }
    }
}

/// The same, and how it came.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PromiseEndLabels {
    verdict: &'static str,
    outcome: &'static str,
}

impl PromiseEndLabels {
    /// The outcome is `in_time` or `late`.
    pub fn new(verdict: &'static str, outcome: &'static str) -> Self {
        Self { verdict, outcome }
    }
}

/// An answered request.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct RouteLabels {
    method: String,
    route: String,
    status: u16,
}

impl RouteLabels {
    /// `route` is the matched pattern (`/api/v1/jobs/{id}`), never the address itself.
    pub fn new(method: impl Into<String>, route: impl Into<String>, status: u16) -> Self {
        Self { method: method.into(), route: route.into(), status }
    }
}
