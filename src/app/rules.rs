//! The rules of a configuration: its triggers joined with the workflow files of its folder.

use std::collections::BTreeMap;

use crate::config::{Config, ConfigError, ConfigErrors, Origin};
use crate::intake::Rules;
use crate::trigger::{RuleConfig, RuleError};
use crate::workflow::{self, Defaults, FolderError};

/// Compiles the triggers of a configuration.
///
/// # Errors
///
/// Everything that is wrong with triggers and workflow files, each with its place.
pub fn rules(config: &Config) -> Result<Rules, ConfigErrors> {
    let folder = config.workflows_dir();
    // No folder is no workflows; a trigger that names one is told so.
    let workflows = match folder.is_dir().then(|| workflow::load(&folder)) {
        None => BTreeMap::new(),
        Some(Ok(workflows)) => workflows,
        Some(Err(faults)) => {
            let error = |fault: FolderError| {
                ConfigError::new(Origin::WholeFile(folder.clone()), "", fault.to_string())
            };
            return Err(ConfigErrors::all(faults.into_iter().map(error).collect()));
        }
    };
    let triggers: Vec<RuleConfig> =
        config.triggers.iter().map(|trigger| trigger.get_ref().clone()).collect();
    let defaults = Defaults {
        timeout_minutes: config.scheduler.timeout_minutes,
        max_retries: config.scheduler.max_retries,
        backoff_ms: u32::try_from(config.scheduler.backoff_ms).unwrap_or(u32::MAX),
        workload_jobs_max: config.limits.workload_jobs_max,
    };
    Rules::compile(&triggers, workflows, defaults).map_err(|faults| {
        ConfigErrors::all(faults.into_iter().map(|fault| with_place(config, fault)).collect())
    })
}

fn with_place(config: &Config, fault: RuleError) -> ConfigError {
    let key = format!("trigger.{}", fault.trigger);
    let offset = fault.span.map_or(0, |span| span.start);
    let error = ConfigError::at(config.place(offset), key, fault.message);
    match fault.hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}
