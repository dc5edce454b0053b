//! A large server as rows: what a load would read in the middle of a busy day, with every policy on.
//!
//! - Classes: four fifths have a long queue and busy runners, the others have runners that wait. A
//!   runner offers up to five classes of its pool, and one of the pool before where that falls
//!   back to it.
//! - Pools: one each of `least_loaded`, `learned` with `fair_share`, `best_fit` with reserved
//!   resources, and `locality` with `skill`; all of them hold jobs back for less busy runners.
//! - Tenants have weights of 1 to 4 and quotas. One in ten is at its `running_max` all the time,
//!   another one in ten at its `starts_per_minute_max`.
//! - Every fifth class needs a unit of a resource that is scarce. Of 500 jobs five each are in a
//!   group, have a start that is due, or want to be near to others, some want to be spread, and one
//!   keeps apart. Jobs are up to two hours old, so most have been raised by aging.

mod rows;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub(super) use rows::snapshot;

use crate::dispatch::{PoolSettings, Register, Settings, TenantSettings};
use crate::model::{
    Catalogue, Entropy, GroupTerms, JobPriority, JobSpec, JobTerms, JobWork, Now, PendingPolicy,
    Placement, PlannedJob, PlannedWorkload, PoolId, Preference, ResourceNeed, RetryPolicy,
    RunnerCapabilities, RunnerRequirements, Spread, SpreadOver, Step, TenantId, Trust,
    WorkloadKind,
};

/// How large the world is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Size {
    /// Jobs that wait.
    pub jobs: usize,
    /// Registered runners, at least as many as classes.
    pub runners: usize,
    /// Kinds of requirements, at least 2.
    pub classes: usize,
    /// Tenants, at least 1.
    pub tenants: usize,
}

impl Default for Size {
    fn default() -> Self {
        Self { jobs: 100_000, runners: 10_000, classes: 50, tenants: 20 }
    }
}

impl Size {
    /// Classes with a queue; the others have waiting runners.
    pub(super) fn busy_classes(&self) -> usize {
        self.classes - (self.classes / 5).max(1)
    }

    /// Runners of classes with a queue.
    pub(super) fn busy_runners(&self) -> usize {
        let classes = self.busy_classes();
        (self.runners * classes / self.classes).max(classes)
    }
}

/// A seeded generator: each run decides the same.
#[derive(Clone, Debug)]
pub struct Seeded(pub u64);

impl Entropy for Seeded {
    fn next_u64(&mut self) -> u64 {
        // xorshift64* (Vigna 2014).
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}

impl Seeded {
    /// A number below `end`, which is at least 1.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        // The upper bits, which are the better ones.
        ((self.next_u64() >> 33) % end as u64) as usize
    }
}

/// When the world begins.
pub(super) const NOW: Now = Now { mono_ms: 0, wall_ms: 1_700_000_000_000 };
const POOLS: usize = 4;
const OLDEST_MS: usize = 7_200_000;

fn pool(class: usize) -> PoolId {
    PoolId((class % POOLS) as i64 + PoolId::DEFAULT.0)
}

fn tenant(number: usize) -> TenantId {
    TenantId(number as i64 + TenantId::DEFAULT.0)
}

fn label(class: usize) -> Box<str> {
    format!("class-{class}").into()
}

/// Settings of a server that does nothing but what is measured: no limit is reached but by those
/// that are to be.
pub(super) fn plain_settings() -> Settings {
    Settings {
        max_global_concurrency: 1_000_000,
        queue_jobs_max: 10_000_000,
        poll_wait_max_ms: 3_600_000,
        runners_max: 1_000_000,
        ..Settings::default()
    }
}

/// Settings with every policy on.
pub(super) fn settings(size: Size) -> Settings {
    let pool_of = |at: usize| {
        let mut pool = PoolSettings::default();
        let (selection, scheduling) = match at {
            0 => ("least_loaded", "priority"),
            1 => ("learned", "fair_share"),
            2 => ("best_fit", "priority"),
            _ => ("locality", "skill"),
        };
        pool.selection_policy = selection.into();
        pool.scheduling_policy = scheduling.into();
        pool.reserve_resources = at == 2;
        pool.distances = [(("eu", "us"), 90), (("us", "eu"), 90)]
            .map(|((from, to), far)| ((from.into(), to.into()), far))
            .into();
        (self::pool(at), pool)
    };
    let tenant_of = |at: usize| {
        let few = (size.runners as u64 / 200).max(1);
        let settings = TenantSettings {
            weight: 1 + at as u32 % 4,
            running_max: Some(if is_at_its_maximum(at) { few } else { 10_000_000 }),
            starts_per_minute_max: (at % 10 == 7).then_some(600),
            cpu_cores_max: Some(10_000_000),
            critical_running_max: Some(10_000_000),
            ..TenantSettings::default()
        };
        (tenant(at), settings)
    };
    let units = (size.runners as u32 / 50).max(1);
    Settings {
        pools: (0..POOLS).map(pool_of).collect(),
        tenants: (0..size.tenants).map(tenant_of).collect(),
        catalogue: Catalogue {
            resources: [("licence-*".into(), units)].into(),
            ..Catalogue::default()
        },
        classes_max: size.classes.max(10_000),
        ..plain_settings()
    }
}

