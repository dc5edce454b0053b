//! What keeps jobs back by their own terms: needs, concurrency groups, limits on how many run at
//! once. By the checker's own code, from the rows alone, all of it anew each time.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::model::{
    GroupTerms, Job, JobId, JobPriority, JobStateKind, TenantId, Workload, WorkloadId,
};

use crate::rows::Rows;

/// Who may be in a group: a workload, or one job of it.
pub(crate) type Member = (WorkloadId, Option<JobId>);
/// Groups of two tenants are two groups.
pub(crate) type GroupName = (TenantId, Box<str>);
/// A place among those that wait for the same: the smallest goes first.
pub(crate) type Turn = (JobPriority, i64, Member);
/// The jobs of a workload, or only those of a matrix.
pub(crate) type LimitName = (WorkloadId, Option<Box<str>>);

/// Who is in a group, and who waits for it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Group {
    pub(crate) inside: BTreeSet<Member>,
    pub(crate) waiting: BTreeMap<Member, Turn>,
}

/// All groups that have somebody.
pub(crate) fn groups(rows: &Rows) -> BTreeMap<GroupName, Group> {
    let mut groups: BTreeMap<GroupName, Group> = BTreeMap::new();
    let mut of = |tenant: TenantId, terms: &GroupTerms, member: Member, turn: Option<Turn>| {
        let group = groups.entry((tenant, terms.key.clone())).or_default();
        match turn {
            None => drop(group.inside.insert(member)),
            Some(turn) => drop(group.waiting.insert(member, turn)),
        }
    };
    for row in rows.workloads.values() {
        let Some(terms) = row.group() else { continue };
        let member = (row.id, None);
        if row.in_group {
            of(row.tenant_id, terms, member, None);
        } else if let Some(turn) = workload_turn(rows, row) {
            of(row.tenant_id, terms, member, Some(turn));
        }
    }
    for job in rows.jobs.values() {
        let Some(terms) = job.group() else { continue };
        let member = (job.workload_id, Some(job.id));
        if job.in_group {
            of(job.tenant_id, terms, member, None);
        } else if job.kind() == JobStateKind::Pending
            && job.not_before_ms == 0
            && !waits(&rows.workloads[&job.workload_id])
        {
            of(job.tenant_id, terms, member, Some(turn(job)));
        }
    }
    groups
}

/// Whether a workload is kept back by its group.
pub(crate) fn waits(row: &Workload) -> bool {
    row.group().is_some() && !row.in_group
}

/// Whether a job is kept back by its own group, or by that of its workload.
pub(crate) fn waits_for_group(rows: &Rows, job: &Job) -> bool {
    (job.group().is_some() && !job.in_group) || waits(&rows.workloads[&job.workload_id])
}

/// Whether the row says that a job's time came by having none any more.
pub(crate) fn time_counts_once(rows: &Rows, job: &Job) -> bool {
    let asks = job.group().is_some() && !job.in_group;
    asks || limits_of(rows, job).iter().any(Option::is_some)
}

fn turn(job: &Job) -> Turn {
    (job.priority, job.lane_key, (job.workload_id, Some(job.id)))
}

/// That of the most urgent and of the oldest of its jobs that have not completed.
fn workload_turn(rows: &Rows, row: &Workload) -> Option<Turn> {
    let jobs = rows.jobs.values().filter(|job| job.workload_id == row.id);
    let jobs: Vec<_> = jobs.filter(|job| job.kind() != JobStateKind::Completed).collect();
    let priority = jobs.iter().map(|job| job.priority).min()?;
    let lane_key = jobs.iter().map(|job| job.lane_key).min()?;
    Some((priority, lane_key, (row.id, None)))
}

/// Which jobs their limits let go on, and at which one each of the others waits.
#[derive(Clone, Debug, Default)]
pub(crate) struct Offers {
    /// Jobs that have passed all their limits.
    pub(crate) open: BTreeSet<JobId>,
    /// Where a job waits: the limit, how many of its jobs are offered or run, how many may.
    pub(crate) at: BTreeMap<JobId, (LimitName, usize, usize)>,
}

