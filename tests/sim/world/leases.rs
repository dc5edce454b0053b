//! When attempts end by themselves: each in time, and none before. By the checker's own sums.

use std::collections::BTreeMap;

use dispatchyard::dispatch::{HeldLease, Settings};
use dispatchyard::model::{Job, JobId, JobState, LeaseToken, Now};

use super::World;
use crate::rows::{Before, Rows};

const NEVER_MS: i64 = i64::MAX;

/// Until when something must be heard of an attempt (mono).
#[derive(Clone, Copy, Debug)]
pub(super) struct Due {
    /// Its start, or a heartbeat.
    renew_by_ms: i64,
    /// Its end, by its timeout.
    run_until_ms: i64,
    /// Its end, by a cancel.
    pub(super) stop_by_ms: i64,
}

impl Due {
    pub(super) fn given(settings: &Settings, now: Now) -> Self {
        let renew_by_ms = now.mono_ms + settings.ack_window_ms;
        Self { renew_by_ms, run_until_ms: NEVER_MS, stop_by_ms: NEVER_MS }
    }

    pub(super) fn at_ms(&self) -> i64 {
        self.renew_by_ms.min(self.run_until_ms).min(self.stop_by_ms)
    }

    /// After a load everybody gets one full term.
    fn loaded(settings: &Settings, job: &Job, now: Now) -> Self {
        let mut due = Self::given(settings, now);
        if let JobState::Running { started_at_ms, .. } = job.state {
            let ran_ms = (now.wall_ms - started_at_ms).clamp(0, job.timeout_ms);
            let grace_ms = settings.timeout_grace_ms.max(settings.lease_ms);
            due.renew_by_ms = now.mono_ms + settings.lease_ms;
            due.run_until_ms = now.mono_ms + job.timeout_ms - ran_ms + grace_ms;
        }
        if job.extras.cancel_requested_at_ms.is_some() {
            due.stop_by_ms = now.mono_ms + settings.cancel_grace_ms;
        }
        due
    }
}

/// Of all attempts, after a load.
pub(super) fn loaded(settings: &Settings, rows: &Rows, now: Now) -> BTreeMap<JobId, Due> {
    let leased = rows.jobs.values().filter(|job| job.lease().is_some());
    leased.map(|job| (job.id, Due::loaded(settings, job, now))).collect()
}

impl World {
    pub(super) fn due_when_started(&mut self, id: JobId) {
        let timeout_ms = self.rows.jobs[&id].timeout_ms;
        let (now_ms, settings) = (self.now.mono_ms, &self.settings);
        // It may have ended at once.
        let Some(due) = self.dues.get_mut(&id) else { return };
        due.renew_by_ms = now_ms + settings.lease_ms;
        due.run_until_ms = now_ms + timeout_ms + settings.timeout_grace_ms;
    }

    pub(super) fn due_when_renewed(&mut self, leases: &[HeldLease], lost: &[LeaseToken]) {
        let renew_by_ms = self.now.mono_ms + self.settings.lease_ms;
        let renewed = leases.iter().filter(|lease| !lost.contains(&lease.token));
        for lease in renewed {
            let job = self.rows.jobs.values().find(|it| {
                let runs = matches!(it.state, JobState::Running { .. });
                runs && it.lease().is_some_and(|own| own.token == lease.token)
            });
            if let Some(due) = job.and_then(|job| self.dues.get_mut(&job.id)) {
                due.renew_by_ms = renew_by_ms;
            }
        }
    }

    /// Notes cancels of what runs.
    pub(super) fn due_when_cancelled(&mut self, before: &Before) {
        let asked = |job: &Job| job.extras.cancel_requested_at_ms.is_some();
        for (id, old) in &before.jobs {
            let Some(due) = self.dues.get_mut(id) else { continue };
            let new = old.as_ref().is_some_and(|old| !asked(old));
            if new && self.rows.jobs.get(id).is_some_and(asked) {
                due.stop_by_ms = self.now.mono_ms + self.settings.cancel_grace_ms;
            }
        }
    }

    /// Nobody has a job for longer than he may without a word.
    pub(super) fn check_dues(&self) {
        for (id, due) in &self.dues {
            assert!(due.at_ms() > self.now.mono_ms, "job {id} was to be taken back: {due:?}");
        }
        for (id, runner) in &self.known.runners {
            // A parked poll is a held connection.
            let seen_ms = runner.seen_at_ms.max(runner.unparked_at_ms);
            let silent_ms = self.now.mono_ms - seen_ms;
            let there = runner.parked.is_some() || silent_ms < self.settings.heartbeat_timeout_ms;
            assert!(there || runner.offline, "runner {id} is silent for {silent_ms} ms");
            let streams = runner.parked.is_some() && runner.streams;
            let silent_ms = self.now.mono_ms - runner.seen_at_ms;
            let kept = silent_ms < self.settings.poll_wait_max_ms;
            assert!(!streams || kept, "the stream of runner {id} is dead for {silent_ms} ms");
        }
    }
}
