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
    /// Of a trigger: why its breaker stopped it. That lasts below somebody's own pause, and is lifted by itself.
    pub breaker: Option<Box<str>>,
}

impl Pause {
    /// Who asked for the pause of a trigger that started too much.
    pub const BREAKER: &str = "breaker";

    /// Why a breaker stopped the trigger that is paused, if one did.
    pub fn stopped_by_breaker(&self) -> Option<&str> {
        let alone = (&*self.author == Self::BREAKER).then_some(&*self.reason);
        self.breaker.as_deref().or(alone)
    }

    /// What both ask for who paused the same: a breaker's word stays beside that of people.
    #[must_use]
    pub fn beside(self, earlier: &Self) -> Self {
        let of_breaker = &*self.author == Self::BREAKER;
        match (of_breaker, &*earlier.author == Self::BREAKER) {
            (true, false) => Self { breaker: Some(self.reason), ..earlier.clone() },
            (false, _) => Self { breaker: earlier.stopped_by_breaker().map(Into::into), ..self },
            (true, true) => self,
        }
    }

    /// What is left of it when somebody lifts it: what the breaker said, below a pause of people.
    pub fn left(&self) -> Option<Self> {
        let reason = self.breaker.clone()?;
        Some(Self { author: Self::BREAKER.into(), reason, breaker: None, ..self.clone() })
    }
}
