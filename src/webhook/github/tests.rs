//! The fixtures through all stages, and payloads that no documentation promises.

use axum::http::{HeaderMap, HeaderValue, header::CONTENT_TYPE};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::event::SubjectKind;
use crate::model::TrustLevel;
use crate::webhook::{
    DELIVERY_HEADER, EVENT_HEADER, Keys, Reader, SIGNATURE_HEADER, Scheme, Secret, Secrets,
    SourceAuth, sign, verify,
};

macro_rules! fixtures {
    ($($name:literal is $kind:literal),+ $(,)?) => {
        const FIXTURES: &[(&str, &str, &str)] = &[$((
            $name,
            $kind,
            include_str!(concat!("../../../fixtures/github/", $name, ".json")),
        )),+];
    };
}

fixtures!(
    "push" is "push",
    "push_tag" is "push",
    "push_deleted" is "push",
    "pull_request" is "pull_request",
    "pull_request_fork" is "pull_request",
    "pull_request_labeled" is "pull_request",
    "issues" is "issues",
    "issues_labeled" is "issues",
    "issue_comment_on_pr" is "issue_comment",
    "workflow_dispatch" is "workflow_dispatch",
    "repository_dispatch" is "repository_dispatch",
    "release" is "release",
    "create" is "create",
    "delete" is "delete",
    "ping" is "ping",
    "star" is "star",
);

fn headers(kind: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(EVENT_HEADER, HeaderValue::from_str(kind).unwrap());
    headers.insert(DELIVERY_HEADER, HeaderValue::from_static("0b989ba4"));
    headers
}

/// A signed delivery through all stages.
fn parse_as(kind: &str, text: &str) -> Result<Parsed, PayloadError> {
    let secret = Secret::new(b"a secret of the tests").unwrap();
    let mut headers = headers(kind);
    let signature = sign(&secret, text.as_bytes());
    headers.insert(SIGNATURE_HEADER, HeaderValue::from_str(&signature).unwrap());
    let keys = Keys::new(Scheme::Github.into(), &Secrets::new(vec![secret]).unwrap());
    let auth = SourceAuth::Signed(keys.unwrap());
    staged(&headers, text, &auth)
}

fn staged(headers: &HeaderMap, text: &str, auth: &SourceAuth) -> Result<Parsed, PayloadError> {
    let verified = verify(headers, text.as_bytes(), auth, None).unwrap();
    let head = Head::read(&Reader::default(), &verified, headers).unwrap();
    parse("github", &head, &head.payload(&verified)?, &[])
}

/// The one event; none of a ping.
fn event_of(parsed: Parsed) -> Option<Event> {
    let Parsed::Events(said) = parsed else { return None };
    assert_eq!(said.events.len(), 1);
    said.events.into_iter().next()
}

fn event_as(kind: &str, text: &str) -> Event {
    event_of(parse_as(kind, text).unwrap()).expect("an event")
}

fn text_of(name: &str) -> (&'static str, &'static str) {
    let (_, kind, text) = FIXTURES.iter().find(|(known, ..)| *known == name).unwrap();
    (kind, text)
}

fn event(name: &str) -> Event {
    let (kind, text) = text_of(name);
    event_as(kind, text)
}

/// The fixture with one value changed, by JSON pointer.
fn changed(name: &str, pointer: &str, value: Value) -> Event {
    let (kind, text) = text_of(name);
    let mut payload: Value = serde_json::from_str(text).unwrap();
    *payload.pointer_mut(pointer).unwrap() = value;
    event_as(kind, &payload.to_string())
}

fn data(text: Option<&Untrusted>) -> Option<&str> {
    text.map(Untrusted::as_data)
}

#[test]
fn a_push_names_its_ref_commit_files_and_sender() {
    let event = event("push");
    assert_eq!(event.kind, EventKind::Push);
    assert_eq!(data(event.git_ref.as_ref()), Some("refs/heads/main"));
    assert_eq!(event.sha.as_deref(), Some("3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e"));
    let files = ["README.md", "src/config.rs", "src/limit.rs", "tests/limit.rs", "tests/old.rs"];
    assert_eq!(event.changes, ChangeSet::Complete(files.map(Into::into).into()));
    assert_eq!(event.subject.kind, SubjectKind::Branch);
    assert_eq!(data(event.subject.title.as_ref()), Some("Test the limit at its edge"));
    assert_eq!(event.actor.unwrap().id, Some(1001));
    assert_eq!(event.repository.unwrap().full_name, "octo-org/example");
    assert_eq!(event.trust.level, TrustLevel::Trusted);
}

