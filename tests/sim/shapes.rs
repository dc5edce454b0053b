//! The shapes of runners, jobs and workloads, by the dice of a world.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatchyard::model::{
    GroupTerms, JobPriority, JobSpec, JobTerms, JobWork, MatrixTerms, OutboxTarget, PendingPolicy,
    Placement, PlannedJob, PlannedWorkload, Preference, ReportOn, ReportTo, ResourceNeed,
    RetryPolicy, RunIf, RunnerCapabilities, RunnerRequirements, Spread, Trust, WorkloadId,
    WorkloadKind, WorkloadTerms,
};

use crate::dice::Dice;
use crate::setup::{GENERAL, REGIONS, TENANTS, TIGHT, TRIGGERS};

const GROUPS: [&str; 3] = ["one", "latest", "few"];

/// What holds of a group, whoever names it.
pub(crate) fn group_terms(key: &str) -> (u32, PendingPolicy) {
    match key {
        "latest" => (1, PendingPolicy::Latest),
        "few" => (2, PendingPolicy::Queue { max: 2 }),
        _ => (1, PendingPolicy::default()),
    }
}

/// How many jobs of a matrix, or of a workload, may run at once where there is a limit.
pub(crate) fn max_parallel(matrix: bool) -> usize {
    if matrix { 1 } else { 2 }
}

fn group(dice: &mut Dice) -> GroupTerms {
    let key = dice.pick(&GROUPS);
    let (limit, pending) = group_terms(key);
    GroupTerms { key: key.into(), limit, cancel_in_progress: dice.once_in(4), pending }
}

/// What jobs are made beside.
pub(crate) struct Beside<'a> {
    pub(crate) wall_ms: i64,
    /// Workloads that there are, or were.
    pub(crate) workloads: &'a [WorkloadId],
    /// Names of jobs of the same workload.
    pub(crate) names: Vec<String>,
    pub(crate) open: bool,
    pub(crate) matrix: Option<MatrixTerms>,
}

/// A matrix that some of the jobs of a workload are of.
pub(crate) fn matrix(dice: &mut Dice) -> MatrixTerms {
    let max_parallel = (!dice.once_in(3)).then_some(max_parallel(true) as u32);
    MatrixTerms { key: "m".into(), max_parallel, fail_fast: dice.once_in(2) }
}

/// A workload with up to four jobs.
pub(crate) fn workload(dice: &mut Dice, beside: Beside<'_>) -> PlannedWorkload {
    let mut terms = WorkloadTerms {
        group: dice.once_in(6).then(|| group(dice)),
        max_parallel: dice.once_in(6).then_some(max_parallel(false) as u32),
        fail_fast: dice.once_in(6),
        title: None,
        report: Vec::new(),
        succession: None,
    };
    if terms.fail_fast {
        // Somebody is told of some of them.
        let target = OutboxTarget::Callback { url: "https://x.test".into() };
        terms.report.push(ReportTo { target, on: ReportOn::All });
    }
    let open = beside.open;
    let own = terms.group.as_ref().map(|group| group.key.clone());
    let mut jobs = jobs(dice, 1, 4, beside);
    for job in &mut jobs {
        // It would wait for its own workload, which is refused.
        job.terms.group.take_if(|group| Some(&group.key) == own.as_ref());
    }
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "w".into(),
        trigger: dice.pick(&TRIGGERS).to_owned(),
        tenant_id: dice.pick(&TENANTS),
        session: None,
        terms,
        open,
        jobs,
    }
}

/// Two workloads, each in a group that the second job of the other needs: by then both are in.
pub(crate) fn tangled() -> [PlannedWorkload; 2] {
    let group = |key: &str| {
        let (limit, pending) = group_terms(key);
        Some(GroupTerms { key: key.into(), limit, cancel_in_progress: false, pending })
    };
    let job = |name: &str, needs: &[&str], group| PlannedJob {
        name: name.to_owned(),
        needs: needs.iter().map(|name| (*name).to_owned()).collect(),
        requirements: RunnerRequirements::default(),
        priority: JobPriority::Normal,
        timeout_ms: 100,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
        not_before_ms: 0,
        terms: JobTerms { group, ..JobTerms::default() },
        spec: spec(),
    };
    [("one", "latest"), ("latest", "one")].map(|(of_workload, of_job)| PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "w".into(),
        trigger: TRIGGERS[0].to_owned(),
        tenant_id: TENANTS[0],
        session: None,
        terms: WorkloadTerms { group: group(of_workload), ..WorkloadTerms::default() },
        open: false,
        jobs: vec![job("j0", &[], None), job("j1", &["j0"], group(of_job))],
    })
}

/// From `least` to `most` jobs of one workload.
pub(crate) fn jobs(
    dice: &mut Dice,
    least: u64,
    most: u64,
    mut beside: Beside<'_>,
) -> Vec<PlannedJob> {
    let count = least + dice.roll(most - least + 1);
    let mut jobs = Vec::new();
    for _ in 0..count {
        let job = job(dice, &beside);
        beside.names.push(job.name.clone());
        jobs.push(job);
    }
    jobs
}

