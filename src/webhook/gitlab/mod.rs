//! GitLab's payloads as events, under GitHub's names for the same things.
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/>
//!
//! The kind is read from the body, which the token or the signature vouches for; the header only
//! repeats it. What has no name at GitHub keeps GitLab's (`object_kind`).
//!
//! What is deliberately absent: trust in merge requests, issues and notes. GitLab does not say how
//! their author stands to the project, so it is unknown.

mod merge;
mod push;

use serde_json::Value;

use super::parsed::{Parsed, Said};
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError, Verification};
use crate::event::trust::{self, Claims};
use crate::event::{Actor, Event, EventKind, Repository, Subject, SubjectKind, text};

pub(super) fn parse(
    source: &str,
    payload: &Payload<'_>,
    trusted_bots: &[String],
) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    let own = body.text("/object_kind").or(body.text("/event_name")).unwrap_or("gitlab");
    let mut events = of_kind(own, source, body);
    for event in &mut events {
        event.repository = repository(body);
        event.actor = actor(body);
        if event.labels.is_empty() {
            event.labels = labels(body);
        }
        let claims = Claims {
            kind: &event.kind,
            authenticated: payload.how() == Verification::Signed,
            has_shape: has_shape(&event.kind, body),
            sender: event.actor.as_ref(),
            author_association: None,
            from_fork: event.subject.from_fork,
        };
        event.trust = trust::decide(&claims, trusted_bots);
    }
    Ok(Parsed::Events(Said { kind: Some(tree::kind(own).as_str().into()), ..Said::plain(events) }))
}

fn of_kind(own: &str, source: &str, body: Tree<'_>) -> Vec<Event> {
    let one = |kind: &str| blank(source, tree::kind(kind));
    match own {
        "push" | "tag_push" => vec![push::event(one("push"), body)],
        "merge_request" => merge::events(one("pull_request"), body),
        "note" => vec![note(source, body)],
        "issue" | "work_item" => issue(one("issues"), body),
        "release" => vec![release(one("release"), body)],
        "pipeline" => vec![Event {
            action: progress(body.text("/object_attributes/status")),
            sha: body.commit("/object_attributes/sha"),
            git_ref: short_ref(body, "/object_attributes/ref", "/object_attributes/tag"),
            subject: Subject {
                url: body.name("/object_attributes/url"),
                from_fork: Some(ran_for_fork(body)),
                ..Subject::default()
            },
            ..one("workflow_run")
        }],
        "build" => vec![Event {
            action: progress(body.text("/build_status")),
            sha: body.commit("/sha"),
            git_ref: short_ref(body, "/ref", "/tag"),
            subject: Subject { title: body.untrusted("/build_name"), ..Subject::default() },
            ..one("workflow_job")
        }],
        other => vec![Event {
            action: body.name("/object_attributes/action"),
            subject: Subject {
                url: body.name("/object_attributes/url"),
                title: body.untrusted("/object_attributes/title"),
                ..Subject::default()
            },
            ..one(other)
        }],
    }
}

/// Whether a pipeline ran what another project proposes: it names a merge request then, and that both projects. One
/// that does not say it is taken to be of a fork.
/// <https://docs.gitlab.com/user/project/integrations/webhook_events/#pipeline-events>
fn ran_for_fork(body: Tree<'_>) -> bool {
    let request = body.at("/merge_request");
    if !request.is_object("") {
        return false;
    }
    match (request.int("/source_project_id"), request.int("/target_project_id")) {
        (Some(from), Some(into)) => from != into,
        _ => true,
    }
}

/// The activity of a pipeline or a job, in GitHub's words.
fn progress(status: Option<&str>) -> Option<String> {
    let action = match status? {
        "success" | "failed" | "canceled" | "skipped" => "completed",
        "running" => "in_progress",
        _ => "requested",
    };
    Some(action.to_owned())
}

/// What a hook calls the activity, in GitHub's words.
fn action(name: Option<&str>) -> Option<String> {
    let action = match name? {
        "open" => "opened",
        "close" | "merge" => "closed",
        "reopen" => "reopened",
        "update" => "edited",
        other => other,
    };
    Some(text::name(action))
}

fn short_ref(body: Tree<'_>, name: &str, is_tag: &str) -> Option<crate::model::Untrusted> {
    let prefix = if body.flag(is_tag) == Some(true) { push::TAG } else { push::BRANCH };
    body.full_ref(prefix, name)
}

