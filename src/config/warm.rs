//! `[agent_pools.NAME.warm]`: runners of the pool are started by the server.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::section::Reading;
use super::{ConfigError, PoolConfig, number};
use crate::model::RunnerCapabilities;

/// How a pool is kept warm.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WarmConfig {
    /// `provisioner`: who starts its runners: the name of a `[[provisioner]]`. No default.
    pub provisioner: String,
    /// `min_idle`: runners that stand by for the next job. Default 0: they are started when jobs wait.
    #[serde(default, deserialize_with = "number::tries")]
    pub min_idle: u32,
    /// `max`: the most runners. No default.
    #[serde(deserialize_with = "number::units")]
    pub max: u32,
    /// `idle_ttl_ms`: how long one that is not needed to stand by may have nothing to do. Default 300000.
    #[serde(default = "five_minutes", deserialize_with = "number::millis_or_zero")]
    pub idle_ttl_ms: i64,
    /// `max_age_ms`: how old one becomes before another one takes its place; one with jobs is let alone.
    /// More than `start_timeout_ms`, since its age counts from its order. Default: as old as it likes.
    #[serde(
        default,
        deserialize_with = "number::optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub max_age_ms: Option<i64>,
    /// `start_timeout_ms`: how long one may take until it registers. Default 300000.
    #[serde(default = "five_minutes", deserialize_with = "number::millis")]
    pub start_timeout_ms: i64,
    /// `reusable`: one takes job after job, not one alone. Default false.
    #[serde(default)]
    pub reusable: bool,
    /// `slots`: how many jobs one has at once; more than one needs `reusable`. Default 1.
    #[serde(default = "one", deserialize_with = "number::units")]
    pub slots: u32,
    /// `labels`: what jobs can ask its runners for. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// `architecture`, `os`, `cpu_cores`, `memory_gb`, `docker_enabled`, `gpu`, `region`, `zone`: what a runner
    /// will offer, as far as a waiting job has to know before one is there. Default: whatever is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub architecture: Option<String>,
    /// See `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub os: Option<String>,
    /// See `architecture`.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub cpu_cores: Option<u32>,
    /// See `architecture`.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_gb: Option<u32>,
    /// See `architecture`. Default true.
    #[serde(default = "yes")]
    pub docker_enabled: bool,
    /// See `architecture`. Default 0.
    #[serde(default, deserialize_with = "number::tries")]
    pub gpu: u32,
    /// See `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// See `architecture`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
}

fn five_minutes() -> i64 {
    300_000
}
fn one() -> u32 {
    1
}
fn yes() -> bool {
    true
}

impl WarmConfig {
    /// What a runner will offer, as far as is known before it is there.
    pub fn offers(&self) -> RunnerCapabilities {
        let any = || RunnerCapabilities::ANY.into();
        let or_any = |it: &Option<String>| it.as_deref().map_or_else(any, Into::into);
        let own = ["self-hosted".to_owned()];
        let machine = [&self.os, &self.architecture].into_iter().flatten();
        let labels = own.iter().chain(machine).chain(&self.labels);
        RunnerCapabilities {
            labels: labels.map(|label| label.as_str().into()).collect(),
            architecture: or_any(&self.architecture),
            os: or_any(&self.os),
            cpu_cores: self.cpu_cores.unwrap_or(u32::MAX),
            memory_gb: self.memory_gb.unwrap_or(u32::MAX),
            docker_enabled: self.docker_enabled,
            gpu: self.gpu,
            region: self.region.as_deref().map(Into::into),
            zone: self.zone.as_deref().map(Into::into),
            max_parallel_jobs: self.slots,
            ..RunnerCapabilities::default()
        }
        .normalised()
    }
}

/// Reports pools that cannot be kept warm so.
pub(super) fn check(
    pools: &BTreeMap<String, PoolConfig>,
    provisioners: &BTreeSet<&str>,
    reading: &mut Reading<'_>,
) {
    for (pool, warm) in pools.iter().filter_map(|(name, pool)| Some((name, pool.warm.as_ref()?))) {
        let table = format!("agent_pools.{pool}");
        let mut report = |key: &str, message: String, hint: String| {
            let key = format!("{table}.warm.{key}");
            let mut error = ConfigError::new(reading.origin(&key), key, message);
            error.hint = Some(hint);
            reading.errors.push(error);
        };
        if !provisioners.contains(warm.provisioner.as_str()) {
            let list: Vec<_> = provisioners.iter().copied().collect();
            let message = format!("the pool `{pool}` names the provisioner `{}`", warm.provisioner);
            let hint = match list.is_empty() {
                true => "`[[provisioner]]` makes one".to_owned(),
                false => format!("provisioners are {}", list.join(", ")),
            };
            report("provisioner", message, hint);
        }
        if warm.min_idle > warm.max {
            let message = format!("{} is more than max, {}", warm.min_idle, warm.max);
            report("min_idle", message, "raise max".to_owned());
        }
        if let Some(max_age_ms) = warm.max_age_ms
            && max_age_ms <= warm.start_timeout_ms
        {
            // Its age counts from its order: it would be let go before, or just when, it is there.
            let start_ms = warm.start_timeout_ms;
            let message = format!("{max_age_ms} is not more than start_timeout_ms, {start_ms}");
            report("max_age_ms", message, "raise it, or lower start_timeout_ms".to_owned());
        }
        if warm.slots > 1 && !warm.reusable {
            let message = format!("a runner for one job has {} slots", warm.slots);
            report("slots", message, "say `reusable = true`, or leave it out".to_owned());
        }
        if warm.slots > RunnerCapabilities::PARALLEL_JOBS_MAX {
            let message =
                format!("{} is more than {}", warm.slots, RunnerCapabilities::PARALLEL_JOBS_MAX);
            report("slots", message, "start more runners".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::tenancy_tests::refusal;

    #[test]
    fn what_cannot_be_kept_warm_is_refused_with_its_line() {
        let text = r#"
[[provisioner]]
name = "local"
[provisioner.process]
[agent_pools.a.warm]
provisioner = "local"
max = 2
min_idle = 3
max_age_ms = 60000
start_timeout_ms = 60000
[agent_pools.b.warm]
provisioner = "local"
max = 2
max_age_ms = 300001
"#;
        insta::assert_snapshot!(refusal(text), @r"
        d.toml:5:16: `agent_pools.a.warm.min_idle`: 3 is more than max, 2
          hint: raise max
        d.toml:5:16: `agent_pools.a.warm.max_age_ms`: 60000 is not more than start_timeout_ms, 60000
          hint: raise it, or lower start_timeout_ms
        ");
    }
}
