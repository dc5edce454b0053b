//! Why a job waits, or why it ended as it did.

use std::fmt;

use super::scheduler::Scheduler;
use crate::model::{EndReason, Job, JobId, JobState, JobStateKind, Mismatch, Now, RunnerId};
use crate::queue::Order;

/// The answer to "why does this job wait?".
#[derive(Clone, PartialEq, Debug)]
pub struct Explanation {
    /// Where the job stands.
    pub state: JobStateKind,
    /// Closed gates first, then the runner side. Never empty.
    pub reasons: Vec<Reason>,
}

/// One reason, with the facts that it is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Jobs that it needs have not completed.
    BlockedBy(Vec<(JobId, Box<str>, JobStateKind)>),
    /// Its time has not come (wall milliseconds).
    DelayedUntil {
        /// When it comes.
        at_ms: i64,
        /// In how long.
        in_ms: i64,
    },
    /// `max_global_concurrency` jobs run.
    GlobalLimit {
        /// How many run.
        running: u64,
        /// How many may.
        max: u64,
    },
    /// No registered runner could ever take it; what the nearest one lacks.
    NoCompatibleRunner {
        /// How many runners there are.
        runners: usize,
        /// Who lacks least, and what.
        nearest: Option<(Box<str>, Vec<Mismatch>)>,
    },
    /// Runners that could take it are offline, cordoned or draining, all of them.
    NoneAvailable {
        /// Not heard of lately.
        offline: usize,
        /// Take nothing new.
        cordoned: usize,
        /// Leave when they have finished.
        draining: usize,
    },
    /// Of the runners that could take it and take new jobs, so many have no room.
    Busy {
        /// Without room.
        busy: usize,
        /// Of so many.
        of: usize,
    },
    /// A runner has room and could take it, but has not asked since.
    AwaitingPoll {
        /// How many such runners.
        runners: usize,
    },
    /// Infrastructure failed under it on this runner; another one that fits is preferred.
    AvoidsRunner(RunnerId),
    /// Its place in dispatch order, from 1.
    Position(u64),
    /// A runner has it and has not said that it started.
    ClaimedBy(RunnerId),
    /// A runner works on it.
    RunningOn(RunnerId),
    /// Somebody asked for a cancel at this time (wall milliseconds).
    Cancelling(i64),
    /// It ended.
    Ended(EndReason),
}

impl Reason {
    /// The name that programs compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BlockedBy(_) => "blocked_by",
            Self::DelayedUntil { .. } => "delayed_until",
            Self::GlobalLimit { .. } => "global_limit",
            Self::NoCompatibleRunner { .. } => "no_compatible_runner",
            Self::NoneAvailable { .. } => "none_available",
            Self::Busy { .. } => "busy",
            Self::AwaitingPoll { .. } => "awaiting_poll",
            Self::AvoidsRunner(_) => "avoids_runner",
            Self::Position(_) => "position",
            Self::ClaimedBy(_) => "claimed",
            Self::RunningOn(_) => "running",
            Self::Cancelling(_) => "cancelling",
            Self::Ended(_) => "ended",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BlockedBy(jobs) => {
                let list: Vec<_> = jobs
                    .iter()
                    .map(|(id, name, state)| format!("{name} (job {id}, {state})"))
                    .collect();
                write!(f, "blocked by {}", list.join(", "))
            }
            Self::DelayedUntil { in_ms, .. } => {
                write!(f, "delayed for another {:.1} s", *in_ms as f64 / 1_000.0)
            }
            Self::GlobalLimit { running, max } => {
                write!(f, "{running} jobs run, max_global_concurrency is {max}")
            }
            Self::NoCompatibleRunner { runners: 0, .. } => f.write_str("no runner is registered"),
            Self::NoCompatibleRunner { runners, nearest } => {
                write!(f, "none of {runners} runners can take it")?;
                if let Some((name, lacks)) = nearest {
                    let lacks: Vec<_> = lacks.iter().map(ToString::to_string).collect();
                    write!(f, "; the nearest, {name}, {}", lacks.join(" and "))?;
                }
                Ok(())
            }
            Self::NoneAvailable { offline, cordoned, draining } => write!(
                f,
                "every runner that could take it is away: {offline} offline, {cordoned} cordoned, \
                 {draining} draining"
            ),
            Self::Busy { busy, of } => write!(f, "{busy} of {of} runners that fit are busy"),
            Self::AwaitingPoll { runners } => {
                write!(f, "{runners} runners that fit have room and have not asked for work yet")
            }
            Self::AvoidsRunner(id) => {
                write!(f, "avoids runner {id}, under which it was lost, while another fits")
            }
            Self::Position(position) => write!(f, "position {position} in the queue"),
            Self::ClaimedBy(id) => write!(f, "runner {id} has it and has not started it yet"),
            Self::RunningOn(id) => write!(f, "runner {id} works on it"),
            Self::Cancelling(_) => f.write_str("a cancel was requested, the runner is stopping it"),
            Self::Ended(reason) => write!(f, "ended because {}", reason.sentence()),
        }
    }
}

