//! Well-known other spellings of keys, from other products and from habit, and what to write here.

use super::{
    AccessConfig, DatabaseConfig, InstancesConfig, LimitsConfig, PoolConfig, SchedulerConfig,
    ServerConfig, SourceConfig, TenantConfig, TokenConfig, keys,
};

/// Spelling, the section it is about (`""` for any), what to write.
const OTHER_SPELLINGS: &[(&str, &str, &str)] = &[
    ("address", "server", "write `listen = \"ADDRESS:PORT\"`"),
    ("addr", "server", "write `listen = \"ADDRESS:PORT\"`"),
    ("bind", "server", "write `listen = \"ADDRESS:PORT\"`"),
    ("host", "server", "write `listen = \"ADDRESS:PORT\"`"),
    ("port", "server", "write `listen = \"ADDRESS:PORT\"`"),
    ("data", "server", "write `data_dir`"),
    ("database", "server", "write `[database]` with `url`, or nothing for a file in `data_dir`"),
    (
        "database_url",
        "server",
        "write `[database]` with `url`, or nothing for a file in `data_dir`",
    ),
    ("dsn", "database", "write `url = \"postgres://USER@HOST/DATABASE\"`"),
    ("path", "database", "write `url = \"sqlite:PATH\"`"),
    ("host", "database", "write `url = \"postgres://USER@HOST/DATABASE\"`"),
    ("password", "database", "write it into `url`, or set PGPASSWORD for the server"),
    ("workflows", "server", "write `workflows_dir`"),
    ("max_connections", "server", "write `connections_max`"),
    ("shutdown_timeout", "server", "write `graceful_shutdown_timeout = \"300s\"`"),
    ("concurrency", "tenants", "write `running_max`"),
    ("max_concurrency", "tenants", "write `running_max`"),
    ("max_running", "tenants", "write `running_max`"),
    ("max_queued", "tenants", "write `queued_max`"),
    ("rate", "tenants", "write `starts_per_minute_max`"),
    ("rate_limit", "tenants", "write `starts_per_minute_max`"),
    ("max_cpu", "tenants", "write `cpu_cores_max`"),
    ("max_memory", "tenants", "write `memory_gb_max`"),
    ("max_gpu", "tenants", "write `gpu_max`"),
    ("critical_max", "tenants", "write `critical_running_max`"),
    ("share", "tenants", "write `weight`"),
    ("concurrency", "agent_pools", "write `jobs_max`"),
    ("max_jobs", "agent_pools", "write `jobs_max`"),
    ("max_concurrent_jobs", "agent_pools", "write `jobs_max`"),
    ("max_parallel", "agent_pools", "write `jobs_max`"),
    ("cost", "agent_pools", "write `cost_per_hour`"),
    ("price", "agent_pools", "write `cost_per_hour`"),
    ("min_health", "agent_pools", "write `health_min_percent`"),
    ("cool_off", "agent_pools", "write `health_cool_off`"),
    ("policy", "", "write `scheduling_policy` (what is next) or `selection_policy` (who gets it)"),
    (
        "strategy",
        "",
        "write `scheduling_policy` (what is next) or `selection_policy` (who gets it)",
    ),
    ("priority_aging", "scheduler", "write `aging = \"10m\"` or `aging_ms = 600000`"),
    ("max_queue_size", "", "write `queue_jobs_max` in [limits]"),
    ("queue_size", "", "write `queue_jobs_max` in [limits]"),
    ("count", "resources", "write `units`"),
    ("capacity", "resources", "write `units`"),
    ("slots", "resources", "write `units`"),
    ("concurrency", "", "write `max_global_concurrency` in [scheduler]"),
    ("max_concurrency", "", "write `max_global_concurrency` in [scheduler]"),
    ("max_concurrent_jobs", "", "write `max_global_concurrency` in [scheduler]"),
    ("max_parallel", "", "write `max_global_concurrency` in [scheduler]"),
    (
        "retries",
        "scheduler",
        "write `max_retries` (a job that failed by itself) or `retry_max_attempts` (a lost runner)",
    ),
    ("retries", "", "write `max_retries`"),
    ("max_attempts", "scheduler", "write `retry_max_attempts`"),
    ("infra_retries_max", "scheduler", "write `retry_max_attempts`"),
    ("retry_count", "", "write `max_retries`"),
    ("timeout", "", "write `timeout_minutes`"),
    ("timeout-minutes", "", "write `timeout_minutes`"),
    ("job_timeout", "", "write `timeout_minutes`"),
    ("timeout_seconds", "", "write `timeout_minutes`"),
    ("timeout_ms", "", "write `timeout_minutes`"),
    ("retry_backoff", "", "write `backoff = \"10s\"` or `backoff_ms = 10000`"),
    ("heartbeat", "scheduler", "write `heartbeat_timeout` or `heartbeat_interval`"),
    ("lease_timeout", "scheduler", "write `lease = \"60s\"` or `lease_ms = 60000`"),
    ("lease_duration", "scheduler", "write `lease = \"60s\"` or `lease_ms = 60000`"),
    ("max_body_size", "", "write `hook_body_bytes_max` or `api_body_bytes_max` in [limits]"),
    ("body_limit", "", "write `hook_body_bytes_max` or `api_body_bytes_max` in [limits]"),
    ("tokens", "", "write `[[access.token]]`, once for each"),
    ("admin_token", "", "write `admin_tokens = [{ env = \"NAME\" }]` in [access]"),
    ("runner_token", "", "write `runner_tokens = [{ env = \"NAME\" }]` in [access]"),
    ("secret", "source", "write `secrets = [{ env = \"NAME\" }]`"),
    ("webhook_secret", "", "write `secrets = [{ env = \"NAME\" }]` in [[source]]"),
    ("type", "source", "write `kind`"),
    ("provider", "source", "write `kind`"),
    ("bots", "source", "write `trusted_bots`"),
    ("event", "trigger", "write `on`"),
    ("events", "trigger", "write `on`"),
];