/// What a process offers; `all` is whatever any job requires.
pub(crate) fn capabilities(dice: &mut Dice, all: bool) -> RunnerCapabilities {
    let mut labels: Vec<Box<str>> = Vec::new();
    labels.extend((all || dice.once_in(2)).then(|| "big".into()));
    labels.extend((all || dice.once_in(6)).then(|| "rare".into()));
    RunnerCapabilities {
        labels,
        cpu_cores: if all { 4 } else { 1 + dice.roll(4) as u32 },
        gpu: u32::from(all || dice.once_in(3)),
        max_parallel_jobs: 1 + dice.roll(4) as u32,
        region: match all {
            true => Some(REGIONS[0].into()),
            false => (!dice.once_in(4)).then(|| dice.pick(&REGIONS).into()),
        },
        ..RunnerCapabilities::default()
    }
}

fn requirements(dice: &mut Dice) -> RunnerRequirements {
    let (pool_id, fallback_pools) = match dice.roll(8) {
        0..=3 => (GENERAL, vec![]),
        4 => (TIGHT, vec![]),
        5 => (GENERAL, vec![TIGHT]),
        _ => (TIGHT, vec![GENERAL]),
    };
    let need = |name: &str, units| ResourceNeed { name: name.into(), units };
    let resources = match dice.roll(9) {
        0 => vec![need("port", 1)],
        1 => vec![need("db", 1)],
        2 => vec![need("db", 2)],
        3 => vec![need("db", 1 + dice.roll(2) as u32), need("port", 1)],
        _ => vec![],
    };
    let labels = match dice.roll(10) {
        0 | 1 => vec!["big".into()],
        2 => vec!["rare".into()],
        _ => vec![],
    };
    let required_regions = if dice.once_in(12) { vec![REGIONS[0].into()] } else { vec![] };
    let preferred_regions = match dice.once_in(5) {
        true => vec![dice.pick(&REGIONS).into(), dice.pick(&REGIONS).into()],
        false => vec![],
    };
    let preferred = Preference { label: "big".into(), weight: 5 };
    RunnerRequirements {
        labels,
        min_cpu_cores: dice.pick(&[0, 0, 1, 2, 3]),
        gpu: u32::from(dice.once_in(9)),
        pool_id,
        fallback_pools,
        resources,
        required_regions,
        preferred_regions,
        preferred: if dice.once_in(8) { vec![preferred] } else { vec![] },
        ..RunnerRequirements::default()
    }
    .normalised()
}

fn placement(dice: &mut Dice) -> Placement {
    let key = || Some("k".into());
    match dice.roll(12) {
        0 | 1 => Placement { anti_affinity: key(), ..Placement::default() },
        2 => Placement { affinity: key(), ..Placement::default() },
        3 | 4 => Placement { affinity: key(), affinity_required: true, ..Placement::default() },
        5 => Placement {
            spread: Some(Spread { key: "s".into(), over: Default::default() }),
            ..Placement::default()
        },
        _ => Placement::default(),
    }
}

/// The next job of a workload: what it needs is there, or joins later, or never comes.
fn job(dice: &mut Dice, beside: &Beside<'_>) -> PlannedJob {
    let at = beside.names.len();
    let known = beside.names.iter().filter(|_| dice.once_in(4)).cloned();
    let mut needs: Vec<_> = known.collect();
    if beside.open && dice.once_in(4) {
        needs.push(format!("j{}", at as u64 + 1 + dice.roll(4)));
    }
    let requirements = requirements(dice);
    let placement = placement(dice);
    let wall_ms = beside.wall_ms;
    let workloads = beside.workloads;
    let needed = !workloads.is_empty() && dice.once_in(8);
    // A failure of nothing is refused.
    let on_failure = if needed || !needs.is_empty() { RunIf::Failure } else { RunIf::Always };
    let terms = JobTerms {
        run_if: dice.pick(&[RunIf::Success, RunIf::Success, on_failure, RunIf::Always]),
        needs_workloads: if needed { vec![dice.pick(workloads)] } else { vec![] },
        group: dice.once_in(8).then(|| group(dice)),
        matrix: beside.matrix.clone().filter(|_| dice.once_in(2)),
        deadline_ms: dice.once_in(6).then(|| wall_ms + dice.roll(120) as i64),
        max_wait_ms: dice.once_in(6).then(|| 1 + dice.roll(90) as i64),
        queue_timeout_ms: dice.once_in(10).then(|| 20 + dice.roll(120) as i64),
        placement,
        ..JobTerms::default()
    };
    PlannedJob {
        name: format!("j{at}"),
        needs,
        requirements,
        priority: dice.pick(&JobPriority::ALL),
        timeout_ms: 30 + dice.roll(80) as i64,
        retry: RetryPolicy { max_retries: dice.roll(3) as u32, backoff_ms: dice.pick(&[0, 200]) },
        not_before_ms: if dice.once_in(8) { wall_ms + dice.roll(30) as i64 } else { 0 },
        terms,
        spec: spec(),
    }
}

pub(crate) fn spec() -> Arc<JobSpec> {
    Arc::new(JobSpec {
        work: JobWork::Steps(Vec::new()),
        env: BTreeMap::new(),
        trust: Trust::default(),
        traceparent: None,
        workflow: None,
    })
}
