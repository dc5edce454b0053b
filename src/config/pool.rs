//! `[agent_pools.NAME]`: runners of one kind, and how they get their jobs.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, Error, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use super::warm::WarmConfig;
use super::weights::WeightsConfig;
use super::{number, policy};

/// How far regions are from each other, in any unit: `{ eu = { us = 90 } }`, both ways.
pub type Distances = BTreeMap<String, BTreeMap<String, u32>>;

/// One pool. `default` is there without being written: runners that name no pool join it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PoolConfig {
    /// `tenant`: the only tenant whose jobs its runners take. Default none: all tenants share it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// `accepts_untrusted`: whether its runners take jobs that strangers caused, as by a pull request from a fork. Such
    /// jobs get no secrets; they still run on these machines. Default true.
    pub accepts_untrusted: bool,
    /// `scheduling_policy`: what is next for a runner. Default: that of `[scheduler]`.
    #[serde(
        deserialize_with = "policy::optional_scheduling",
        skip_serializing_if = "Option::is_none"
    )]
    pub scheduling_policy: Option<String>,
    /// `selection_policy`: who gets a job. Default: that of `[scheduler]`.
    #[serde(
        deserialize_with = "policy::optional_selection",
        skip_serializing_if = "Option::is_none"
    )]
    pub selection_policy: Option<String>,
    /// `jobs_max`: jobs that its runners have. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub jobs_max: Option<u64>,
    /// `reserve_resources`: a job takes its cores, memory and graphics processors from what its
    /// runner has left, rather than comparing them with the runner's total. Default false.
    pub reserve_resources: bool,
    /// `balance_hold_ms`: how long a job is kept back for a less loaded runner that does not
    /// wait; 0 for never. Default: that of `[scheduler]`.
    #[serde(
        deserialize_with = "number::optional_millis_or_zero",
        skip_serializing_if = "Option::is_none"
    )]
    pub balance_hold_ms: Option<i64>,
    /// `health_min_percent`: a runner whose health is lower gets nothing for a while; 0 for never.
    /// Default 50.
    #[serde(deserialize_with = "number::percent")]
    pub health_min_percent: u32,
    /// `health_cool_off_ms`: for how long; then one job is its probe. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub health_cool_off_ms: i64,
    /// `distances`: how far regions are from each other, for policies that look at places.
    /// Default none: another region is far away.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub distances: Distances,
    /// `weights`: how much each part counts for the policy `weighted`. Default: load 40, performance
    /// 30, locality 20, affinity 60, health 20, cost 10.
    pub weights: WeightsConfig,
    /// `cost_per_hour`: what an hour of a runner costs that does not say so itself, in your
    /// currency. Kept in millionths. Default 0.
    #[serde(rename = "cost_per_hour", deserialize_with = "micros", serialize_with = "whole")]
    pub cost_micros_per_hour: u64,
    /// `warm`: the server starts its runners: `[agent_pools.NAME.warm]`. Default: it does not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub warm: Option<WarmConfig>,
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            tenant: None,
            accepts_untrusted: true,
            scheduling_policy: None,
            selection_policy: None,
            jobs_max: None,
            reserve_resources: false,
            balance_hold_ms: None,
            health_min_percent: 50,
            health_cool_off_ms: 60_000,
            distances: BTreeMap::new(),
            weights: WeightsConfig::default(),
            cost_micros_per_hour: 0,
            warm: None,
        }
    }
}

/// The highest price of an hour: more is a slip of the finger.
const COST_MAX: f64 = 1_000_000.0;

struct Price;

impl Visitor<'_> for Price {
    type Value = u64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a price from 0 to {COST_MAX}")
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<u64, E> {
        if !(0.0..=COST_MAX).contains(&value) {
            return Err(E::custom(format!("{value} is no price from 0 to {COST_MAX}")));
        }
        Ok((value * 1e6).round() as u64)
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<u64, E> {
        self.visit_f64(value as f64)
    }
}

pub(super) fn micros<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    from.deserialize_any(Price)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it with a reference")]
pub(super) fn whole<S: Serializer>(micros: &u64, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_f64(*micros as f64 / 1e6)
}
