//! From a checked file to the workload that one trigger starts.

use std::sync::Arc;

use crate::model::{
    JobPriority, JobSpec, JobWork, PlannedJob, PlannedWorkload, RetryPolicy, RunnerRequirements,
    TenantId, Trust, WorkloadKind,
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
    /// Timeout and retries of a job: the trigger's values, then the file's, then these.
    pub fn limits(
        &self,
        trigger: &Overrides,
        timeout_minutes: Option<u32>,
        max_retries: Option<u32>,
        backoff_ms: Option<u32>,
    ) -> (i64, RetryPolicy) {
        let minutes = trigger.timeout_minutes.or(timeout_minutes).unwrap_or(self.timeout_minutes);
        let backoff_ms = trigger.backoff_ms.or(backoff_ms).unwrap_or(self.backoff_ms);
        let retry = RetryPolicy {
            max_retries: trigger.max_retries.or(max_retries).unwrap_or(self.max_retries),
            backoff_ms: backoff_ms.into(),
        };
        (i64::from(minutes) * 60_000, retry)
    }
}

/// The workload that `trigger` (empty for a start by hand) makes of `file`. It carries no trust
/// and no trace yet: those are the event's.
///
/// Its name is the file's, and its jobs' names are their ids: what people type and what routes
/// match stays the same when somebody edits a title.
pub fn plan(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
) -> PlannedWorkload {
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: file.name.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session_key: None,
        jobs: file.jobs.iter().map(|job| plan_job(file, job, overrides, defaults)).collect(),
    }
}

fn plan_job(file: &File, job: &FileJob, trigger: &Overrides, defaults: &Defaults) -> PlannedJob {
    let own = job.dispatch.or(&file.dispatch);
    let (timeout_ms, retry) =
        defaults.limits(trigger, job.timeout_minutes, own.max_retries, own.backoff_ms);
    let requirements = RunnerRequirements {
        labels: job.runs_on.iter().map(|label| label.as_str().into()).collect(),
        architecture: own.architecture.map(Into::into),
        os: own.os.map(Into::into),
        min_memory_gb: own.min_memory_gb.unwrap_or_default(),
        min_cpu_cores: own.min_cpu_cores.unwrap_or_default(),
        requires_docker: own.requires_docker.unwrap_or_default(),
        gpu: own.gpu.unwrap_or_default(),
        ..RunnerRequirements::default()
    };
    let mut env = file.env.clone();
    env.extend(job.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    PlannedJob {
        name: job.id.clone(),
        needs: job.needs.iter().map(|need| need.value.clone()).collect(),
        requirements: requirements.normalised(),
        priority: trigger.priority.or(own.priority).unwrap_or(JobPriority::Normal),
        timeout_ms,
        retry,
        not_before_ms: 0,
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(job.steps.clone()),
            env,
            trust: Trust::default(),
            traceparent: None,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn a_jobs_values_outrank_the_files_which_outrank_the_defaults() {
        let file = File::parse("w.yml", TEXT).unwrap();
        let planned = plan(&file, "t", &Overrides::default(), &Defaults::default());
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
        let trigger = Overrides {
            priority: Some(JobPriority::High),
            timeout_minutes: Some(9),
            max_retries: Some(7),
            backoff_ms: Some(3),
        };
        for job in plan(&file, "t", &trigger, &Defaults::default()).jobs {
            assert_eq!((job.priority, job.timeout_ms), (JobPriority::High, 540_000));
            assert_eq!(job.retry, RetryPolicy { max_retries: 7, backoff_ms: 3 });
        }
    }
}
