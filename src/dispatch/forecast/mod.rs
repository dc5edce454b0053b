//! When a job will start, as far as that can be known: percentiles, or why there are none.
//!
//! ```text
//! gates.rs    what keeps the job from its lane, and when that ends     outlook.rs  jobs that are not there yet
//!      \                                                               /
//!       scene.rs   who is in front, what runs, free slots, limits.rs
//!                                    |
//!                            play.rs   many worlds
//! ```
//!
//! A figure is given only where everything that keeps the job back has an end that can be reckoned:
//! other jobs, slots, quotas that count, groups, times. What people must do (lift a pause, register
//! a runner) has none. `score.rs` counts how often what was said came true.

mod entrant;
mod gates;
mod limits;
mod outlook;
mod play;
mod scene;
mod score;

use std::fmt;

use entrant::Fate;
use limits::Limit;
pub(super) use outlook::{Coming, Outlooks};
pub use outlook::{Outlook, Promise};
use play::Span;
pub(super) use score::Promised;
pub use score::{PredictionScore, Scored, Timing};

use super::scheduler::Scheduler;
use crate::model::{GroupTerms, TenantId};
use crate::queue::GroupKey;

/// Two percentiles of a time, in milliseconds from now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Percentiles {
    /// Half of the worlds are quicker.
    pub p50_ms: i64,
    /// 95 of 100 are quicker.
    pub p95_ms: i64,
}

/// When a waiting job will be given to a runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Forecast {
    /// Then, and when it will have ended.
    Start {
        /// When it starts.
        start: Percentiles,
        /// When it ends.
        end: Percentiles,
    },
    /// More than [`super::Reason::POSITION_MAX`] jobs are in front of it: only that it is not before
    /// this time.
    NotBefore {
        /// Milliseconds from now.
        at_least_ms: i64,
    },
    /// Nobody can know.
    Unknown(Unforeseen),
}

/// Why there is no figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unforeseen {
    /// It, or all of its pools, are paused.
    Paused,
    /// It needs another workload.
    Workload,
    /// It needs a job that has not joined.
    LateJob,
    /// Whether it runs is decided only when all that it needs has ended.
    Decision,
    /// It joins, and needs jobs that were there before and have not ended.
    Jobs,
    /// A group is held by what may end at any time.
    Group,
    /// It waits for others of its matrix or workload.
    MatrixLimit,
    /// Its tenant has started too many jobs in the last minute.
    Rate,
    /// No registered runner could ever take it.
    NoRunner,
    /// Where it may run follows from where others run.
    Placement,
    /// It needs, or stands behind, too many others.
    TooMany,
    /// As things stand it does not start: the runners that could take it are away, or a limit is held
    /// by what does not end.
    Never,
}

impl fmt::Display for Unforeseen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Paused => "unknown until a pause is lifted",
            Self::Workload => "unknown while it needs another workload",
            Self::LateJob => "unknown until the job that it needs has joined",
            Self::Decision => "unknown until its condition, or that of a job before it, is decided",
            Self::Jobs => "unknown while jobs that it needs have not ended",
            Self::Group => "unknown while its group is held",
            Self::MatrixLimit => "unknown while it waits for others of its matrix or workload",
            Self::Rate => "unknown while its tenant's starts_per_minute_max is reached",
            Self::NoRunner => "unknown until a runner is registered that can take it",
            Self::Placement => "unknown, because where it may run follows from other jobs",
            Self::TooMany => "unknown, because it waits for too many others",
            Self::Never => "unknown: as things stand nothing lets it start",
        })
    }
}

impl Fate {
    fn is_behind(&self) -> bool {
        matches!(self, Self::Behind(_))
    }

    /// Starts and ends of the worlds in which the job, or the last one before it, starts.
    fn spans(&self) -> impl Iterator<Item = Span> {
        let (Self::Played(worlds) | Self::Behind(worlds)) = self;
        worlds.iter().filter_map(|span| *span)
    }

    fn worlds(&self) -> usize {
        let (Self::Played(worlds) | Self::Behind(worlds)) = self;
        worlds.len()
    }
}

impl Forecast {
    fn of(fate: &Fate) -> Self {
        let (mut starts, mut ends): (Vec<_>, Vec<_>) = fate.spans().unzip();
        // A job that starts in few worlds has no honest percentile.
        if starts.len() * 2 <= fate.worlds() || starts.is_empty() {
            return Self::Unknown(Unforeseen::Never);
        }
        // In the others it starts later than in any of these.
        let late = fate.worlds() - starts.len();
        let percentiles = |times: &mut Vec<i64>| {
            times.sort_unstable();
            let at = |share: usize| {
                let place = ((times.len() + late) * share).div_ceil(100).max(1) - 1;
                times[place.min(times.len() - 1)]
            };
            Percentiles { p50_ms: at(50), p95_ms: at(95) }
        };
        match fate {
            Fate::Played(_) => {
                Self::Start { start: percentiles(&mut starts), end: percentiles(&mut ends) }
            }
            Fate::Behind(_) => Self::NotBefore { at_least_ms: percentiles(&mut starts).p50_ms },
        }
    }

    /// The start, where there is a figure.
    pub fn start(&self) -> Option<Percentiles> {
        match self {
            Self::Start { start, .. } => Some(*start),
            _ => None,
        }
    }

    /// The end, where there is a figure.
    pub fn end(&self) -> Option<Percentiles> {
        match self {
            Self::Start { end, .. } => Some(*end),
            _ => None,
        }
    }

    /// What there is to say instead of figures, or beside them.
    pub fn note(&self) -> Option<String> {
        match self {
            Self::Start { .. } => None,
            Self::NotBefore { at_least_ms } => {
                let most = super::Reason::POSITION_MAX;
                let seconds = *at_least_ms as f64 / 1_000.0;
                Some(format!("more than {most} jobs are in front: not within {seconds:.1} s"))
            }
            Self::Unknown(why) => Some(why.to_string()),
        }
    }
}

impl Scheduler {
    /// The limit that a group is.
    fn group_limit(&self, tenant_id: TenantId, group: &GroupTerms) -> (Limit, u64) {
        let key = GroupKey { tenant_id, key: group.key.clone() };
        (Limit::Group(key), u64::from(group.limit.max(1)))
    }
}
