//! From the configuration, with numbers for its names, to what the scheduler and the api go by.

use std::collections::BTreeMap;

use crate::api::access::{AccessRules, Caller, Registration, hash};
use crate::config::{ADMIN_NAME, Config, PoolConfig, Role, Secrets, TenantConfig};
use crate::dispatch::{PoolSettings, Settings, TenantSettings};
use crate::model::{Catalogue, Member, PoolId, TenantId};
use crate::store::{Names, StoreError, Writer};
use crate::webhook::Secret;

/// What a server has without a word in its configuration.
const DEFAULT: &str = "default";

/// Gives every configured name its number. Each look-up of a configured name in the answer
/// succeeds: the configuration was checked for names that are not there.
pub(super) async fn names(writer: &Writer, config: &Config) -> Result<Names, StoreError> {
    let tenants: Vec<_> = config.tenants.keys().map(String::as_str).collect();
    // `default` may have been somebody's, and be nobody's now.
    let default = (!config.pools.contains_key(DEFAULT)).then_some((DEFAULT, None));
    let configured =
        config.pools.iter().map(|(name, pool)| (name.as_str(), pool.tenant.as_deref()));
    let pools: Vec<_> = configured.chain(default).collect();
    writer.intern(&tenants, &pools).await
}

/// What people may name, with numbers made up here: to check a configuration where no database is.
pub(super) fn checked_catalogue(config: &Config) -> Catalogue {
    catalogue(config, &made_up_names(config))
}

/// A number for each name, as long as nobody keeps them.
pub(super) fn made_up_names(config: &Config) -> Names {
    let known = Catalogue::default();
    let mut names = Names {
        tenants: known.tenants,
        pools: known.pools.into_iter().map(|(name, id)| (name, (id, None))).collect(),
    };
    for (number, name) in (2..).zip(config.tenants.keys()) {
        names.tenants.entry(name.as_str().into()).or_insert(TenantId(number));
    }
    for (number, name) in (2..).zip(config.pools.keys()) {
        names.pools.entry(name.as_str().into()).or_insert((PoolId(number), None));
    }
    names
}

/// What the scheduler goes by.
pub(super) fn settings(config: &Config, names: &Names) -> Settings {
    let (scheduler, limits) = (&config.scheduler, &config.limits);
    let (tenants, catalogue) = (config.tenants.iter(), catalogue(config, names));
    Settings {
        max_global_concurrency: scheduler.max_global_concurrency as u64,
        queue_jobs_max: limits.queue_jobs_max,
        heartbeat_timeout_ms: scheduler.heartbeat_timeout_ms,
        lease_ms: scheduler.lease_length_ms(),
        ack_window_ms: scheduler.ack_window_ms,
        cancel_grace_ms: scheduler.cancel_grace_ms,
        timeout_grace_ms: scheduler.timeout_grace_ms,
        infra_retries_max: scheduler.retry_max_attempts,
        backoff_max_ms: scheduler.backoff_max_ms,
        poll_wait_max_ms: scheduler.poll_wait_max_ms,
        aging_ms: scheduler.aging_ms,
        deadline_raise_ms: scheduler.deadline_raise_ms,
        queue_timeout_ms: scheduler.queue_timeout_ms,
        held_expires_after_ms: Some(scheduler.held_expires_after_ms).filter(|it| *it > 0),
        expected_run_ms: scheduler.expected_run_ms,
        learning: scheduler.learning,
        unschedulable_after_ms: scheduler.unschedulable_after_ms,
        balance_seen_ms: scheduler.balance_seen_ms,
        selection_candidates_max: scheduler.selection_candidates_max,
        overtake_max: scheduler.overtake_max,
        soft_flush_ms: scheduler.soft_flush_ms,
        workload_jobs_max: limits.workload_jobs_max,
        changes_per_command_max: limits.changes_per_command_max,
        classes_max: limits.classes_max,
        runners_max: limits.runners_max,
        tenants: tenants.map(|(name, it)| (names.tenants[name.as_str()], tenant(it))).collect(),
        pools: pools(config, names),
        catalogue,
        sessions: config.sessions.settings(),
        ..Settings::default()
    }
}