fn is_at_its_maximum(tenant: usize) -> bool {
    tenant % 10 == 3
}

fn needs_licence(size: Size, class: usize) -> bool {
    class % 5 == 1 && class < size.busy_classes()
}

/// What jobs of a class require.
fn requirements(size: Size, class: usize) -> RunnerRequirements {
    let with = |yes: bool| usize::from(yes);
    let licence = ResourceNeed { name: format!("licence-{}", class % 3).into(), units: 1 };
    let disk = Preference { label: "disk=ssd".into(), weight: 20 };
    RunnerRequirements {
        labels: vec!["linux".into(), label(class)],
        min_cpu_cores: if class % 8 == 5 { 2 } else { 0 },
        min_memory_gb: if class % 8 == 5 { 4 } else { 0 },
        pool_id: pool(class),
        fallback_pools: vec![pool(class + 1); with(class % 6 == 3)],
        preferred_regions: ["eu".into(), "us".into()][..2 * with(class % POOLS == 3)].to_vec(),
        preferred: vec![disk; with(class % 7 == 2)],
        resources: vec![licence; with(needs_licence(size, class))],
        ..RunnerRequirements::default()
    }
    .normalised()
}

/// What a job asks for beside a runner that fits.
fn terms(number: usize) -> JobTerms {
    let of = |many: usize| number / 100 % many;
    let mut terms = JobTerms::default();
    match number % 500 {
        at if at % 100 == 1 => {
            let key = format!("group-{}", of(50)).into();
            let pending = PendingPolicy::default();
            terms.group = Some(GroupTerms { key, limit: 4, cancel_in_progress: false, pending });
        }
        at if at % 100 == 2 => terms.max_wait_ms = Some(OLDEST_MS as i64 + 60_000),
        at if at % 100 == 3 => {
            terms.placement.affinity = Some(format!("cache-{}", of(100)).into());
        }
        at if at % 200 == 5 => {
            let key = format!("service-{}", of(100)).into();
            terms.placement.spread = Some(Spread { key, over: SpreadOver::Zone });
        }
        4 => {
            terms.placement = Placement {
                anti_affinity: Some(format!("apart-{}", of(20)).into()),
                ..terms.placement
            };
        }
        _ => {}
    }
    terms
}

/// A job of the world that is new: its class has a queue, or (`quiet`) runners that wait.
pub(super) fn submission(
    size: Size,
    number: usize,
    quiet: bool,
    random: &mut Seeded,
) -> PlannedWorkload {
    let (class, terms) = if quiet {
        let quiet = size.classes - size.busy_classes();
        // Nothing that would keep it back.
        (size.busy_classes() + random.below(quiet), JobTerms::default())
    } else {
        (random.below(size.busy_classes()), terms(number))
    };
    let mut owner = random.below(size.tenants);
    if quiet && (is_at_its_maximum(owner) || owner % 10 == 7) {
        owner = 0;
    }
    let needs = requirements(size, class);
    let priority = JobPriority::ALL[random.below(JobPriority::ALL.len())];
    planned(needs, priority, tenant(owner), terms)
}

/// A workload of one job with one step.
pub(super) fn planned(
    requirements: RunnerRequirements,
    priority: JobPriority,
    tenant_id: TenantId,
    terms: JobTerms,
) -> PlannedWorkload {
    let step = Step { run: "make test".into(), ..Step::default() };
    let job = PlannedJob {
        name: "test".into(),
        needs: Vec::new(),
        requirements,
        priority,
        timeout_ms: 21_600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 1_000 },
        not_before_ms: 0,
        terms,
        spec: Arc::new(JobSpec {
            work: JobWork::Steps(vec![step]),
            env: BTreeMap::new(),
            trust: Trust::default(),
            traceparent: None,
            workflow: None,
        }),
    };
    PlannedWorkload {
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        trigger: "on-push".into(),
        tenant_id,
        session: None,
        terms: Default::default(),
        open: false,
        jobs: vec![job],
    }
}

/// A runner of that number that says hello.
pub(super) fn register(number: usize, capabilities: RunnerCapabilities) -> Box<Register> {
    Box::new(Register {
        name: format!("runner-{number}").into(),
        instance_id: format!("instance-{number}").into(),
        boot_id: "boot".into(),
        pool_id: PoolId::DEFAULT,
        token_hash: "hash".into(),
        capabilities,
        version: "bench".into(),
        ordered: None,
    })
}
