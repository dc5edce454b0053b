//! What holds between sections: names that others are called by exist, and limits do not
//! contradict each other.

use std::collections::{BTreeMap, BTreeSet};

use toml::Spanned;

use super::section::Reading;
use super::{
    AccessConfig, ConfigError, ExecutorConfig, Origin, PoolConfig, ProvisionerConfig, Role,
    RouteConfig, SourceConfig, TenantConfig, TokenConfig, executor, provisioner, route, warm,
};
use crate::trigger::RuleConfig;

/// What every server has, whether it is written or not.
pub(super) const DEFAULT: &str = "default";

/// Everything that has names, or refers to them.
pub(super) struct Parts<'a> {
    pub(super) tenants: &'a BTreeMap<String, TenantConfig>,
    pub(super) pools: &'a BTreeMap<String, PoolConfig>,
    pub(super) skills: &'a BTreeMap<String, Spanned<Vec<Spanned<String>>>>,
    pub(super) access: &'a AccessConfig,
    pub(super) sources: &'a [Spanned<SourceConfig>],
    pub(super) triggers: &'a [Spanned<RuleConfig>],
    pub(super) executors: &'a [Spanned<ExecutorConfig>],
    pub(super) provisioners: &'a [Spanned<ProvisionerConfig>],
    pub(super) routes: &'a [Spanned<RouteConfig>],
}

/// Reports each reference to nothing, and each contradiction.
pub(super) fn check(parts: &Parts<'_>, reading: &mut Reading<'_>) {
    // A table that was refused is reported already; who names it is not wrong.
    let told = |section: &str| {
        let prefix = format!("{section}.");
        reading.errors.iter().any(|error| error.key == section || error.key.starts_with(&prefix))
    };
    let names = Names {
        tenants: (!told("tenants")).then(|| with_default(parts.tenants)),
        pools: (!told("agent_pools")).then(|| with_default(parts.pools)),
    };
    for (name, tenant) in parts.tenants {
        check_tenant(name, tenant, reading);
    }
    for (name, pool) in parts.pools {
        let key = format!("agent_pools.{name}.tenant");
        let origin = reading.origin(&key);
        let what = format!("the pool `{name}`");
        reading.errors.extend(names.tenant(pool.tenant.as_deref(), &what, origin, &key));
        check_distances(name, pool, reading);
        check_weights(name, pool, reading);
    }
    for (skill, pools) in parts.skills {
        check_skill(skill, pools, &names, reading);
    }
    for source in parts.sources {
        let source = source.get_ref();
        let what = format!("the source `{}`", source.name);
        check_spanned(source.tenant.as_ref(), &what, "source.tenant", &names, reading);
    }
    for trigger in parts.triggers {
        let rule = trigger.get_ref();
        let what = format!("the trigger `{}`", rule.name.get_ref());
        check_spanned(rule.tenant.as_ref(), &what, "trigger.tenant", &names, reading);
    }
    executor::check(parts.executors, &names, reading);
    provisioner::check(parts.provisioners, reading);
    let provisioners = parts.provisioners.iter().map(|it| it.get_ref().name.as_str()).collect();
    warm::check(parts.pools, &provisioners, reading);
    route::check(parts.routes, parts.executors, &names, reading);
    check_tokens(&parts.access.token, &names, reading);
}

/// The names that there are; `None` where some of them could not be read.
pub(super) struct Names<'a> {
    tenants: Option<BTreeSet<&'a str>>,
    pools: Option<BTreeSet<&'a str>>,
}

fn with_default<T>(named: &BTreeMap<String, T>) -> BTreeSet<&str> {
    named.keys().map(String::as_str).chain([DEFAULT]).collect()
}

impl Names<'_> {
    fn tenant(
        &self,
        name: Option<&str>,
        what: &str,
        origin: Origin,
        key: &str,
    ) -> Option<ConfigError> {
        unknown("tenant", "tenants", self.tenants.as_ref()?, name?, what, origin, key)
    }

    pub(super) fn pool(
        &self,
        name: &str,
        what: &str,
        origin: Origin,
        key: &str,
    ) -> Option<ConfigError> {
        unknown("pool", "agent_pools", self.pools.as_ref()?, name, what, origin, key)
    }
}

fn unknown(
    kind: &str,
    section: &str,
    known: &BTreeSet<&str>,
    name: &str,
    what: &str,
    origin: Origin,
    key: &str,
) -> Option<ConfigError> {
    if known.contains(name) {
        return None;
    }
    let list: Vec<_> = known.iter().copied().collect();
    let message = format!("{what} names the {kind} `{name}`");
    let hint = format!("{kind}s are {}; `[{section}.NAME]` makes one", list.join(", "));
    Some(ConfigError::new(origin, key, message).hint(hint))
}

fn check_spanned(
    tenant: Option<&Spanned<String>>,
    what: &str,
    key: &str,
    names: &Names<'_>,
    reading: &mut Reading<'_>,
) {
    if let Some(tenant) = tenant {
        let origin = Origin::File(reading.file.place(tenant.span().start));
        reading.errors.extend(names.tenant(Some(tenant.get_ref()), what, origin, key));
    }
}

