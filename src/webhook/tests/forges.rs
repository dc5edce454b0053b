//! Gitea, Forgejo, GitLab, Bitbucket.

use serde_json::{Value, json};

use super::*;
use crate::event::{ChangeSet, SubjectKind};
use crate::model::TrustLevel;

const SHA: &str = "3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e";

#[test]
fn every_forges_kinds_have_githubs_names() {
    let outlines: Vec<_> = FIXTURES
        .iter()
        .filter(|(_, name, kind, _)| !kind.is_empty() && !name.contains("deleted"))
        .flat_map(|(_, name, ..)| {
            events(name).into_iter().map(move |it| format!("{name}: {}", outline(&it)))
        })
        .collect();
    insta::assert_snapshot!(outlines.join("\n"), @"
    gitea/push: push - refs/heads/main
    gitea/pull_request_sync: pull_request synchronize refs/pull/7/merge #7
    gitea/pull_request_approved: pull_request_review submitted refs/pull/7/merge #7
    gitea/issue_comment: issue_comment created refs/heads/main #5
    forgejo/push: push - refs/heads/main
    gitlab/push: push - refs/heads/main
    gitlab/tag_push: push - refs/tags/v1.2.0
    gitlab/merge_request: pull_request opened refs/merge-requests/7/head #7
    gitlab/merge_request_new_commits: pull_request synchronize refs/merge-requests/7/head #7
    gitlab/merge_request_fork: pull_request opened refs/merge-requests/7/head #7
    gitlab/merge_request_labels: pull_request labeled refs/merge-requests/7/head #7
    gitlab/merge_request_labels: pull_request unlabeled refs/merge-requests/7/head #7
    gitlab/note_on_merge_request: issue_comment created refs/heads/main #7
    gitlab/issue: issues opened refs/heads/main #5
    gitlab/release: release published refs/tags/v1.2.0
    gitlab/pipeline: workflow_run completed refs/heads/main
    bitbucket/push: push - refs/heads/main
    bitbucket/push: push - refs/tags/v1.2.0
    bitbucket/push: push - refs/heads/topic/limit
    bitbucket/pullrequest_created: pull_request opened refs/heads/topic/limit #7
    bitbucket/pullrequest_comment_created: issue_comment created refs/heads/main #7
    bitbucket/refs_changed: push - refs/heads/main
    bitbucket/refs_changed: push - refs/heads/topic/limit
    bitbucket/pr_from_ref_updated: pull_request synchronize refs/pull-requests/7/from #7
    ");
}

#[test]
fn a_push_names_its_ref_commit_files_and_sender() {
    for name in ["gitea/push", "forgejo/push", "gitlab/push"] {
        let event = event(name);
        assert_eq!(event.sha.as_deref(), Some(SHA), "{name}");
        let files = ["README.md", "src/limit.rs"].map(Into::into).into();
        assert_eq!(event.changes, ChangeSet::Complete(files), "{name}");
        assert_eq!(event.subject.kind, SubjectKind::Branch);
        assert_eq!(data(event.subject.title.as_ref()), Some("Test the limit at its edge"));
        assert_eq!(event.actor.unwrap().id, Some(1001));
        let repository = event.repository.unwrap();
        assert_eq!((repository.id, &*repository.full_name), (Some(7001), "octo-org/example"));
        assert_eq!(event.trust.level, TrustLevel::Trusted, "{name}: {}", event.trust.reason);
    }
}

#[test]
fn a_list_of_commits_that_may_be_cut_is_truncated() {
    for (name, pointer, value) in [
        ("gitea/push", "/total_commits", json!(3)),
        ("gitea/push", "/total_commits", Value::Null),
        ("gitea/push", "/before", json!("0".repeat(40))),
        ("gitea/push", "/commits/1/modified", json!("README.md")),
        ("gitlab/push", "/total_commits_count", json!(21)),
        ("gitlab/push", "/total_commits_count", json!("2")),
        ("gitlab/push", "/before", json!("0".repeat(40))),
        ("gitlab/push", "/commits/0/added", Value::Null),
        ("gitlab/push", "/commits/1/id", json!("else")),
    ] {
        let changes = changed(name, pointer, value.clone()).changes;
        assert!(
            matches!(changes, ChangeSet::Truncated(_)),
            "{name} {pointer} {value}: {changes:?}"
        );
    }
    for name in ["gitea/push", "gitlab/push"] {
        assert_eq!(changed(name, "/commits", json!([])).changes, ChangeSet::Unknown);
        assert_eq!(changed(name, "/ref", json!("refs/tags/v1")).changes, ChangeSet::Unknown);
    }
}

#[test]
fn a_deleted_branch_has_no_commit_and_is_marked() {
    let zeros = json!("0".repeat(40));
    for event in [event("gitlab/push_deleted"), changed("gitea/push", "/after", zeros)] {
        assert!(event.subject.deleted);
        assert_eq!(event.sha, None);
        assert_eq!(event.changes, ChangeSet::Complete(Vec::new()));
    }
}

#[test]
fn one_push_to_bitbucket_is_one_event_for_each_ref() {
    let seen: Vec<_> = [events("bitbucket/push"), events("bitbucket/refs_changed")]
        .concat()
        .iter()
        .map(|it| (outline(it), it.sha.is_some(), it.subject.deleted, it.trust.level))
        .collect();
    let trusted = TrustLevel::Trusted;
    let row = |git_ref: &str, has_sha, deleted| {
        (format!("push - refs/{git_ref}"), has_sha, deleted, trusted)
    };
    assert_eq!(
        seen,
        [
            row("heads/main", true, false),
            row("tags/v1.2.0", true, false),
            row("heads/topic/limit", false, true),
            row("heads/main", true, false),
            row("heads/topic/limit", false, true),
        ]
    );
    let event = &events("bitbucket/push")[0];
    assert_eq!(event.changes, ChangeSet::Unknown, "no payload of Bitbucket lists files");
    let actor = event.actor.as_ref().unwrap();
    assert_eq!((actor.id, actor.uid.as_deref().map(str::len)), (None, Some(38)));
}

#[test]
fn a_push_of_nothing_is_no_event() {
    let text = r#"{"actor":{},"repository":{"full_name":"a/b"},"push":{"changes":[]}}"#;
    let parsed = parse_as(Provider::Bitbucket, "repo:push", text).unwrap();
    assert!(said(parsed).events.is_empty());
}

#[test]
fn a_ping_of_bitbucket_is_no_event() {
    let parsed = parse_as(Provider::Bitbucket, "diagnostics:ping", r#"{"test":true}"#).unwrap();
    assert_eq!(parsed, Parsed::Ping { hook_id: None });
}

#[test]
fn a_merge_request_names_both_branches_and_its_head() {
    for name in ["gitlab/merge_request", "gitea/pull_request_sync", "bitbucket/pullrequest_created"]
    {
        let event = event(name);
        assert_eq!(event.subject.kind, SubjectKind::PullRequest, "{name}");
        assert_eq!((event.subject.number, event.subject.from_fork), (Some(7), Some(false)));
        assert_eq!(data(event.base_ref.as_ref()), Some("main"));
        assert_eq!(data(event.head_ref.as_ref()), Some("topic/limit"));
        assert_eq!(data(event.subject.title.as_ref()), Some("Keep the limit"));
        // No forge but GitHub says how the author stands to the repository.
        assert_eq!(event.trust.level, TrustLevel::Unknown, "{name}");
    }
    assert_eq!(event("gitlab/merge_request").sha.as_deref(), Some(SHA));
    assert_eq!(event("gitlab/merge_request").labels, ["bug"]);
}

#[test]
fn a_fork_is_told_by_the_ids_of_the_repositories() {
    for event in [
        event("gitlab/merge_request_fork"),
        event("bitbucket/pr_from_ref_updated"),
        changed(
            "bitbucket/pullrequest_created",
            "/pullrequest/source/repository/uuid",
            json!("{x}"),
        ),
        changed("bitbucket/pullrequest_created", "/pullrequest/source/repository", Value::Null),
        changed("gitea/pull_request_sync", "/pull_request/head/repo/id", json!(8002)),
    ] {
        assert_eq!(event.subject.from_fork, Some(true));
        assert_eq!(event.trust.level, TrustLevel::Untrusted);
    }
}

#[test]
fn a_pipeline_of_another_projects_merge_request_is_of_a_fork() {
    let of = |request: Value| {
        let text = include_str!("../../../fixtures/gitlab/pipeline.json");
        let mut body: Value = serde_json::from_str(text).unwrap();
        body["merge_request"] = request;
        let parsed = parse_as(Provider::Gitlab, "Pipeline Hook", &body.to_string()).unwrap();
        said(parsed).events[0].subject.from_fork
    };
    assert_eq!(event("gitlab/pipeline").subject.from_fork, Some(false));
    let request = |from: i64| json!({ "source_project_id": from, "target_project_id": 7001 });
    assert_eq!((of(request(7001)), of(request(9))), (Some(false), Some(true)));
    assert_eq!(of(Value::Null), Some(false));
    assert_eq!(of(json!({ "iid": 1 })), Some(true), "it does not say");
}

#[test]
fn what_else_changed_with_the_labels_is_an_event_too() {
    let of = |more: Value| {
        let mut body: Value =
            serde_json::from_str(fixture("gitlab/merge_request_labels").2).unwrap();
        for (pointer, value) in more.as_object().unwrap() {
            let (place, key) = pointer.rsplit_once('/').unwrap();
            body.pointer_mut(place).unwrap()[key] = value.clone();
        }
        let parsed = parse_as(Provider::Gitlab, "Merge Request Hook", &body.to_string()).unwrap();
        said(parsed).events.into_iter().filter_map(|it| it.action).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of(json!({})), "labeled unlabeled");
    assert_eq!(of(json!({ "/changes/updated_at": {} })), "labeled unlabeled");
    assert_eq!(of(json!({ "/changes/title": {} })), "edited labeled unlabeled");
    let pushed = json!({ "/object_attributes/oldrev": "3b2e".repeat(10) });
    assert_eq!(of(pushed), "synchronize labeled unlabeled");
}

#[test]
fn each_label_that_came_or_went_is_an_event() {
    let seen: Vec<_> = events("gitlab/merge_request_labels")
        .into_iter()
        .map(|it| (it.action.unwrap(), it.label.unwrap(), it.labels))
        .collect();
    let all = vec!["bug".to_owned(), "agent:ready".to_owned()];
    assert_eq!(
        seen,
        [
            ("labeled".to_owned(), "agent:ready".to_owned(), all.clone()),
            ("unlabeled".to_owned(), "stale".to_owned(), all),
        ]
    );
}

#[test]
fn a_comment_carries_its_text_and_what_it_is_on() {
    for name in ["gitlab/note_on_merge_request", "bitbucket/pullrequest_comment_created"] {
        let event = event(name);
        assert_eq!(event.subject.kind, SubjectKind::PullRequest);
        assert_eq!(data(event.subject.body.as_ref()), Some("/agent fix the failing test"));
        // As GitHub: whoever may comment does not choose the code that runs.
        assert_eq!((data(event.git_ref.as_ref()), event.sha), (Some("refs/heads/main"), None));
        assert!(event.subject.url.unwrap().contains("60001"));
        assert_eq!(event.trust.level, TrustLevel::Unknown);
    }
    let on_diff =
        changed("gitlab/note_on_merge_request", "/object_attributes/type", json!("DiffNote"));
    assert_eq!(on_diff.kind.as_str(), "pull_request_review_comment");
    assert_eq!(event("gitea/issue_comment").subject.kind, SubjectKind::Issue);
}

#[test]
fn actions_of_gitlab_have_githubs_names() {
    for (own, name) in [
        ("open", "pull_request opened"),
        ("close", "pull_request closed"),
        ("reopen", "pull_request reopened"),
        ("merge", "pull_request closed"),
        ("update", "pull_request edited"),
        ("approved", "pull_request_review submitted"),
        ("unapproved", "pull_request_review dismissed"),
        ("something_new", "pull_request something_new"),
    ] {
        let event = changed("gitlab/merge_request", "/object_attributes/action", json!(own));
        assert!(outline(&event).starts_with(&format!("{name} ")), "{own}: {}", outline(&event));
    }
}

#[test]
fn kinds_without_a_name_at_github_keep_their_own() {
    let on_changes = event("gitlab/note_on_merge_request");
    assert_eq!(data(on_changes.head_ref.as_ref()), Some("topic/limit"));
    let wiki = parse_as(Provider::Gitlab, "Wiki Page Hook", r#"{"object_kind":"wiki_page"}"#);
    assert_eq!(said(wiki.unwrap()).events[0].kind.as_str(), "wiki_page");
    let import = parse_as(Provider::Bitbucket, "repo:imported", "{}");
    assert_eq!(said(import.unwrap()).events[0].kind.as_str(), "repo:imported");
}

#[test]
fn a_strangers_body_under_another_kinds_name_is_not_trusted() {
    for (provider, name, _, text) in FIXTURES {
        if name.contains("push") || name.contains("refs_changed") {
            continue;
        }
        for kind in ["push", "repo:push", "repo:refs_changed", "create", "release"] {
            let known = matches!(provider, Provider::Bitbucket) == kind.contains(':');
            if !known || matches!(provider, Provider::Gitlab) {
                continue;
            }
            let Ok(Parsed::Events(said)) = parse_as(*provider, kind, text) else { continue };
            for event in said.events {
                assert_ne!(event.trust.level, TrustLevel::Trusted, "{name} as {kind}");
            }
        }
    }
}
