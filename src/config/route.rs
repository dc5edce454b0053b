//! `[[route]]`: rules that say how jobs are carried out, by their names.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::references::Names;
use super::section::Reading;
use super::{ConfigError, ExecutorConfig, Origin, number};
use crate::executor::router::{Pattern, RoutingConfig, RoutingRule};
use crate::model::{Catalogue, JobPriority, RunnerRequirements};

/// One rule. Rules are asked in their order, and the first that matches decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// `name`: unique among the routes.
    pub name: String,
    /// `match`: a pattern of jobs' names, `tenant::kind::workload::job`: `*` for any letters in a segment,
    /// `**` for any segments.
    #[serde(rename = "match")]
    pub pattern: String,
    /// `executors`: who may carry them out, in order of fallback. Default `["runners"]`.
    #[serde(default = "runners")]
    pub executors: Vec<String>,
    /// `pools`: whose runners may take them, in order, instead of what they ask for. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// `labels`: what their runners must have beside what they ask for. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// `priority`: how urgent they are, instead of what they ask for. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<JobPriority>,
    /// `timeout_minutes_max`: the longest that an attempt may run. Default none.
    #[serde(
        default,
        deserialize_with = "number::optional_minutes",
        skip_serializing_if = "Option::is_none"
    )]
    pub timeout_minutes_max: Option<u32>,
    /// `running_max`: how many of them runners may have at once. Default none.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub running_max: Option<u32>,
}

fn runners() -> Vec<String> {
    vec![RunnerRequirements::RUNNERS.to_owned()]
}

impl RouteConfig {
    /// As the router has it, with numbers for the names of pools.
    pub fn rule(&self, catalogue: &Catalogue) -> RoutingRule {
        let boxed = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let pools = self.pools.iter().filter_map(|name| catalogue.pools.get(name.as_str()));
        RoutingRule {
            name: self.name.as_str().into(),
            pattern: self.pattern.as_str().into(),
            executors: boxed(&self.executors),
            pools: pools.copied().collect(),
            priority: self.priority,
            labels: boxed(&self.labels),
            timeout_ms_max: self.timeout_minutes_max.map(|minutes| i64::from(minutes) * 60_000),
            running_max: self.running_max,
        }
    }
}

/// All rules as the router has them.
pub(super) fn rules(routes: &[RouteConfig], catalogue: &Catalogue) -> RoutingConfig {
    let rules = routes.iter().map(|route| route.rule(catalogue));
    rules.fold(RoutingConfig::default(), RoutingConfig::with_rule)
}

/// Reports patterns that match nothing, and names of nothing.
pub(super) fn check(
    routes: &[Spanned<RouteConfig>],
    executors: &[Spanned<ExecutorConfig>],
    names: &Names<'_>,
    reading: &mut Reading<'_>,
) {
    let pushed = executors.iter().map(|executor| executor.get_ref().name.as_str());
    let executors: BTreeSet<_> = pushed.chain([RunnerRequirements::RUNNERS]).collect();
    let there_are = || {
        let list: Vec<_> = executors.iter().copied().collect();
        format!("executors are {}; `[[executor]]` makes one", list.join(", "))
    };
    let mut known = BTreeSet::new();
    for table in routes {
        let (place, route) = (reading.file.place(table.span().start), table.get_ref());
        let mut report = |key: &str, message: String, hint: Option<String>| {
            let mut error = ConfigError::at(place.clone(), format!("route.{key}"), message);
            error.hint = hint;
            reading.errors.push(error);
        };
        let name = &route.name;
        if let Err(message) = super::name::plain(name) {
            report("name", message, None);
        }
        if !known.insert(name) {
            report("name", format!("a second route has the name `{name}`"), None);
        }
        if let Err(error) = Pattern::parse(&route.pattern) {
            report("match", error.message, error.hint);
        }
        if route.executors.is_empty() {
            let message = format!("the route `{name}` names no executor");
            report("executors", message, Some(there_are()));
        }
        for executor in &route.executors {
            if !executors.contains(executor.as_str()) {
                let message = format!("the route `{name}` names the executor `{executor}`");
                report("executors", message, Some(there_are()));
            }
        }
        if route.labels.iter().any(|label| label.trim().is_empty()) {
            report("labels", format!("the route `{name}` has an empty label"), None);
        }
        let (what, origin) = (format!("the route `{name}`"), Origin::File(place));
        let unknown = |pool: &String| names.pool(pool, &what, origin.clone(), "route.pools");
        reading.errors.extend(route.pools.iter().filter_map(unknown));
    }
}
