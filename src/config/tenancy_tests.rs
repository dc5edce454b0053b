//! Tenants, pools, skills and resources: what is read, and what is refused.

use std::path::Path;

use super::*;
use crate::dispatch::MaxWaitPolicy;

pub(super) fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_text(Path::new("d.toml"), text, [])
}

pub(super) fn refusal(text: &str) -> String {
    read(text).expect_err("it is wrong").to_string()
}

const FULL: &str = r#"
[scheduler]
selection_policy = "geographic"
aging = "10m"
queue_timeout = "2h"
[tenants.acme]
weight = 3
running_max = 10
queued_max = 100
starts_per_minute_max = 60
cpu_cores_max = 32
memory_gb_max = 64
gpu_max = 0
critical_running_max = 2
max_wait_policy = "refuse"
[agent_pools.fast]
tenant = "acme"
scheduling_policy = "fair_share"
selection_policy = "learned"
jobs_max = 8
reserve_resources = true
balance_hold = "0ms"
health_min_percent = 20
health_cool_off = "30s"
distances = { eu = { us = 90 } }
weights = { cost = 0, affinity = 5, reference_cost_per_hour = 0.5 }
cost_per_hour = 0.35
[agent_pools.cheap]
cost_per_hour = 1
[skill_mapping]
rust = ["fast", "default"]
"c++" = ["cheap"]
[resources."repo:*"]
units = 1
[resources.licence]
units = 3
[[access.token]]
name = "acme-ci"
role = "submit"
tenant = "acme"
critical = true
secrets = [{ env = "A" }]
[[access.token]]
name = "farm"
role = "runner"
pools = ["fast"]
secrets = [{ file = "f" }]
[[source]]
name = "gh"
insecure = true
tenant = "acme"
[[trigger]]
name = "t"
tenant = "default"
on = "push"
workflow = "w"
"#;

#[test]
fn everything_that_can_be_said_is_read() {
    let config = read(FULL).unwrap();
    assert_eq!(config.scheduler.selection_policy, "locality");
    assert_eq!(config.scheduler.queue_timeout_ms, Some(7_200_000));
    let acme = &config.tenants["acme"];
    assert_eq!((acme.weight, acme.gpu_max, acme.running_max), (3, Some(0), Some(10)));
    assert_eq!(acme.max_wait_policy, MaxWaitPolicy::Refuse);
    let fast = &config.pools["fast"];
    assert_eq!(fast.balance_hold_ms, Some(0));
    assert_eq!(fast.distances["eu"]["us"], 90);
    let weights = fast.weights.weights();
    assert_eq!((weights.load, weights.wishes, weights.cost), (40, 5, 0));
    assert_eq!(weights.reference_cost_micros_per_hour, 500_000);
    assert_eq!(fast.cost_micros_per_hour, 350_000);
    assert_eq!(config.pools["cheap"].cost_micros_per_hour, 1_000_000);
    assert_eq!(config.skills["rust"], ["fast", "default"]);
    assert_eq!(config.resources["repo:*"].units, 1);
    let roles: Vec<_> = config.access.token.iter().map(|token| token.get_ref().role).collect();
    assert_eq!(roles, [Role::Submit, Role::Runner]);
    assert_eq!(config.sources[0].tenant.as_ref().unwrap().get_ref(), "acme");
    assert_eq!(config.triggers[0].get_ref().tenant.as_ref().unwrap().get_ref(), "default");
}

#[test]
fn what_is_in_force_can_be_read_again() {
    let effective = read(FULL).unwrap().effective();
    let again = read(&effective).unwrap();
    assert_eq!(again.tenants["acme"], read(FULL).unwrap().tenants["acme"]);
    assert_eq!(again.pools, read(FULL).unwrap().pools);
    assert_eq!(again.skills, read(FULL).unwrap().skills);
    assert_eq!(again.resources, read(FULL).unwrap().resources);
    assert_eq!(again.access.token.len(), 2);
    assert!(effective.contains("cost_per_hour = 0.35 # d.toml:27:1"), "{effective}");
    assert!(effective.contains("[resources.\"repo:*\"]"), "{effective}");
}

