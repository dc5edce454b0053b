//! What a batch of commands leaves to be done by the driver.

use crate::dispatch::{LeaseOwner, Promise, Scored, SessionPulse};
use crate::model::{AssignedJob, Change, JobId, LeaseToken, Marks, Measure, Record, RunnerId};
use crate::runner::PollId;

/// Everything that follows from a batch: rows to write first, then things to say.
#[derive(Clone, Debug, Default)]
pub struct Output {
    /// Rows, in order. Empty when the batch changed nothing durable.
    pub changes: Vec<Change>,
    /// Ids to continue from.
    pub marks: Marks,
    /// What happened, for streams; those to keep are among the changes too.
    pub records: Vec<Record>,
    /// What is to be counted.
    pub measures: Vec<Measure>,
    /// Answers to parked polls.
    pub answers: Vec<Answer>,
    /// Leases that began or ended.
    pub leases: Vec<LeaseChange>,
    /// Runners whose token hash is new, or (`None`) which left.
    pub credentials: Vec<(RunnerId, Option<Box<str>>)>,
    /// Runners that were ordered: the hash of the token by which one registers, or (`None`) that it cannot any
    /// more.
    pub invitations: Vec<(RunnerId, Option<Box<str>>)>,
    /// Blocked jobs that wait for a [`crate::dispatch::Command::Decide`] from now on. Each is told once, and
    /// after a load again.
    pub undecided: Vec<JobId>,
    /// Whether something is to be told to others outside that was not before.
    pub outbox: bool,
    /// Live sessions of which something changed, and those that ended.
    pub sessions: Vec<SessionPulse>,
    /// What was said about new jobs, for figures.
    pub promises: Vec<Promise>,
    /// What was said and could be compared with what happened, for figures.
    pub scored: Vec<Scored>,
}

/// The answer to a parked poll, or one of those to a stream.
#[derive(Clone, PartialEq, Debug)]
pub struct Answer {
    /// Which poll.
    pub poll_id: PollId,
    /// Jobs to start.
    pub jobs: Vec<AssignedJob>,
    /// Leases whose work is to be stopped; of a poll those too that are lost.
    pub cancel: Vec<LeaseToken>,
    /// Of a stream: leases that are no longer the runner's.
    pub lost: Vec<LeaseToken>,
    /// Whether to finish and leave.
    pub drain: bool,
    /// Nothing follows it: always so of a poll, of a stream when it is over.
    pub ends: bool,
}

impl Answer {
    /// What it gives.
    pub fn leases(&self) -> Vec<LeaseToken> {
        self.jobs.iter().map(|job| job.lease.token).collect()
    }

    /// The end of a poll or a stream that brings nothing more.
    pub fn nothing(poll_id: PollId) -> Self {
        let (jobs, cancel, lost) = (Vec::new(), Vec::new(), Vec::new());
        Self { poll_id, jobs, cancel, lost, drain: false, ends: true }
    }
}

/// A lease began or ended: what the published view of leases is kept current with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum LeaseChange {
    /// It is now valid.
    Began(LeaseToken, LeaseOwner),
    /// It is no longer.
    Ended(LeaseToken, LeaseOwner),
}
