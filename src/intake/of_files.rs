//! The triggers that workflow files have a part in: by their `on`, or by themselves.

use std::collections::BTreeMap;

use crate::trigger::RuleConfig;
use crate::workflow::{self, FileOn};

/// All triggers: those of the configuration, and after them those that files are, if these start by their `on`.
pub(super) fn with_those_of_files(
    triggers: &[RuleConfig],
    workflows: &BTreeMap<String, workflow::File>,
    start_by_on: bool,
) -> Vec<RuleConfig> {
    let own = if start_by_on { own_triggers(triggers, workflows) } else { Vec::new() };
    triggers.iter().map(|it| with_on_of_file(it, workflows)).chain(own).collect()
}

/// A trigger that says no `on` has that of the file which it starts.
fn with_on_of_file(
    config: &RuleConfig,
    workflows: &BTreeMap<String, workflow::File>,
) -> RuleConfig {
    let mut config = config.clone();
    let file = config.workflow.as_ref().and_then(|name| workflows.get(name.get_ref()));
    if let Some(on) = file.and_then(|file| file.on.as_ref()).filter(|_| config.on.is_empty()) {
        config.on = on.with_times();
    }
    config
}

/// The triggers that files are by themselves, because they say `on` and nobody else starts them.
fn own_triggers(
    triggers: &[RuleConfig],
    workflows: &BTreeMap<String, workflow::File>,
) -> Vec<RuleConfig> {
    let started = |file: &str| {
        triggers.iter().any(|it| it.workflow.as_ref().is_some_and(|name| name.get_ref() == file))
    };
    let named = |name: &str| triggers.iter().any(|it| it.name.get_ref() == name);
    let mut own = Vec::new();
    for (name, file) in workflows.iter().filter(|(name, _)| !started(name)) {
        let Some(on) = file.on.as_ref().map(FileOn::with_times) else { continue };
        if on.is_empty() {
            continue;
        }
        let trigger = if named(name) { format!("{name}.on") } else { name.clone() };
        own.push(RuleConfig::of_file(trigger, name.clone(), on));
    }
    own
}
