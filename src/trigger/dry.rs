//! Filters tried out without a configuration: one line of JSON in, one answer out.
//!
//! Reads what `dispatchyard try filter` and `try trigger` are given; what a filter means is decided
//! where it is decided for deliveries, in [`Filters`] and [`PatternList`].

use serde::{Deserialize, Serialize};

use super::{Filters, On, PatternList};
use crate::event::{Address, ChangeSet, Event, EventKind, Subject};
use crate::model::{Trust, Untrusted, question};

/// A list of patterns, and the refs or changed files of one event.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct FilterQuestion {
    patterns: Vec<String>,
    inputs: Vec<String>,
    #[serde(rename = "as")]
    sense: Sense,
}

/// Whether the patterns name what is wanted, or what is not.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Sense {
    Include,
    Ignore,
}

/// Whether a filter lets it run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
pub struct FilterAnswer {
    /// Whether it does.
    pub run: bool,
}

/// An `on`, and an event that may be one of its.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriggerQuestion {
    on: serde_json::Value,
    event: TriedEvent,
}

/// As much of an event as filters look at.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TriedEvent {
    name: String,
    #[serde(default)]
    action: Option<String>,
    #[serde(default, rename = "ref")]
    git_ref: Option<String>,
    #[serde(default)]
    base_ref: Option<String>,
    #[serde(default)]
    head_ref: Option<String>,
    /// `None` when nobody knows them.
    #[serde(default)]
    changed_files: Option<Vec<String>>,
    /// Whether a push deletes its ref.
    #[serde(default)]
    deleted: bool,
}

/// Whether an event starts something.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TriggerAnswer {
    /// Whether it does.
    pub run: bool,
    /// The clause that decided.
    pub why: String,
}

/// Whether a list of patterns lets an event with these refs or changed files run: patterns to
/// include when any of them is meant, patterns to ignore unless all of them are. So neither lets
/// an event run that changed no files: of none, none is meant, and all are.
///
/// `{"patterns": [..], "inputs": [..], "as": "include" | "ignore"}`
///
/// # Errors
///
/// The line is no such question, or the patterns are refused.
pub fn filter(line: &str) -> Result<FilterAnswer, String> {
    let question: FilterQuestion = question(line)?;
    let patterns = PatternList::compile(question.patterns.iter().map(String::as_str));
    let patterns = patterns.map_err(|error| match error.at() {
        Some(at) => format!("patterns[{at}]: {error}"),
        None => format!("patterns: {error}"),
    })?;
    let mut inputs = question.inputs.iter();
    let run = match question.sense {
        Sense::Include => inputs.any(|input| patterns.means(input)),
        Sense::Ignore => !inputs.all(|input| patterns.means(input)),
    };
    Ok(FilterAnswer { run })
}

/// Whether an event starts a workflow with this `on`.
///
/// `{"on": .., "event": {"name": .., "action": .., "ref": .., "base_ref": .., "changed_files": [..] | null}}`;
/// but for the name, what an event has not may be absent.
///
/// # Errors
///
/// The line is no such question, or the filters are refused.
pub fn trigger(line: &str) -> Result<TriggerAnswer, String> {
    let question: TriggerQuestion = question(line)?;
    let on = On::from_json(&question.on)?;
    let filters = Filters::compile(&on, "").map_err(|faults| {
        let faults = faults.iter().map(|fault| match &fault.hint {
            Some(hint) => format!("{}; {hint}", fault.message),
            None => fault.message.clone(),
        });
        faults.collect::<Vec<_>>().join("\n")
    })?;
    if question.event.name.is_empty() {
        return Err("event.name: it is empty".to_owned());
    }
    let verdict = filters.decide(&question.event.into());
    Ok(TriggerAnswer { run: verdict.matched, why: verdict.why.into_owned() })
}

