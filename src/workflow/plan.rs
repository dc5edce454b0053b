//! From a checked file to the workload that one trigger starts.

use std::sync::Arc;

use crate::ask::{Ask, Planned, Resolved};
use crate::model::{
    Catalogue, JobSpec, JobWork, PlannedJob, PlannedWorkload, RetryPolicy, TenantId, TermsFault,
    Trust, WorkloadKind,
};
use crate::trigger::Overrides;

use super::File;
use super::file::FileJob;

/// What jobs get when neither trigger nor file says; the configuration's values.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// Minutes that one attempt may run; GitHub's 360.
    pub timeout_minutes: u32,
    /// Charged failures that may be followed by another try. None: a failed test is an answer.
    pub max_retries: u32,
    /// The first backoff in milliseconds.
    pub backoff_ms: u32,
    /// The most jobs of one workload.
    pub workload_jobs_max: usize,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { timeout_minutes: 360, max_retries: 0, backoff_ms: 1_000, workload_jobs_max: 256 }
    }
}

impl Defaults {
    /// Timeout and retries of a job: what the trigger and then the file say, else these.
    pub fn limits(&self, timeout_minutes: Option<u32>, ask: &Ask) -> (i64, RetryPolicy) {
        let minutes = timeout_minutes.unwrap_or(self.timeout_minutes);
        let retry = RetryPolicy {
            max_retries: ask.max_retries.unwrap_or(self.max_retries),
            backoff_ms: ask.backoff_ms.unwrap_or(self.backoff_ms).into(),
        };
        (i64::from(minutes) * 60_000, retry)
    }
}

