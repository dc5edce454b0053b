//! `[resources.NAME]`: named, counted things that jobs hold while they run.

use serde::{Deserialize, Serialize};

use super::number;

/// One resource. A name that ends in `*` stands for all that begin so; of several the longest
/// decides.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ResourceConfig {
    /// `units`: how many there are; each has an index from 0. No default.
    #[serde(deserialize_with = "number::units")]
    pub units: u32,
}
