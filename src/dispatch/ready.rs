//! A job that may be given to a runner as soon as nothing keeps it: since when, and for how long.

use super::scheduler::Scheduler;
use crate::model::{EndReason, Job, JobId, JobStateKind, Now};

impl Scheduler {
    /// A job became pending: from now on it waits for nobody but a runner and its gates.
    pub(super) fn ready(&mut self, now: Now, id: JobId) {
        if self.jobs[&id].row.ready_at_ms != now.wall_ms {
            self.edit_job(id, |job| job.ready_at_ms = now.wall_ms);
        }
        self.place(now, id);
    }

    /// The time of a delayed job has come.
    pub(super) fn time_came(&mut self, now: Now, id: JobId) {
        // That its time came is what a row says by having no time any more.
        if self.time_counts_once(&self.jobs[&id].row) {
            self.edit_job(id, |job| {
                job.ready_at_ms = job.ready_at_ms.max(job.not_before_ms);
                job.not_before_ms = 0;
            });
        }
        if self.pass_gates(id) {
            self.enqueue(now, id);
        }
    }

    /// Whether a pending job waits for its time.
    ///
    /// One whose time counts once waits there even when it is over: the tick, not a load, lets it
    /// go on.
    pub(super) fn is_delayed(&self, now: Now, job: &Job) -> bool {
        job.not_before_ms > now.wall_ms || (job.not_before_ms != 0 && self.time_counts_once(job))
    }

    /// Whether the row must say that a job's time came, or a load after the clock went back would
    /// find another one: when it asks its group it may drive others out, and at a limit it takes the
    /// place of another.
    fn time_counts_once(&self, job: &Job) -> bool {
        self.asks_group(job) || !self.limits_of(job.id).is_empty()
    }

    /// Sets the timer of a pending job that may not wait for ever.
    pub(super) fn watch_queue_timeout(&mut self, id: JobId) {
        if let Some(at_ms) = self.queue_timeout_at_ms(id) {
            self.queue_timeouts.set(at_ms, id);
        }
    }

    /// When a pending job is given up (wall); a time before which it may not start is no wait,
    /// nor one for nothing newer.
    fn queue_timeout_at_ms(&self, id: JobId) -> Option<i64> {
        let job = self.job(id).filter(|job| job.kind() == JobStateKind::Pending)?;
        let own_ms = job.terms.as_deref().and_then(|terms| terms.queue_timeout_ms);
        let timeout_ms = own_ms.or(self.settings.queue_timeout_ms)?;
        let quiet_until_ms = self.workload(job.workload_id).map_or(0, |it| it.quiet_until_ms);
        let since_ms = job.ready_at_ms.max(job.not_before_ms).max(quiet_until_ms);
        Some(since_ms.saturating_add(timeout_ms))
    }

    /// Ends the jobs that were pending for too long.
    pub(super) fn end_overdue(&mut self, now: Now) {
        while let Some((at_ms, id)) = self.queue_timeouts.pop_due(now.wall_ms) {
            // A job that was placed twice has two timers; one that runs by now has a stale one.
            if self.queue_timeout_at_ms(id) == Some(at_ms) {
                self.unplace(id);
                self.end_job(now, id, JobStateKind::Failed, EndReason::QueueTimeout);
                self.drain(now);
            }
        }
    }

    /// Forgets timers that mean nothing any more.
    pub(super) fn trim_queue_timeouts(&mut self) {
        let mut timeouts = std::mem::take(&mut self.queue_timeouts);
        timeouts.trim(self.jobs.len(), |id| self.queue_timeout_at_ms(id));
        self.queue_timeouts = timeouts;
    }
}
