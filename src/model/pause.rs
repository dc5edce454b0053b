//! Pauses: somebody said that something gives out no jobs for now.

use serde::{Deserialize, Serialize};

use super::{PoolId, TenantId};

/// What is paused.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseScope {
    /// Nothing is given out.
    Everything,
    /// Nothing goes to runners of this pool.
    Pool(PoolId),
    /// No job of this tenant is given out.
    Tenant(TenantId),
    /// No job that this trigger started is given out.
    Trigger(Box<str>),
}

/// A pause's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Pause {
    /// What is paused.
    pub scope: PauseScope,
    /// Who asked for it.
    pub author: Box<str>,
    /// Why, for people.
    pub reason: Box<str>,
    /// Wall milliseconds.
    pub at_ms: i64,
}

impl Pause {
    /// Who asked for the pause of a trigger that started too much.
    pub const BREAKER: &str = "breaker";
}
