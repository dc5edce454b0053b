//! What is to be told to others outside: entries are rows of the batch in which they became true, and nothing of
//! them is in memory.

use super::command::{Refusal, Reply};
use super::scheduler::Scheduler;
use crate::model::{
    Change, Now, OutboxEntry, OutboxId, OutboxPayload, OutboxTold, ReportPhase, WorkloadId,
};

impl Scheduler {
    /// Adds something to be told. Whoever tells it hears of it after the commit.
    pub(super) fn add_outbox(&mut self, entry: OutboxEntry) {
        self.out.outbox = true;
        self.out.changes.push(Change::OutboxAdded(Box::new(entry)));
    }

    /// A workload has come so far: adds what its terms say is to be told of that.
    pub(super) fn report(&mut self, now: Now, id: WorkloadId, phase: ReportPhase) {
        let Some(workload) = self.workloads.get(&id) else { return };
        let row = &workload.row;
        let Some(terms) = row.terms.as_deref() else { return };
        let payload = OutboxPayload::Phase { phase, run: row.run, state: row.state };
        let wanted = terms.report.iter().filter(|it| it.on.tells(phase, row.state));
        let entries: Vec<_> = wanted
            .map(|it| OutboxEntry {
                target: it.target.clone(),
                tenant_id: row.tenant_id,
                workload_id: Some(id),
                session_id: None,
                job_id: None,
                payload: payload.clone(),
                created_at_ms: now.wall_ms,
            })
            .collect();
        entries.into_iter().for_each(|entry| self.add_outbox(entry));
    }

    /// What became of trying to tell something.
    pub(super) fn outbox_told(&mut self, told: OutboxTold) -> Result<Reply, Refusal> {
        self.out.changes.push(Change::OutboxTold(Box::new(told)));
        Ok(Reply::Done)
    }

    /// Somebody asks that what was given up is tried again.
    pub(super) fn retry_outbox(&mut self, now: Now, ids: Vec<OutboxId>) -> Result<Reply, Refusal> {
        let max = self.settings.changes_per_command_max;
        if ids.len() > max {
            let limit = "changes_per_command_max";
            return Err(Refusal::TooMany { what: "one request changes too many rows", limit, max });
        }
        self.out.outbox = true;
        self.out.changes.push(Change::OutboxRetried(ids, now.wall_ms));
        Ok(Reply::Done)
    }
}