/// The limits of a job: that of its matrix first, as it passes them.
fn limits_of(rows: &Rows, job: &Job) -> [Option<(LimitName, usize)>; 2] {
    let own = job.matrix().and_then(|matrix| {
        let name = (job.workload_id, Some(matrix.key.clone()));
        Some((name, matrix.max_parallel? as usize))
    });
    let terms = rows.workloads[&job.workload_id].terms.as_deref();
    let whole = terms.and_then(|terms| Some(((job.workload_id, None), terms.max_parallel?)));
    [own, whole.map(|(name, max)| (name, max as usize))]
}

/// How many jobs of each limit runners have.
pub(crate) fn taken(rows: &Rows) -> BTreeMap<LimitName, usize> {
    let mut taken = BTreeMap::new();
    for job in rows.jobs.values().filter(|job| job.lease().is_some()) {
        for (name, _) in limits_of(rows, job).into_iter().flatten() {
            *taken.entry(name).or_default() += 1;
        }
    }
    taken
}

/// Of jobs that nothing else keeps back those are offered whose turn is first.
pub(crate) fn offers<'a>(rows: &'a Rows, passed: impl Iterator<Item = &'a Job>) -> Offers {
    let mut offers = Offers::default();
    let mut left: Vec<_> = passed.collect();
    let taken = taken(rows);
    for place in 0..2 {
        let mut contests: BTreeMap<LimitName, (usize, Vec<&Job>)> = BTreeMap::new();
        let mut next = Vec::new();
        for job in left {
            match limits_of(rows, job)[place].take() {
                None => next.push(job),
                Some((name, max)) => {
                    contests.entry(name).or_insert((max, Vec::new())).1.push(job);
                }
            }
        }
        for (name, (max, mut jobs)) in contests {
            jobs.sort_by_key(|job| turn(job));
            let taken = taken.get(&name).copied().unwrap_or(0);
            let room = max.saturating_sub(taken).min(jobs.len());
            for job in jobs.split_off(room) {
                offers.at.insert(job.id, (name.clone(), taken + room, max));
            }
            next.append(&mut jobs);
        }
        left = next;
    }
    offers.open = left.into_iter().map(|job| job.id).collect();
    offers
}

/// How what a job needs stands: what has not ended, and how the rest did.
#[derive(Debug, Default)]
pub(crate) struct Needs {
    pub(crate) unended_jobs: BTreeSet<JobId>,
    pub(crate) unended_workloads: BTreeSet<WorkloadId>,
    /// Names of jobs that have not joined its open workload.
    pub(crate) awaited: BTreeSet<Box<str>>,
    /// Jobs that ended otherwise than well, workloads that did, and names that never came.
    pub(crate) unmet: usize,
    /// Those of them that are failures; of skipped jobs the row says whether they are.
    pub(crate) failed: usize,
}

impl Needs {
    pub(crate) fn all_ended(&self) -> bool {
        self.unended_jobs.is_empty() && self.unended_workloads.is_empty() && self.awaited.is_empty()
    }
}

/// How the needs of a job stand, live or not.
pub(crate) fn needs(rows: &Rows, job: &Job) -> Needs {
    use JobStateKind::{Cancelled, Completed, Failed, Skipped};
    let mut needs = Needs::default();
    let jobs: Vec<_> = rows.needs_of(job.id).iter().map(|id| rows.any_job(*id)).collect();
    for need in &jobs {
        match need.kind() {
            Completed => {}
            Failed if need.terms.as_ref().is_some_and(|terms| terms.allow_failure) => {}
            Failed => (needs.unmet, needs.failed) = (needs.unmet + 1, needs.failed + 1),
            Skipped | Cancelled => {
                needs.unmet += 1;
                needs.failed += usize::from(need.kind() == Skipped && need.need_failed);
            }
            _ => drop(needs.unended_jobs.insert(need.id)),
        }
    }
    for id in job.needs_workloads() {
        use dispatchyard::model::WorkloadState as State;
        match rows.done_workloads.get(id).map(|row| row.state) {
            None => drop(needs.unended_workloads.insert(*id)),
            Some(State::Completed) => {}
            Some(state) => {
                needs.unmet += 1;
                needs.failed += usize::from(state == State::Failed);
            }
        }
    }
    let late = job.late_needs().iter();
    let late: Vec<_> = late.filter(|name| jobs.iter().all(|it| *it.name != ***name)).collect();
    let workload = rows.workloads.get(&job.workload_id);
    if workload.is_some_and(|row| row.open) {
        needs.awaited.extend(late.into_iter().cloned());
    } else {
        needs.unmet += late.len();
        needs.failed += late.len();
    }
    needs
}
