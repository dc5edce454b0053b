//! How often what was said about jobs came true.
//!
//! What was said of a job is kept in memory alone: a job that was waiting when the server restarted
//! is not scored. The counts are soft state.

use serde::{Deserialize, Serialize};

use super::outlook::{Outlook, Promise};
use crate::dispatch::scheduler::Scheduler;
use crate::model::{JobId, JobTerms, Now};

/// What was said of a job, in wall milliseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::dispatch) struct Promised {
    promise: Promise,
    /// p50 and p95 of the start, where there was a figure and it is not judged yet.
    start_at_ms: Option<(i64, i64)>,
}

impl Promised {
    pub(super) fn new(now: Now, outlook: &Outlook) -> Self {
        let at = |ms: i64| now.wall_ms.saturating_add(ms);
        let start = outlook.forecast.start();
        let start_at_ms = start.map(|start| (at(start.p50_ms), at(start.p95_ms)));
        Self { promise: outlook.promise, start_at_ms }
    }
}

/// A start beside what was said of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Timing {
    /// Before p50; of good forecasts half are.
    Earlier,
    /// From p50 to p95; 45 of 100.
    Within,
    /// After p95; 5 of 100.
    Later,
}

impl Timing {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Earlier, Self::Within, Self::Later];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Earlier => "earlier",
            Self::Within => "within",
            Self::Later => "later",
        }
    }
}

/// Something that was said, beside what happened.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Scored {
    /// When a job started.
    Start(Timing),
    /// Whether it was in time.
    Promise(Promise, bool),
}

/// Counts of all that was scored.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PredictionScore {
    /// Starts, in the order of [`Timing::ALL`].
    pub starts: [u64; 3],
    /// For each of [`Promise::ALL`], jobs that were in time.
    pub kept: [u64; 3],
    /// For each of [`Promise::ALL`], jobs that were late.
    pub missed: [u64; 3],
}

impl PredictionScore {
    fn note(&mut self, scored: Scored) {
        match scored {
            Scored::Start(timing) => self.starts[timing as usize] += 1,
            Scored::Promise(promise, true) => self.kept[promise as usize] += 1,
            Scored::Promise(promise, false) => self.missed[promise as usize] += 1,
        }
    }
}

impl Scheduler {
    /// How often what was said came true.
    pub fn prediction_score(&self) -> PredictionScore {
        self.score
    }

    /// A job is given to a runner: compares that with what was said.
    pub(in crate::dispatch) fn score_start(&mut self, now: Now, id: JobId) {
        let Some(live) = self.jobs.get_mut(&id) else { return };
        let Some(due) = &mut live.due else { return };
        let Some(promised) = &mut due.promised else { return };
        let terms = live.row.terms.as_deref();
        let late = is_late(terms, now.wall_ms - live.row.queued_at_ms);
        // The deadline may still be missed by one that started in time.
        let decided = late || terms.is_none_or(|terms| terms.deadline_ms.is_none());
        let (promise, start_at_ms) = (promised.promise, promised.start_at_ms.take());
        if decided {
            due.promised = None;
        }
        if let Some((p50_at_ms, p95_at_ms)) = start_at_ms {
            self.note_score(Scored::Start(match now.wall_ms {
                at_ms if at_ms < p50_at_ms => Timing::Earlier,
                at_ms if at_ms <= p95_at_ms => Timing::Within,
                _ => Timing::Later,
            }));
        }
        if decided {
            self.note_score(Scored::Promise(promise, !late));
        }
    }

    /// A job ends: a deadline was met or was not. One that was cancelled before it was given to a
    /// runner shows nothing.
    pub(in crate::dispatch) fn score_end(&mut self, now: Now, id: JobId) {
        let Some(live) = self.jobs.get_mut(&id) else { return };
        let Some(promised) = live.due.as_mut().and_then(|due| due.promised.take()) else { return };
        let deadline = live.row.terms.as_deref().and_then(|terms| terms.deadline_ms);
        if live.row.attempt > 0
            && let Some(at_ms) = deadline
        {
            self.note_score(Scored::Promise(promised.promise, now.wall_ms <= at_ms));
        }
    }

    fn note_score(&mut self, scored: Scored) {
        self.score.note(scored);
        self.out.scored.push(scored);
    }
}

fn is_late(terms: Option<&JobTerms>, waited_ms: i64) -> bool {
    terms.and_then(|terms| terms.max_wait_ms).is_some_and(|most| waited_ms > most)
}
