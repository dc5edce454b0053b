//! The rules of a configuration: its triggers joined with the workflow files of its folder.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::reports;
use super::settings::checked_catalogue;
use crate::config::{Config, ConfigError, ConfigErrors, Origin, OutsideValues};
use crate::intake::{Rules, SourceRules};
use crate::model::Catalogue;
use crate::trigger::{Allow, RuleConfig, RuleError};
use crate::workflow::{self, Defaults, FolderError, Policy};

/// Checks the routes and triggers of a configuration, and the workflow files that they name, where no
/// database is. The names of the workflows.
///
/// # Errors
///
/// As a server would find them at its start.
pub fn check_rules(config: &Config) -> Result<Vec<String>, ConfigErrors> {
    config.check_routes()?;
    let rules = rules(config, Arc::new(checked_catalogue(config)))?;
    Ok(rules.workflow_names().map(str::to_owned).collect())
}

/// What an operator should know of a configuration and its workflow files at `now_ms` (wall), one sentence each.
///
/// # Errors
///
/// As [`check_rules`].
pub fn warnings(config: &Config, now_ms: i64) -> Result<Vec<String>, ConfigErrors> {
    let rules = rules(config, Arc::new(checked_catalogue(config)))?;
    Ok(warnings_of(config, &rules, now_ms))
}

/// The same, of rules that are compiled.
pub(super) fn warnings_of(config: &Config, rules: &Rules, now_ms: i64) -> Vec<String> {
    let mut found = config.warnings();
    found.extend(config.guard_warnings(rules.triggers()));
    found.extend(rules.idle_times(now_ms));
    found
}

/// Compiles the triggers of a configuration whose names are `catalogue`'s.
///
/// # Errors
///
/// Everything that is wrong with triggers and workflow files, each with its place.
pub(super) fn rules(config: &Config, catalogue: Arc<Catalogue>) -> Result<Rules, ConfigErrors> {
    let folder = config.workflows_dir();
    // No folder is no workflows; a trigger that names one is told so.
    let policy = match config.workflow.outside_values_in_scripts {
        OutsideValues::Environment => Policy::Environment,
        OutsideValues::Refuse => Policy::Refuse,
    };
    let workflows = match folder.is_dir().then(|| workflow::load(&folder, &catalogue, policy)) {
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
        policy,
        start_by_on: config.workflow.start_by_on,
    };
    let sources = sources(config, &catalogue)?;
    let rules = Rules::compile(&triggers, workflows, defaults, catalogue).map_err(|faults| {
        ConfigErrors::all(faults.into_iter().map(|fault| with_place(config, fault)).collect())
    })?;
    Ok(rules.with_sources(sources, config.limits.causation_depth_max))
}

/// What is said of each source, beside the triggers.
fn sources(
    config: &Config,
    catalogue: &Catalogue,
) -> Result<BTreeMap<String, SourceRules>, ConfigErrors> {
    let (mut all, mut errors) = (BTreeMap::new(), Vec::new());
    for source in &config.sources {
        let workflows = source.workflows.as_ref().map(toml::Spanned::get_ref);
        let allow = workflows.and_then(|workflows| workflows.allow.as_ref());
        let allow = allow.map(|it| Allow::of_source(it, &catalogue.teams, &source.name));
        let allow = allow.transpose().unwrap_or_else(|faults| {
            errors.extend(faults.into_iter().map(|fault| {
                let place = config.place(fault.span.map_or(0, |span| span.start));
                let key = format!("source.{}.workflows.allow", source.name);
                let error = ConfigError::at(place, key, fault.message);
                fault.hint.map_or_else(|| error.clone(), |hint| error.clone().hint(hint))
            }));
            None
        });
        let rules = SourceRules {
            folder: workflows.map(|workflows| workflows.folder(source.kind).to_owned()),
            allow,
            has_forge: source.asked_forge().is_some(),
            own: source.own_identity.clone(),
            report: reports::rule(source),
        };
        all.insert(source.name.clone(), rules);
    }
    ConfigErrors::check(errors)?;
    Ok(all)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_strangers_start_is_told_as_a_trigger_is() {
        let home = tempfile::TempDir::new().unwrap();
        std::fs::create_dir(home.path().join("workflows")).unwrap();
        let file = "on: [push, pull_request]\njobs: { a: { runs-on: x, steps: [{ run: ls }] } }\n";
        std::fs::write(home.path().join("workflows/ci.yml"), file).unwrap();
        let told = |more: &str| {
            let text = format!("[[source]]\nname = 'gh'\nsecrets = [{{ env = 'S' }}]\n{more}");
            let config = Config::from_text(&home.path().join("d.toml"), &text, []).unwrap();
            warnings(&config, 0).unwrap()
        };
        let by_itself = "[workflow]\nstart_by_on = true";
        insta::assert_debug_snapshot!(told(by_itself), @r#"
        [
            "the workflow file `ci` is started by whoever causes pull_request, strangers too, on runners of `default`; say who may with a `[[trigger]]` of its own and `allow`, or close pools with `accepts_untrusted = false`",
        ]
        "#);
        assert_eq!(told(""), [""; 0]);
        let trigger = "[[trigger]]\nname = 't'\nworkflow = 'ci'\n";
        insta::assert_debug_snapshot!(told(trigger), @r#"
        [
            "the trigger `t` has no `allow`: strangers start it by pull_request, on runners of `default`; say who may with `allow`, or close pools with `accepts_untrusted = false`",
        ]
        "#);
        assert_eq!(
            told(&format!("{trigger}allow = {{ permission = 'write' }}\n[source.forge]")),
            [""; 0]
        );
    }

    #[test]
    fn a_route_of_an_embedding_program_whose_pattern_is_none_is_refused() {
        let text = "[[route]]\nname = 'gpu'\nmatch = '**::ml::**'";
        let mut config = Config::from_text("d.toml".as_ref(), text, []).unwrap();
        assert!(check_rules(&config).is_ok());
        config.routes[0].pattern = "*::ml::*".to_owned();
        insta::assert_snapshot!(check_rules(&config).unwrap_err(), @r"
        d.toml:1:1: `route.match`: the route `gpu`: `*::ml::*` matches no job: it has fewer segments (3) than every name (4 or more)
          hint: write `**::ml::**`
        ");
    }
}
