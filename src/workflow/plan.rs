//! From a checked file to the workload that one trigger starts.

use crate::ask::{Ask, Planned};
use crate::model::{Catalogue, PlannedWorkload, RetryPolicy, TenantId, TermsFault, WorkloadKind};
use crate::trigger::Overrides;

use super::File;
use super::drafting::Drafting;
use super::script::Policy;
use super::values::Values;

/// What a runner must offer to carry out steps that `uses` an action.
pub const ACTIONS_LABEL: &str = "actions";

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
    /// What becomes of values from outside in scripts.
    pub policy: Policy,
    /// Whether a file that no trigger starts is started by its own `on`.
    pub start_by_on: bool,
}

impl Default for Defaults {
    fn default() -> Self {
        Self {
            timeout_minutes: 360,
            max_retries: 0,
            backoff_ms: 1_000,
            workload_jobs_max: 256,
            policy: Policy::default(),
            start_by_on: false,
        }
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
/// and no trace yet: those are the event's. `values` is what its expressions read; a file without
/// expressions over the event ([`File::is_static`]) needs none.
///
/// Its name is the file's, and its jobs' names are their ids: what people type and what routes
/// match stays the same when somebody edits a title. A job of a matrix has its values behind its id.
///
/// # Errors
///
/// Every name that the catalogue does not know, and every expression that cannot be filled in.
pub fn plan(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
    values: Option<&Values>,
) -> Result<Planned, Vec<TermsFault>> {
    let (planned, faults) = draft(file, trigger, overrides, defaults, catalogue, values);
    if faults.is_empty() { Ok(planned) } else { Err(faults) }
}

/// The plan, with what is wrong in it: see [`Ask::draft`]. Without `values` what only an event can fill in is
/// left out.
pub(super) fn draft(
    file: &File,
    trigger: &str,
    overrides: &Overrides,
    defaults: &Defaults,
    catalogue: &Catalogue,
    values: Option<&Values>,
) -> (Planned, Vec<TermsFault>) {
    let mut drafting = Drafting {
        file,
        overrides,
        defaults,
        catalogue,
        values,
        trigger,
        jobs: Vec::with_capacity(file.jobs.len()),
        later: Vec::new(),
        names: Vec::with_capacity(file.jobs.len()),
        faults: Vec::new(),
    };
    let group = drafting.group_of_workload();
    for job in &file.jobs {
        drafting.job(job);
    }
    let title = drafting.run_name();
    let Drafting { mut jobs, later, names, faults, .. } = drafting;
    // A job that needs a matrix needs all of its jobs.
    for job in &mut jobs {
        let ids = std::mem::take(&mut job.needs);
        for id in &ids {
            let of = names.iter().filter(|(known, _)| known == id);
            job.needs.extend(of.map(|(_, name)| name.clone()));
        }
    }
    let mut whole = overrides.ask.or(&file.dispatch.ask);
    whole.group = overrides.ask.group.clone().or(group).or(whole.group);
    let mut terms = whole.workload_terms();
    terms.title = title.map(Into::into);
    let workload = PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: file.name.clone(),
        trigger: trigger.to_owned(),
        tenant_id: TenantId::DEFAULT,
        session: None,
        terms,
        open: false,
        jobs,
    };
    (Planned { workload, later }, faults)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{JobPriority, JobWork, PendingPolicy, PlannedJob, RunIf};

    const TEXT: &str = "
env: { A: file, B: file }
x-dispatch: { priority: low, min_memory_gb: 2, max_retries: 1, gpu: true }
jobs:
  one:
    runs-on: [Linux, self-hosted]
    env: { B: job }
    x-dispatch: { min_memory_gb: 4, architecture: ARM64, gpu: 0, backoff_ms: 0 }
    timeout-minutes: 5
    steps: [{ run: 'true', timeout-minutes: 1 }, { run: 'true', timeout-minutes: '${{ env.B }}' }]
  two:
    needs: one
    runs-on: []
    steps: [{ run: 'true' }]
";

    fn planned(file: &File, overrides: &Overrides) -> PlannedWorkload {
        let catalogue = Catalogue::default();
        let planned = plan(file, "t", overrides, &Defaults::default(), &catalogue, None).unwrap();
        planned.settle(1_000, None, &catalogue)
    }

    #[test]
    fn a_jobs_values_outrank_the_files_which_outrank_the_defaults() {
        let file = File::parse("w.yml", TEXT, Policy::default()).unwrap();
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
        assert_eq!(
            (steps[1].timeout_ms, steps[1].timeout_minutes.as_deref()),
            (None, Some("${{ env.B }}"))
        );
    }

    #[test]
    fn a_triggers_values_outrank_the_files() {
        let file = File::parse("w.yml", TEXT, Policy::default()).unwrap();
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
        let file = File::parse("w.yml", text, Policy::default()).unwrap();
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

#[cfg(test)]
#[path = "plan_tests.rs"]
mod expression_tests;
