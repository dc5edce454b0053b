//! What an event starts: workloads, their jobs, and the edges between the jobs.

mod faults;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::{
    JobPriority, JobSpec, JobTerms, PlannedSession, RetryPolicy, RunIf, RunnerRequirements,
    StartLimits, TenantId, WorkloadKind, WorkloadTerms,
};

pub use faults::{Company, TermsFault, faults_of_jobs};

/// Everything that one event starts, decided before the writer hears of it. Each workload in it
/// is all or nothing.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// What is started, in the order of the triggers.
    pub workloads: Vec<PlannedWorkload>,
    /// How often triggers may start something, by their names; of the others there is no bound.
    pub limits: BTreeMap<String, StartLimits>,
}

/// One workload to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedWorkload {
    /// Workflow or agent.
    pub kind: WorkloadKind,
    /// The workflow's or the profile's name.
    pub name: String,
    /// The trigger that wants it; empty for a submission.
    pub trigger: String,
    /// Who is charged.
    pub tenant_id: TenantId,
    /// The session that it starts or joins, for agents.
    pub session: Option<Box<PlannedSession>>,
    /// What it asks for as a whole.
    pub terms: WorkloadTerms,
    /// Whether jobs may join it later.
    pub open: bool,
    /// Its jobs; [`PlannedWorkload::check`] holds.
    pub jobs: Vec<PlannedJob>,
}

/// One job to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedJob {
    /// Unique in its workload.
    pub name: String,
    /// Names of jobs in the same workload that must end well first.
    pub needs: Vec<String>,
    /// What it requires of a runner, normalised.
    pub requirements: RunnerRequirements,
    /// How urgent it is.
    pub priority: JobPriority,
    /// How long an attempt may run, at least 1.
    pub timeout_ms: i64,
    /// How often it is tried again.
    pub retry: RetryPolicy,
    /// Wall milliseconds before which it is not offered; 0 for none.
    pub not_before_ms: i64,
    /// What it asks for beside a runner that fits.
    pub terms: JobTerms,
    /// What it does; shared, because a batch may have to be decided twice.
    pub spec: Arc<JobSpec>,
}

impl PlannedJob {
    /// What is said of a job that [`PlannedJob::waits_for_a_failure_of_nothing`].
    pub const FAILURE_OF_NOTHING: &str = "`failure` of what? The job needs nothing that can fail";

    /// Whether it runs on failure and needs nothing: it would run every time, and was to report
    /// failures.
    pub fn waits_for_a_failure_of_nothing(&self) -> bool {
        let terms = &self.terms;
        let needs = self.needs.len() + terms.late_needs.len() + terms.needs_workloads.len();
        terms.run_if == RunIf::Failure && needs == 0
    }
}

/// Why a workload cannot be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// Nothing to do.
    #[error("a workload needs at least one job")]
    NoJobs,
    /// More jobs than `workload_jobs_max`.
    #[error("{jobs} jobs in one workload, workload_jobs_max is {max}")]
    TooManyJobs {
        /// How many there are.
        jobs: usize,
        /// How many there may be.
        max: usize,
    },
    /// Two jobs of one name.
    #[error("two jobs are called `{0}`")]
    SameName(String),
    /// A need that is no job.
    #[error("job `{job}` needs `{need}`, which is not a job of this workload")]
    UnknownNeed {
        /// Who needs it.
        job: String,
        /// What is missing.
        need: String,
    },
    /// Jobs that wait for each other.
    #[error("jobs wait for each other: {}", .0.join(" -> "))]
    Cycle(
        /// The path, whose last name is its first.
        Vec<String>,
    ),
    /// Terms that nothing could obey.
    #[error("{0}")]
    Terms(TermsFault),
}

impl PlannedWorkload {
    /// Checks names, needs, their number and all terms, and resolves each job's needs to places in
    /// `jobs`. A need that an open workload does not have may still join it, and is left out.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong; a cycle with its path.
    pub fn check(&self, jobs_max: usize) -> Result<Vec<Vec<usize>>, PlanError> {
        if self.jobs.is_empty() {
            return Err(PlanError::NoJobs);
        }
        if self.jobs.len() > jobs_max {
            return Err(PlanError::TooManyJobs { jobs: self.jobs.len(), max: jobs_max });
        }
        let mut place = HashMap::with_capacity(self.jobs.len());
        for (at, job) in self.jobs.iter().enumerate() {
            if place.insert(job.name.as_str(), at).is_some() {
                return Err(PlanError::SameName(job.name.clone()));
            }
        }
        let mut needs = Vec::with_capacity(self.jobs.len());
        for job in &self.jobs {
            let mut resolved = Vec::with_capacity(job.needs.len());
            for need in &job.needs {
                match place.get(need.as_str()) {
                    Some(at) if resolved.contains(at) => {}
                    Some(&at) => resolved.push(at),
                    None if self.open => {}
                    None => {
                        let (job, need) = (job.name.clone(), need.clone());
                        return Err(PlanError::UnknownNeed { job, need });
                    }
                }
            }
            needs.push(resolved);
        }
        if let Some(path) = find_cycle(&needs) {
            let names = path.iter().map(|&at| self.jobs[at].name.clone());
            return Err(PlanError::Cycle(names.collect()));
        }
        match self.faults().into_iter().next() {
            None => Ok(needs),
            Some(fault) => Err(PlanError::Terms(fault)),
        }
    }

    /// Makes late needs of those needs of an open workload that are none of its jobs yet.
    pub fn split_late_needs(&mut self) {
        if self.open {
            let names: HashSet<String> = self.jobs.iter().map(|job| job.name.clone()).collect();
            sort_needs(&mut self.jobs, |name| names.contains(name));
        }
    }
}

