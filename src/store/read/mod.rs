//! Reads: bounded in rows and in time, on connections that cannot write, newest first.

mod attempt;
mod context;
mod delivery;
mod job;
mod outbox;
mod prune;
mod reader;
mod record;
mod report;
mod session;
mod tenant;
mod workload;

use crate::model::{
    DeliveryId, DeliveryState, JobId, JobStateKind, SessionId, SessionState, TenantId, WorkloadId,
    WorkloadState,
};

pub use attempt::{EndedRun, Outputs, RanInRun};
pub use context::JobContext;
pub use outbox::OutboxExtent;
pub use prune::{Extent, OldDelivery, OldKey, OldRecord, OldWorkload};
pub use record::LastCommit;
pub use report::{EndedAttempt, EndedJob, PlaceInTime};
pub use session::{MessagePage, OldSession};
pub use tenant::LevelUsage;

pub(super) use reader::Readers;

/// The most rows that one read returns, whatever was asked for.
pub(super) const ROWS_MAX: u32 = 1_000;

/// The most rows of one workload, its jobs or its edges, that one read returns. Above every limit
/// on the size of a workload; it bounds what a damaged database can make us read.
pub(super) const WORKLOAD_ROWS_MAX: i64 = 1_000_000;

/// Which part of a list: at most `limit` rows, newest first, older than `before`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Page<Id, State> {
    /// At most 1,000.
    pub limit: u32,
    /// The last id of the page before; `None` for the first page.
    pub before: Option<Id>,
    /// Only those in this state.
    pub state: Option<State>,
    /// Only those of this tenant.
    pub tenant: Option<TenantId>,
}

/// A page of deliveries.
pub type DeliveryPage = Page<DeliveryId, DeliveryState>;
/// A page of workloads.
pub type WorkloadPage = Page<WorkloadId, WorkloadState>;
/// A page of sessions.
pub type SessionPage = Page<SessionId, SessionState>;
/// A page of jobs.
pub type JobPage = Page<JobId, JobStateKind>;

impl<Id, State> Page<Id, State> {
    /// The first page of a list of all.
    pub fn first(limit: u32) -> Self {
        Self { limit, before: None, state: None, tenant: None }
    }

    fn rows(&self) -> i64 {
        i64::from(self.limit.min(ROWS_MAX))
    }
}
