//! What a payload is about, and the ref that it changed or would run on.

use super::body::{Body, Issue, PullRequest, Text};
use super::untrusted;
use crate::event::{EventKind, Subject, SubjectKind, text};
use crate::model::Untrusted;

const BRANCH: &str = "refs/heads/";
const TAG: &str = "refs/tags/";

/// What the event is about. Kinds without a rule of their own are about the pull request or the
/// issue that they carry, if any.
pub(super) fn of(kind: &EventKind, body: &Body<'_>) -> Subject {
    match kind {
        EventKind::Push => push(body),
        EventKind::WorkflowDispatch | EventKind::RepositoryDispatch => Subject {
            kind: ref_kind(git_ref(kind, body).as_ref()),
            title: untrusted(&body.workflow),
            ..Subject::default()
        },
        EventKind::Release => release(body),
        EventKind::Create | EventKind::Delete => Subject {
            kind: ref_kind(git_ref(kind, body).as_ref()),
            deleted: *kind == EventKind::Delete,
            ..Subject::default()
        },
        EventKind::Other(name) if name == "workflow_run" => {
            Subject { from_fork: ran_for_fork(body), ..conversation(body) }
        }
        EventKind::PullRequest
        | EventKind::Issues
        | EventKind::IssueComment
        | EventKind::Other(_) => conversation(body),
    }
}

/// The full ref. Where the event changed none it is the one that GitHub itself would run on.
/// <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>
pub(super) fn git_ref(kind: &EventKind, body: &Body<'_>) -> Option<Untrusted> {
    match kind {
        EventKind::Other(name) if name == "merge_group" => {
            whole(&body.merge_group.as_ref()?.head_ref)
        }
        EventKind::Other(name) if name == "deployment" || name == "deployment_status" => {
            let name = &body.deployment.as_ref()?.git_ref;
            // Else it is a branch, a tag or a commit, and does not say which.
            let default = body.repository.as_ref().and_then(|it| it.default_branch.as_str());
            let is_default = name.as_str().is_some_and(|name| Some(name) == default);
            whole(name).or_else(|| full(BRANCH, name).filter(|_| is_default))
        }
        // Of a review, and of a comment on a line of the changes.
        EventKind::Other(name) if name.starts_with("pull_request") => {
            whole(&body.git_ref).or_else(|| merge_ref(body))
        }
        EventKind::Push | EventKind::Other(_) => whole(&body.git_ref),
        EventKind::WorkflowDispatch => full(BRANCH, &body.git_ref),
        EventKind::RepositoryDispatch => full(BRANCH, &body.branch),
        EventKind::Create | EventKind::Delete => match body.ref_type.as_str() {
            Some("branch") => full(BRANCH, &body.git_ref),
            Some("tag") => full(TAG, &body.git_ref),
            _ => None,
        },
        EventKind::Release => full(TAG, &body.release.as_ref()?.tag_name),
        EventKind::PullRequest => {
            let pull = body.pull_request.as_ref()?;
            let base = pull.base.as_ref().filter(|_| is_merge(pull, body));
            base.and_then(|base| full(BRANCH, &base.branch)).or_else(|| merge_ref(body))
        }
        EventKind::Issues | EventKind::IssueComment => {
            full(BRANCH, &body.repository.as_ref()?.default_branch)
        }
    }
}

/// Whether a pull request has just been merged: then it is about the branch that it was merged into.
pub(super) fn is_merge(pull: &PullRequest<'_>, body: &Body<'_>) -> bool {
    body.action.as_str() == Some("closed") && pull.merged.0 == Some(true)
}

/// What a pull request would be, merged.
fn merge_ref(body: &Body<'_>) -> Option<Untrusted> {
    let number = body.pull_request.as_ref()?.number.0?;
    Some(Untrusted::new(format!("refs/pull/{number}/merge")))
}

/// A ref that is told in full.
fn whole(name: &Text<'_>) -> Option<Untrusted> {
    name.as_str().filter(|name| name.starts_with("refs/")).map(text::untrusted_name)
}

