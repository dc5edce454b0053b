//! The environment of a step: clean, and the only way besides files and standard input by which
//! event text reaches it. Pure.
//!
//! Layers, each over the one before: `PATH HOME LANG TMPDIR` of the runner and `CI=true`; the
//! runner's secrets, for jobs that may have them; the job's `env`; the step's `env`; `DISPATCHYARD_*`
//! and `TRACEPARENT`, which nobody can override. Nothing else of the runner's own environment is
//! handed on.
//!
//! A job that holds units of resources is told which ones: `DISPATCHYARD_UNIT_<NAME>=0,2`, the name
//! in upper case and with `_` for whatever is no letter or digit of ASCII. `DISPATCHYARD_UNITS` has
//! all of them under their exact names, as a JSON object, because two names can become one variable.

use std::collections::BTreeMap;
use std::ffi::OsString;

use serde_json::Value;

use crate::api::wire::{Assignment, JobContext};
use crate::model::{HeldUnits, Trust, TrustLevel};

use super::{RunnerError, RunnerOptions};

/// The longest value that comes from an event; Linux refuses to start a process with one of
/// 128 KiB. The whole text is in the file named by `DISPATCHYARD_EVENT_PATH`.
pub(super) const EVENT_VALUE_BYTES_MAX: usize = 32 * 1024;

/// The longest secret, in bytes: all its forms are compiled and kept in memory.
const SECRET_BYTES_MAX: usize = 48 * 1024;

/// Names that only the runner sets.
const OWN_PREFIX: &str = "DISPATCHYARD_";

/// Which parts of the normalised event become variables: no name comes from an event.
const EVENT_VALUES: [(&str, &str); 20] = [
    ("DISPATCHYARD_EVENT_SOURCE", "/source"),
    ("DISPATCHYARD_EVENT_KIND", "/kind"),
    ("DISPATCHYARD_EVENT_ACTION", "/action"),
    ("DISPATCHYARD_EVENT_REF", "/ref"),
    ("DISPATCHYARD_EVENT_BASE_REF", "/base_ref"),
    ("DISPATCHYARD_EVENT_HEAD_REF", "/head_ref"),
    ("DISPATCHYARD_EVENT_SHA", "/sha"),
    ("DISPATCHYARD_EVENT_REPOSITORY", "/repository/full_name"),
    ("DISPATCHYARD_EVENT_REPOSITORY_URL", "/repository/clone_url"),
    ("DISPATCHYARD_EVENT_DEFAULT_BRANCH", "/repository/default_branch"),
    ("DISPATCHYARD_EVENT_ACTOR", "/actor/login"),
    ("DISPATCHYARD_EVENT_ACTOR_ID", "/actor/id"),
    ("DISPATCHYARD_EVENT_ACTOR_ASSOCIATION", "/actor/association"),
    ("DISPATCHYARD_EVENT_SUBJECT_KIND", "/subject/kind"),
    ("DISPATCHYARD_EVENT_SUBJECT_NUMBER", "/subject/number"),
    ("DISPATCHYARD_EVENT_SUBJECT_URL", "/subject/url"),
    ("DISPATCHYARD_EVENT_TITLE", "/subject/title"),
    ("DISPATCHYARD_EVENT_BODY", "/subject/body"),
    ("DISPATCHYARD_EVENT_FROM_FORK", "/subject/from_fork"),
    ("DISPATCHYARD_EVENT_LABEL", "/label"),
];

/// Variables of one process.
pub(crate) type Variables = BTreeMap<String, OsString>;

/// What the runner's own environment gives to every step.
pub(super) fn inherited(runner: impl Fn(&str) -> Option<OsString>) -> Variables {
    let usual = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")];
    let mut variables = Variables::new();
    for (name, default) in usual {
        variables.insert(name.to_owned(), runner(name).unwrap_or_else(|| default.into()));
    }
    if let Some(folder) = runner("TMPDIR") {
        variables.insert("TMPDIR".to_owned(), folder);
    }
    variables.insert("CI".to_owned(), "true".into());
    variables
}

