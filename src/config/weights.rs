//! `weights` of a pool: how much each part counts in the selection policy `weighted`.

use serde::{Deserialize, Serialize};

use super::number;
use super::pool::{micros, whole};
use crate::dispatch::Weights;

/// Only the proportions matter; 0 leaves a part out. Not all of them may be 0.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WeightsConfig {
    /// `load`: the share of slots that are free. Default 40.
    #[serde(deserialize_with = "number::part")]
    pub load: u16,
    /// `performance`: how soon the job would be done. Default 30.
    #[serde(deserialize_with = "number::part")]
    pub performance: u16,
    /// `locality`: how near it is to the job's preferred regions. Default 20.
    #[serde(deserialize_with = "number::part")]
    pub locality: u16,
    /// `affinity`: what the job itself prefers, affinity and spread among it. Default 60.
    #[serde(deserialize_with = "number::part")]
    pub affinity: u16,
    /// `health`: how few of its jobs failed. Default 20.
    #[serde(deserialize_with = "number::part")]
    pub health: u16,
    /// `cost`: what the job would cost on it. Default 10.
    #[serde(deserialize_with = "number::part")]
    pub cost: u16,
    /// `reference_cost_per_hour`: the price at which a runner is neither cheap nor dear, in your
    /// currency. Kept in millionths. Default 1.
    #[serde(
        rename = "reference_cost_per_hour",
        deserialize_with = "micros",
        serialize_with = "whole"
    )]
    pub reference_cost_micros_per_hour: u64,
}

impl Default for WeightsConfig {
    fn default() -> Self {
        let Weights {
            load,
            performance,
            locality,
            wishes,
            health,
            cost,
            reference_cost_micros_per_hour,
        } = Weights::default();
        Self {
            load,
            performance,
            locality,
            affinity: wishes,
            health,
            cost,
            reference_cost_micros_per_hour,
        }
    }
}

impl WeightsConfig {
    /// As the policy has them.
    pub fn weights(self) -> Weights {
        Weights {
            load: self.load,
            performance: self.performance,
            locality: self.locality,
            wishes: self.affinity,
            health: self.health,
            cost: self.cost,
            reference_cost_micros_per_hour: self.reference_cost_micros_per_hour,
        }
    }

    /// Whether nothing counts.
    pub(super) fn are_nothing(self) -> bool {
        let parts =
            [self.load, self.performance, self.locality, self.affinity, self.health, self.cost];
        parts == [0; 6]
    }
}
