//! The end of a session, and of the work that carried it out for a while.

use crate::dispatch::command::Refusal;
use crate::dispatch::lanes::KeyKind;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    Change, EndReason, Now, RunnerId, Session, SessionId, SessionSays, SessionState, TenantId,
    WorkloadId, WorkloadState,
};

use super::SERVER;
use super::command::SessionPulse;
use super::open::nearness;

impl Scheduler {
    /// Ends a live session with a word to whoever reads it, stops its work, and returns the number of the word.
    pub(super) fn end_session(
        &mut self,
        now: Now,
        id: SessionId,
        author: &str,
        reason: &str,
    ) -> Result<i64, Refusal> {
        self.live_session(id)?;
        let sequence = self.note(now, id, SessionSays::Ended, reason);
        let Some(mut row) = self.sessions.remove(id) else {
            return Err(Refusal::UnknownSession(id));
        };
        self.near.remove(&KeyKind::Affinity.key(row.tenant_id, &nearness(id)));
        let workload_id = row.workload_id.take();
        row.state = SessionState::Ended;
        row.ended_at_ms = Some(now.wall_ms);
        row.end_reason = Some(reason.into());
        row.approvals.clear();
        self.out.sessions.push(pulse(&row, None));
        self.out.changes.push(Change::SessionUpdated(Box::new(row)));
        if let Some(workload_id) = workload_id {
            self.cancel_all(now, workload_id, author, reason, EndReason::CancelRequested);
        }
        Ok(sequence)
    }

    /// Ends a session that has used what it may, and says whether it did.
    pub(super) fn end_if_used_up(&mut self, now: Now, id: SessionId) -> bool {
        let Some(row) = self.sessions.get(id) else { return true };
        let (limits, spent, tenant_id) = (row.limits, row.spent, row.tenant_id);
        let messages_max = self.settings.sessions.messages_max;
        let reason = if spent.turns >= limits.turns_max {
            format!("the session has had its {} turns (session_turns_max)", limits.turns_max)
        } else if let Some(max) = limits.cost_micros_max.filter(|max| spent.cost_micros >= *max) {
            let cost = spent.cost_micros;
            format!("the session has cost {cost} of {max} micros (session_cost_micros_max)")
        } else if let Some(max) = self.spent_budget(now, tenant_id) {
            format!(
                "the tenant has spent the {max} micros that its agents may cost in one day (UTC; \
                 session_cost_micros_per_day_max)"
            )
        } else if row.last_sequence >= messages_max {
            format!("the session has {messages_max} messages (session_messages_max)")
        } else {
            return false;
        };
        self.end_session(now, id, SERVER, &reason).is_ok()
    }

    /// Ends sessions whose whole time is over.
    pub(in crate::dispatch) fn end_overdue_sessions(&mut self, now: Now) {
        while let Some(id) = self.sessions.overdue(now.wall_ms) {
            let total_ms = self.sessions.get(id).map_or(0, |row| row.limits.total_ms);
            let reason = format!("the session's {total_ms} ms are over (session_total_ms)");
            if self.end_session(now, id, SERVER, &reason).is_err() {
                return;
            }
            self.drain(now);
        }
    }

    /// A workload ended that carried a session out: more was said, or the session rests.
    pub(in crate::dispatch) fn session_work_ended(
        &mut self,
        now: Now,
        workload: WorkloadId,
        state: WorkloadState,
    ) {
        let Some(id) = self.sessions.of_workload(workload) else { return };
        self.sessions.edit(id, |row| {
            row.workload_id = None;
            // Whoever carries agents out without knowing of sessions gave it so much with its start.
            if state == WorkloadState::Completed && row.lease.is_none() {
                row.delivered = row.delivered.max(row.given);
            }
        });
        if state != WorkloadState::Completed {
            self.withdraw_requests(now, id, "the agent that asked is over");
        }
        self.restate(id);
        let Some(row) = self.sessions.get(id) else { return };
        let again = "the next message starts it again";
        let (behind, next) = (row.is_behind(), row.delivered + 1);
        let has_moved = row.delivered > row.resumed_from;
        match state {
            WorkloadState::Completed if !behind => {}
            WorkloadState::Completed if !has_moved => {
                let text = format!(
                    "the agent ended and has dealt with nothing from message {next} on: {again}"
                );
                self.note(now, id, SessionSays::Note, &text);
            }
            WorkloadState::Completed if row.state == SessionState::WaitingApproval => {}
            WorkloadState::Completed => {
                if let Err(refusal) = self.resume_session(now, id) {
                    self.note(
                        now,
                        id,
                        SessionSays::Note,
                        &format!("the agent cannot go on now: {refusal}; {again}"),
                    );
                }
            }
            WorkloadState::Cancelled => {
                let text = format!("the agent was stopped (workload {workload}): {again}");
                self.note(now, id, SessionSays::Note, &text);
            }
            _ => {
                let text = format!(
                    "the agent failed (workload {workload}; the log of its job says more): {again}"
                );
                self.note(now, id, SessionSays::Note, &text);
            }
        }
    }

    /// The rows that changed, and what to tell of them.
    pub(in crate::dispatch) fn take_sessions(&mut self) {
        for row in self.sessions.take_dirty() {
            let job_id = row.workload_id.and_then(|workload| self.job_of_session(workload));
            self.out.sessions.push(pulse(&row, job_id));
            self.out.changes.push(Change::SessionUpdated(Box::new(row)));
        }
    }

    /// After a load: what is live, and who had it.
    pub(in crate::dispatch) fn load_sessions(&mut self) {
        let rows: Vec<_> = self.sessions.iter().cloned().collect();
        for row in rows {
            let job_id = row.workload_id.and_then(|workload| self.job_of_session(workload));
            self.out.sessions.push(pulse(&row, job_id));
            if let Some(runner_id) = row.runner_id {
                self.be_near(row.id, row.tenant_id, runner_id);
            }
        }
    }

    /// The jobs of a session would rather be with this runner.
    pub(super) fn be_near(&mut self, id: SessionId, tenant_id: TenantId, runner_id: RunnerId) {
        self.near.insert(KeyKind::Affinity.key(tenant_id, &nearness(id)), runner_id);
    }
}

fn pulse(row: &Session, job_id: Option<crate::model::JobId>) -> SessionPulse {
    let Session { id, tenant_id, state, said, last_sequence, .. } = *row;
    SessionPulse { id, tenant_id, state, said, last_sequence, job_id }
}
