//! Faults in what the scheduler goes by.

use dispatchyard::dispatch::{PoolSettings, Settings, TenantSettings};

use super::{Fault, policies};

/// Longer than any world.
const FOR_EVER_MS: i64 = 1 << 50;

pub(super) fn tamper(fault: Option<Fault>, settings: &mut Settings) {
    let Some(fault) = fault else { return };
    let pools = |settings: &mut Settings, change: fn(&mut PoolSettings)| {
        settings.pools.values_mut().for_each(change);
    };
    let tenants = |settings: &mut Settings, change: fn(&mut TenantSettings)| {
        settings.tenants.values_mut().for_each(change);
    };
    match fault {
        Fault::Inside(planted) => settings.planted = Some(planted),
        Fault::NoAging => settings.aging_ms = 0,
        Fault::NoDueStart => settings.deadline_raise_ms = -FOR_EVER_MS,
        Fault::HeldForEver => pools(settings, |it| {
            if it.balance_hold_ms > 0 {
                it.balance_hold_ms = FOR_EVER_MS;
            }
        }),
        Fault::NeverHeld => pools(settings, |it| it.balance_hold_ms = 0),
        Fault::NoReservation => settings.overtake_max = u32::MAX,
        Fault::NeverPoisoned => settings.infra_retries_max = u32::MAX,
        Fault::NoQuota => tenants(settings, |it| {
            (it.running_max, it.starts_per_minute_max, it.cpu_cores_max) = (None, None, None);
        }),
        Fault::NoWeights => tenants(settings, |it| it.weight = 1),
        Fault::NoPoolMaximum => pools(settings, |it| it.jobs_max = None),
        Fault::NoGlobalMaximum => settings.max_global_concurrency = u64::MAX,
        Fault::OneUnitMore => {
            settings.catalogue.resources.values_mut().for_each(|units| *units += 1);
        }
        Fault::NothingReserved => pools(settings, |it| it.reserve_resources = false),
        Fault::QueueHasNoEnd => {
            settings.queue_jobs_max = u64::MAX;
            tenants(settings, |it| it.queued_max = None);
        }
        Fault::LeaseForEver => settings.lease_ms = FOR_EVER_MS,
        Fault::AckForEver => settings.ack_window_ms = FOR_EVER_MS,
        Fault::CancelGraceForEver => settings.cancel_grace_ms = FOR_EVER_MS,
        Fault::NoBackoff => settings.backoff_max_ms = 0,
        Fault::NeverOffline => settings.heartbeat_timeout_ms = FOR_EVER_MS,
        Fault::NoQueueTimeout => settings.queue_timeout_ms = None,
        Fault::UrgentLast | Fault::GreedyFirst | Fault::BusiestFirst => {
            policies::tamper(fault, settings);
        }
        _ => {}
    }
}