/// A comment: on an issue, a merge request, its changes, a commit or a snippet.
fn note(source: &str, body: Tree<'_>) -> Event {
    let on = body.text("/object_attributes/noteable_type");
    let is_on_changes = body.text("/object_attributes/type") == Some("DiffNote");
    let kind = match on {
        Some("MergeRequest") if is_on_changes => "pull_request_review_comment",
        Some("MergeRequest" | "Issue") => "issue_comment",
        Some("Commit") => "commit_comment",
        _ => "note",
    };
    let mut event = blank(source, tree::kind(kind));
    // Older servers do not say the action of a new note.
    event.action = Some(match body.text("/object_attributes/action") {
        Some("update") => "edited".to_owned(),
        Some("create") | None => "created".to_owned(),
        Some(other) => text::name(other),
    });
    match on {
        Some("MergeRequest") => {
            merge::describe(&mut event, body.at("/merge_request"));
            // As at GitHub: whoever may comment does not choose the code that runs.
            if event.kind == EventKind::IssueComment {
                event.git_ref = body.full_ref(push::BRANCH, "/project/default_branch");
                event.sha = None;
            }
        }
        Some("Issue") => {
            event.subject = issue_subject(body.at("/issue"));
            event.git_ref = body.full_ref(push::BRANCH, "/project/default_branch");
        }
        Some("Commit") => event.sha = body.commit("/commit/id"),
        _ => {}
    }
    event.subject.url = body.name("/object_attributes/url").or(event.subject.url);
    event.subject.body = body.body("/object_attributes/note");
    event
}

fn issue(mut event: Event, body: Tree<'_>) -> Vec<Event> {
    event.action = action(body.text("/object_attributes/action"));
    event.subject = issue_subject(body.at("/object_attributes"));
    event.git_ref = body.full_ref(push::BRANCH, "/project/default_branch");
    match event.action.as_deref() {
        Some("edited") => merge::by_label(event, body),
        _ => vec![event],
    }
}

fn issue_subject(issue: Tree<'_>) -> Subject {
    Subject {
        kind: SubjectKind::Issue,
        number: issue.int("/iid"),
        url: issue.name("/url"),
        title: issue.untrusted("/title"),
        body: issue.body("/description"),
        ..Subject::default()
    }
}

fn release(event: Event, body: Tree<'_>) -> Event {
    let action = match body.text("/action") {
        Some("create") => Some("published"),
        Some("update") => Some("edited"),
        Some("delete") => Some("deleted"),
        other => other,
    };
    Event {
        action: action.map(text::name),
        git_ref: body.full_ref(push::TAG, "/tag"),
        sha: body.commit("/commit/id"),
        subject: Subject {
            kind: SubjectKind::Release,
            url: body.name("/url"),
            title: body.untrusted("/name").or_else(|| body.untrusted("/tag")),
            body: body.body("/description"),
            ..Subject::default()
        },
        ..event
    }
}

fn repository(body: Tree<'_>) -> Option<Repository> {
    let project = body.at("/project");
    Some(Repository {
        id: project.int("/id").or(body.int("/project_id")),
        full_name: project.name("/path_with_namespace")?,
        clone_url: project.name("/git_http_url"),
        default_branch: project.name("/default_branch"),
        // 0 private, 10 for everybody with an account, 20 public.
        private: project.int("/visibility_level").map(|level| level < 20),
    })
}

/// Who did it. GitLab does not say what sort of account it is; every one with a number is a user's
/// to it, also those of projects' and groups' tokens.
fn actor(body: Tree<'_>) -> Option<Actor> {
    let id = body.int("/user_id").or(body.int("/user/id"))?;
    let login = body.name("/user_username").or_else(|| body.name("/user/username"));
    Some(Actor {
        id: Some(id),
        login: login.unwrap_or_default(),
        account_type: Some("User".to_owned()),
        ..Actor::default()
    })
}

fn labels(body: Tree<'_>) -> Vec<String> {
    let (own, of_issue) = (body.at("/labels"), body.at("/object_attributes/labels"));
    let labels = if own.list("").is_some() { own } else { of_issue };
    labels.items("").filter_map(|label| label.name("/title")).take(text::LABELS_MAX).collect()
}

/// Whether the body has what its kind always has.
fn has_shape(kind: &EventKind, body: Tree<'_>) -> bool {
    match kind {
        EventKind::Push => {
            body.text("/ref").is_some_and(|name| name.starts_with("refs/"))
                && body.text("/after").is_some()
                && !body.is_object("/object_attributes")
        }
        EventKind::Release => body.text("/tag").is_some() && !body.is_object("/object_attributes"),
        _ => body.at("/object_attributes").0.is_some_and(Value::is_object),
    }
}
