//! Which commit an event is about, and what the files of a repository start.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::intake::evaluate::tests::{configs, workflows};
use crate::intake::{Arrival, Evaluation, Facts, Outcome, SourceRules, evaluate};
use crate::model::Catalogue;
use crate::workflow::Defaults;

const JOBS: &str = "jobs: { a: { runs-on: x, steps: [{ run: ls }] } }";
const FOLDER: &str = ".github/workflows";

fn event(more: &Value) -> Event {
    let mut event = json!({
        "source": "github", "kind": "push", "ref": "refs/heads/dev", "sha": "abc1234",
        "repository": { "full_name": "acme/app", "default_branch": "main" },
        "trust": { "level": "trusted", "reason": "a writer" },
    });
    event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    serde_json::from_value(event).unwrap()
}

fn at(more: &Value) -> Commit {
    Lookup::of(&event(more)).unwrap().at
}

fn rules(config: &str) -> Rules {
    let catalogue = Arc::new(Catalogue::default());
    let triggers = if config.is_empty() { Vec::new() } else { configs(config) };
    let rules = Rules::compile(&triggers, workflows(), Defaults::default(), catalogue).unwrap();
    let of_source = SourceRules { folder: Some(FOLDER.to_owned()), ..SourceRules::default() };
    rules.with_sources(BTreeMap::from([("github".to_owned(), of_source)]), 5)
}

fn files(rules: &Rules, files: &[(&str, &str)]) -> RepositoryFiles {
    let text = |(name, text): &(&str, &str)| ((*name).to_owned(), Ok((*text).to_owned()));
    let files: Vec<_> = files.iter().map(text).collect();
    RepositoryFiles::compile(rules, FOLDER, "0123456789abcdef", &files)
}

fn with(rules: &Rules, event: &Event, files: &RepositoryFiles) -> Evaluation {
    evaluate(event, rules, Arrival { facts: Facts::Files(files), ..Arrival::default() })
}

fn said(evaluation: &Evaluation) -> Vec<(&str, bool, &str)> {
    evaluation.verdicts.iter().map(|it| (&*it.trigger, it.matched, &*it.why)).collect()
}

#[test]
fn a_push_is_about_its_commit() {
    assert_eq!(at(&json!({})), Commit::Id("abc1234".to_owned()));
    assert_eq!(at(&json!({ "ref": "refs/tags/v1" })), Commit::Id("abc1234".to_owned()));
    let bot = json!({ "trust": { "level": "untrusted", "reason": "a bot that writes" } });
    assert_eq!(at(&bot), Commit::Id("abc1234".to_owned()));
}

#[test]
fn what_is_proposed_is_about_the_branch_that_it_would_come_to_and_never_about_its_head() {
    let base = Commit::Of("release/1".to_owned());
    for (more, expected) in [
        (json!({ "kind": "pull_request", "base_ref": "release/1", "head_ref": "evil" }), &base),
        (json!({ "kind": "pull_request_review", "base_ref": "refs/heads/release/1" }), &base),
        (json!({ "base_ref": "release/1" }), &base),
        (json!({ "kind": "merge_group", "base_ref": "release/1" }), &base),
        // Without a base it is the default branch.
        (json!({ "kind": "pull_request" }), &Commit::Of("main".to_owned())),
        (
            json!({ "kind": "issue_comment", "subject": { "kind": "pull_request" } }),
            &Commit::Of("main".to_owned()),
        ),
        (json!({ "subject": { "from_fork": true } }), &Commit::Of("main".to_owned())),
        (json!({ "ref": "refs/pull/7/head" }), &Commit::Of("main".to_owned())),
        (json!({ "ref": "refs/for/main" }), &Commit::Of("main".to_owned())),
    ] {
        assert_eq!(at(&more), *expected, "{more}");
    }
}

#[test]
fn everything_else_is_about_the_default_branch() {
    let main = Commit::Of("main".to_owned());
    for more in [
        json!({ "kind": "issues" }),
        json!({ "kind": "release", "ref": "refs/tags/v1" }),
        json!({ "kind": "workflow_dispatch" }),
        json!({ "subject": { "deleted": true } }),
        json!({ "sha": null }),
        // Nobody knows who pushed.
        json!({ "trust": { "level": "unknown", "reason": "insecure" } }),
        json!({ "ref": null }),
    ] {
        assert_eq!(at(&more), main, "{more}");
    }
    let unnamed = json!({ "kind": "star", "repository": { "full_name": "acme/app" } });
    assert_eq!(at(&unnamed), Commit::OfDefault);
    assert_eq!(Lookup::of(&event(&json!({ "repository": null }))), None);
}

#[test]
fn a_lookup_is_needed_where_the_source_has_repositories_and_the_event_names_one() {
    let rules = rules("");
    let outcome = |event: &Event| evaluate(event, &rules, Arrival::default()).outcome;
    let Outcome::Needs(lookup) = outcome(&event(&json!({}))) else { panic!("a lookup") };
    assert_eq!(lookup.to_string(), "the workflow files of acme/app at the commit abc1234");
    let Outcome::Ignored(_) = outcome(&event(&json!({ "source": "other" }))) else { panic!() };
    let Outcome::Ignored(_) = outcome(&event(&json!({ "repository": null }))) else { panic!() };
    let left_out = Arrival { facts: Facts::LeftOut, ..Arrival::default() };
    let Outcome::Ignored(_) = evaluate(&event(&json!({})), &rules, left_out).outcome else {
        panic!("nothing")
    };
}

