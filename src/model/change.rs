//! What a decision writes: the one language between the pure core and the store.

use std::sync::Arc;

use super::{
    Answered, Attempt, Class, Delivery, DeliveryId, Edge, Job, JobId, JobSpec, OutboxEntry,
    OutboxId, OutboxTold, Pause, PauseScope, PrunedSession, Record, Runner, RunnerId, ScheduleMark,
    Session, SessionDay, SessionDelivered, SessionMessage, SoftState, Workload, WorkloadId,
};

/// One row to write. A batch's changes are applied in order, as one transaction; of several
/// updates of one row only the last reaches the database.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// A new delivery, with its verdicts.
    DeliveryInserted(Box<Delivery>),
    /// What became of a delivery that was accepted before: its state, its reason and its verdicts.
    DeliveryDecided(Box<Delivery>),
    /// A held delivery was approved, denied, or replaced by a newer one.
    DeliveryAnswered(Box<Answered>),
    /// New requirements.
    ClassInserted(Class),
    /// A new workload.
    WorkloadInserted(Workload),
    /// A workload's row is now this.
    WorkloadUpdated(Workload),
    /// A new job with what it does and what it needs.
    JobInserted {
        /// The hot row.
        job: Job,
        /// The wide row, which only [`Change::JobReplanned`] changes.
        spec: Arc<JobSpec>,
        /// What it needs.
        edges: Vec<Edge>,
    },
    /// A job that was there needs one that joined its workload.
    EdgeInserted(Edge),
    /// A job's hot row is now this.
    JobUpdated(Job),
    /// A blocked job was planned again: what else never changes of its row, and what it does, is now this.
    /// A change of its row follows, as with every decision about it.
    JobReplanned {
        /// The row, with its new class, terms, timeout and backoff.
        job: Job,
        /// What it does.
        spec: Arc<JobSpec>,
    },
    /// An attempt ended.
    AttemptEnded(Box<Attempt>),
    /// A workload and its jobs ended: their rows leave the hot tables.
    WorkloadArchived(WorkloadId, Vec<JobId>),
    /// A manual retry: the rows of an ended workload come back to the hot tables.
    WorkloadReopened(WorkloadId, Vec<JobId>),
    /// A new runner.
    RunnerInserted(Runner),
    /// A runner's row is now this.
    RunnerUpdated(Runner),
    /// A runner left.
    RunnerRemoved(RunnerId),
    /// Something is paused; an earlier pause of the same is replaced.
    Paused(Pause),
    /// A pause is lifted.
    Resumed(PauseScope),
    /// How far a schedule is handled.
    ScheduleKept(ScheduleMark),
    /// A schedule is in no configuration any more.
    ScheduleForgotten(Box<str>),
    /// A new session.
    SessionInserted(Box<Session>),
    /// A session's row is now this.
    SessionUpdated(Box<Session>),
    /// A session has another message.
    SessionSaid(Box<SessionMessage>),
    /// Messages of a session reached its agent.
    SessionDelivered(SessionDelivered),
    /// What a tenant spent on sessions today.
    SessionSpent(SessionDay),
    /// What may be lost is kept all the same: written now and then, never needed.
    SoftSaved(SoftState),
    /// Something happened.
    Recorded(Record),
    /// What a claimed key stands for, once that is known.
    KeyAnswered(UniqueKey, Box<str>),
    /// Something is to be told to others.
    OutboxAdded(Box<OutboxEntry>),
    /// What became of trying to tell it.
    OutboxTold(Box<OutboxTold>),
    /// What was given up is tried again, from that time on (wall milliseconds).
    OutboxRetried(Vec<OutboxId>, i64),
    /// Rows that are kept no longer.
    Pruned(Box<PrunedRows>),
}

/// Rows that are kept no longer. None of them is live, so the scheduler has none of them in memory.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PrunedRows {
    /// Ended workloads, each with when it ended (wall), with all that is theirs: jobs, what these do
    /// and need, attempts, records. One that ended at another time is not meant.
    pub workloads: Vec<(WorkloadId, i64)>,
    /// Deliveries that stay without the bytes of their bodies.
    pub bodies: Vec<DeliveryId>,
    /// Deliveries.
    pub deliveries: Vec<DeliveryId>,
    /// Keys, which may then be used again.
    pub keys: Vec<UniqueKey>,
    /// Records that are about no workload, by their numbers.
    pub records: Vec<i64>,
    /// Sessions that ended, whole or a piece of each.
    pub sessions: Vec<PrunedSession>,
}

/// What a key is unique among.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum KeyScope {
    /// The delivery ids that a source's provider gave; the key begins with the source's name.
    Delivery = 0,
    /// `Idempotency-Key` of submissions and joins; a join's begins with what it joins.
    Submission = 1,
    /// Times of schedules: the schedule's name and the time.
    Schedule = 2,
}

/// A key that may be used once; claimed before a command is applied, in the same transaction.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct UniqueKey {
    /// What it is unique among.
    pub scope: KeyScope,
    /// The key.
    pub key: Box<str>,
}