/// The workload that `trigger` (empty for a start by hand) makes of `file`. It carries no trust
/// and no trace yet: those are the event's.
///
/// Its name is the file's, and its jobs' names are their ids: what people type and what routes
/// match stays the same when somebody edits a title.
///
/// # Errors
///
/// Every name that the catalogue does not know.
pub fn plan(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> Result<Planned, Vec<TermsFault>> {
    let (planned, faults) = draft(file, trigger, overrides, defaults, catalogue);
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

/// The plan, with what is wrong in it: see [`Ask::draft`].
pub(super) fn draft(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
) -> (Planned, Vec<TermsFault>) {
    let whole = overrides.ask.or(&file.dispatch.ask);
    let (mut jobs, mut later) = (Vec::with_capacity(file.jobs.len()), Vec::new());
    let mut faults = Vec::new();
    for job in &file.jobs {
        let own = overrides.ask.for_jobs().or(&job.dispatch.ask.or(&file.dispatch.ask.for_jobs()));
        let (resolved, found) = own.draft(&job.runs_on, catalogue);
        faults.extend(found.into_iter().map(|found| found.of_job(Some(&job.id))));
        later.push(resolved.later);
        let minutes = overrides.timeout_minutes.or(job.timeout_minutes);
        jobs.push(plan_job(file, job, resolved, defaults.limits(minutes, &own)));
    }
    let workload = PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: file.name.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        terms: whole.workload_terms(),
        open: false,
        jobs,
    };
    (Planned { workload, later }, faults)
}

fn plan_job(
    file: &File,
    job: &FileJob,
    resolved: Resolved,
    (timeout_ms, retry): (i64, RetryPolicy),
) -> PlannedJob {
    let mut env = file.env.clone();
    env.extend(job.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    PlannedJob {
        name: job.id.clone(),
        needs: job.needs.iter().map(|need| need.value.clone()).collect(),
        requirements: resolved.requirements,
        priority: resolved.priority,
        timeout_ms,
        retry,
        not_before_ms: 0,
        terms: resolved.terms,
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(job.steps.clone()),
            env,
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobPriority, PendingPolicy, RunIf};

    const TEXT: &str = "
env: { A: file, B: file }
x-dispatch: { priority: low, min_memory_gb: 2, max_retries: 1, gpu: true }
jobs:
  one:
    runs-on: [Linux, self-hosted]
    env: { B: job }
    x-dispatch: { min_memory_gb: 4, architecture: ARM64, gpu: 0, backoff_ms: 0 }
    timeout-minutes: 5
    steps: [{ run: 'true', timeout-minutes: 1 }]
  two:
    needs: one
    runs-on: []
    steps: [{ run: 'true' }]
";

    fn planned(file: &File, overrides: &Overrides) -> PlannedWorkload {
        let catalogue = Catalogue::default();
        let planned = plan(file, "t", overrides, &Defaults::default(), &catalogue).unwrap();
        planned.settle(1_000, None, &catalogue)
    }

    #[test]
    fn a_jobs_values_outrank_the_files_which_outrank_the_defaults() {
        let file = File::parse("w.yml", TEXT).unwrap();
        let planned = planned(&file, &Overrides::default());
        assert_eq!(planned.check(2), Ok(vec![vec![], vec![0]]));
        let [one, two] = planned.jobs.as_slice() else { panic!("two jobs") };

        assert_eq!(one.requirements.labels, ["linux".into(), "self-hosted".into()]);
        assert_eq!(one.requirements.architecture.as_deref(), Some("arm64"));
        assert_eq!((one.requirements.min_memory_gb, two.requirements.min_memory_gb), (4, 2));
        assert_eq!((one.requirements.gpu, two.requirements.gpu), (0, 1));
        assert_eq!((one.timeout_ms, two.timeout_ms), (300_000, 360 * 60_000));
        assert_eq!(one.retry, RetryPolicy { max_retries: 1, backoff_ms: 0 });
        assert_eq!(two.retry, RetryPolicy { max_retries: 1, backoff_ms: 1_000 });
        assert_eq!((one.priority, two.priority), (JobPriority::Low, JobPriority::Low));
        let env: Vec<_> = one.spec.env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        assert_eq!(env, [("A", "file"), ("B", "job")]);
        let JobWork::Steps(steps) = &one.spec.work else { panic!("steps") };
        assert_eq!(steps[0].timeout_ms, Some(60_000));
    }

    #[test]
    fn a_triggers_values_outrank_the_files() {
        let file = File::parse("w.yml", TEXT).unwrap();
        let ask = serde_json::from_value(serde_json::json!({
            "priority": "high", "max_retries": 7, "backoff_ms": 3, "min_memory_gb": 8,
        }));
        let trigger = Overrides { timeout_minutes: Some(9), ask: ask.unwrap() };
        for job in planned(&file, &trigger).jobs {
            assert_eq!((job.priority, job.timeout_ms), (JobPriority::High, 540_000));
            assert_eq!(job.retry, RetryPolicy { max_retries: 7, backoff_ms: 3 });
            assert_eq!(job.requirements.min_memory_gb, 8);
        }
    }

    #[test]
    fn terms_of_the_workflow_and_of_its_jobs_reach_the_plan() {
        let text = "
concurrency: { group: deploy, cancel-in-progress: true }
x-dispatch: { max_wait: 2m, deadline: 1h, max_parallel: 2, region: [EU, us] }
jobs:
  one:
    runs-on: x
    concurrency: database
    x-dispatch: { queue_timeout: 10s, affinity: app, anti-affinity: db }
    steps: [{ run: 'true' }]
  two:
    needs: one
    runs-on: x
    x-dispatch: { run_if: failure, deadline: 2h, group: { key: three, limit: 3, queue_max: 5 } }
    steps: [{ run: 'true' }]
";
        let file = File::parse("w.yml", text).unwrap();
        let workload = planned(&file, &Overrides::default());
        let group = workload.terms.group.as_ref().unwrap();
        assert_eq!((&*group.key, group.limit, group.pending), ("deploy", 1, PendingPolicy::Latest));
        assert_eq!((group.cancel_in_progress, workload.terms.max_parallel), (true, Some(2)));
        let [one, two] = workload.jobs.as_slice() else { panic!("two jobs") };
        let keys = |job: &PlannedJob| job.terms.group.clone().map(|group| (group.key, group.limit));
        assert_eq!(keys(one), Some(("database".into(), 1)));
        assert_eq!(keys(two), Some(("three".into(), 3)));
        assert_eq!(two.terms.group.as_ref().unwrap().pending, PendingPolicy::Queue { max: 5 });
        assert_eq!((one.terms.run_if, two.terms.run_if), (RunIf::Success, RunIf::Failure));
        assert_eq!(one.terms.deadline_ms, Some(1_000 + 3_600_000));
        assert_eq!(two.terms.deadline_ms, Some(1_000 + 7_200_000));
        assert_eq!(
            (one.terms.max_wait_ms, one.terms.queue_timeout_ms),
            (Some(120_000), Some(10_000))
        );
        assert_eq!(one.requirements.required_regions, ["eu".into(), "us".into()]);
        assert_eq!(one.terms.placement.affinity.as_deref(), Some("app"));
        assert_eq!(one.terms.placement.anti_affinity.as_deref(), Some("db"));
    }
}