/// The secrets that the options name, from the runner's own environment.
///
/// # Errors
/// [`RunnerError::Option`] when one is missing, empty or too long: an operator who names a secret
/// wants jobs to have it.
pub(super) fn secrets(
    names: &[String],
    runner: impl Fn(&str) -> Option<OsString>,
) -> Result<Variables, RunnerError> {
    let read = |name: &String| {
        let value = runner(name).unwrap_or_default();
        let reason = match value.len() {
            0 => format!("`{name}` is not set in the runner's environment, or empty"),
            1..=SECRET_BYTES_MAX => return Ok((name.clone(), value)),
            len => format!("`{name}` has {len} bytes, more than {SECRET_BYTES_MAX}"),
        };
        Err(RunnerError::Option { name: "--secret-env", reason })
    };
    names.iter().map(read).collect()
}

/// Whether a job gets the runner's secrets.
pub(super) fn gets_secrets(trust: &Trust, options: &RunnerOptions) -> bool {
    trust.level == TrustLevel::Trusted || options.secrets_for_untrusted
}

/// What tells a step which job it is part of and what happened.
pub(crate) fn job_values(job: &Assignment, context: &JobContext, runner: &str) -> Variables {
    let trust = match context.trust.level {
        TrustLevel::Trusted => "trusted",
        TrustLevel::Untrusted => "untrusted",
        TrustLevel::Unknown => "unknown",
    };
    let mut values: Vec<(&str, String)> = vec![
        ("DISPATCHYARD_JOB_ID", job.job_id.to_string()),
        ("DISPATCHYARD_JOB_NAME", job.name.clone()),
        ("DISPATCHYARD_WORKLOAD_ID", job.workload_id.to_string()),
        ("DISPATCHYARD_RUN", job.run.to_string()),
        ("DISPATCHYARD_ATTEMPT_NUMBER", context.attempt.to_string()),
        ("DISPATCHYARD_NAMESPACE", job.namespace.clone()),
        ("DISPATCHYARD_IDEMPOTENCY_KEY", context.idempotency_key.clone()),
        ("DISPATCHYARD_RUNNER", runner.to_owned()),
        ("DISPATCHYARD_TRUST", trust.to_owned()),
    ];
    values.extend(context.traceparent.clone().map(|trace| ("TRACEPARENT", trace)));
    let event = context.event.as_ref().map(event_values).unwrap_or_default();
    let own = values.into_iter().map(|(name, value)| (name, bounded(&value))).chain(event);
    let own = own.map(|(name, value)| (name.to_owned(), value));
    own.chain(unit_values(&job.units)).map(|(name, value)| (name, value.into())).collect()
}

/// Which units of resources the job holds.
fn unit_values(units: &HeldUnits) -> Vec<(String, String)> {
    if units.is_empty() {
        return Vec::new();
    }
    let upper = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    let mut values: Vec<_> = units
        .0
        .iter()
        .map(|(name, indexes)| {
            let name: String = name.chars().map(upper).collect();
            let indexes: Vec<_> = indexes.iter().map(ToString::to_string).collect();
            (format!("DISPATCHYARD_UNIT_{name}"), indexes.join(","))
        })
        .collect();
    let exact = serde_json::to_string(units).unwrap_or_default();
    values.push(("DISPATCHYARD_UNITS".to_owned(), bounded(&exact)));
    values
}

/// Lays a layer of the workflow over the others. Answers with the names that cannot be set, for
/// the job's log.
pub(super) fn overlay(variables: &mut Variables, layer: &BTreeMap<String, String>) -> Vec<String> {
    let mut refused = Vec::new();
    for (name, value) in layer {
        if may_be_set(name) && !value.contains('\0') {
            variables.insert(name.clone(), value.into());
        } else {
            refused.push(name.replace('\0', "\u{fffd}"));
        }
    }
    refused
}

/// Whether somebody else than the runner may set a variable of that name.
pub(crate) fn may_be_set(name: &str) -> bool {
    !name.is_empty() && !name.contains(['=', '\0']) && !name.starts_with(OWN_PREFIX)
}

fn event_values(event: &Value) -> Vec<(&'static str, String)> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(bounded(text)),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    };
    let found = EVENT_VALUES.iter();
    found.filter_map(|(name, at)| Some((*name, event.pointer(at).and_then(text)?))).collect()
}

