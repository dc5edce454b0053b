//! What happens by itself as time passes.

use super::leases::Timer;
use super::registration::runner_record;
use super::scheduler::Scheduler;
use super::settings::Settings;
use crate::model::{
    AttemptOutcome, Entropy, JobResult, JobStateKind, LeaseToken, Now, RecordName, RequeueReason,
    RunnerId,
};

/// How late the wall clock's jumps are noticed when a job waits for a time.
const WALL_LOOK_MS: i64 = 1_000;

impl Scheduler {
    /// Handles everything that is due; the driver calls it at the start of each batch.
    pub fn tick(&mut self, now: Now, entropy: &mut dyn Entropy) {
        // First: whoever did not come has missed a hold that is over, also when its job ends now.
        self.holds_due(now);
        while let Some(id) = self.time_gate.pop_due(now.wall_ms) {
            self.time_came(now, id);
            self.drain(now);
        }
        self.end_quiet(now);
        self.end_unanswered(now);
        self.end_overdue(now);
        self.end_overdue_sessions(now);
        self.raise_due(now);
        self.mark_unschedulable(now);
        while let Some(timer) = self.leases.pop_due(now.mono_ms) {
            match timer {
                Timer::Lease(token) => self.lease_due(now, token, entropy),
                Timer::Silence(id) => self.silence_due(now, id),
                Timer::Health(id) => self.health_due(now, id),
                // Whether that opened anything is seen by looking.
                Timer::Rate(tenant) => self.opened_tenant(tenant),
                Timer::PollEnd(poll_id) => self.poll_due(now, poll_id),
            }
            self.drain(now);
        }
    }

    /// Nobody could be heard of for a while, and from `now` on everybody can be: every lease, and
    /// every runner's silence, gets one full term, as by [`Scheduler::load`]. No row changes.
    pub fn listen_again(&mut self, now: Now) {
        self.listens_since_ms = now.mono_ms;
        let Settings { lease_ms, ack_window_ms, cancel_grace_ms, timeout_grace_ms, .. } =
            self.settings;
        let jobs = &self.jobs;
        self.leases.extend(|live| {
            let claimed = jobs[&live.owner.job_id].row.kind() == JobStateKind::Claimed;
            let at_least = |at_ms: &mut i64, term_ms: i64| {
                *at_ms = now.mono_ms.saturating_add(term_ms).max(*at_ms);
            };
            at_least(&mut live.renew_by_ms, if claimed { ack_window_ms } else { lease_ms });
            at_least(&mut live.run_until_ms, timeout_grace_ms.max(lease_ms));
            at_least(&mut live.stop_by_ms, cancel_grace_ms);
        });
    }

    /// In how many milliseconds [`Scheduler::tick`] has something to do, at most; `None` when
    /// only a command can bring something.
    pub fn next_tick_in_ms(&self, now: Now) -> Option<i64> {
        self.due_in_ms(now, WALL_LOOK_MS)
    }

    /// The same; times of the wall clock are taken to be at most `wall_look_ms` away.
    pub(super) fn due_in_ms(&self, now: Now, wall_look_ms: i64) -> Option<i64> {
        let mono = self.leases.next_due_ms().map(|at_ms| at_ms - now.mono_ms);
        let hold = self.holds.next_due_ms().map(|at_ms| at_ms - now.mono_ms);
        let marks = self.marks_due_ms().map(|at_ms| at_ms.saturating_sub(now.mono_ms));
        let raise = self.raises.first().map(|(at_ms, _)| *at_ms);
        let session = self.sessions.next_due_ms();
        let quiet = self.lines.next_due_ms();
        let (time, queue) = (self.time_gate.next_due_ms(), self.queue_timeouts.next_due_ms());
        let wall = [time, queue, raise, session, quiet, self.held_due_ms()];
        let wall = wall.into_iter().flatten().map(|at_ms| (at_ms - now.wall_ms).min(wall_look_ms));
        mono.into_iter().chain(hold).chain(marks).chain(wall).min().map(|ms| ms.max(0))
    }

    fn lease_due(&mut self, now: Now, token: LeaseToken, entropy: &mut dyn Entropy) {
        let Some(live) = self.leases.get(token).copied() else { return };
        if live.due_ms() > now.mono_ms {
            self.leases.set_timer(live.due_ms(), Timer::Lease(token));
            return;
        }
        let (id, runner_id) = (live.owner.job_id, live.owner.runner_id);
        let claimed = self.jobs[&id].row.kind() == JobStateKind::Claimed;
        if live.stop_by_ms <= now.mono_ms {
            let why = "the runner did not stop it within cancel_grace_ms";
            self.lose(now, id, RequeueReason::LeaseLost, false, why);
        } else if live.run_until_ms <= now.mono_ms {
            let result = JobResult {
                outcome: AttemptOutcome::TimedOut,
                ..JobResult::failed("ran longer than its timeout, and the runner did not stop it")
            };
            self.conclude(now, id, result, entropy);
        } else if claimed {
            let why = "the runner did not start it within ack_window_ms";
            self.lose(now, id, RequeueReason::LeaseLost, true, why);
        } else {
            let why = "the runner was not heard of for lease_ms";
            self.lose(now, id, RequeueReason::LeaseLost, true, why);
        }
        // A poll ends by its answer; a stream that was not listened to would be given the next job.
        match self.runners.slot(runner_id).filter(|_| claimed) {
            Some(slot) => self.end_stream(now, slot),
            None => self.tell_lost(runner_id, token),
        }
    }

    fn silence_due(&mut self, now: Now, id: RunnerId) {
        let Some(runner) = self.runners.get(id) else { return };
        if runner.offline {
            return;
        }
        // A parked poll is a held connection: the runner is there.
        let seen = if runner.parked.is_some() { now.mono_ms } else { runner.seen_at_ms };
        let seen = seen.max(self.listens_since_ms);
        if now.mono_ms - seen < self.settings.heartbeat_timeout_ms {
            self.watch_silence(seen, id);
            return;
        }
        let record = runner_record(now, RecordName::RunnerOffline, &runner.row);
        if let Some(slot) = self.runners.slot(id) {
            self.runners.update(slot, |runner| runner.offline = true);
        }
        self.release_holds(now, id);
        self.record(record);
        // Jobs that waited for another runner than the one they were lost under may have nobody
        // else now.
        self.look_everywhere = true;
    }
}
