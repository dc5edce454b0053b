//! What a world is made of: its settings, and the shapes of its runners and jobs, by its dice.

use std::collections::BTreeMap;
use std::sync::Arc;

use dispatchyard::dispatch::{PoolSettings, Settings, TenantSettings};
use dispatchyard::model::{
    JobPriority, JobSpec, JobTerms, JobWork, Placement, PlannedJob, PoolId, Preference,
    ResourceNeed, RetryPolicy, RunnerCapabilities, RunnerRequirements, Spread, TenantId, Trust,
};

use crate::dice::Dice;

pub(crate) const GENERAL: PoolId = PoolId::DEFAULT;
/// Reserves what jobs require, and runs few of them.
pub(crate) const TIGHT: PoolId = PoolId(2);
pub(crate) const FREE: TenantId = TenantId::DEFAULT;
pub(crate) const CAPPED: TenantId = TenantId(2);
pub(crate) const RATED: TenantId = TenantId(3);
pub(crate) const TENANTS: [TenantId; 3] = [FREE, CAPPED, RATED];
pub(crate) const TRIGGERS: [&str; 3] = ["", "push", "cron"];
pub(crate) const POLICIES: [&str; 4] = ["priority", "fifo", "fair_share", "skill"];
pub(crate) const PROCESSES: usize = 6;

pub(crate) fn settings(dice: &mut Dice) -> Settings {
    let mut settings = Settings {
        max_global_concurrency: 5 + dice.roll(5),
        queue_jobs_max: 40,
        heartbeat_timeout_ms: 60,
        lease_ms: 60,
        ack_window_ms: 15,
        cancel_grace_ms: 30,
        timeout_grace_ms: 5,
        infra_retries_max: 2,
        backoff_max_ms: 40,
        poll_wait_max_ms: 50,
        aging_ms: dice.pick(&[0, 40, 90]),
        deadline_raise_ms: 15,
        expected_run_ms: 20,
        // The checker charges what it is told is expected, and learns nothing.
        learning: false,
        balance_seen_ms: 40,
        overtake_max: 1 + dice.roll(2) as u32,
        soft_flush_ms: dice.pick(&[0, 50]),
        workload_jobs_max: 8,
        changes_per_command_max: 100,
        classes_max: dice.pick(&[24, 200]) as usize,
        runners_max: 16,
        ..Settings::default()
    };
    let hold = dice.pick(&[0, 8, 20]);
    for pool in [GENERAL, TIGHT] {
        let tight = pool == TIGHT;
        let pool_settings = PoolSettings {
            scheduling_policy: dice.pick(&POLICIES).into(),
            balance_hold_ms: hold,
            reserve_resources: tight,
            jobs_max: tight.then_some(3),
            // What the checker does not follow.
            health_min_percent: 0,
            ..PoolSettings::default()
        };
        settings.pools.insert(pool, pool_settings);
    }
    let capped = TenantSettings {
        weight: 3,
        running_max: Some(3),
        critical_running_max: Some(1),
        ..TenantSettings::default()
    };
    let rated = TenantSettings {
        queued_max: Some(14),
        starts_per_minute_max: Some(4),
        cpu_cores_max: Some(4),
        ..TenantSettings::default()
    };
    settings.tenants = [(CAPPED, capped), (RATED, rated)].into();
    let catalogue = &mut settings.catalogue;
    catalogue.pools.insert("tight".into(), TIGHT);
    catalogue.tenants.extend([("capped".into(), CAPPED), ("rated".into(), RATED)]);
    catalogue.resources = [("port".into(), 1), ("db".into(), 3)].into();
    settings
}

/// The pool that a process is of when nobody moves it.
pub(crate) fn home(process: usize) -> PoolId {
    if process < 4 { GENERAL } else { TIGHT }
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
    let preferred = Preference { label: "big".into(), weight: 5 };
    RunnerRequirements {
        labels,
        min_cpu_cores: dice.pick(&[0, 0, 1, 2, 3]),
        gpu: u32::from(dice.once_in(9)),
        pool_id,
        fallback_pools,
        resources,
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

/// One job of a workload, whose needs are among those before it.
pub(crate) fn job(dice: &mut Dice, at: usize, wall_ms: i64) -> PlannedJob {
    let needs = (0..at).filter(|_| dice.once_in(4)).map(|need| format!("j{need}")).collect();
    let requirements = requirements(dice);
    let placement = placement(dice);
    let terms = JobTerms {
        deadline_ms: dice.once_in(6).then(|| wall_ms + dice.roll(120) as i64),
        max_wait_ms: dice.once_in(6).then(|| 1 + dice.roll(90) as i64),
        placement,
        ..JobTerms::default()
    };
    PlannedJob {
        name: format!("j{at}"),
        needs,
        requirements,
        priority: dice.pick(&JobPriority::ALL),
        timeout_ms: 30 + dice.roll(80) as i64,
        retry: RetryPolicy { max_retries: dice.roll(3) as u32, backoff_ms: dice.pick(&[0, 20]) },
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
    })
}