#[test]
fn each_file_that_wants_the_event_is_started_beside_the_triggers() {
    let rules = rules("[[trigger]]\nname = 'ci'\non = 'push'\nworkflow = 'build'");
    let files = files(
        &rules,
        &[
            ("a.yml", &format!("on: {{ push: {{ branches: [dev] }} }}\n{JOBS}")),
            ("b.yml", &format!("on: {{ push: {{ branches: [main] }} }}\n{JOBS}")),
            ("c.yaml", &format!("on: workflow_dispatch\n{JOBS}")),
            ("d.yml", JOBS),
        ],
    );
    let evaluation = with(&rules, &event(&json!({})), &files);
    insta::assert_debug_snapshot!(said(&evaluation), @r#"
    [
        (
            "ci",
            true,
            "no filter refuses it",
        ),
        (
            ".github/workflows/a.yml",
            true,
            "branch `dev` matches `dev` of branches",
        ),
        (
            ".github/workflows/b.yml",
            false,
            "branch `dev` matches none of branches",
        ),
        (
            ".github/workflows/c.yaml",
            false,
            "the file says no `on` that an event could be",
        ),
        (
            ".github/workflows/d.yml",
            false,
            "the file says no `on` that an event could be",
        ),
    ]
    "#);
    let Outcome::Plan(plan) = evaluation.outcome else { panic!("a plan") };
    let started: Vec<_> = plan.workloads.iter().map(|it| (&*it.trigger, &*it.name)).collect();
    assert_eq!(started, [("ci", "build"), (".github/workflows/a.yml", "a")]);
}

#[test]
fn a_file_that_is_wrong_does_not_keep_the_others_from_running() {
    let rules = rules("");
    let good = format!("on: push\n{JOBS}");
    let wrong = format!("on: push\n{JOBS}\nfoo: 1");
    let both = files(&rules, &[("good.yml", &good), ("wrong.yml", &wrong)]);
    let evaluation = with(&rules, &event(&json!({})), &both);
    let Outcome::Plan(plan) = &evaluation.outcome else { panic!("a plan") };
    assert_eq!(plan.workloads.len(), 1);
    let (name, matched, why) = said(&evaluation)[1];
    assert_eq!((name, matched), (".github/workflows/wrong.yml", false));
    assert!(why.starts_with("the file is wrong: wrong.yml:3:"), "{why}");

    // Alone it makes the delivery fail, whatever the event: nobody knows what it wants.
    let alone = files(&rules, &[("wrong.yml", &wrong)]);
    let Outcome::Failed(why) = with(&rules, &event(&json!({ "kind": "star" })), &alone).outcome
    else {
        panic!("failed")
    };
    assert!(why.starts_with(".github/workflows/wrong.yml: the file is wrong:"), "{why}");
}

#[test]
fn a_file_that_cannot_be_used_or_planned_says_why() {
    let rules =
        rules("[[trigger]]\nname = '.github/workflows/x.yml'\non = 'star'\nworkflow = 'build'");
    let given = [
        ("large.yml".to_owned(), Err("it is larger than 1 bytes".to_owned())),
        ("x.yml".to_owned(), Ok(format!("on: push\n{JOBS}"))),
        (
            "y.yml".to_owned(),
            Ok("on: push\njobs: { a: { runs-on: { group: nobody }, steps: [{ run: ls }] } }"
                .to_owned()),
        ),
    ];
    let files = RepositoryFiles::compile(&rules, FOLDER, "abc", &given);
    let evaluation = with(&rules, &event(&json!({})), &files);
    let said = said(&evaluation);
    assert_eq!(said[1].2, "the file cannot be used: it is larger than 1 bytes");
    assert_eq!(said[2].2, "a trigger of the configuration has its name");
    assert!(said[3].2.contains("nobody"), "{said:?}");
    assert!(said.iter().all(|(_, matched, _)| !matched));
}

#[test]
fn no_files_are_no_fault() {
    let none = "the repository has no workflow files in `.github/workflows` at 0123456789ab";
    let alone = rules("");
    let outcome = with(&alone, &event(&json!({})), &files(&alone, &[])).outcome;
    assert_eq!(outcome, Outcome::Ignored(none.to_owned()));
    let beside = rules("[[trigger]]\nname = 'ci'\non = 'star'\nworkflow = 'build'");
    let outcome = with(&beside, &event(&json!({})), &files(&beside, &[])).outcome;
    let only = "the only trigger: event `push` is not wanted";
    assert_eq!(outcome, Outcome::Ignored(format!("{only}; {none}")));
}

#[test]
fn names_of_files_are_told_from_those_of_triggers() {
    let rules = rules("");
    assert!(rules.is_of_repository(".github/workflows/ci.yml"));
    assert!(!rules.is_of_repository("ci") && !rules.is_of_repository(".github/workflows"));
}
