//! The reasons that an explanation is made of, for programs and for people.

use std::fmt;

use crate::model::{EndReason, JobId, JobStateKind, Mismatch, RunnerId, WorkloadId, WorkloadState};
use crate::queue::{Member, QuotaReached};

/// Something that a reason names, to people who may not know it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Seen<T> {
    /// This one.
    This(T),
    /// One of another tenant.
    Another,
}

impl<T> Seen<T> {
    /// What people are told who may know it, or may not.
    pub(super) fn of(it: T, may_know: bool) -> Self {
        if may_know { Self::This(it) } else { Self::Another }
    }
}

impl fmt::Display for Seen<JobId> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::This(id) => write!(f, "job {id}"),
            Self::Another => f.write_str("another tenant's job"),
        }
    }
}

/// One reason, with the facts that it is made of.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Jobs that it needs have not ended.
    BlockedBy(Vec<(JobId, Box<str>, JobStateKind)>),
    /// It needs jobs of these names, and they have not joined its workload.
    AwaitsJobs(Vec<Box<str>>),
    /// Workloads that it needs have not ended.
    BlockedByWorkloads(Vec<Seen<(WorkloadId, Box<str>, WorkloadState)>>),
    /// All that it needs has ended, and it is being decided what becomes of it.
    Planning,
    /// Its time has not come (wall milliseconds).
    DelayedUntil {
        /// When it comes.
        at_ms: i64,
        /// In how long.
        in_ms: i64,
    },
    /// Its workload waits until nothing newer has come for the same.
    Debounced {
        /// Until when, if nothing newer comes (wall milliseconds).
        at_ms: i64,
        /// In how long that is.
        in_ms: i64,
        /// By when it goes on whatever comes (wall milliseconds).
        latest_ms: i64,
    },
    /// Others are in its group, or in that of its workload.
    GroupHeld {
        /// The group.
        key: Box<str>,
        /// Who waits there: it, or its workload.
        member: Member,
        /// Who is in, as people call them.
        holders: Vec<(Member, Box<str>)>,
        /// How many may be in.
        limit: usize,
        /// Its place among those that wait, from 1.
        position: usize,
    },
    /// As many jobs of its matrix, or of its workload, as may be at once are offered or with
    /// runners.
    MatrixLimit {
        /// The matrix; `None` for all jobs of the workload.
        matrix: Option<Box<str>>,
        /// How many are.
        used: usize,
        /// How many may be.
        max: u32,
    },
    /// `max_global_concurrency` jobs run.
    GlobalLimit {
        /// How many run.
        running: u64,
        /// How many may.
        max: u64,
    },
    /// Somebody paused what it belongs to.
    Paused {
        /// What is paused.
        what: Box<str>,
        /// By whom.
        author: Box<str>,
        /// Why.
        reason: Box<str>,
    },
    /// It is kept back for a less busy runner for a moment.
    HeldFor {
        /// For whom.
        runner_id: RunnerId,
        /// For how long at most.
        in_ms: i64,
    },
    /// Its tenant has used up a quota.
    Quota(QuotaReached),
    /// Too few units of a resource are free, or they are kept for a job that waits longer.
    Resource {
        /// Which.
        name: Box<str>,
        /// Units that it needs.
        wanted: u32,
        /// Units that there are.
        units: u32,
        /// Who holds which.
        held: Vec<(u32, Seen<JobId>)>,
        /// For whom the next free ones are kept.
        reserved_for: Option<Seen<JobId>>,
    },
    /// The runners of its pool have as many jobs as they may.
    PoolLimit {
        /// Which pool.
        pool: Box<str>,
        /// How many they have.
        running: u64,
        /// How many they may have.
        max: u64,
    },
    /// An executor that it goes to is away; another one that it names gets it, if there is one.
    ExecutorAway {
        /// Which.
        executor: Box<str>,
        /// When it is tried again (wall milliseconds).
        until_ms: i64,
        /// What went wrong there.
        why: Box<str>,
    },
    /// None of the executors that it goes to is configured any more.
    NoExecutor {
        /// Which it goes to.
        executors: Vec<Box<str>>,
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
        /// The name of one that is cordoned, and by whom and why.
        cordon: Option<(Box<str>, Box<str>)>,
        /// Leave when they have finished.
        draining: usize,
        /// Get nothing for a while, because jobs were lost under them.
        unhealthy: usize,
    },
    /// Runners that have a free slot have too little left for it, or a job that it is kept apart
    /// from, or not the one that it must be near to.
    NotNow {
        /// How many.
        runners: usize,
    },
    /// Runners that could take it are being started, or cannot be started.
    WarmingUp {
        /// How many are being started.
        runners: usize,
        /// The fleet whose last start failed, and why.
        trouble: Option<(Box<str>, Box<str>)>,
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
    /// Its place in dispatch order among the jobs of its pools, from 1; exact up to
    /// [`Reason::POSITION_MAX`].
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
    /// Positions are counted so far.
    pub const POSITION_MAX: u64 = 1_000;

    /// Which group, pause, quota, resource, pool, limit or runner it is, where a code stands for
    /// several.
    pub(super) fn key(&self) -> Option<Box<str>> {
        match self {
            Self::GroupHeld { key, .. } => Some(key.clone()),
            Self::Paused { what, .. } => Some(what.clone()),
            Self::Quota(reached) => Some(reached.quota.into()),
            Self::Resource { name, .. } => Some(name.clone()),
            Self::PoolLimit { pool, .. } => Some(pool.clone()),
            Self::ExecutorAway { executor, .. } => Some(executor.clone()),
            _ => None,
        }
    }

    /// The name that programs compare.
    pub fn code(&self) -> &'static str {
        match self {
            Self::BlockedBy(_) => "blocked_by",
            Self::AwaitsJobs(_) => "awaits_jobs",
            Self::BlockedByWorkloads(_) => "blocked_by_workloads",
            Self::Planning => "planning",
            Self::GroupHeld { .. } => "group_held",
            Self::MatrixLimit { .. } => "matrix_limit",
            Self::DelayedUntil { .. } => "delayed_until",
            Self::Debounced { .. } => "debounced",
            Self::GlobalLimit { .. } => "global_limit",
            Self::Paused { .. } => "paused",
            Self::HeldFor { .. } => "held_for_runner",
            Self::Quota(_) => "quota",
            Self::Resource { .. } => "resource",
            Self::PoolLimit { .. } => "pool_limit",
            Self::NotNow { .. } => "not_now",
            Self::ExecutorAway { .. } => "executor_unavailable",
            Self::NoExecutor { .. } => "no_executor",
            Self::NoCompatibleRunner { .. } => "no_compatible_runner",
            Self::NoneAvailable { .. } => "none_available",
            Self::WarmingUp { .. } => "warming_up",
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
            Self::AwaitsJobs(names) => {
                let list: Vec<_> = names.iter().map(|name| format!("job `{name}`")).collect();
                write!(f, "waits for {}, which has not joined", list.join(" and "))
            }
            Self::BlockedByWorkloads(workloads) => {
                let list: Vec<_> = workloads
                    .iter()
                    .map(|workload| match workload {
                        Seen::This((id, name, state)) => {
                            format!("{name} (workload {id}, {})", state.as_str())
                        }
                        Seen::Another => "another tenant's workload".to_owned(),
                    })
                    .collect();
                write!(f, "blocked by {}", list.join(", "))
            }
            Self::Planning => f.write_str("its condition is being decided"),
            Self::GroupHeld { key, member, holders, limit, position } => {
                let who = if member.job_id.is_none() { "its workload is" } else { "it is" };
                let holders: Vec<_> = holders.iter().map(|(_, name)| &**name).collect();
                let holders = holders.join(", ");
                write!(f, "group `{key}` is held by {holders} (limit {limit}); {who} number ")?;
                write!(f, "{position} of those that wait")
            }
            Self::MatrixLimit { matrix, used, max } => {
                write!(f, "{used} of {max} jobs ")?;
                match matrix {
                    Some(key) => write!(f, "of matrix `{key}` are offered or running"),
                    None => f.write_str("of its workload are offered or running"),
                }
            }
            Self::DelayedUntil { in_ms, .. } => {
                write!(f, "delayed for another {:.1} s", *in_ms as f64 / 1_000.0)
            }
            Self::Debounced { at_ms, in_ms, latest_ms } => write!(
                f,
                "delayed for another {:.1} s, until nothing newer came for the same; at most {:.1} s more",
                *in_ms as f64 / 1_000.0,
                latest_ms.saturating_sub(*at_ms).max(0) as f64 / 1_000.0,
            ),
            Self::GlobalLimit { running, max } => {
                write!(f, "{running} jobs run, max_global_concurrency is {max}")
            }
            Self::Paused { what, author, reason } => {
                write!(f, "{what} is paused by {author}: {reason}")
            }
            Self::HeldFor { runner_id, in_ms } => {
                write!(f, "kept for runner {runner_id}, which is less busy, for {in_ms} ms at most")
            }
            Self::Quota(reached) => write!(f, "its tenant's quota: {reached}"),
            Self::Resource { name, wanted, units, held, reserved_for } => {
                write!(f, "needs {wanted} of {units} units of {name}")?;
                if !held.is_empty() {
                    let held: Vec<_> =
                        held.iter().map(|(at, job)| format!("{at} by {job}")).collect();
                    write!(f, "; held: {}", held.join(", "))?;
                }
                match reserved_for {
                    Some(job) => write!(f, "; what is freed is kept for {job}"),
                    None => Ok(()),
                }
            }
            Self::PoolLimit { pool, running, max } => {
                write!(f, "pool {pool} runs {running} jobs, its jobs_max is {max}")
            }
            Self::NotNow { runners } => write!(
                f,
                "{runners} runners with a free slot have too little left for it, or a job that it \
                 is kept apart from, or are not the one it must be near to"
            ),
            Self::ExecutorAway { executor, why, .. } => {
                write!(f, "executor {executor} is unavailable: {why}")
            }
            Self::NoExecutor { executors } => write!(
                f,
                "no executor {} is configured: add it, or submit the work again under other routes",
                executors.join(" or ")
            ),
            Self::NoCompatibleRunner { runners: 0, .. } => f.write_str("no runner is registered"),
            Self::NoCompatibleRunner { runners, nearest } => {
                write!(f, "none of {runners} runners can take it")?;
                if let Some((name, lacks)) = nearest {
                    let lacks: Vec<_> = lacks.iter().map(ToString::to_string).collect();
                    write!(f, "; the nearest, {name}, {}", lacks.join(" and "))?;
                }
                Ok(())
            }
            Self::NoneAvailable { offline, cordoned, cordon, draining, unhealthy } => {
                f.write_str("every runner that could take it is away: ")?;
                write!(f, "{offline} offline, {cordoned} cordoned")?;
                if let Some((name, why)) = cordon {
                    write!(f, " ({name} by {why})")?;
                }
                write!(f, ", {draining} draining, {unhealthy} unhealthy")
            }
            Self::WarmingUp { runners, trouble } => {
                match runners {
                    0 => f.write_str("no runner that fits is being started")?,
                    1 => f.write_str("a runner that fits is being started")?,
                    runners => write!(f, "{runners} runners that fit are being started")?,
                }
                match trouble {
                    Some((fleet, why)) => write!(f, "; the last start of {fleet} failed: {why}"),
                    None => Ok(()),
                }
            }
            Self::Busy { busy, of } => write!(f, "{busy} of {of} runners that fit are busy"),
            Self::AwaitingPoll { runners } => {
                write!(f, "{runners} runners that fit have room and have not asked for work yet")
            }
            Self::AvoidsRunner(id) => {
                write!(f, "avoids runner {id}, under which it was lost, while another fits")
            }
            Self::Position(position) if *position > Self::POSITION_MAX => {
                write!(f, "more than {} jobs are in front of it", Self::POSITION_MAX)
            }
            Self::Position(position) => write!(f, "position {position} in the queue"),
            Self::ClaimedBy(id) => write!(f, "runner {id} has it and has not started it yet"),
            Self::RunningOn(id) => write!(f, "runner {id} works on it"),
            Self::Cancelling(_) => f.write_str("a cancel was requested, the runner is stopping it"),
            Self::Ended(reason) => write!(f, "ended because {}", reason.sentence()),
        }
    }
}
