//! Routes: what is read, what is refused with its line, and what an operator is warned of.

use super::tenancy_tests::{read, refusal};
use crate::model::{Catalogue, PoolId};

const FULL: &str = r#"
[agent_pools.fast]
[[route]]
name = "gpu"
match = "**::gpu-*"
executors = ["runners"]
pools = ["fast", "default"]
labels = ["cuda"]
priority = "high"
timeout_minutes_max = 30
running_max = 4
[[route]]
name = "rest"
match = "**"
"#;

#[test]
fn everything_that_a_route_can_say_is_read_and_can_be_read_again() {
    let config = read(FULL).unwrap();
    let catalogue =
        Catalogue { pools: [("fast".into(), PoolId(7))].into(), ..Catalogue::default() };
    let router = config.routing(&catalogue);
    let rules: Vec<_> = router.rules().collect();
    assert_eq!((&*rules[0].name, &rules[0].pools[..]), ("gpu", &[PoolId(7)][..]));
    assert_eq!((rules[0].timeout_ms_max, rules[0].running_max), (Some(1_800_000), Some(4)));
    assert_eq!((&*rules[1].pattern, rules[1].executors.len()), ("**", 1));
    assert_eq!(read(&config.effective()).unwrap().routes, config.routes);
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn what_no_job_could_match_or_nobody_carries_out_is_refused_with_its_line() {
    let text = r#"
[[route]]
name = "a"
match = "*::ml::*"
[[route]]
name = "a"
match = "**"
executors = ["cloud"]
pools = ["slow"]
labels = [" "]
[[route]]
name = "b c"
match = "x::build::**"
executors = []
[[route]]
name = "d"
match = "**"
timeout_minutes_max = 0
"#;
    insta::assert_snapshot!(refusal(text), @r"
    d.toml:2:1: `route.match`: `*::ml::*` matches no job: it has fewer segments (3) than every name (4 or more)
      hint: write `**::ml::**`
    d.toml:5:1: `route.name`: a second route has the name `a`
    d.toml:5:1: `route.executors`: the route `a` names the executor `cloud`
      hint: executors are runners; `[[executor]]` makes one
    d.toml:5:1: `route.labels`: the route `a` has an empty label
    d.toml:5:1: `route.pools`: the route `a` names the pool `slow`
      hint: pools are default; `[agent_pools.NAME]` makes one
    d.toml:11:1: `route.name`: the name `b c` is not 1 to 64 of the letters a-z, digits, `-` and `_`
    d.toml:11:1: `route.match`: `x::build::**` matches no job: the second segment of every name is workflow or agent
      hint: write `**::x::build::**`
    d.toml:11:1: `route.executors`: the route `b c` names no executor
      hint: executors are runners; `[[executor]]` makes one
    d.toml:18:23: `route.timeout_minutes_max`: 0 is out of range: a whole number of minutes from 1 to 527040
    ");
}

#[test]
fn a_route_behind_one_that_takes_all_its_jobs_is_warned_of() {
    let text =
        "[[route]]\nname = 'all'\nmatch = '**'\n[[route]]\nname = 'gpu'\nmatch = '**::gpu::**'\n";
    let warnings = read(text).unwrap().warnings();
    let wanted =
        "the route `gpu` never decides: `all` before it matches all that `**::gpu::**` does";
    assert_eq!(warnings, [wanted]);
}
