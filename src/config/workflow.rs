//! `[workflow]`: how workflow files are read.

use serde::{Deserialize, Serialize};

use super::section::Section;

/// How workflow files are read.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct WorkflowConfig {
    /// `outside_values_in_scripts`: what becomes of `${{ }}` in a script whose value could come from outside:
    /// `environment` (the script reads it from a variable; where that is not possible it is refused) or `refuse`.
    /// Default `environment`.
    pub outside_values_in_scripts: OutsideValues,
    /// `start_by_on`: whether a file that no trigger starts is started by its own `on`, whatever source the event
    /// comes from and whoever's it is. Default false.
    pub start_by_on: bool,
}

/// What becomes of values from outside in scripts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideValues {
    /// They reach the script as environment values.
    #[default]
    Environment,
    /// A file with one is refused.
    Refuse,
}

impl Section for WorkflowConfig {
    const NAME: &'static str = "workflow";
}
