//! GitHub's filter rules as tables.

use serde_json::json;

use super::*;
use crate::event::ChangeSet;

#[derive(serde::Deserialize)]
struct Config {
    trigger: Vec<RuleConfig>,
}

/// An event of this kind with nothing in it.
pub(in crate::trigger) fn event(kind: &str) -> Event {
    serde_json::from_value(json!({ "source": "github", "kind": kind })).unwrap()
}

fn config(rest: &str) -> RuleConfig {
    let text = format!("[[trigger]]\nname = \"t\"\nworkflow = \"w\"\n{rest}");
    toml::from_str::<Config>(&text).unwrap().trigger.remove(0)
}

fn decide(rest: &str, event: &Event) -> (bool, String) {
    let verdict = Trigger::compile(&config(rest), &BTreeMap::new()).unwrap().decide(event);
    (verdict.matched, verdict.why.into_owned())
}

fn refused(rest: &str) -> String {
    let errors = Trigger::compile(&config(rest), &BTreeMap::new()).unwrap_err();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn push(git_ref: &str, files: Option<&[&str]>) -> Event {
    let mut event = event("push");
    event.git_ref = Some(git_ref.into());
    event.changes = files.map_or(ChangeSet::Unknown, |files| {
        ChangeSet::Complete(files.iter().map(|&file| file.into()).collect())
    });
    event
}

#[test]
fn branch_and_tag_filters_follow_githubs_rules() {
    let (main, dev, tag) = ("refs/heads/main", "refs/heads/dev", "refs/tags/v1");
    let branches = "[trigger.on.push]\nbranches = ['main', 'release/**']";
    let tags = "[trigger.on.push]\ntags = ['v*']";
    let both = "[trigger.on.push]\nbranches = ['main']\ntags = ['v*']";
    let ignore = "[trigger.on.push]\nbranches-ignore = ['dev']";
    let mixed = "[trigger.on.push]\nbranches = ['main']\ntags-ignore = ['v*']";
    let table = [
        ("on = 'push'", main, true, "no filter refuses it"),
        ("on = 'push'", tag, true, "no filter refuses it"),
        (branches, main, true, "branch `main` matches `main` of branches"),
        (
            branches,
            "refs/heads/release/1/x",
            true,
            "branch `release/1/x` matches `release/**` of branches",
        ),
        (branches, dev, false, "branch `dev` matches none of branches"),
        (branches, tag, false, "tag `v1`, and only branches are filtered for"),
        (tags, tag, true, "tag `v1` matches `v*` of tags"),
        (tags, main, false, "branch `main`, and only tags are filtered for"),
        (both, main, true, "branch `main` matches `main` of branches"),
        (both, tag, true, "tag `v1` matches `v*` of tags"),
        (both, "refs/tags/x", false, "tag `x` matches none of tags"),
        (ignore, main, true, "branch `main` matches none of branches-ignore"),
        (ignore, dev, false, "branch `dev` matches `dev` of branches-ignore"),
        (ignore, tag, false, "tag `v1`, and only branches are filtered for"),
        (mixed, "refs/tags/x", true, "tag `x` matches none of tags-ignore"),
        (mixed, tag, false, "tag `v1` matches `v*` of tags-ignore"),
    ];
    for (rule, git_ref, matched, why) in table {
        assert_eq!(decide(rule, &push(git_ref, None)), (matched, why.to_owned()), "{rule}");
    }
    let (matched, why) = decide(branches, &event("push"));
    assert_eq!((matched, why.as_str()), (false, "the event names no ref for `branches` or `tags`"));
}

#[test]
fn path_filters_follow_githubs_rules() {
    let main = "refs/heads/main";
    let only = "[trigger.on.push]\npaths = ['**.js', 'docs/**']";
    let ignore = "[trigger.on.push]\npaths-ignore = ['docs/**']";
    let both = "[trigger.on.push]\nbranches = ['dev']\npaths = ['**.js']";
    let table = [
        (only, main, Some(&["a/b.js", "x"][..]), true, "changed file `a/b.js` is wanted"),
        (only, main, Some(&["x", "y"]), false, "none of 2 changed files matches paths"),
        (only, main, Some(&[]), false, "none of 0 changed files matches paths"),
        (only, main, None, true, "changed files are unknown, so path filters let it run"),
        (only, "refs/tags/v1", Some(&["x"]), true, "path filters do not apply to tag pushes"),
        (
            ignore,
            main,
            Some(&["docs/a", "docs/b"]),
            false,
            "all of 2 changed files match paths-ignore",
        ),
        (ignore, main, Some(&["docs/a", "x"]), true, "changed file `x` is wanted"),
        (both, main, Some(&["a.js"]), false, "branch `main` matches none of branches"),
        (both, "refs/heads/dev", Some(&["a.js"]), true, "changed file `a.js` is wanted"),
        (both, "refs/heads/dev", Some(&["a"]), false, "none of 1 changed files matches paths"),
    ];
    for (rule, git_ref, files, matched, why) in table {
        assert_eq!(decide(rule, &push(git_ref, files)), (matched, why.to_owned()), "{rule}");
    }
}

#[test]
fn a_truncated_list_of_files_lets_it_run_and_says_so() {
    let rule = "[trigger.on.push]\npaths = ['src/**']";
    let mut event = push("refs/heads/main", None);
    event.changes = ChangeSet::Truncated(vec!["docs/a".into()]);
    let (matched, why) = decide(rule, &event);
    assert!(matched && why.contains("truncated"), "{why}");
    event.changes = ChangeSet::Truncated(vec!["src/a".into()]);
    assert_eq!(decide(rule, &event), (true, "changed file `src/a` is wanted".to_owned()));
}

#[test]
fn a_push_that_deletes_its_ref_runs_nothing_and_a_delete_event_does() {
    let mut event = push("refs/heads/main", Some(&[]));
    event.subject.deleted = true;
    let (matched, why) = decide("on = ['push', 'delete']", &event);
    assert!(!matched && why.contains("deletes its ref"), "{why}");
    event.kind = EventKind::Delete;
    assert!(decide("on = ['push', 'delete']", &event).0);
}

#[test]
fn pull_requests_run_for_three_types_also_beside_other_filters() {
    let plain = "on = 'pull_request'";
    let based = "[trigger.on.pull_request]\nbranches = ['main']";
    let closed = "[trigger.on.pull_request]\ntypes = ['closed']";
    let table = [
        (plain, "opened", true),
        (plain, "synchronize", true),
        (plain, "reopened", true),
        (plain, "closed", false),
        (plain, "labeled", false),
        (based, "opened", true),
        (based, "edited", false),
        (closed, "closed", true),
        (closed, "opened", false),
    ];
    for (rule, action, matched) in table {
        let mut event = event("pull_request");
        event.action = Some(action.to_owned());
        event.base_ref = Some("main".into());
        event.head_ref = Some("dev".into());
        event.git_ref = Some("refs/pull/7/merge".into());
        assert_eq!(decide(rule, &event).0, matched, "{rule} {action}");
    }
    let (_, why) = decide(plain, &event("pull_request"));
    assert_eq!(why, "the event has no activity type, wanted opened, synchronize, reopened");
}

#[test]
fn branches_of_a_pull_request_mean_its_base() {
    let rule = "[trigger.on.pull_request]\nbranches = ['main']\npaths = ['src/**']";
    let mut event = event("pull_request");
    event.action = Some("opened".into());
    event.head_ref = Some("main".into());
    event.base_ref = Some("dev".into());
    let why = "base branch `dev` matches none of branches".to_owned();
    assert_eq!(decide(rule, &event), (false, why));
    event.base_ref = Some("main".into());
    assert!(decide(rule, &event).1.contains("changed files are unknown"));
    event.base_ref = None;
    assert!(!decide(rule, &event).0);
}

#[test]
fn other_events_run_for_all_types_and_unknown_kinds_can_be_wanted() {
    let mut event = event("issues");
    for action in [Some("opened"), Some("pinned"), None] {
        event.action = action.map(str::to_owned);
        assert!(decide("on = 'issues'", &event).0);
    }
    assert_eq!(
        decide("[trigger.on.issues]\ntypes = ['opened', 'edited']", &event).1,
        "the event has no activity type, wanted opened, edited"
    );
    event.kind = EventKind::Other("deploy-finished".into());
    assert!(decide("on = 'deploy-finished'", &event).0);
    assert_eq!(decide("on = 'push'", &event).1, "event `deploy-finished` is not wanted");
}

#[test]
fn sources_actors_and_labels_are_filtered() {
    let mut event = event("issues");
    let actor = "on = 'issues'\nactors = ['OctoCat']";
    assert_eq!(decide(actor, &event).1, "the event names no actor");
    event.actor = Some(crate::event::Actor { login: "octocat".into(), ..Default::default() });
    assert!(decide(actor, &event).0);
    assert!(!decide("on = 'issues'\nactors = ['octo']", &event).0);
    let why = "source `github` is not `gitea`".to_owned();
    assert_eq!(decide("on = 'issues'\nsource = 'gitea'", &event), (false, why));

    let labels = "on = 'issues'\nlabels = ['Run-CI', 'größe']";
    assert!(!decide(labels, &event).0);
    event.labels = vec!["bug".into(), "GRÖßE".into()];
    assert!(decide(labels, &event).0);
}

#[test]
fn an_added_label_counts_and_not_one_that_was_there() {
    let labels = "on = 'issues'\nlabels = ['run-ci']";
    let mut event = event("issues");
    event.action = Some("labeled".into());
    event.labels = vec!["run-ci".into(), "bug".into()];
    event.label = Some("bug".into());
    let why = "the label that changed, `bug`, is none of run-ci".to_owned();
    assert_eq!(decide(labels, &event), (false, why));
    event.label = Some("RUN-CI".into());
    assert!(decide(labels, &event).0);
}

#[test]
fn hostile_names_are_quoted_escaped_and_short_in_a_verdict() {
    let rule = "[trigger.on.push]\nbranches = ['main']";
    let name = format!("refs/heads/a\u{0}\u{1b}[31m\n{}", "x".repeat(500));
    let (_, why) = decide(rule, &push(&name, None));
    assert!(why.starts_with("branch `a\\0\\u{1b}[31m\\nxxx"), "{why}");
    assert!(why.len() < 200 && !why.contains(char::is_control));
}

#[test]
fn everything_that_is_wrong_with_a_rule_is_told_at_once() {
    let rule = "timeout_minutes = 0\nmax_retries = 101\nactors = []\nagent = { profile = 'a b', prompt = '{{ x' }\n\
        [trigger.on.push]\nbranches = ['main', 'v?+']\nbranches-ignore = []\ntypes = ['x']\n\
        [[trigger.on.schedule]]\ncron = '60 * * * *'\n[trigger.on.pull_request]\ntags = ['a']";
    insta::assert_snapshot!(refused(rule), @r"
    trigger `t`: event `pull_request` has no filter `tags`; it has types, branches, branches-ignore, paths, paths-ignore
    trigger `t`: event `push` has no filter `types`; it has branches, branches-ignore, tags, tags-ignore, paths, paths-ignore
    trigger `t`: on.push has both `branches` and `branches-ignore`; keep one of the two; a pattern with `!` takes names out of the first
    trigger `t`: on.push.branches[1]: pattern `v?+` has a `+` without a character before it to repeat; for the character itself write `\+`
    trigger `t`: on.push.branches-ignore: a list of patterns is empty
    trigger `t`: on.schedule[0]: minute: 60 is not from 0 to 59; a full hour is 0; every hour is `0 * * * *`
    trigger `t`: actors is empty; leave the key out to want any
    trigger `t`: timeout_minutes: 0 minutes is not from 1 to 43200
    trigger `t`: max_retries: 101 is over 100
    trigger `t`: it starts both a workflow and an agent; write two triggers
    ");
    insta::assert_snapshot!(refused("on = ['pull_request_target']"), @"trigger `t`: event `pull_request_target` never comes; GitHub sends `pull_request` to webhooks; workflows and prompts never come from the pull request anyway");
    insta::assert_snapshot!(refused("on = []"), @"trigger `t`: it wants no event; name one under `on`, in the trigger or in its workflow's file");
}

#[test]
fn a_rule_starts_one_thing() {
    let none: RuleConfig = toml::from_str("name = 'x'\non = 'push'").unwrap();
    insta::assert_snapshot!(Trigger::compile(&none, &BTreeMap::new()).unwrap_err()[0], @r#"trigger `x`: it starts nothing; add `workflow = "..."` or `agent = { profile = "...", prompt = "..." }`"#);
    let bad = "name = 'x'\non = 'push'\nagent = { profile = 'a/b', prompt = '{{ event.x }}' }";
    let bad: RuleConfig = toml::from_str(bad).unwrap();
    let errors = Trigger::compile(&bad, &BTreeMap::new()).unwrap_err();
    insta::assert_snapshot!(errors[0], @"trigger `x`: agent.profile `a/b` is not a profile's name; use letters, digits, `-` and `_`, at most 100 bytes");
    assert!(errors[1].message.starts_with("agent.prompt: unknown placeholder"));
}

#[test]
fn a_refused_pattern_is_found_in_the_text() {
    let text = "name = 'x'\nworkflow = 'w'\n[on.push]\nbranches = ['main', 'v[12']";
    let config: RuleConfig = toml::from_str(text).unwrap();
    let errors = Trigger::compile(&config, &BTreeMap::new()).unwrap_err();
    assert_eq!(&text[errors[0].span.clone().unwrap()], "'v[12'");
}