fn full(prefix: &str, name: &Text<'_>) -> Option<Untrusted> {
    let name = name.as_str()?;
    let prefix = if name.starts_with("refs/") { "" } else { prefix };
    Some(text::untrusted_name(&format!("{prefix}{name}")))
}

fn ref_kind(git_ref: Option<&Untrusted>) -> SubjectKind {
    match git_ref.map(Untrusted::as_data) {
        Some(name) if name.starts_with(BRANCH) => SubjectKind::Branch,
        Some(name) if name.starts_with(TAG) => SubjectKind::Tag,
        _ => SubjectKind::None,
    }
}

fn push(body: &Body<'_>) -> Subject {
    let commit = body.head_commit.as_ref();
    let message = commit.and_then(|commit| commit.message.as_str());
    Subject {
        kind: ref_kind(git_ref(&EventKind::Push, body).as_ref()),
        url: commit.and_then(|commit| commit.url.as_str()).map(text::name),
        title: message.and_then(|text| text.lines().next()).map(text::untrusted_name),
        body: message.map(text::untrusted_body),
        deleted: body.deleted.0 == Some(true),
        ..Subject::default()
    }
}

fn release(body: &Body<'_>) -> Subject {
    let release = body.release.as_ref();
    Subject {
        kind: SubjectKind::Release,
        url: release.and_then(|it| it.html_url.as_str()).map(text::name),
        title: release.and_then(|it| untrusted(&it.name).or_else(|| untrusted(&it.tag_name))),
        body: release.and_then(|it| it.body.as_str()).map(text::untrusted_body),
        ..Subject::default()
    }
}

/// A pull request, an issue, or a comment on one of them: the text and the page are the comment's.
fn conversation(body: &Body<'_>) -> Subject {
    let subject = match (body.pull_request.as_ref(), body.issue.as_ref()) {
        (Some(pull), _) => pull_request(pull, body),
        (None, Some(issue)) => self::issue(issue),
        (None, None) => Subject::default(),
    };
    match body.comment.as_ref() {
        None => subject,
        Some(comment) => Subject {
            url: comment.html_url.as_str().map(text::name).or(subject.url),
            body: comment.body.as_str().map(text::untrusted_body),
            ..subject
        },
    }
}

fn pull_request(pull: &PullRequest<'_>, body: &Body<'_>) -> Subject {
    Subject {
        kind: SubjectKind::PullRequest,
        number: pull.number.0,
        url: pull.html_url.as_str().map(text::name),
        title: untrusted(&pull.title),
        body: pull.body.as_str().map(text::untrusted_body),
        from_fork: from_fork(pull, body),
        deleted: false,
    }
}

fn issue(issue: &Issue<'_>) -> Subject {
    let is_pull = issue.pull_request.as_ref().is_some();
    Subject {
        kind: if is_pull { SubjectKind::PullRequest } else { SubjectKind::Issue },
        number: issue.number.0,
        url: issue.html_url.as_str().map(text::name),
        title: untrusted(&issue.title),
        body: issue.body.as_str().map(text::untrusted_body),
        ..Subject::default()
    }
}

/// Whether another workflow ran on the code of another repository. One that is gone was a fork.
/// <https://docs.github.com/en/webhooks/webhook-events-and-payloads#workflow_run>
fn ran_for_fork(body: &Body<'_>) -> Option<bool> {
    let run = body.workflow_run.as_ref()?;
    let Some(from) = run.head_repository.as_ref() else { return Some(true) };
    Some(from.id.0? != body.repository.as_ref()?.id.0?)
}

/// By the numbers of the two repositories: names can be taken over. A head whose repository is
/// gone was a fork: one's own repository cannot be gone while it sends events.
fn from_fork(pull: &PullRequest<'_>, body: &Body<'_>) -> Option<bool> {
    let head = pull.head.as_ref()?;
    let Some(from) = head.repo.as_ref() else { return Some(true) };
    let base = pull.base.as_ref().and_then(|base| base.repo.as_ref());
    let into = base.or(body.repository.as_ref())?;
    Some(from.id.0? != into.id.0?)
}
