//! Whether new work can be met: what a submission is told, and whether it is refused for that.

use rustc_hash::FxHashMap;

use super::entrant::{Entrant, Fate};
use super::limits::Limit;
use super::score::Promised;
use super::{Forecast, Unforeseen};
use crate::dispatch::command::Refusal;
use crate::dispatch::scheduler::Scheduler;
use crate::dispatch::settings::MaxWaitPolicy;
use crate::model::{
    ClassId, GroupTerms, JobId, JobTerms, Now, PauseScope, PlannedJob, PlannedWorkload, RecordName,
    RunIf, RunnerRequirements, TenantId,
};
use crate::queue::GroupKey;

/// Jobs that a refusal names.
const TOLD_MAX: usize = 5;

/// Whether a job starts or ends in time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Promise {
    /// In 95 of 100 worlds it does.
    Met,
    /// In some it does, or nobody can know.
    AtRisk,
    /// In none.
    Cannot,
}

impl Promise {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Met, Self::AtRisk, Self::Cannot];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Met => "met",
            Self::AtRisk => "at_risk",
            Self::Cannot => "cannot",
        }
    }
}

/// What a submission is told about a job that has `max_wait` or a deadline.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outlook {
    /// The job's name.
    pub job: Box<str>,
    /// Whether it can be met.
    pub promise: Promise,
    /// When it starts and ends.
    pub forecast: Forecast,
}

impl Outlook {
    /// In words.
    fn sentence(&self) -> String {
        let told = match self.forecast {
            Forecast::Start { start, end } => format!(
                "start p50 {} ms, p95 {} ms, end p50 {} ms, p95 {} ms",
                start.p50_ms, start.p95_ms, end.p50_ms, end.p95_ms
            ),
            _ => format!("start {}", self.forecast.note().unwrap_or_default()),
        };
        format!("job `{}`: {}: {told}", self.job, self.promise.as_str())
    }
}

/// Jobs that are about to be made.
pub(in crate::dispatch) struct Coming<'a> {
    /// The jobs.
    pub(in crate::dispatch) jobs: &'a [PlannedJob],
    /// Of each, the places of those among them that it needs.
    pub(in crate::dispatch) needs: &'a [Vec<usize>],
    /// Of each, whether it needs others that have not ended.
    pub(in crate::dispatch) awaits: &'a [bool],
    /// Whose they are.
    pub(in crate::dispatch) tenant_id: TenantId,
    /// What wants them.
    pub(in crate::dispatch) trigger: &'a str,
    /// The group that the whole of them has to get into.
    pub(in crate::dispatch) group: Option<&'a GroupTerms>,
    /// Jobs of the workload that may be with runners at once.
    pub(in crate::dispatch) max_parallel: Option<u32>,
}

impl<'a> Coming<'a> {
    /// Those of a new workload; `needs` are places in its list of jobs.
    pub(in crate::dispatch) fn of(workload: &'a PlannedWorkload, needs: &'a [Vec<usize>]) -> Self {
        Self {
            jobs: &workload.jobs,
            needs,
            awaits: &[],
            tenant_id: workload.tenant_id,
            trigger: &workload.trigger,
            group: workload.terms.group.as_ref(),
            max_parallel: workload.terms.max_parallel,
        }
    }
}

/// What was found out about jobs that are to be made.
#[derive(Debug, Default)]
pub(in crate::dispatch) struct Outlooks(Vec<(usize, Outlook)>);

impl Outlooks {
    pub(in crate::dispatch) fn told(&self) -> Vec<Outlook> {
        self.0.iter().map(|(_, outlook)| outlook.clone()).collect()
    }
}

fn asks(terms: &JobTerms) -> bool {
    terms.max_wait_ms.is_some() || terms.deadline_ms.is_some()
}