/// Names of sections that people may expect.
const OTHER_SECTIONS: &[(&str, &str)] = &[
    ("routes", "write `[[route]]`, once for each"),
    ("routing", "write `[[route]]`, once for each"),
    ("sources", "write `[[source]]`, once for each"),
    ("webhook", "write `[[source]]`"),
    ("webhooks", "write `[[source]]`, once for each"),
    ("triggers", "write `[[trigger]]`, once for each"),
    ("rule", "write `[[trigger]]`"),
    ("rules", "write `[[trigger]]`, once for each"),
    ("http", "write `[server]`"),
    ("queue", "write `[scheduler]`"),
    ("scheduling", "write `[scheduler]`"),
    ("auth", "write `[access]`"),
    ("limit", "write `[limits]`"),
    ("tenant", "write `[tenants.NAME]`"),
    ("quota", "write the limits in `[tenants.NAME]`"),
    ("quotas", "write the limits in `[tenants.NAME]`"),
    ("pool", "write `[agent_pools.NAME]`"),
    ("pools", "write `[agent_pools.NAME]`"),
    ("runner_pools", "write `[agent_pools.NAME]`"),
    ("skills", "write `[skill_mapping]`"),
    ("resource", "write `[resources.NAME]`"),
];

/// Units that people put behind a key, to be told how this file says it.
const UNIT_SUFFIXES: [&str; 8] =
    ["_seconds", "_secs", "_sec", "_s", "_minutes", "_mins", "_min", "_millis"];

/// What to write instead of an unknown key.
pub(super) fn for_key(section: &str, key: &str, allowed: &[&str]) -> Option<String> {
    let fits = |about: &str| about.is_empty() || about == section;
    if let Some((.., say)) =
        OTHER_SPELLINGS.iter().find(|(other, about, _)| *other == key && fits(about))
    {
        return Some((*say).to_owned());
    }
    let base = UNIT_SUFFIXES.iter().find_map(|suffix| key.strip_suffix(suffix));
    if let Some(base) = base.filter(|base| allowed.contains(&format!("{base}_ms").as_str())) {
        return Some(format!("write `{base} = \"60s\"` or `{base}_ms = 60000`"));
    }
    let home = sections().into_iter().find(|(_, keys)| {
        keys.iter().any(|other| *other == key || other.strip_suffix("_ms") == Some(key))
    });
    home.map(|(name, _)| format!("`{key}` belongs in {name}"))
}

/// What to write instead of an unknown section.
pub(super) fn for_section(name: &str) -> Option<String> {
    if let Some((_, say)) = OTHER_SECTIONS.iter().find(|(other, _)| *other == name) {
        return Some((*say).to_owned());
    }
    for_key("", name, &[])
}

fn sections() -> [(&'static str, &'static [&'static str]); 10] {
    [
        ("[server]", keys::of::<ServerConfig>()),
        ("[database]", keys::of::<DatabaseConfig>()),
        ("[instances]", keys::of::<InstancesConfig>()),
        ("[scheduler]", keys::of::<SchedulerConfig>()),
        ("[limits]", keys::of::<LimitsConfig>()),
        ("[access]", keys::of::<AccessConfig>()),
        ("[[access.token]]", keys::of::<TokenConfig>()),
        ("[tenants.NAME]", keys::of::<TenantConfig>()),
        ("[agent_pools.NAME]", keys::of::<PoolConfig>()),
        ("[[source]]", keys::of::<SourceConfig>()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hint_names_a_key_that_exists() {
        let known: Vec<&str> = sections().into_iter().flat_map(|(_, keys)| keys).copied().collect();
        for (other, _, say) in OTHER_SPELLINGS {
            let names = say.split('`').skip(1).step_by(2);
            for name in names.filter_map(|text| text.split(" = ").next()) {
                let with_unit = format!("{name}_ms");
                assert!(
                    known.contains(&name)
                        || known.contains(&with_unit.as_str())
                        || ["on", "units"].contains(&name)
                        || name.starts_with('['),
                    "the hint for `{other}` names `{name}`"
                );
            }
            // Keys of one section that are misspellings in another.
            let is_elsewhere = ["secret", "workflows"].contains(other);
            assert!(!known.contains(other) || is_elsewhere, "`{other}` is a key");
        }
    }

    #[test]
    fn a_unit_behind_a_key_and_a_key_of_another_section_are_recognised() {
        let scheduler = keys::of::<SchedulerConfig>();
        assert_eq!(
            for_key("scheduler", "heartbeat_timeout_seconds", scheduler).as_deref(),
            Some("write `heartbeat_timeout = \"60s\"` or `heartbeat_timeout_ms = 60000`")
        );
        assert_eq!(
            for_key("scheduler", "data_dir", scheduler).as_deref(),
            Some("`data_dir` belongs in [server]")
        );
        assert_eq!(for_key("scheduler", "colour", scheduler), None);
    }
}
