//! The start of an attempt that carries a session out: what it was given, and what nobody waits for any more.
//!
//! Two kinds of attempts are told apart by the row. One whose runner said at its start that it talks, or said
//! anything since, has its lease there: only what it says counts as dealt with. Of any other it is counted what
//! it was given with its start, when it ends well.

use crate::dispatch::command::{Refusal, Reply};
use crate::dispatch::scheduler::Scheduler;
use crate::model::{LeaseRef, Now, SessionId, SessionSays, WorkloadId};

impl Scheduler {
    /// The job of a workload is with a runner that begins for the first time: if that is a session's, it is
    /// given all that was said so far.
    pub(in crate::dispatch) fn session_started(
        &mut self,
        now: Now,
        lease: LeaseRef,
        workload: WorkloadId,
    ) {
        let Some(id) = self.sessions.of_workload(workload) else { return };
        let first = self.sessions.get(id).filter(|row| row.given == 0).map(|row| row.said);
        if let Some(sequence) = first {
            self.tell_session(now, id, SessionSays::Started, sequence, "");
        }
        self.sessions.edit(id, |row| {
            row.runner_id = Some(lease.runner_id);
            row.given = row.said;
            (row.lease, row.heard) = (None, 0);
        });
        self.withdraw_requests(now, id, "another attempt of the agent has begun");
    }

    /// The attempt ended without having begun: it was given nothing.
    pub(in crate::dispatch) fn session_not_started(&mut self, workload: WorkloadId) {
        let Some(id) = self.sessions.of_workload(workload) else { return };
        self.sessions.edit(id, |row| {
            row.given = row.delivered;
            (row.lease, row.heard) = (None, 0);
        });
    }

    /// Begins as any start does, for a runner that says by itself what the agent has dealt with.
    pub(super) fn start_talking(&mut self, now: Now, lease: LeaseRef) -> Result<Reply, Refusal> {
        let reply = self.start(now, lease)?;
        let Reply::Started { workload_id, .. } = reply else { return Ok(reply) };
        if let Some(id) = self.sessions.of_workload(workload_id)
            && self.sessions.get(id).is_some_and(|row| row.lease != Some(lease.token))
        {
            self.sessions.edit(id, |row| (row.lease, row.heard) = (Some(lease.token), 0));
        }
        Ok(reply)
    }

    /// Not all fitted into what an attempt was given: what did not stays for the next turn.
    pub(super) fn was_given(&mut self, lease: LeaseRef, up_to: i64) -> Result<Reply, Refusal> {
        let job_id = self.checked(lease)?;
        let workload_id = self.jobs[&job_id].row.workload_id;
        let id = self.sessions.of_workload(workload_id);
        if let Some(id) = id
            && self.sessions.get(id).is_some_and(|row| up_to < row.given)
        {
            self.sessions.edit(id, |row| row.given = up_to.max(row.delivered));
        }
        Ok(Reply::Done)
    }

    /// Whoever asked is gone: nobody hears the answers.
    pub(super) fn withdraw_requests(&mut self, now: Now, id: SessionId, why: &str) {
        let Some(row) = self.sessions.get(id).filter(|row| !row.approvals.is_empty()) else {
            return;
        };
        let numbers: Vec<_> = row.approvals.iter().map(i64::to_string).collect();
        let (what, are) = if numbers.len() == 1 { ("request", "is") } else { ("requests", "are") };
        let text = format!("{what} {} {are} withdrawn: {why}", numbers.join(", "));
        self.sessions.edit(id, |row| row.approvals.clear());
        self.note(now, id, SessionSays::Note, &text);
        self.restate(id);
    }
}