fn check_tenant(name: &str, tenant: &TenantConfig, reading: &mut Reading<'_>) {
    let (Some(critical), Some(running)) = (tenant.critical_running_max, tenant.running_max) else {
        return;
    };
    if critical > running {
        let key = format!("tenants.{name}.critical_running_max");
        let message = format!("{critical} is more than its running_max {running}");
        let error = ConfigError::new(reading.origin(&key), key, message);
        reading.errors.push(error.hint("raise running_max, or lower this one"));
    }
}

fn check_distances(name: &str, pool: &PoolConfig, reading: &mut Reading<'_>) {
    let key = format!("agent_pools.{name}.distances");
    let mut errors = Vec::new();
    for (from, all) in &pool.distances {
        for (to, far) in all {
            if from == to && *far > 0 {
                errors.push(format!("the region `{from}` is {far} away from itself"));
            }
            // The other way round it is told once, where the smaller name stands first.
            let back = pool.distances.get(to).and_then(|all| all.get(from));
            if let Some(back) = back.filter(|back| *back != far && from < to) {
                errors.push(format!(
                    "from `{from}` to `{to}` it is {far}, and {back} the other way round"
                ));
            }
        }
    }
    let origin = reading.origin(&key);
    let error = |message| ConfigError::new(origin.clone(), key.clone(), message);
    reading.errors.extend(errors.into_iter().map(error));
}

fn check_weights(name: &str, pool: &PoolConfig, reading: &mut Reading<'_>) {
    if pool.weights.are_nothing() {
        let key = format!("agent_pools.{name}.weights");
        let error = ConfigError::new(reading.origin(&key), key, "all are 0: nothing would count");
        reading.errors.push(error.hint("give one of them a weight, or choose another policy"));
    }
}

fn check_skill(
    skill: &str,
    pools: &Spanned<Vec<Spanned<String>>>,
    names: &Names<'_>,
    reading: &mut Reading<'_>,
) {
    let (key, what) = (format!("skill_mapping.{skill}"), format!("the skill `{skill}`"));
    let place = |span: std::ops::Range<usize>| Origin::File(reading.file.place(span.start));
    let mut errors = Vec::new();
    if pools.get_ref().is_empty() {
        let message = format!("{what} has no pool: no runner could have it");
        let hint = "name the pools whose runners have it, the preferred one first";
        errors.push(ConfigError::new(place(pools.span()), key.as_str(), message).hint(hint));
    }
    let mut seen = BTreeSet::new();
    for pool in pools.get_ref() {
        let (name, origin) = (pool.get_ref().as_str(), place(pool.span()));
        if !seen.insert(name) {
            let message = format!("{what} names the pool `{name}` twice");
            errors.push(ConfigError::new(origin.clone(), key.as_str(), message));
        }
        errors.extend(names.pool(name, &what, origin, &key));
    }
    reading.errors.extend(errors);
}

fn check_tokens(tokens: &[Spanned<TokenConfig>], names: &Names<'_>, reading: &mut Reading<'_>) {
    let set_by = reading.origin("access.token");
    let from_file = matches!(set_by, Origin::File(_));
    let place = |span: std::ops::Range<usize>| match from_file {
        true => Origin::File(reading.file.place(span.start)),
        // Spans are those of the variable's text.
        false => set_by.clone(),
    };
    let mut seen = BTreeSet::new();
    let mut errors = Vec::new();
    for token in tokens {
        let (whole, token) = (token.span(), token.get_ref());
        let name = token.name.get_ref().as_str();
        let mut refuse = |span: std::ops::Range<usize>, key: &str, message: String, hint: &str| {
            let error = ConfigError::new(place(span), format!("access.token.{key}"), message);
            errors.push(error.hint(hint));
        };
        if !seen.insert(name) {
            let message = format!("a second token has the name `{name}`");
            refuse(token.name.span(), "name", message, "give each its own");
        }
        if token.secrets.is_empty() {
            let message = format!("the token `{name}` has no secret: nobody could use it");
            let hint = "write `secrets = [{ env = \"NAME\" }]`";
            refuse(whole.clone(), "secrets", message, hint);
        }
        if token.critical && matches!(token.role, Role::Viewer | Role::Runner) {
            let message = format!("the token `{name}` may start nothing, critical or not");
            refuse(
                whole.clone(),
                "critical",
                message,
                "give it the role `submit`, or leave it out",
            );
        }
        if let (Role::Runner, Some(tenant)) = (token.role, &token.tenant) {
            let message = format!("the pools of the token `{name}` say whose its runners are");
            let hint = "write `pools = [\"NAME\"]`, and `tenant` in `[agent_pools.NAME]`";
            refuse(tenant.span(), "tenant", message, hint);
        }
        if let Some(pool) = token.pools.first().filter(|_| token.role != Role::Runner) {
            let message = format!("the token `{name}` registers no runners");
            refuse(pool.span(), "pools", message, "pools are for the role `runner`");
        }
        let what = format!("the token `{name}`");
        let tenant = token.tenant.as_ref().filter(|_| token.role != Role::Runner);
        errors.extend(tenant.and_then(|tenant| {
            let origin = place(tenant.span());
            names.tenant(Some(tenant.get_ref()), &what, origin, "access.token.tenant")
        }));
        errors.extend(token.pools.iter().filter_map(|pool| {
            names.pool(pool.get_ref(), &what, place(pool.span()), "access.token.pools")
        }));
    }
    reading.errors.extend(errors);
}
