//! GitHub's filter rules as tables, over the `on` that people write.
//!
//! The rules are those of
//! <https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax#on> and of
//! <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows>.

use serde_json::{Value, json};

use super::*;
use crate::event::ChangeSet;
use crate::trigger::decide::tests::event;

fn filters(on: &Value) -> Filters {
    Filters::compile(&On::from_json(on).unwrap(), "t").unwrap()
}

fn refused(on: &Value) -> String {
    let faults = Filters::compile(&On::from_json(on).unwrap(), "t").unwrap_err();
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// Section "on.push.<branches|tags|branches-ignore|tags-ignore>": patterns are about the whole
/// short name; with only one kind of ref filtered, the other does not run.
#[test]
fn refs_of_a_push() {
    let (main, dev, tag) = ("refs/heads/main", "refs/heads/dev", "refs/tags/v1");
    let table = [
        (json!({"push": {"branches": ["main"]}}), main, true),
        (json!({"push": {"branches": ["Main"]}}), main, false),
        (json!({"push": {"branches": ["mai"]}}), main, false),
        (json!({"push": {"branches": ["refs/heads/main"]}}), main, false),
        (json!({"push": {"branches": ["main"]}}), tag, false),
        (json!({"push": {"branches": ["**"]}}), tag, false),
        (json!({"push": {"branches-ignore": ["dev"]}}), main, true),
        (json!({"push": {"branches-ignore": ["dev"]}}), dev, false),
        (json!({"push": {"branches-ignore": ["dev"]}}), tag, false),
        (json!({"push": {"tags": ["v*"]}}), tag, true),
        (json!({"push": {"tags": ["v*"]}}), main, false),
        (json!({"push": {"tags-ignore": ["x"]}}), tag, true),
        (json!({"push": {"tags-ignore": ["x"]}}), main, false),
        (json!({"push": {"branches": ["main"], "tags": ["v*"]}}), tag, true),
        (json!({"push": {"branches": ["main"], "tags-ignore": ["v*"]}}), tag, false),
        (json!({"push": {"branches": ["main"], "tags-ignore": ["v*"]}}), main, true),
        (json!({"push": null}), tag, true),
        (json!({"push": null}), main, true),
        (json!({"push": {"branches": ["**", "!dev"]}}), dev, false),
        (json!({"push": {"branches": ["**", "!dev"]}}), main, true),
        (json!({"push": {"branches": ["!dev", "**"]}}), dev, true),
        (json!({"push": {"branches-ignore": ["*", "!dev"]}}), dev, true),
        (json!({"push": {"branches-ignore": ["*", "!dev"]}}), main, false),
    ];
    for (on, git_ref, runs) in table {
        let mut push = event("push");
        push.git_ref = Some(git_ref.into());
        let verdict = filters(&on).decide(&push);
        assert_eq!(verdict.matched, runs, "{on} {git_ref}: {}", verdict.why);
    }
}

/// Section "on.<push|pull_request|pull_request_target>.<paths|paths-ignore>": one wanted file is
/// enough, branches and paths must both hold, and tags have no paths.
#[test]
fn files_of_a_push() {
    let (main, tag) = ("refs/heads/main", "refs/tags/v1");
    let both = json!({"push": {"branches": ["dev"], "paths": ["**.js"]}});
    let table = [
        (json!({"push": {"paths": ["**.js"]}}), main, Some(vec!["a.js", "b"]), true),
        (json!({"push": {"paths": ["**.js"]}}), main, Some(vec!["b"]), false),
        (json!({"push": {"paths": ["**.js"]}}), main, None, true),
        (json!({"push": {"paths": ["**.js"]}}), main, Some(vec![]), false),
        (json!({"push": {"paths-ignore": ["docs/**"]}}), main, Some(vec!["docs/a"]), false),
        (json!({"push": {"paths-ignore": ["docs/**"]}}), main, Some(vec!["docs/a", "b"]), true),
        (json!({"push": {"paths-ignore": ["docs/**"]}}), main, Some(vec![]), false),
        (json!({"push": {"paths-ignore": ["docs/**"]}}), main, None, true),
        (json!({"push": {"paths": ["a/**", "!a/b/**"]}}), main, Some(vec!["a/b/c"]), false),
        (json!({"push": {"paths": ["a/**", "!a/b/**"]}}), main, Some(vec!["a/b/c", "a/d"]), true),
        (both.clone(), main, Some(vec!["a.js"]), false),
        (both.clone(), "refs/heads/dev", Some(vec!["a.js"]), true),
        (both, "refs/heads/dev", Some(vec!["a.rs"]), false),
        (json!({"push": {"paths": ["**.js"]}}), tag, Some(vec!["b"]), true),
        (json!({"push": {"tags": ["v*"], "paths": ["x"]}}), tag, Some(vec!["b"]), true),
        (json!({"push": {"tags": ["w*"], "paths": ["b"]}}), tag, Some(vec!["b"]), false),
        (json!({"push": {"branches": ["**"], "paths": ["b"]}}), tag, Some(vec!["b"]), false),
    ];
    for (on, git_ref, files, runs) in table {
        let mut push = event("push");
        push.git_ref = Some(git_ref.into());
        push.changes = ChangeSet::of(files.as_deref());
        let verdict = filters(&on).decide(&push);
        assert_eq!(verdict.matched, runs, "{on} {git_ref} {files:?}: {}", verdict.why);
    }
}

/// Sections "pull_request" and "pull_request_target" of the page on events: three types run when
/// none are named, whatever else is filtered; `branches` is about the base.
#[test]
fn pull_requests() {
    for name in ["pull_request", "pull_request_target"] {
        let on = |filters: Value| json!({ name: filters });
        let table = [
            (on(json!(null)), "opened", true),
            (on(json!(null)), "synchronize", true),
            (on(json!(null)), "reopened", true),
            (on(json!(null)), "closed", false),
            (on(json!(null)), "labeled", false),
            (on(json!({"branches": ["main"]})), "opened", true),
            (on(json!({"branches": ["main"]})), "edited", false),
            (on(json!({"branches": ["dev"]})), "opened", false),
            (on(json!({"branches-ignore": ["main"]})), "opened", false),
            (on(json!({"paths": ["src/**"]})), "ready_for_review", false),
            (on(json!({"paths": ["src/**"]})), "opened", true),
            (on(json!({"paths": ["docs/**"]})), "opened", false),
            (on(json!({"branches": ["dev"], "paths": ["src/**"]})), "opened", false),
            (on(json!({"types": ["closed"]})), "closed", true),
            (on(json!({"types": "closed"})), "opened", false),
        ];
        for (on, action, runs) in table {
            let mut pull = event(name);
            pull.action = Some(action.to_owned());
            pull.git_ref = Some("refs/pull/7/merge".into());
            (pull.base_ref, pull.head_ref) = (Some("main".into()), Some("dev".into()));
            pull.changes = ChangeSet::of(Some(&["src/a"]));
            let verdict = filters(&on).decide(&pull);
            assert_eq!(verdict.matched, runs, "{on} {action}: {}", verdict.why);
        }
    }
}

/// The page on events: `branches` of `workflow_run` is about the branch that the other workflow ran
/// on, that of `merge_group` about the base.
#[test]
fn branches_of_other_events() {
    let mut run = event("workflow_run");
    run.action = Some("completed".into());
    run.head_ref = Some("dev".into());
    let on = |branch: &str| json!({"workflow_run": {"workflows": ["ci"], "branches": [branch]}});
    assert!(filters(&on("dev")).decide(&run).matched);
    assert!(!filters(&on("main")).decide(&run).matched);
    let mut group = event("merge_group");
    group.base_ref = Some("refs/heads/main".into());
    let on = |branch: &str| json!({"merge_group": {"branches": [branch]}});
    assert!(filters(&on("main")).decide(&group).matched);
    assert!(!filters(&on("dev")).decide(&group).matched);
}

/// The page on events: without `types` all of them run, but for pull requests, and none that is not there.
#[test]
fn types_of_other_events() {
    for (name, action) in [
        ("issues", "pinned"),
        ("issue_comment", "deleted"),
        ("release", "prereleased"),
        ("check_run", "requested_action"),
        ("discussion", "answered"),
        ("label", "edited"),
        ("milestone", "closed"),
        ("pull_request_review", "dismissed"),
        ("pull_request_review_comment", "created"),
        ("registry_package", "updated"),
        ("watch", "started"),
        ("workflow_run", "requested"),
        ("repository_dispatch", "whatever"),
        ("nightly", "whatever"),
    ] {
        let mut it = event(name);
        it.action = Some(action.to_owned());
        assert!(filters(&json!(name)).decide(&it).matched, "{name} {action}");
        let named = json!({ name: {"types": [action]} });
        assert!(filters(&named).decide(&it).matched, "{named}");
        it.action = Some("created-otherwise".to_owned());
        assert!(!filters(&named).decide(&it).matched, "{named}");
        let is_free = matches!(name, "repository_dispatch" | "nightly");
        assert_eq!(filters(&json!(name)).decide(&it).matched, is_free, "{name}");
        it.action = None;
        assert!(filters(&json!(name)).decide(&it).matched, "{name}, of a forge that says none");
    }
    // Webhooks tell of these, and GitHub starts nothing by them.
    for (name, action) in
        [("check_suite", "requested"), ("merge_group", "destroyed"), ("discussion", "closed")]
    {
        let mut it = event(name);
        it.action = Some(action.to_owned());
        let verdict = filters(&json!(name)).decide(&it);
        assert!(!verdict.matched && verdict.why.contains("starts no workflows"), "{verdict:?}");
    }
}

#[test]
fn only_the_filters_of_the_events_kind_count() {
    let on = json!({"push": {"branches": ["main"]}, "issues": null, "schedule": [{"cron": "0 0 * * *"}]});
    let mut push = event("push");
    push.git_ref = Some("refs/heads/dev".into());
    assert!(!filters(&on).decide(&push).matched);
    assert!(filters(&on).decide(&event("issues")).matched);
    assert!(filters(&on).decide(&event("schedule")).matched);
    assert_eq!(filters(&on).decide(&event("fork")).why, "event `fork` is not wanted");
}

#[test]
fn filters_that_cannot_be_meant_are_refused_with_their_place() {
    let told = [
        json!({"push": {"branches": ["a"], "branches-ignore": ["b"]}}),
        json!({"push": {"tags": ["a"], "tags-ignore": ["b"]}}),
        json!({"pull_request": {"paths": ["a"], "paths-ignore": ["b"]}}),
        json!({"push": {"branches": ["!main"]}}),
        json!({"push": {"paths": ["a", "b?+"]}}),
        json!({"push": {"types": ["opened"]}}),
        json!({"push": {"branches": []}}),
        json!({"pull_request": {"tags": ["v1"]}}),
        json!({"issues": {"branches": ["main"]}}),
        json!({"create": {"branches": ["main"]}}),
        json!({"issue_comment": {"types": ["opened"]}}),
        json!({"pull_request": {"types": ["synchronise"]}}),
        json!({"watch": {"types": []}}),
        json!([]),
    ]
    .map(|on| refused(&on));
    insta::assert_snapshot!(told.join("\n"), @r"
    trigger `t`: on.push has both `branches` and `branches-ignore`; keep one of the two; a pattern with `!` takes names out of the first
    trigger `t`: on.push has both `tags` and `tags-ignore`; keep one of the two; a pattern with `!` takes names out of the first
    trigger `t`: on.pull_request has both `paths` and `paths-ignore`; keep one of the two; a pattern with `!` takes names out of the first
    trigger `t`: on.push.branches: all its patterns start with `!`, so it matches nothing; add one without, as `**` for all the rest
    trigger `t`: on.push.paths[1]: pattern `b?+` has a `+` without a character before it to repeat; for the character itself write `\+`
    trigger `t`: event `push` has no filter `types`; it has branches, branches-ignore, tags, tags-ignore, paths, paths-ignore
    trigger `t`: on.push.branches: a list of patterns is empty
    trigger `t`: event `pull_request` has no filter `tags`; it has types, branches, branches-ignore, paths, paths-ignore
    trigger `t`: event `issues` has no filter `branches`; it has types
    trigger `t`: event `create` has no filter `branches`; it has no filters
    trigger `t`: on.issue_comment.types[0]: no activity type is `opened`; `issue_comment` has created, edited, deleted
    trigger `t`: on.pull_request.types[0]: no activity type is `synchronise`; `pull_request` has assigned, unassigned, labeled, unlabeled, opened, edited, closed, reopened, synchronize, converted_to_draft, locked, unlocked, enqueued, dequeued, milestoned, demilestoned, ready_for_review, review_requested, review_request_removed, auto_merge_enabled, auto_merge_disabled, stacked
    trigger `t`: on.watch.types: the list is empty
    trigger `t`: it wants no event; name one under `on`, in the trigger or in its workflow's file
    ");
}