#[test]
fn a_pushed_tag_has_a_commit_and_no_known_files() {
    let event = event("push_tag");
    assert_eq!(event.subject.kind, SubjectKind::Tag);
    assert_eq!(data(event.git_ref.as_ref()), Some("refs/tags/v1.2.0"));
    assert!(event.sha.is_some());
    assert_eq!(event.changes, ChangeSet::Unknown);
}

#[test]
fn a_deleted_branch_has_no_commit_and_is_marked() {
    let event = event("push_deleted");
    assert!(event.subject.deleted);
    assert_eq!(event.sha, None);
    assert_eq!(event.changes, ChangeSet::Complete(Vec::new()));
}

#[test]
fn a_pull_request_names_both_branches_and_its_head() {
    let event = event("pull_request");
    assert_eq!(event.action.as_deref(), Some("opened"));
    assert_eq!(event.subject.kind, SubjectKind::PullRequest);
    assert_eq!((event.subject.number, event.subject.from_fork), (Some(7), Some(false)));
    assert_eq!(data(event.git_ref.as_ref()), Some("refs/pull/7/merge"));
    assert_eq!(data(event.base_ref.as_ref()), Some("main"));
    assert_eq!(data(event.head_ref.as_ref()), Some("topic/limit"));
    assert!(event.sha.unwrap().starts_with("3b2e"));
    assert_eq!(event.actor.unwrap().association.as_deref(), Some("MEMBER"));
    assert_eq!(event.trust.level, TrustLevel::Trusted);
}

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>
#[test]
fn the_ref_is_the_one_that_github_would_run_on() {
    let merged = |action: &str| {
        let mut body: Value = serde_json::from_str(text_of("pull_request").1).unwrap();
        (body["action"], body["pull_request"]["merged"]) = (json!(action), json!(true));
        body["pull_request"]["merge_commit_sha"] = json!("4c3f".repeat(10));
        event_of(parse_as("pull_request", &body.to_string()).unwrap()).unwrap()
    };
    assert_eq!(data(merged("closed").git_ref.as_ref()), Some("refs/heads/main"));
    assert!(merged("closed").sha.unwrap().starts_with("4c3f"));
    assert_eq!(data(merged("labeled").git_ref.as_ref()), Some("refs/pull/7/merge"));
    let of = |kind: &str, body: Value| {
        let event = event_of(parse_as(kind, &body.to_string()).unwrap()).unwrap();
        (data(event.git_ref.as_ref()).map(str::to_owned), event.sha)
    };
    let sha = "3b2e".repeat(10);
    let review = json!({"action": "created", "pull_request": {"number": 2, "head": {"sha": sha}}});
    let expected = (Some("refs/pull/2/merge".to_owned()), Some(sha.clone()));
    assert_eq!(of("pull_request_review", review), expected);
    for (name, git_ref) in [("main", Some("refs/heads/main")), (sha.as_str(), None)] {
        let repository = json!({"id": 7, "full_name": "o/r", "default_branch": "main"});
        let body = json!({"deployment": {"ref": name, "sha": sha}, "repository": repository});
        assert_eq!(of("deployment", body), (git_ref.map(str::to_owned), Some(sha.clone())));
    }
}

#[test]
fn a_fork_is_told_by_the_numbers_of_the_repositories() {
    let event = event("pull_request_fork");
    assert_eq!(event.subject.from_fork, Some(true));
    assert_eq!(event.trust.level, TrustLevel::Untrusted);
    let own = changed("pull_request_fork", "/pull_request/head/repo/id", json!(7001));
    assert_eq!(own.subject.from_fork, Some(false));
}

#[test]
fn a_head_whose_repository_is_gone_counts_as_a_fork() {
    let event = changed("pull_request", "/pull_request/head/repo", Value::Null);
    assert_eq!(event.subject.from_fork, Some(true));
    assert_eq!(event.trust.level, TrustLevel::Untrusted);
    let event = changed("pull_request", "/pull_request/head", Value::Null);
    assert_eq!(event.subject.from_fork, None);
    assert_eq!(event.trust.level, TrustLevel::Unknown);
}

#[test]
fn a_label_event_carries_the_changed_label_and_all_of_them() {
    for name in ["pull_request_labeled", "issues_labeled"] {
        let event = event(name);
        assert_eq!(event.label.as_deref(), Some("agent:ready"));
        assert_eq!(event.labels, ["bug", "agent:ready"]);
    }
    assert_eq!(event("issues").label, None);
    assert_eq!(event("issues").labels, ["bug"]);
}

#[test]
fn the_association_of_an_author_is_not_given_to_another_sender() {
    let event = event("issues_labeled");
    assert_eq!(event.actor.unwrap().association, None);
    assert_eq!(event.trust.level, TrustLevel::Untrusted);
}

