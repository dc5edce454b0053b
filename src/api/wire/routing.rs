//! Routes: the rules by which a job's name says how it is carried out.

use serde::{Deserialize, Serialize};

use crate::model::JobPriority;

/// One rule.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteView {
    /// Its name.
    pub name: String,
    /// The pattern of the names that it is about.
    #[serde(rename = "match")]
    pub pattern: String,
    /// Who carries them out, in order of fallback.
    pub executors: Vec<String>,
    /// The pools whose runners take them, in order; empty for what they ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pools: Vec<String>,
    /// Labels beside those that they ask for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// How urgent they are, instead of what they ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<JobPriority>,
    /// The longest that an attempt runs, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms_max: Option<i64>,
    /// How many of them runners have at once at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running_max: Option<u32>,
    /// New jobs for which it decided, since this instance began to lead.
    pub jobs: u64,
}

/// All rules, in the order in which they are asked.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RoutesView {
    /// The rules.
    pub items: Vec<RouteView>,
    /// Who carries out what no rule matches.
    pub default_executor: String,
    /// New jobs that no rule matched, since this instance began to lead.
    pub default_jobs: u64,
}

/// Which rule decides about a name.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RouteDecisionView {
    /// The name.
    pub name: String,
    /// The rule that decides; `None` for the default.
    pub route: Option<RouteView>,
    /// Who carries such a job out, in order of fallback.
    pub executors: Vec<String>,
    /// The rules that were asked before, in order.
    pub passed: Vec<PassedRoute>,
}

/// A rule that does not match.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PassedRoute {
    /// Its name.
    pub route: String,
    /// Its pattern.
    #[serde(rename = "match")]
    pub pattern: String,
    /// What of it the name lacks.
    pub why: String,
}
