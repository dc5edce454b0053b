//! `[instances]`: servers that share a PostgreSQL, of which one leads.

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::number;
use super::section::Section;

/// The shortest term: less would take a busy database's pause for a crash.
const LEADER_TTL_MS_MIN: i64 = 500;

/// The section `[instances]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InstancesConfig {
    /// `leader_ttl_ms`: a leader that the database has not heard of for so long is ousted, and one that
    /// cannot reach the database stops before that. The same on all instances. Default 5000.
    #[serde(deserialize_with = "ttl")]
    pub leader_ttl_ms: i64,
    /// `look_interval_ms`: how often an instance that does not lead looks whether nobody does. Default
    /// 150.
    #[serde(deserialize_with = "number::millis")]
    pub look_interval_ms: i64,
    /// `adopt_interval_ms`: how often the leader looks for deliveries that others accepted and it was
    /// not told of. Default 1000.
    #[serde(deserialize_with = "number::millis")]
    pub adopt_interval_ms: i64,
    /// `forward_wait_ms`: how long an instance keeps a call for the leader while there is none, before
    /// it answers 503. Default 2500.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub forward_wait_ms: i64,
}

impl Default for InstancesConfig {
    fn default() -> Self {
        Self {
            leader_ttl_ms: 5_000,
            look_interval_ms: 150,
            adopt_interval_ms: 1_000,
            forward_wait_ms: 2_500,
        }
    }
}

impl Section for InstancesConfig {
    const NAME: &'static str = "instances";
}

fn ttl<'de, D: Deserializer<'de>>(from: D) -> Result<i64, D::Error> {
    let ms = number::millis(from)?;
    if ms < LEADER_TTL_MS_MIN {
        return Err(D::Error::custom(format!("{ms} is too short: at least {LEADER_TTL_MS_MIN}")));
    }
    Ok(ms)
}