impl From<TriedEvent> for Event {
    fn from(tried: TriedEvent) -> Self {
        Self {
            source: "try".to_owned(),
            kind: EventKind::from(tried.name),
            action: tried.action,
            repository: None,
            actor: None,
            subject: Subject { deleted: tried.deleted, ..Subject::default() },
            chat: None,
            address: Address::Everybody,
            git_ref: tried.git_ref.map(Untrusted::new),
            base_ref: tried.base_ref.map(Untrusted::new),
            head_ref: tried.head_ref.map(Untrusted::new),
            sha: None,
            changes: tried.changed_files.map_or(ChangeSet::Unknown, |files| {
                ChangeSet::Complete(files.into_iter().map(Untrusted::new).collect())
            }),
            labels: Vec::new(),
            label: None,
            inputs: serde_json::Map::new(),
            trust: Trust::default(),
            causation_depth: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn runs(patterns: &[&str], inputs: &[&str], sense: &str) -> bool {
        let line = json!({ "patterns": patterns, "inputs": inputs, "as": sense }).to_string();
        filter(&line).unwrap().run
    }

    /// <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#onpushpull_requestpull_request_targetpathspaths-ignore>
    #[test]
    fn one_wanted_file_is_enough_and_only_ignored_ones_are_not() {
        let table: &[(&[&str], &[&str], bool, bool)] = &[
            (&["docs/**"], &["docs/a", "docs/b"], true, false),
            (&["docs/**"], &["docs/a", "src/b"], true, true),
            (&["docs/**"], &["src/b"], false, true),
            (&["docs/**", "!docs/api/**"], &["docs/api/a"], false, true),
            (&["docs/**", "!docs/api/**"], &["docs/api/a", "docs/b"], true, true),
            // Nothing changed, so nothing is wanted, and nothing is left that is not ignored.
            (&["**"], &[], false, false),
        ];
        for (patterns, inputs, include, ignore) in table {
            assert_eq!(runs(patterns, inputs, "include"), *include, "{patterns:?} {inputs:?}");
            assert_eq!(runs(patterns, inputs, "ignore"), *ignore, "{patterns:?} {inputs:?}");
        }
    }

    #[test]
    fn a_bad_question_about_a_filter_is_an_error() {
        let told = [
            "",
            "{}",
            r#"{"patterns": ["a"], "inputs": ["a"], "as": "exclude"}"#,
            r#"{"patterns": ["a"], "inputs": "a", "as": "ignore"}"#,
            r#"{"patterns": ["a"], "inputs": ["a"], "as": "ignore", "is": 1}"#,
            r#"{"patterns": [], "inputs": ["a"], "as": "include"}"#,
            r#"{"patterns": ["!a"], "inputs": ["a"], "as": "include"}"#,
            r#"{"patterns": ["a", "[b"], "inputs": ["a"], "as": "include"}"#,
        ]
        .map(|line| filter(line).unwrap_err());
        insta::assert_snapshot!(told.join("\n"), @r#"
        EOF while parsing a value at line 1 column 0
        missing field `patterns` at line 1 column 2
        unknown variant `exclude`, expected `include` or `ignore` at line 1 column 52
        invalid type: string "a", expected a sequence at line 1 column 33
        unknown field `is`, expected one of `patterns`, `inputs`, `as` at line 1 column 57
        patterns: a list of patterns is empty
        patterns: all its patterns start with `!`, so it matches nothing; add one without, as `**` for all the rest
        patterns[1]: pattern `[b` has a `[` without a `]`; for the character itself write `\[`
        "#);
    }

    fn tried(on: &serde_json::Value, event: &serde_json::Value) -> Result<TriggerAnswer, String> {
        trigger(&json!({ "on": on, "event": event }).to_string())
    }

    #[test]
    fn an_event_is_asked_as_a_delivery_would_be() {
        let on = json!({"push": {"branches": ["main"], "paths": ["src/**"]}});
        let event =
            |git_ref, files| json!({"name": "push", "ref": git_ref, "changed_files": files});
        let answer = |event| {
            let answer = tried(&on, &event).unwrap();
            format!("{} {}", answer.run, answer.why)
        };
        let told = [
            answer(event("refs/heads/main", json!(["src/a"]))),
            answer(event("refs/heads/main", json!(["a"]))),
            answer(event("refs/heads/main", json!(null))),
            answer(event("refs/heads/dev", json!(["src/a"]))),
            answer(event("refs/tags/v1", json!(["src/a"]))),
            answer(json!({"name": "push", "ref": "refs/heads/main", "deleted": true})),
            answer(json!({"name": "issues", "action": "opened"})),
        ];
        insta::assert_snapshot!(told.join("\n"), @"
        true changed file `src/a` is wanted
        false none of 1 changed files matches paths
        true changed files are unknown, so path filters let it run
        false branch `dev` matches none of branches
        false tag `v1`, and only branches are filtered for
        false the push deletes its ref, which runs no push trigger
        false event `issues` is not wanted
        ");
    }

    #[test]
    fn a_bad_question_about_an_event_is_an_error_with_its_place() {
        let push = json!({"name": "push", "ref": "refs/heads/main"});
        let told = [
            trigger("{").unwrap_err(),
            tried(&json!("push"), &json!({})).unwrap_err(),
            tried(&json!("push"), &json!({"name": "push", "files": []})).unwrap_err(),
            tried(&json!([]), &push).unwrap_err(),
            tried(&json!({"push": {"branches": ["a"], "branches-ignore": ["b"]}}), &push)
                .unwrap_err(),
            tried(&json!({"push": {"paths": ["!docs/**"]}}), &push).unwrap_err(),
            tried(&json!({"push": {"tags": ["v1", "v[2"]}}), &push).unwrap_err(),
            tried(&json!({"issues": {"types": ["opened", "open"]}}), &push).unwrap_err(),
        ];
        insta::assert_snapshot!(told.join("\n"), @r"
        EOF while parsing an object at line 1 column 1
        missing field `name` at line 1 column 23
        unknown field `files`, expected one of `name`, `action`, `ref`, `base_ref`, `head_ref`, `changed_files`, `deleted` at line 1 column 43
        it wants no event; name one under `on`, in the trigger or in its workflow's file
        on.push has both `branches` and `branches-ignore`; keep one of the two; a pattern with `!` takes names out of the first
        on.push.paths: all its patterns start with `!`, so it matches nothing; add one without, as `**` for all the rest
        on.push.tags[1]: pattern `v[2` has a `[` without a `]`; for the character itself write `\[`
        on.issues.types[1]: no activity type is `open`; `issues` has opened, edited, deleted, transferred, pinned, unpinned, closed, reopened, assigned, unassigned, labeled, unlabeled, locked, unlocked, milestoned, demilestoned, field_added, field_removed, typed, untyped
        ");
    }
}