impl Scheduler {
    /// Looks into the future of jobs that are about to be made and have `max_wait` or a deadline.
    ///
    /// # Errors
    ///
    /// [`Refusal::CannotMeet`], when its tenant has such work refused and one of them cannot be met.
    pub(in crate::dispatch) fn look_ahead(
        &self,
        now: Now,
        coming: &Coming<'_>,
    ) -> Result<Outlooks, Refusal> {
        if !coming.jobs.iter().any(|job| asks(&job.terms)) {
            return Ok(Outlooks::default());
        }
        let mut gates: Vec<Option<Unforeseen>> = Vec::with_capacity(coming.jobs.len());
        let classes = self.planned_classes(coming.jobs);
        // Once for each class: new requirements are compared with every runner.
        let mut fits: FxHashMap<ClassId, bool> = FxHashMap::default();
        for (job, class) in coming.jobs.iter().zip(&classes) {
            let needs = &job.requirements;
            let fits = *fits.entry(*class).or_insert_with(|| self.somebody_fits(needs));
            let awaits = coming.awaits.get(gates.len()).is_some_and(|awaits| *awaits);
            let gate = self.planned_gate(coming, job).or((!fits).then_some(Unforeseen::NoRunner));
            gates.push(gate.or(awaits.then_some(Unforeseen::Jobs)));
        }
        spread(&mut gates, coming.needs);
        let first = self.marks.next_job;
        let id = |at: usize| JobId(first + at as i64);
        let mut entrants = Vec::with_capacity(coming.jobs.len());
        for (at, job) in coming.jobs.iter().enumerate().filter(|(at, _)| gates[*at].is_none()) {
            let start_by_ms = job.terms.start_by_ms(now.wall_ms, self.expected_run_ms(classes[at]));
            let (level, _) = self.raising().lane_level(job.priority, start_by_ms, now.wall_ms);
            entrants.push(Entrant {
                job_id: id(at),
                class_id: classes[at],
                requirements: &job.requirements,
                tenant_id: coming.tenant_id,
                priority: job.priority,
                level,
                lane_key: now.wall_ms,
                ready_ms: (job.not_before_ms - now.wall_ms).max(0),
                needs: coming.needs[at].iter().map(|need| id(*need)).collect(),
                limits: self.planned_limits(coming, job),
                asked: asks(&job.terms),
            });
        }
        let fates: FxHashMap<_, _> = self.foresee(now, &[], &entrants).into_iter().collect();
        let found = coming.jobs.iter().enumerate().filter(|(_, job)| asks(&job.terms));
        let found = found.map(|(at, job)| {
            let (promise, forecast) = match (gates[at], fates.get(&id(at))) {
                (None, Some(fate)) => (judge(now, &job.terms, fate), Forecast::of(fate)),
                (Some(Unforeseen::NoRunner), _) => {
                    (Promise::Cannot, Forecast::Unknown(Unforeseen::NoRunner))
                }
                (why, _) => (Promise::AtRisk, Forecast::Unknown(why.unwrap_or(Unforeseen::Never))),
            };
            (at, Outlook { job: job.name.as_str().into(), promise, forecast })
        });
        let outlooks = Outlooks(found.collect());
        let policy = self.settings.tenants.get(&coming.tenant_id);
        let refuses = policy.is_some_and(|it| it.max_wait_policy == MaxWaitPolicy::Refuse);
        let missed = outlooks.0.iter().filter(|(_, it)| it.promise == Promise::Cannot);
        let missed: Vec<_> = missed.map(|(_, outlook)| outlook).collect();
        if !refuses || missed.is_empty() {
            return Ok(outlooks);
        }
        let told = missed.iter().take(TOLD_MAX).map(|outlook| outlook.sentence());
        let mut told = told.collect::<Vec<_>>().join("; ");
        if missed.len() > TOLD_MAX {
            told += &format!("; and {} more", missed.len() - TOLD_MAX);
        }
        Err(Refusal::CannotMeet(told.into()))
    }

    /// Notes what was told about the jobs of a workload that was made, the first of which has this
    /// number.
    pub(in crate::dispatch) fn keep_promises(
        &mut self,
        now: Now,
        outlooks: &Outlooks,
        first: JobId,
    ) {
        for (at, outlook) in &outlooks.0 {
            let id = JobId(first.0 + *at as i64);
            let Some(live) = self.jobs.get_mut(&id) else { continue };
            let tenant_id = live.row.tenant_id;
            if let Some(due) = &mut live.due {
                due.promised = Some(Promised::new(now, outlook));
            }
            self.out.promises.push(outlook.promise);
            let settings = self.settings.tenants.get(&tenant_id);
            let warns = settings.is_some_and(|it| it.max_wait_policy == MaxWaitPolicy::Warn);
            if warns && outlook.promise != Promise::Met {
                let mut record = self.job_record(now, RecordName::JobAtRisk, id);
                record.detail = outlook.sentence().into();
                self.record(record);
            }
        }
    }