fn tenant(config: &TenantConfig) -> TenantSettings {
    TenantSettings {
        weight: config.weight,
        running_max: config.running_max,
        queued_max: config.queued_max,
        starts_per_minute_max: config.starts_per_minute_max,
        cpu_cores_max: config.cpu_cores_max,
        memory_gb_max: config.memory_gb_max,
        gpu_max: config.gpu_max,
        critical_running_max: config.critical_running_max,
        max_wait_policy: config.max_wait_policy,
        sessions_per_day_max: config.sessions_per_day_max,
        session_cost_micros_per_day_max: config.session_cost_micros_per_day_max,
    }
}

/// Every pool that there is or was: the runners of one that is no longer configured stay its
/// tenant's.
fn pools(config: &Config, names: &Names) -> BTreeMap<PoolId, PoolSettings> {
    let unwritten = PoolConfig::default();
    let pools = names.pools.iter().map(|(name, (id, tenant_id))| {
        let pool = config.pools.get(&**name).unwrap_or(&unwritten);
        let scheduler = &config.scheduler;
        let or = |own: &Option<String>, default: &String| {
            own.as_ref().unwrap_or(default).as_str().into()
        };
        let mut distances = BTreeMap::new();
        for (from, all) in &pool.distances {
            for (to, far) in all {
                distances.insert((from.as_str().into(), to.as_str().into()), *far);
                distances.insert((to.as_str().into(), from.as_str().into()), *far);
            }
        }
        let settings = PoolSettings {
            tenant_id: *tenant_id,
            accepts_untrusted: pool.accepts_untrusted,
            scheduling_policy: or(&pool.scheduling_policy, &scheduler.scheduling_policy),
            selection_policy: or(&pool.selection_policy, &scheduler.selection_policy),
            jobs_max: pool.jobs_max,
            reserve_resources: pool.reserve_resources,
            balance_hold_ms: pool.balance_hold_ms.unwrap_or(scheduler.balance_hold_ms),
            health_min_percent: pool.health_min_percent,
            health_cool_off_ms: pool.health_cool_off_ms,
            distances,
            weights: pool.weights.weights(),
            cost_micros_per_hour: pool.cost_micros_per_hour,
        };
        (*id, settings)
    });
    pools.collect()
}

/// What expressions of workflow files read as `vars`.
pub(super) fn vars(config: &Config) -> serde_json::Map<String, serde_json::Value> {
    config.vars.iter().map(|(name, value)| (name.clone(), value.clone().into())).collect()
}

/// Lists of accounts that triggers name.
pub(super) fn teams(config: &Config) -> BTreeMap<Box<str>, Vec<Member>> {
    config.teams.iter().map(|(name, members)| (name.as_str().into(), members.clone())).collect()
}

/// What people may name now.
fn catalogue(config: &Config, names: &Names) -> Catalogue {
    let pool_id = |name: &String| names.pools[name.as_str()].0;
    let named = |name: &String| name.as_str().into();
    let mut catalogue = Catalogue::default();
    let tenants = config.tenants.keys();
    catalogue.tenants.extend(tenants.map(|name| (named(name), names.tenants[name.as_str()])));
    catalogue.pools.extend(config.pools.keys().map(|name| (named(name), pool_id(name))));
    let skills = config.skills.iter();
    catalogue.skills =
        skills.map(|(name, pools)| (named(name), pools.iter().map(pool_id).collect())).collect();
    let resources = config.resources.iter();
    catalogue.resources = resources.map(|(name, it)| (named(name), it.units)).collect();
    let bounded = config
        .routes
        .iter()
        .filter_map(|route| Some((route.rule(&catalogue).resource(), route.running_max?)));
    let bounded: Vec<_> = bounded.collect();
    catalogue.resources.extend(bounded);
    catalogue.vars = vars(config);
    catalogue.teams = teams(config);
    catalogue.routes = config.routes.iter().map(|route| named(&route.name)).collect();
    catalogue
}