/// Text as an environment value can hold it: without NUL, and not too long.
pub(super) fn bounded(text: &str) -> String {
    let mut text = text.replace('\0', "");
    let end = (0..=EVENT_VALUE_BYTES_MAX.min(text.len())).rev();
    let end = end.into_iter().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn only_four_variables_of_the_runner_reach_a_step() {
        let variables = inherited(|name| Some(format!("runner's {name}").into()));
        let names: Vec<&str> = variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["CI", "HOME", "LANG", "PATH", "TMPDIR"]);
        assert_eq!(inherited(|_| None)["LANG"], "C.UTF-8");
    }

    #[test]
    fn a_secret_that_is_not_there_is_an_error_and_strangers_get_none() {
        let runner = |name: &str| match name {
            "TOKEN" => Some("secret".into()),
            "LONG" => Some("x".repeat(SECRET_BYTES_MAX + 1).into()),
            _ => None,
        };
        let read = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            secrets(&names, runner).map_err(|error| error.to_string())
        };
        assert_eq!(read(&["TOKEN"]), Ok([("TOKEN".to_owned(), "secret".into())].into()));
        assert!(read(&["TOKEN", "OTHER"]).is_err_and(|error| error.contains("`OTHER` is not set")));
        assert!(read(&["LONG"]).is_err_and(|error| error.contains("`LONG` has")));

        let mut options =
            RunnerOptions::new("http://127.0.0.1:1", std::path::PathBuf::from("t"), "w");
        let trust = |level| Trust { level, reason: String::new() };
        assert!(gets_secrets(&trust(TrustLevel::Trusted), &options));
        assert!(!gets_secrets(&trust(TrustLevel::Untrusted), &options));
        assert!(!gets_secrets(&trust(TrustLevel::Unknown), &options));
        options.secrets_for_untrusted = true;
        assert!(gets_secrets(&trust(TrustLevel::Untrusted), &options));
    }

    #[test]
    fn a_workflow_cannot_set_the_runners_names_or_impossible_ones() {
        let mut variables = Variables::new();
        let layer =
            [("A", "1"), ("DISPATCHYARD_ATTEMPT", "x"), ("B=C", "2"), ("", "3"), ("D", "\0")];
        let layer = layer.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let refused = overlay(&mut variables, &layer.into());
        assert_eq!(refused, ["", "B=C", "D", "DISPATCHYARD_ATTEMPT"]);
        assert_eq!(variables.into_keys().collect::<Vec<_>>(), ["A"]);
    }

    #[test]
    fn an_event_gives_values_and_never_names() {
        let event = json!({
            "kind": "push", "ref": "refs/heads/$(id)\u{0}", "action": null,
            "actor": { "id": 7, "login": "octo" }, "inputs": { "PATH": "/evil" },
        });
        let values = event_values(&event);
        assert!(values.contains(&("DISPATCHYARD_EVENT_REF", "refs/heads/$(id)".to_owned())));
        assert!(values.contains(&("DISPATCHYARD_EVENT_ACTOR_ID", "7".to_owned())));
        assert_eq!(values.len(), 4, "{values:?}");
    }

    #[test]
    fn a_step_is_told_which_units_its_job_holds() {
        let held = [("repo:acme/app", vec![0, 2]), ("licence", vec![1])];
        let held = HeldUnits(held.map(|(name, units)| (name.into(), units)).into());
        let values: Vec<_> = unit_values(&held);
        let pairs: Vec<_> = values.iter().map(|(name, value)| (&**name, &**value)).collect();
        assert_eq!(
            pairs,
            [
                ("DISPATCHYARD_UNIT_LICENCE", "1"),
                ("DISPATCHYARD_UNIT_REPO_ACME_APP", "0,2"),
                ("DISPATCHYARD_UNITS", r#"{"licence":[1],"repo:acme/app":[0,2]}"#),
            ]
        );
        assert!(unit_values(&HeldUnits::default()).is_empty());
    }

    proptest! {
        #[test]
        fn event_text_always_fits_into_a_variable(text in "(?s).{0,40}", repeat in 1_usize..3_000) {
            let value = bounded(&text.repeat(repeat));
            prop_assert!(value.len() <= EVENT_VALUE_BYTES_MAX);
            prop_assert!(!value.contains('\0'));
        }
    }
}