#[test]
fn every_name_that_is_referred_to_must_be_there() {
    let text = r#"
[tenants.acme]
[agent_pools.fast]
tenant = "acm"
[skill_mapping]
rust = ["fast", "slow"]
none = []
twice = ["fast", "fast"]
[[access.token]]
name = "a"
role = "viewer"
tenant = "acne"
secrets = [{ env = "A" }]
[[access.token]]
name = "r"
role = "runner"
pools = ["fats"]
secrets = [{ env = "A" }]
[[source]]
name = "gh"
insecure = true
tenant = "ace"
[[trigger]]
name = "t"
on = "push"
workflow = "w"
tenant = "acm"
"#;
    insta::assert_snapshot!(refusal(text), @"
    d.toml:4:1: `agent_pools.fast.tenant`: the pool `fast` names the tenant `acm`
      hint: tenants are acme, default; `[tenants.NAME]` makes one
    d.toml:6:17: `skill_mapping.rust`: the skill `rust` names the pool `slow`
      hint: pools are default, fast; `[agent_pools.NAME]` makes one
    d.toml:7:8: `skill_mapping.none`: the skill `none` has no pool: no runner could have it
      hint: name the pools whose runners have it, the preferred one first
    d.toml:8:18: `skill_mapping.twice`: the skill `twice` names the pool `fast` twice
    d.toml:12:10: `access.token.tenant`: the token `a` names the tenant `acne`
      hint: tenants are acme, default; `[tenants.NAME]` makes one
    d.toml:17:10: `access.token.pools`: the token `r` names the pool `fats`
      hint: pools are default, fast; `[agent_pools.NAME]` makes one
    d.toml:22:10: `source.tenant`: the source `gh` names the tenant `ace`
      hint: tenants are acme, default; `[tenants.NAME]` makes one
    d.toml:27:10: `trigger.tenant`: the trigger `t` names the tenant `acm`
      hint: tenants are acme, default; `[tenants.NAME]` makes one
    ");
}

#[test]
fn limits_that_contradict_each_other_are_refused_with_their_place() {
    let text = r#"
[tenants.acme]
weight = 0
running_max = 0
queued_max = 0
[tenants.globex]
weight = -2
critical_running_max = 0
[tenants.initech]
running_max = 3
critical_running_max = 4
[agent_pools.a]
jobs_max = 0
health_min_percent = 101
cost_per_hour = -1
distances = { eu = { us = 90, eu = 1 }, us = { eu = 80 } }
[agent_pools.b]
distances = { eu = { us = 90, eu = 1 }, us = { eu = 80 } }
[agent_pools.c]
weights = { load = 0, performance = 0, locality = 0, affinity = 0, health = 0, cost = 0 }
[agent_pools.d]
weights = { load = -1 }
[agent_pools.e]
weights = { speed = 1 }
[resources.licence]
units = 0
[resources.without]
[limits]
queue_jobs_max = 0
"#;
    insta::assert_snapshot!(refusal(text), @"
    d.toml:3:10: `tenants.acme.weight`: 0 is out of range: a whole number from 1 to 1000000
    d.toml:4:15: `tenants.acme.running_max`: 0 is out of range: a whole number from 1 to 9007199254740992
    d.toml:5:14: `tenants.acme.queued_max`: 0 is out of range: a whole number from 1 to 9007199254740992
    d.toml:7:10: `tenants.globex.weight`: -2 is out of range: a whole number from 1 to 1000000
    d.toml:11:1: `tenants.initech.critical_running_max`: 4 is more than its running_max 3
      hint: raise running_max, or lower this one
    d.toml:13:12: `agent_pools.a.jobs_max`: 0 is out of range: a whole number from 1 to 9007199254740992
    d.toml:14:22: `agent_pools.a.health_min_percent`: 101 is out of range: a whole number of percent from 0 to 100
    d.toml:15:17: `agent_pools.a.cost_per_hour`: -1 is no price from 0 to 1000000
    d.toml:18:1: `agent_pools.b.distances`: the region `eu` is 1 away from itself
    d.toml:18:1: `agent_pools.b.distances`: from `eu` to `us` it is 90, and 80 the other way round
    d.toml:20:1: `agent_pools.c.weights`: all are 0: nothing would count
      hint: give one of them a weight, or choose another policy
    d.toml:22:20: `agent_pools.d.weights`: -1 is out of range: a whole number from 0 to 65535
    d.toml:24:13: `agent_pools.e.weights`: unknown field `speed`, expected one of `load`, `performance`, `locality`, `affinity`, `health`, `cost`, `reference_cost_per_hour`
    d.toml:26:9: `resources.licence.units`: 0 is out of range: a whole number from 1 to 100000
    d.toml:27:1: `resources.without`: missing field `units`
    d.toml:29:18: `limits.queue_jobs_max`: 0 is out of range: a whole number from 1 to 9007199254740992
    ");
}

#[test]
fn an_unknown_policy_is_answered_with_the_known_ones() {
    let text = r#"
[scheduler]
scheduling_policy = "random"
[tenants.acme]
max_wait_policy = "perhaps"
[agent_pools.a]
scheduling_policy = "lifo"
selection_policy = "best"
"#;
    insta::assert_snapshot!(refusal(text), @"
    d.toml:3:1: `scheduler.scheduling_policy`: there is no scheduling policy `random`: priority, fifo, fair_share, skill
    d.toml:5:19: `tenants.acme.max_wait_policy`: unknown variant `perhaps`, expected one of `admit`, `warn`, `refuse`
    d.toml:7:1: `agent_pools.a.scheduling_policy`: there is no scheduling policy `lifo`: priority, fifo, fair_share, skill
    d.toml:8:1: `agent_pools.a.selection_policy`: there is no selection policy `best`: least_loaded, round_robin, weighted, locality, best_fit, learned
    ");
}

#[test]
fn names_are_short_and_never_part_namespaces() {
    let long = "x".repeat(65);
    let text = format!(
        "[tenants.\"a::b\"]\n[tenants.\"\"]\n[agent_pools.{long}]\n[skill_mapping]\n\
         \"a::b\" = [\"default\"]\n[resources.\"a*b\"]\nunits = 1\n[resources.\"a::b\"]\nunits = 1\n"
    );
    insta::assert_snapshot!(refusal(&text), @"
    d.toml:1:10: `tenants.a::b`: the name `a::b` is not 1 to 64 of the letters a-z, digits, `-` and `_`
    d.toml:2:10: `tenants.`: the name `` is not 1 to 64 of the letters a-z, digits, `-` and `_`
    d.toml:3:14: `agent_pools.xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx`: the name `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is not 1 to 64 of the letters a-z, digits, `-` and `_`
    d.toml:5:1: `skill_mapping.a::b`: the name `a::b` has `::` in it, which parts namespaces
    d.toml:6:12: `resources.a*b`: the name `a*b` has a `*` before its end: one may stand last
    d.toml:8:12: `resources.a::b`: the name `a::b` has `::` in it, which parts namespaces
    ");
}

#[test]
fn other_spellings_are_answered_with_what_to_write() {
    let text = r#"
[tenants.acme]
max_running = 3
aging = "1m"
[agent_pools.a]
max_jobs = 1
strategy = "x"
[resources.r]
count = 3
[pools.fast]
[quotas]
[tokens]
[skills]
"#;
    insta::assert_snapshot!(refusal(text), @"
    d.toml:3:1: `tenants.acme.max_running`: unknown key, allowed: weight, running_max, queued_max, starts_per_minute_max, cpu_cores_max, memory_gb_max, gpu_max, critical_running_max, max_wait_policy, sessions_per_day_max, session_cost_micros_per_day_max
      hint: write `running_max`
    d.toml:4:1: `tenants.acme.aging`: unknown key, allowed: weight, running_max, queued_max, starts_per_minute_max, cpu_cores_max, memory_gb_max, gpu_max, critical_running_max, max_wait_policy, sessions_per_day_max, session_cost_micros_per_day_max
      hint: `aging` belongs in [scheduler]
    d.toml:6:1: `agent_pools.a.max_jobs`: unknown key, allowed: tenant, accepts_untrusted, scheduling_policy, selection_policy, jobs_max, reserve_resources, balance_hold_ms, health_min_percent, health_cool_off_ms, distances, weights, cost_per_hour, warm
      hint: write `jobs_max`
    d.toml:7:1: `agent_pools.a.strategy`: unknown key, allowed: tenant, accepts_untrusted, scheduling_policy, selection_policy, jobs_max, reserve_resources, balance_hold_ms, health_min_percent, health_cool_off_ms, distances, weights, cost_per_hour, warm
      hint: write `scheduling_policy` (what is next) or `selection_policy` (who gets it)
    d.toml:9:1: `resources.r.count`: unknown key, allowed: units
      hint: write `units`
    d.toml:10:2: `pools`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write `[agent_pools.NAME]`
    d.toml:11:2: `quotas`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write the limits in `[tenants.NAME]`
    d.toml:12:2: `tokens`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write `[[access.token]]`, once for each
    d.toml:13:2: `skills`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write `[skill_mapping]`
    ");
    insta::assert_snapshot!(refusal("[tenants]\nacme = 3\n[agent_pools]\nx.y.z = 1"), @"
    d.toml:2:8: `tenants.acme`: expected a table, found integer
      hint: write `[tenants.acme]` on a line of its own
    d.toml:4:3: `agent_pools.x.y`: unknown key, allowed: tenant, accepts_untrusted, scheduling_policy, selection_policy, jobs_max, reserve_resources, balance_hold_ms, health_min_percent, health_cool_off_ms, distances, weights, cost_per_hour, warm
    ");
}

#[test]
fn a_limit_that_another_one_undercuts_is_warned_of() {
    let text = "[scheduler]\nmax_global_concurrency = 5\n[limits]\nqueue_jobs_max = 10\n\
                [tenants.a]\nrunning_max = 6\nqueued_max = 11\n[agent_pools.p]\njobs_max = 6\n";
    insta::assert_debug_snapshot!(read(text).unwrap().warnings(), @r#"
    [
        "running_max 6 of the tenant `a` is more than max_global_concurrency 5, which wins",
        "queued_max 11 of the tenant `a` is more than queue_jobs_max 10, which wins",
        "jobs_max 6 of the pool `p` is more than max_global_concurrency 5, which wins",
    ]
    "#);
}

#[test]
fn the_example_shows_every_key_of_what_has_a_name() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dispatchyard.toml");
    let text = std::fs::read_to_string(path).unwrap();
    // What is commented out and looks like TOML is TOML.
    let is_toml = |line: &&str| line.starts_with('[') || line.contains(" = ");
    let shown: Vec<_> = text
        .lines()
        .skip_while(|line| *line != "# [[access.token]]")
        .take_while(|line| *line != "[[source]]")
        .filter_map(|line| line.strip_prefix("# "))
        .filter(is_toml)
        .collect();
    let config = read(&shown.join("\n")).unwrap_or_else(|error| panic!("{error}"));
    assert!(config.tenants.len() == 1 && config.pools.len() == 1 && config.skills.len() == 1);
    assert!(!config.resources.is_empty() && config.access.token.len() >= 2);
    let keys = [keys::of::<TenantConfig>(), keys::of::<PoolConfig>(), keys::of::<TokenConfig>()];
    for key in keys.concat() {
        let key = key.strip_suffix("_ms").unwrap_or(key);
        let stands = |line: &&str| {
            line.split([' ', '='])
                .next()
                .is_some_and(|first| first.strip_suffix("_ms").unwrap_or(first) == key)
        };
        assert!(shown.iter().any(stands), "the example lacks `{key}`");
    }
}