/// The tenant of each trigger that names one.
pub(super) fn trigger_tenants(config: &Config, names: &Names) -> BTreeMap<String, TenantId> {
    let rules = config.triggers.iter().map(toml::Spanned::get_ref);
    let tenant = |rule: &crate::trigger::RuleConfig| {
        let tenant = rule.tenant.as_ref()?.get_ref().as_str();
        Some((rule.name.get_ref().clone(), names.tenants[tenant]))
    };
    rules.filter_map(tenant).collect()
}

/// Whose tokens open what.
pub(super) fn access(config: &Config, secrets: &Secrets, names: &Names) -> AccessRules {
    let hashed = |secret: &Secret| hash(&String::from_utf8_lossy(secret.bytes()));
    let mut rules = AccessRules::default();
    let admin = Caller::new(ADMIN_NAME, Role::Admin, None, true);
    rules.callers.extend(secrets.admin_tokens.iter().map(|it| (hashed(it), admin.clone())));
    let everywhere = Registration::default();
    let runners = secrets.runner_tokens.iter();
    rules.registrations.extend(runners.map(|it| (hashed(it), everywhere.clone())));
    for token in config.access.token.iter().map(toml::Spanned::get_ref) {
        let name = token.name.get_ref().as_str();
        let texts = secrets.tokens.get(name).map_or(&[][..], Vec::as_slice);
        if token.role == Role::Runner {
            let pools = token.pools.iter().map(|pool| names.pools[pool.get_ref().as_str()].0);
            let registration = Registration { pools: pools.collect(), ordered: None };
            let hashes = texts.iter().map(|it| (hashed(it), registration.clone()));
            rules.registrations.extend(hashes);
        } else {
            let tenant = token.tenant.as_ref();
            let tenant = tenant.map(|tenant| names.tenants[tenant.get_ref().as_str()]);
            let caller = Caller::new(name, token.role, tenant, token.critical);
            rules.callers.extend(texts.iter().map(|it| (hashed(it), caller.clone())));
        }
    }
    rules
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn names() -> Names {
        Names {
            tenants: [("default".into(), TenantId(1)), ("acme".into(), TenantId(7))].into(),
            pools: [
                ("default".into(), (PoolId(1), None)),
                ("fast".into(), (PoolId(5), Some(TenantId(7)))),
                ("gone".into(), (PoolId(4), Some(TenantId(3)))),
            ]
            .into(),
        }
    }

    fn of(text: &str) -> Settings {
        settings(&Config::from_text(Path::new("d.toml"), text, []).unwrap(), &names())
    }

    #[test]
    fn an_empty_file_gives_the_schedulers_own_defaults() {
        let (empty, own) = (of(""), Settings::default());
        let without_names = Settings { pools: BTreeMap::new(), ..empty.clone() };
        assert_eq!(format!("{without_names:?}"), format!("{own:?}"));
        assert_eq!(empty.pools[&PoolId(1)], PoolSettings::default());
    }

    #[test]
    fn names_become_numbers_and_a_pool_that_is_gone_stays_its_tenants() {
        let settings = of("
            [scheduler]
            selection_policy = 'weighted'
            balance_hold_ms = 7
            [tenants.acme]
            weight = 4
            [agent_pools.fast]
            tenant = 'acme'
            scheduling_policy = 'fifo'
            distances = { eu = { us = 90 } }
            [skill_mapping]
            rust = ['fast', 'default']
            [resources.licence]
            units = 3
        ");
        assert_eq!(settings.tenants[&TenantId(7)].weight, 4);
        let fast = &settings.pools[&PoolId(5)];
        assert_eq!((&*fast.scheduling_policy, &*fast.selection_policy), ("fifo", "weighted"));
        assert_eq!((fast.tenant_id, fast.balance_hold_ms), (Some(TenantId(7)), 7));
        let far = |from: &str, to: &str| fast.distances[&(from.into(), to.into())];
        assert_eq!((far("eu", "us"), far("us", "eu")), (90, 90));
        assert_eq!(settings.pools[&PoolId(4)].tenant_id, Some(TenantId(3)));
        let catalogue = &settings.catalogue;
        assert_eq!(catalogue.skills["rust"], [PoolId(5), PoolId(1)]);
        assert_eq!(catalogue.resource_units("licence"), Some(3));
        assert_eq!(catalogue.pool_name(PoolId(4)), "unknown", "nobody may name it now");
    }
}
