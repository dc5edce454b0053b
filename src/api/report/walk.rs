//! Everything that ended in a span, latest first, out of pages of rows.
//!
//! Three sources become one: attempts, ends of jobs of ended workloads, and ends of jobs of live
//! ones, which are read first and at once: a workload that ends meanwhile is not seen twice.

use std::collections::{HashSet, VecDeque};

use crate::model::{JobId, TenantId};
use crate::store::{EndedAttempt, EndedJob, PlaceInTime, Store, StoreError};

/// One thing that ended.
pub(super) enum Ended {
    /// An attempt, and perhaps its job.
    Attempt(EndedAttempt),
    /// A job, without an attempt.
    Job(EndedJob),
}

impl Ended {
    /// When, wall milliseconds.
    pub(super) fn at_ms(&self) -> i64 {
        match self {
            Self::Attempt(row) => row.ended_at_ms,
            Self::Job(row) => row.ended_at_ms,
        }
    }

    /// Whose.
    pub(super) fn tenant_id(&self) -> Option<TenantId> {
        match self {
            Self::Attempt(row) => row.tenant_id,
            Self::Job(row) => Some(row.tenant_id),
        }
    }
}

/// The rows of one source that are read and not yet taken, and where the next page begins.
struct Pages<T> {
    rows: VecDeque<T>,
    next: Option<PlaceInTime>,
}

impl<T> Pages<T> {
    fn new(at: PlaceInTime) -> Self {
        Self { rows: VecDeque::new(), next: Some(at) }
    }

    fn must_read(&self) -> bool {
        self.rows.is_empty() && self.next.is_some()
    }

    /// Takes over a page; the last one is the empty one.
    fn fill(&mut self, rows: Vec<T>, place: impl Fn(&T) -> (i64, i64)) {
        self.next = self.next.zip(rows.last()).map(|(at, last)| {
            let (before_ms, before_id) = place(last);
            PlaceInTime { before_ms, before_id, ..at }
        });
        self.rows = rows.into();
    }
}

/// A walk back through time.
pub(super) struct Walk {
    attempts: Pages<EndedAttempt>,
    jobs: Pages<EndedJob>,
    live: VecDeque<EndedJob>,
    live_ids: HashSet<JobId>,
    /// More jobs of live workloads ended than were read: before this time some are missing.
    left_out: bool,
}

impl Walk {
    /// Begins at the end of the span.
    ///
    /// # Errors
    /// As every read.
    pub(super) async fn new(
        store: &Store,
        since_ms: i64,
        until_ms: i64,
    ) -> Result<Self, StoreError> {
        // Before every number of the first millisecond that is not in it any more.
        let at = PlaceInTime { before_ms: until_ms, before_id: i64::MIN, since_ms };
        let (live, left_out) = store.ended_jobs_of_live(at).await?;
        let live_ids = live.iter().map(|job| job.id).collect();
        let (attempts, jobs) = (Pages::new(at), Pages::new(at));
        Ok(Self { attempts, jobs, live: live.into(), live_ids, left_out })
    }

    /// Whether the next step has to read.
    pub(super) fn must_read(&self) -> bool {
        self.attempts.must_read() || self.jobs.must_read()
    }

    /// Whether the walk ended before the begin of the span.
    pub(super) fn has_left_out(&self) -> bool {
        self.left_out
    }

    /// What ended before all that was taken so far; `None` at the end.
    ///
    /// # Errors
    /// As every read.
    pub(super) async fn next(&mut self, store: &Store) -> Result<Option<Ended>, StoreError> {
        loop {
            if let (true, Some(at)) = (self.attempts.must_read(), self.attempts.next) {
                let rows = store.ended_attempts(at).await?;
                self.attempts.fill(rows, |row| (row.ended_at_ms, row.token));
            }
            if let (true, Some(at)) = (self.jobs.must_read(), self.jobs.next) {
                let rows = store.ended_jobs(at).await?;
                self.jobs.fill(rows, |row| (row.ended_at_ms, row.id.0));
            }
            let attempt_ms = self.attempts.rows.front().map(|row| row.ended_at_ms);
            let job_ms = self.jobs.rows.front().map(|row| row.ended_at_ms);
            let live_ms = self.live.front().map(|row| row.ended_at_ms);
            let Some(latest) = attempt_ms.max(job_ms).max(live_ms) else { return Ok(None) };
            if attempt_ms == Some(latest) {
                return Ok(self.attempts.rows.pop_front().map(Ended::Attempt));
            }
            let is_live = live_ms == Some(latest);
            let from = if is_live { &mut self.live } else { &mut self.jobs.rows };
            let Some(job) = from.pop_front() else { return Ok(None) };
            if is_live && self.left_out && self.live.is_empty() {
                return Ok(None);
            }
            // An end that an attempt brought about is on the attempt's row.
            if !job.by_attempt && (is_live || !self.live_ids.contains(&job.id)) {
                return Ok(Some(Ended::Job(job)));
            }
        }
    }
}
