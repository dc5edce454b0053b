//! What a world is made of: who there is, and the settings, by its dice.

use std::collections::BTreeMap;

use dispatchyard::dispatch::{PoolSettings, Settings, TenantSettings};
use dispatchyard::model::{PoolId, TenantId};

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
pub(crate) const SELECTIONS: [&str; 7] =
    ["least_loaded", "least_loaded", "round_robin", "best_fit", "locality", "weighted", "learned"];
/// Policies that the checker does not follow runner by runner.
pub(crate) const OPAQUE: [&str; 2] = ["weighted", "learned"];
pub(crate) const REGIONS: [&str; 3] = ["eu", "uk", "us"];
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
        backoff_max_ms: 400,
        poll_wait_max_ms: 50,
        aging_ms: dice.pick(&[0, 40, 90]),
        deadline_raise_ms: 15,
        expected_run_ms: 20,
        // The checker charges what it is told is expected.
        learning: dice.once_in(4),
        balance_seen_ms: 40,
        overtake_max: 1 + dice.roll(2) as u32,
        queue_timeout_ms: dice.pick(&[None, None, Some(400)]),
        soft_flush_ms: dice.pick(&[0, 50]),
        workload_jobs_max: 8,
        changes_per_command_max: 100,
        classes_max: dice.pick(&[24, 200]) as usize,
        runners_max: 16,
        ..Settings::default()
    };
    let hold = dice.pick(&[0, 8, 20]);
    let health = dice.pick(&[0, 75]);
    for pool in [GENERAL, TIGHT] {
        let tight = pool == TIGHT;
        let pool_settings = PoolSettings {
            scheduling_policy: dice.pick(&POLICIES).into(),
            balance_hold_ms: hold,
            reserve_resources: tight,
            jobs_max: tight.then_some(3),
            selection_policy: dice.pick(&SELECTIONS).into(),
            // Two losses in a row are enough.
            health_min_percent: health,
            health_cool_off_ms: 40,
            distances: distances(),
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

/// Both ways round, as settings have them. Nobody wrote how far `uk` is from `us`.
fn distances() -> BTreeMap<(Box<str>, Box<str>), u32> {
    let far = [("eu", "uk", 2), ("eu", "us", 9)];
    let both = far.into_iter().flat_map(|(a, b, far)| [(a, b, far), (b, a, far)]);
    both.map(|(a, b, far)| ((a.into(), b.into()), far)).collect()
}

/// The pool that a process is of when nobody moves it.
pub(crate) fn home(process: usize) -> PoolId {
    if process < 4 { GENERAL } else { TIGHT }
}