/// Sorts the needs of jobs into those that `is_known` and those that may join later, and names each
/// once.
pub fn sort_needs(jobs: &mut [PlannedJob], is_known: impl Fn(&str) -> bool) {
    for PlannedJob { needs, terms, .. } in jobs {
        let mut all: Vec<String> = std::mem::take(needs);
        all.extend(std::mem::take(&mut terms.late_needs).into_iter().map(String::from));
        for need in all {
            match is_known(&need) {
                true if needs.contains(&need) => {}
                true => needs.push(need),
                false if terms.late_needs.iter().any(|late| **late == need) => {}
                false => terms.late_needs.push(need.into()),
            }
        }
    }
}

/// A path along `needs` whose last place is its first, if there is one. Depth first, without
/// recursion, so that a long chain cannot exhaust the stack.
pub fn find_cycle(needs: &[Vec<usize>]) -> Option<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        OnPath,
        Done,
    }
    let mut marks = vec![Mark::New; needs.len()];
    for start in 0..needs.len() {
        if marks[start] != Mark::New {
            continue;
        }
        marks[start] = Mark::OnPath;
        let mut path = vec![(start, 0)];
        while let Some((at, next)) = path.last_mut() {
            let Some(&need) = needs[*at].get(*next) else {
                marks[*at] = Mark::Done;
                path.pop();
                continue;
            };
            *next += 1;
            match marks[need] {
                Mark::Done => {}
                Mark::New => {
                    marks[need] = Mark::OnPath;
                    path.push((need, 0));
                }
                Mark::OnPath => {
                    let from = path.iter().position(|&(at, _)| at == need).unwrap_or(0);
                    let mut found: Vec<_> = path[from..].iter().map(|&(at, _)| at).collect();
                    found.push(need);
                    return Some(found);
                }
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobWork, Trust};

    pub(super) fn workload(jobs: &[(&str, &[&str])]) -> PlannedWorkload {
        let job = |(name, needs): &(&str, &[&str])| PlannedJob {
            name: (*name).to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            requirements: RunnerRequirements::default(),
            priority: JobPriority::Normal,
            timeout_ms: 1,
            retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
            not_before_ms: 0,
            terms: Default::default(),
            spec: Arc::new(JobSpec {
                work: JobWork::Steps(Vec::new()),
                env: Default::default(),
                trust: Trust::default(),
                traceparent: None,
                workflow: None,
            }),
        };
        PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: String::new(),
            tenant_id: TenantId::DEFAULT,
            session: None,
            terms: Default::default(),
            open: false,
            jobs: jobs.iter().map(job).collect(),
        }
    }

    #[test]
    fn needs_resolve_to_places() {
        let diamond =
            workload(&[("d", &["b", "c", "b"]), ("b", &["a"]), ("c", &["a"]), ("a", &[])]);
        assert_eq!(diamond.check(4), Ok(vec![vec![1, 2], vec![3], vec![3], vec![]]));
    }

    #[test]
    fn a_cycle_is_refused_with_its_path() {
        let error = workload(&[("a", &[]), ("b", &["a", "d"]), ("c", &["b"]), ("d", &["c"])])
            .check(10)
            .unwrap_err();
        assert_eq!(error.to_string(), "jobs wait for each other: b -> d -> c -> b");
        let own = workload(&[("a", &["a"])]).check(10).unwrap_err();
        assert_eq!(own, PlanError::Cycle(vec!["a".into(), "a".into()]));
    }

    #[test]
    fn a_long_chain_neither_recurses_nor_is_a_cycle() {
        let names: Vec<String> = (0..50_000).map(|at| format!("j{at}")).collect();
        let mut long = workload(&[]);
        let one = workload(&[("x", &[])]).jobs.remove(0);
        for (at, name) in names.iter().enumerate() {
            let needs = names.get(at + 1).cloned().into_iter().collect();
            long.jobs.push(PlannedJob { name: name.clone(), needs, ..one.clone() });
        }
        assert!(long.check(50_000).is_ok());
        assert_eq!(long.check(10).unwrap_err(), PlanError::TooManyJobs { jobs: 50_000, max: 10 });
    }

    #[test]
    fn names_must_be_unique_and_needs_known() {
        assert_eq!(
            workload(&[("a", &[]), ("a", &[])]).check(9),
            Err(PlanError::SameName("a".into()))
        );
        assert_eq!(
            workload(&[("a", &["z"])]).check(9).unwrap_err().to_string(),
            "job `a` needs `z`, which is not a job of this workload"
        );
        assert_eq!(workload(&[]).check(9), Err(PlanError::NoJobs));
    }

    #[test]
    fn an_open_workload_may_need_jobs_that_are_not_there_yet() {
        let mut planned = workload(&[("a", &[]), ("b", &["z", "a", "z"])]);
        planned.open = true;
        assert_eq!(planned.check(9), Ok(vec![vec![], vec![0]]));
        planned.split_late_needs();
        assert_eq!(planned.jobs[1].needs, ["a"]);
        assert_eq!(planned.jobs[1].terms.late_needs, ["z".into()]);
        assert_eq!(planned.check(9), Ok(vec![vec![], vec![0]]));
        planned.open = false;
        let error = planned.check(9).unwrap_err().to_string();
        assert_eq!(error, "job `b`: needs: `z` can only join a workload that is open");
    }

    #[test]
    fn a_closed_workload_has_no_late_needs() {
        let mut planned = workload(&[("a", &["z"])]);
        planned.split_late_needs();
        assert_eq!(planned.jobs[0].needs, ["z"]);
        assert!(matches!(planned.check(9), Err(PlanError::UnknownNeed { .. })));
    }
}