#[test]
fn an_issue_runs_on_the_default_branch() {
    let event = event("issues");
    assert_eq!(event.subject.kind, SubjectKind::Issue);
    assert_eq!(data(event.git_ref.as_ref()), Some("refs/heads/main"));
    assert_eq!(event.trust.level, TrustLevel::Untrusted);
}

#[test]
fn a_comment_tells_whether_it_is_on_a_pull_request() {
    let event = event("issue_comment_on_pr");
    assert_eq!(event.subject.kind, SubjectKind::PullRequest);
    assert_eq!(data(event.subject.body.as_ref()), Some("/agent fix the failing test"));
    assert!(event.subject.url.unwrap().ends_with("#issuecomment-60001"));
    assert_eq!(event.trust.level, TrustLevel::Trusted);
    let on_issue = changed("issue_comment_on_pr", "/issue/pull_request", Value::Null);
    assert_eq!(on_issue.subject.kind, SubjectKind::Issue);
}

#[test]
fn dispatches_carry_their_inputs_as_sent() {
    let by_hand = event("workflow_dispatch");
    assert_eq!(Value::Object(by_hand.inputs), json!({"environment": "staging", "dry_run": "true"}));
    assert_eq!(data(by_hand.git_ref.as_ref()), Some("refs/heads/main"));
    let by_program = event("repository_dispatch");
    assert_eq!(by_program.action.as_deref(), Some("nightly-benchmark"));
    assert_eq!(Value::Object(by_program.inputs), json!({"suite": "full", "seeds": [1, 2, 3]}));
    assert_eq!(data(by_program.git_ref.as_ref()), Some("refs/heads/main"));
    let without = changed("workflow_dispatch", "/inputs", Value::Null);
    assert!(without.inputs.is_empty());
}

#[test]
fn a_release_and_created_or_deleted_refs_have_full_refs() {
    let refs = ["release", "create", "delete"].map(event);
    let names = refs.each_ref().map(|event| data(event.git_ref.as_ref()).unwrap());
    assert_eq!(names, ["refs/tags/v1.2.0", "refs/heads/topic/limit", "refs/tags/v0.9.0"]);
    let deleted = refs.each_ref().map(|event| event.subject.deleted);
    assert_eq!(deleted, [false, false, true]);
    assert!(refs.iter().all(|event| event.trust.level == TrustLevel::Trusted));
}

#[test]
fn a_ping_is_no_event_even_without_a_repository() {
    let (kind, text) = text_of("ping");
    assert_eq!(parse_as(kind, text).unwrap(), Parsed::Ping { hook_id: Some(90001) });
    assert_eq!(parse_as(kind, "{}").unwrap(), Parsed::Ping { hook_id: None });
}

#[test]
fn an_unknown_kind_is_kept_by_its_name() {
    let event = event("star");
    assert_eq!(event.kind, EventKind::Other("star".to_owned()));
    assert_eq!(event.action.as_deref(), Some("created"));
    assert_eq!(event.trust.level, TrustLevel::Unknown);
}

#[test]
fn a_strangers_body_under_another_kinds_name_is_not_trusted() {
    for (name, _, text) in FIXTURES {
        if !["issues", "pull_request_fork", "star", "issue_comment_on_pr"].contains(name) {
            continue;
        }
        for kind in
            ["push", "create", "delete", "release", "workflow_dispatch", "repository_dispatch"]
        {
            let level = event_as(kind, text).trust.level;
            assert_eq!(level, TrustLevel::Unknown, "{name} as {kind}");
        }
    }
    // A member's comment as the issue or the pull request that it is on.
    let (_, comment) = text_of("issue_comment_on_pr");
    for kind in ["issues", "pull_request"] {
        assert_eq!(event_as(kind, comment).trust.level, TrustLevel::Unknown);
    }
}

#[test]
fn nothing_of_an_insecure_source_is_trusted() {
    for (_, kind, text) in FIXTURES {
        if let Some(event) = event_of(staged(&headers(kind), text, &SourceAuth::Insecure).unwrap())
        {
            assert_eq!(event.trust.level, TrustLevel::Unknown);
        }
    }
}

#[test]
fn a_nul_in_a_ref_is_replaced_at_the_edge() {
    let (kind, text) = text_of("push");
    let text = text.replace("refs/heads/main", "refs/heads/ma\\u0000in");
    let event = event_as(kind, &text);
    assert_eq!(data(event.git_ref.as_ref()), Some("refs/heads/ma\u{fffd}in"));
}

