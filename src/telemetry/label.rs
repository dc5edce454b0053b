//! Labels of metrics. Every value comes from a closed list or from the configuration, so that no
//! sender can make the number of series grow.

use prometheus_client::encoding::EncodeLabelSet;

use crate::model::{JobPriority, JobStateKind, RequeueReason};

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

/// A level of priority.
#[derive(Clone, PartialEq, Eq, Hash, Debug, EncodeLabelSet)]
pub struct PriorityLabels {
    priority: &'static str,
}

impl From<JobPriority> for PriorityLabels {
    fn from(priority: JobPriority) -> Self {
        Self { priority: priority.as_str() }
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
