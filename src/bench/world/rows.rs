//! The rows of the world: what a load reads.

use std::collections::BTreeMap;

use super::{NOW, OLDEST_MS, Seeded, Size, is_at_its_maximum, label, needs_licence, pool};
use super::{requirements, tenant, terms};
use crate::model::{
    Class, ClassId, Entropy as _, Job, JobId, JobPriority, JobState, Lease, LeaseToken, Marks,
    Names, Nonce, Rare, Runner, RunnerCapabilities, RunnerId, Snapshot, Workload, WorkloadId,
    WorkloadKind, WorkloadState,
};

/// The epoch of the loaded scheduler; leases are of the one before.
const EPOCH: i64 = 2;
/// Classes of its pool that a runner offers.
const OFFERED: usize = 5;

/// A runner's row.
fn runner(size: Size, number: usize) -> (Runner, Vec<usize>) {
    let busy = size.busy_classes();
    let (classes, place) = match number.checked_sub(size.busy_runners()) {
        None => (0..busy, number),
        Some(quiet) => (busy..size.classes, quiet),
    };
    let many = classes.len();
    let first = classes.start + place % many;
    let pool_id = pool(first);
    let from_first = (0..many).map(|step| classes.start + (place + step) % many);
    let mut offered: Vec<_> =
        from_first.clone().filter(|class| pool(*class) == pool_id).take(OFFERED).collect();
    offered.extend(from_first.filter(|class| class % 6 == 3 && pool(class + 1) == pool_id).take(1));
    let mut labels: Vec<Box<str>> = offered.iter().map(|class| label(*class)).collect();
    labels.push("linux".into());
    if number.is_multiple_of(3) {
        labels.push("disk=ssd".into());
    }
    let slots = if number % 10 == 9 { 3 } else { 2 };
    let capabilities = RunnerCapabilities {
        labels,
        cpu_cores: 16,
        memory_gb: 64,
        region: Some(["eu", "us", "ap"][number % 3].into()),
        zone: Some(["a", "b"][number / 3 % 2].into()),
        max_parallel_jobs: slots,
        ..RunnerCapabilities::default()
    };
    let row = Runner {
        id: RunnerId(number as i64 + 1),
        name: format!("runner-{number}").into(),
        instance_id: format!("instance-{number}").into(),
        boot_id: "boot".into(),
        pool_id,
        token_hash: format!("{number:064x}").into(),
        capabilities: capabilities.normalised(),
        cordoned: None,
        draining: false,
        version: "bench".into(),
        registered_at_ms: NOW.wall_ms,
        order: None,
    };
    (row, offered)
}

fn class_id(class: usize) -> ClassId {
    ClassId(class as i64 + 1)
}

fn job(id: i64, class: usize, owner: usize, age_ms: usize, random: &mut Seeded) -> Job {
    let queued_at_ms = NOW.wall_ms - age_ms as i64;
    Job {
        id: JobId(id),
        workload_id: WorkloadId(id),
        class_id: class_id(class),
        tenant_id: tenant(owner),
        name: "test".into(),
        terms: None,
        state: JobState::Pending,
        priority: JobPriority::ALL[random.below(JobPriority::ALL.len())],
        lane_key: queued_at_ms,
        queued_at_ms,
        ready_at_ms: queued_at_ms,
        not_before_ms: 0,
        timeout_ms: 21_600_000,
        backoff_ms: 1_000,
        attempt: 0,
        retry_count: 0,
        max_retries: 0,
        need_failed: false,
        in_group: false,
        unschedulable: false,
        extras: Rare::default(),
    }
}

fn workload(job: &Job) -> Workload {
    let running = job.lease().is_some();
    Workload {
        id: job.workload_id,
        run: 1,
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        tenant_id: job.tenant_id,
        delivery_id: None,
        trigger: "on-push".into(),
        session_key: None,
        terms: None,
        open: false,
        in_group: false,
        quiet_until_ms: 0,
        state: if running { WorkloadState::Running } else { WorkloadState::Pending },
        begun: running,
        created_at_ms: job.queued_at_ms,
        ended_at_ms: None,
    }
}

/// All rows: each busy runner has one job already, the others wait.
pub(in crate::bench) fn snapshot(size: Size, random: &mut Seeded) -> Snapshot {
    let classes = (0..size.classes)
        .map(|class| Class { id: class_id(class), requirements: requirements(size, class) });
    let mut jobs = Vec::with_capacity(size.jobs + size.busy_runners());
    let mut running = vec![0; size.tenants];
    // As the store does.
    let mut names = Names::default();
    let mut runners = Vec::with_capacity(size.runners);
    for number in 0..size.runners {
        let (row, offered) = runner(size, number);
        if number < size.busy_runners() {
            let mut owner = random.below(size.tenants);
            let few = (size.runners / 200).max(1);
            if is_at_its_maximum(owner) && running[owner] >= few {
                owner = (owner + 1) % size.tenants;
            }
            running[owner] += 1;
            // Resources are taken in the course of the measurement.
            let plain = offered.iter().copied().find(|class| !needs_licence(size, *class));
            let id = jobs.len() as i64 + 1;
            let class = plain.unwrap_or(offered[0]);
            let mut job = job(id, class, owner, OLDEST_MS, random);
            job.share_names(&mut names);
            let lease = Lease {
                token: LeaseToken::new(EPOCH - 1, id),
                nonce: Nonce(random.next_u64()),
                runner_id: row.id,
                assigned_at_ms: NOW.wall_ms - 1_000,
            };
            job.state =
                JobState::Running { lease: Box::new(lease), started_at_ms: NOW.wall_ms - 900 };
            job.attempt = 1;
            jobs.push(job);
        }
        runners.push(row);
    }
    let mut in_groups: BTreeMap<Box<str>, u32> = BTreeMap::new();
    for number in 0..size.jobs {
        let (class, owner) = (random.below(size.busy_classes()), random.below(size.tenants));
        let id = jobs.len() as i64 + 1;
        let mut job = job(id, class, owner, random.below(OLDEST_MS), random);
        job.share_names(&mut names);
        let terms = terms(number);
        if let Some(group) = &terms.group {
            let inside = in_groups.entry(format!("{owner}/{}", group.key).into()).or_default();
            job.in_group = *inside < group.limit;
            *inside += u32::from(job.in_group);
        }
        job.terms = terms.boxed();
        jobs.push(job);
    }
    let mut workloads: Vec<_> = Vec::with_capacity(jobs.len());
    for job in &jobs {
        let mut row = workload(job);
        row.share_names(&mut names);
        workloads.push(row);
    }
    let next = jobs.len() as i64 + 1;
    Snapshot {
        epoch: EPOCH,
        marks: Marks {
            next_workload: next,
            next_job: next,
            next_runner: size.runners as i64 + 1,
            next_class: size.classes as i64 + 1,
        },
        classes: classes.collect(),
        workloads,
        jobs,
        runners,
        ..Snapshot::default()
    }
}