#[test]
fn an_overlong_text_is_cut_and_the_rest_of_the_event_stands() {
    let event = changed("issues", "/issue/body", json!("é".repeat(1_000_000)));
    let body = event.subject.body.unwrap();
    assert_eq!(body.as_data().len(), text::BODY_BYTES_MAX);
    assert_eq!(event.subject.number, Some(5));
}

#[test]
fn deep_nesting_is_skipped_where_nobody_reads_and_refused_where_it_is_read() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    let (kind, text) = text_of("push");
    let skipped = text.replacen('{', &format!("{{\"new\":{deep},"), 1);
    assert_eq!(event_as(kind, &skipped), event("push"));
    let dispatch = format!("{{\"client_payload\":{{\"a\":{deep}}}}}");
    let error = parse_as("repository_dispatch", &dispatch).unwrap_err();
    assert!(matches!(error, PayloadError::Inputs(_)), "{error}");
}

#[test]
fn broken_json_after_a_good_signature_is_an_error_with_its_place() {
    for text in ["", "{", "{\"ref\":}", "{} {}", "nonsense"] {
        let error = parse_as("push", text).unwrap_err();
        assert!(matches!(error, PayloadError::Json(_)), "{text}");
        assert!(error.to_string().contains("line 1"), "{error}");
    }
    for text in ["[]", "null", "3"] {
        assert!(matches!(parse_as("push", text), Err(PayloadError::NotAnObject)));
    }
}

#[test]
fn every_fixture_survives_as_stored_json() {
    for (name, kind, text) in FIXTURES {
        if let Some(event) = event_of(parse_as(kind, text).unwrap()) {
            let stored = serde_json::to_string(&event).unwrap();
            assert_eq!(serde_json::from_str::<Event>(&stored).unwrap(), event, "{name}");
        }
    }
}

#[test]
fn the_branches_of_other_workflows_and_of_merge_groups_are_read() {
    let repository = json!({"id": 7, "full_name": "o/r", "default_branch": "main"});
    let of =
        |kind: &str, body: &Value| event_of(parse_as(kind, &body.to_string()).unwrap()).unwrap();
    let run = json!({"action": "completed", "repository": repository, "workflow_run": {"head_branch": "topic"}});
    let event = of("workflow_run", &run);
    let name = |it: &Option<Untrusted>| it.as_ref().map(|it| it.as_data().to_owned());
    assert_eq!((name(&event.head_ref).as_deref(), event.sha), (Some("topic"), None));
    let group = json!({"action": "checks_requested", "repository": repository, "merge_group": {
        "head_ref": "refs/heads/gh-readonly-queue/main/pr-1", "base_ref": "refs/heads/main",
        "head_sha": "3b2e4d5c6f708192a3b4c5d6e7f8091a2b3c4d5e",
    }});
    let event = of("merge_group", &group);
    assert_eq!(name(&event.base_ref).as_deref(), Some("main"));
    assert_eq!(name(&event.git_ref).as_deref(), Some("refs/heads/gh-readonly-queue/main/pr-1"));
    assert!(event.sha.is_some());
    assert_eq!(of("star", &group).base_ref, None);
}

#[test]
fn what_another_workflow_ran_on_says_whose_code_it_was() {
    let of = |head: Value| {
        let run = json!({"action": "completed", "repository": {"id": 7, "full_name": "o/r"},
            "workflow_run": {"head_branch": "topic", "head_repository": head}});
        event_of(parse_as("workflow_run", &run.to_string()).unwrap()).unwrap().subject.from_fork
    };
    assert_eq!(of(json!({"id": 7})), Some(false));
    assert_eq!(of(json!({"id": 8})), Some(true));
    assert_eq!(of(Value::Null), Some(true), "its repository is gone");
    assert_eq!(of(json!({"full_name": "o/r"})), None, "a name proves nothing");
}

#[test]
fn what_the_json_reader_itself_refuses_is_an_error_only_where_it_is_read() {
    for value in ["1e999", "\"\\ud800\""] {
        let read = format!("{{\"action\":{value}}}");
        assert!(matches!(parse_as("star", &read), Err(PayloadError::Json(_))), "{value}");
        let skipped = format!("{{\"new\":{value}}}");
        assert!(parse_as("star", &skipped).is_ok(), "{value}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(kind in 0..FIXTURES.len(), cut in 0_usize..4_000, junk in ".{0,40}") {
        let text = FIXTURES[kind].2;
        let cut = text.floor_char_boundary(cut);
        let _ = parse_as(FIXTURES[kind].1, &format!("{}{junk}", &text[..cut]));
        let _ = parse_as(FIXTURES[kind].1, &junk);
    }
}