impl Scheduler {
    /// Why a live job waits, or what it is doing; `None` when it is not in memory.
    pub fn explain(&self, now: Now, id: JobId) -> Option<Explanation> {
        let job = self.job(id)?;
        let mut reasons = Vec::new();
        if let Some(at_ms) = job.cancel_requested_at_ms.filter(|_| !job.kind().is_terminal()) {
            reasons.push(Reason::Cancelling(at_ms));
        }
        match &job.state {
            JobState::Blocked => {
                let needs = self.dependencies.needs(id).iter().filter_map(|need| self.job(*need));
                let open = needs.filter(|need| need.kind() != JobStateKind::Completed);
                let open = open.map(|need| (need.id, need.name.clone(), need.kind()));
                reasons.push(Reason::BlockedBy(open.collect()));
            }
            JobState::Pending => self.explain_pending(now, job, &mut reasons),
            JobState::Claimed(lease) => reasons.push(Reason::ClaimedBy(lease.runner_id)),
            JobState::Running { lease, .. } => reasons.push(Reason::RunningOn(lease.runner_id)),
            JobState::Ended { reason, .. } => reasons.push(Reason::Ended(*reason)),
        }
        Some(Explanation { state: job.kind(), reasons })
    }

    fn explain_pending(&self, now: Now, job: &Job, reasons: &mut Vec<Reason>) {
        if job.not_before_ms > now.wall_ms {
            let in_ms = job.not_before_ms - now.wall_ms;
            reasons.push(Reason::DelayedUntil { at_ms: job.not_before_ms, in_ms });
        }
        let (running, max) = (self.leases.len() as u64, self.settings.max_global_concurrency);
        if running >= max {
            reasons.push(Reason::GlobalLimit { running, max });
        }
        if let Some(avoided) = job.avoid_runner_id {
            reasons.push(Reason::AvoidsRunner(avoided));
        }
        self.explain_runners(job, reasons);
        if self.queue.contains(job) {
            let ahead = self.queue.ahead_of(Order::of(job)) as u64;
            reasons.push(Reason::Position(ahead + 1));
        }
    }

    fn explain_runners(&self, job: &Job, reasons: &mut Vec<Reason>) {
        let (mut offline, mut cordoned, mut draining) = (0, 0, 0);
        let (mut busy, mut idle) = (0, 0);
        for runner in self.index.runners(job.class_id).filter_map(|slot| self.runners.at(slot)) {
            match () {
                () if runner.offline => offline += 1,
                () if runner.row.cordoned.is_some() => cordoned += 1,
                () if runner.row.draining => draining += 1,
                () if runner.used() >= runner.slots() => busy += 1,
                () => idle += 1,
            }
        }
        if busy + idle > 0 {
            if busy > 0 {
                reasons.push(Reason::Busy { busy, of: busy + idle });
            }
            if idle > 0 {
                reasons.push(Reason::AwaitingPoll { runners: idle });
            }
        } else if offline + cordoned + draining > 0 {
            reasons.push(Reason::NoneAvailable { offline, cordoned, draining });
        } else {
            reasons.push(self.nearest(job));
        }
    }

    fn nearest(&self, job: &Job) -> Reason {
        let Some(needs) = self.index.requirements(job.class_id) else {
            return Reason::NoCompatibleRunner { runners: 0, nearest: None };
        };
        let lacks = self.runners.iter().map(|(_, runner)| {
            (runner.row.name.clone(), runner.row.capabilities.mismatches(runner.row.pool_id, needs))
        });
        let nearest = lacks.min_by_key(|(_, lacks)| lacks.len());
        Reason::NoCompatibleRunner { runners: self.runners.len(), nearest }
    }
}