    /// What keeps a planned job back for nobody knows how long.
    fn planned_gate(&self, coming: &Coming<'_>, job: &PlannedJob) -> Option<Unforeseen> {
        let terms = &job.terms;
        let scopes = [
            PauseScope::Everything,
            PauseScope::Tenant(coming.tenant_id),
            PauseScope::Trigger(coming.trigger.into()),
        ];
        let pools_paused = job.requirements.pools().all(|pool| self.pool_is_paused(pool));
        let full = |group: &GroupTerms| {
            let key = GroupKey { tenant_id: coming.tenant_id, key: group.key.clone() };
            self.groups.inside(&key).len() >= self.groups.limit(&key).max(1)
        };
        if pools_paused || scopes.iter().any(|scope| self.pauses.contains_key(scope)) {
            Some(Unforeseen::Paused)
        } else if terms.run_if == RunIf::Never {
            Some(Unforeseen::Never)
        } else if terms.run_if == RunIf::Decide {
            Some(Unforeseen::Decision)
        } else if terms.needs_workloads.iter().any(|id| self.workload(*id).is_some()) {
            Some(Unforeseen::Workload)
        } else if !terms.late_needs.is_empty() {
            Some(Unforeseen::LateJob)
        } else if coming.group.is_some_and(full) {
            Some(Unforeseen::Group)
        } else if terms.placement.anti_affinity.is_some() || terms.placement.affinity_required {
            Some(Unforeseen::Placement)
        } else {
            None
        }
    }

    fn somebody_fits(&self, needs: &RunnerRequirements) -> bool {
        match self.classes.known(needs) {
            Some(class) => self.index.has_runner(class),
            None => self
                .runners
                .iter()
                .any(|(_, runner)| runner.row.capabilities.satisfies(runner.row.pool_id, needs)),
        }
    }

    /// The class of each job; one that nobody has stands for requirements that are new.
    fn planned_classes(&self, jobs: &[PlannedJob]) -> Vec<ClassId> {
        let mut new: FxHashMap<&RunnerRequirements, ClassId> = FxHashMap::default();
        let class = |job| -> ClassId {
            let needs: &RunnerRequirements = job;
            self.classes.known(needs).unwrap_or(ClassId(-1))
        };
        let mut classes = Vec::with_capacity(jobs.len());
        for job in jobs {
            let known = class(&job.requirements);
            classes.push(match known.0 < 0 {
                false => known,
                true => {
                    let next = ClassId(-1 - new.len() as i64);
                    *new.entry(&job.requirements).or_insert(next)
                }
            });
        }
        classes
    }

    /// Limits that a planned job has for itself.
    fn planned_limits(&self, coming: &Coming<'_>, job: &PlannedJob) -> Vec<(Limit, u64)> {
        let matrix = job.terms.matrix.as_ref().and_then(|matrix| {
            let max = u64::from(matrix.max_parallel?);
            Some((Limit::Parallel(Some(matrix.key.clone())), max))
        });
        let whole = coming.max_parallel.map(|max| (Limit::Parallel(None), u64::from(max)));
        let group = job.terms.group.as_ref();
        let group = group.map(|group| self.group_limit(coming.tenant_id, group));
        matrix.into_iter().chain(whole).chain(group).collect()
    }
}

/// Whoever needs a job that nobody knows about is not known about either.
fn spread(gates: &mut [Option<Unforeseen>], needs: &[Vec<usize>]) {
    let mut changed = true;
    while changed {
        changed = false;
        for at in 0..gates.len() {
            let found = needs[at].iter().find_map(|need| gates[*need]);
            if gates[at].is_none() && found.is_some() {
                gates[at] = found;
                changed = true;
            }
        }
    }
}

fn judge(now: Now, terms: &JobTerms, fate: &Fate) -> Promise {
    let in_time = |(start, end): &(i64, i64)| {
        terms.max_wait_ms.is_none_or(|most| *start <= most)
            && terms.deadline_ms.is_none_or(|at_ms| now.wall_ms.saturating_add(*end) <= at_ms)
    };
    let good = fate.spans().filter(in_time).count();
    match good {
        0 => Promise::Cannot,
        // What is known of it is only that it starts later than this.
        _ if fate.is_behind() => Promise::AtRisk,
        good if good * 100 >= fate.worlds() * 95 => Promise::Met,
        _ => Promise::AtRisk,
    }
}
