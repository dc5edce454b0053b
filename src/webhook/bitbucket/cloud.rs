//! Bitbucket Cloud. Accounts and repositories have UUIDs in place of numbers.

use super::{BRANCH, CHANGES_MAX, REVIEW, TAG, event};
use crate::event::{Actor, Event, Repository, Subject, SubjectKind, text};
use crate::webhook::tree::Tree;

/// One event for each ref that moved.
pub(super) fn push(source: &str, body: Tree<'_>) -> Vec<Event> {
    let changes = body.items("/push/changes").take(CHANGES_MAX);
    changes
        .map(|change| {
            let deleted = !change.is_object("/new");
            let side = change.at(if deleted { "/old" } else { "/new" });
            let is_tag = matches!(side.text("/type"), Some("tag" | "annotated_tag"));
            let message = side.text("/target/message").filter(|_| !deleted);
            Event {
                git_ref: side.full_ref(if is_tag { TAG } else { BRANCH }, "/name"),
                sha: side.commit("/target/hash").filter(|_| !deleted),
                subject: Subject {
                    kind: if is_tag { SubjectKind::Tag } else { SubjectKind::Branch },
                    url: side.name("/target/links/html/href"),
                    title: message.and_then(|it| it.lines().next()).map(text::untrusted_name),
                    body: message.map(text::untrusted_body),
                    deleted,
                    ..Subject::default()
                },
                ..event(source, ("push", None))
            }
        })
        .collect()
}

/// What happened to a pull request, in GitHub's words. An update does not say whether commits came
/// or the title changed: that it counts as commits runs work that might have been spared.
pub(super) fn pull_request(source: &str, own: &str, body: Tree<'_>) -> Event {
    let is_inline = body.is_object("/comment/inline");
    let comment = if is_inline { "pull_request_review_comment" } else { "issue_comment" };
    let kind = match own.strip_prefix("pullrequest:").unwrap_or_default() {
        "created" => ("pull_request", Some("opened")),
        "updated" | "push" => ("pull_request", Some("synchronize")),
        "fulfilled" | "rejected" => ("pull_request", Some("closed")),
        "approved" | "changes_request_created" => (REVIEW, Some("submitted")),
        "unapproved" | "changes_request_removed" => (REVIEW, Some("dismissed")),
        "comment_created" => (comment, Some("created")),
        "comment_updated" => (comment, Some("edited")),
        "comment_deleted" => (comment, Some("deleted")),
        _ => (own, None),
    };
    let pull = body.at("/pullrequest");
    let number = pull.int("/id");
    let repository = |side: &str| pull.at(side).text("/repository/uuid");
    // A source whose repository is gone was a fork.
    let from_fork = match (repository("/source"), repository("/destination")) {
        (Some(from), Some(into)) => Some(from != into),
        (None, Some(_)) if pull.is_object("/source") => Some(true),
        _ => None,
    };
    Event {
        // Bitbucket keeps no ref of a pull request: the branch that it comes from.
        git_ref: pull.full_ref(BRANCH, "/source/branch/name"),
        base_ref: pull.untrusted("/destination/branch/name"),
        head_ref: pull.untrusted("/source/branch/name"),
        // Shortened by Bitbucket to 12 digits, which names no commit for certain.
        sha: pull.commit("/source/commit/hash"),
        subject: Subject {
            kind: SubjectKind::PullRequest,
            number,
            url: body.name("/comment/links/html/href").or(pull.name("/links/html/href")),
            title: pull.untrusted("/title"),
            body: body.body("/comment/content/raw").or(pull.body("/description")),
            from_fork,
            ..Subject::default()
        },
        ..event(source, kind)
    }
}

pub(super) fn issue(source: &str, own: &str, body: Tree<'_>) -> Event {
    let kind = match own {
        "issue:created" => ("issues", Some("opened")),
        "issue:updated" => ("issues", Some("edited")),
        "issue:comment_created" => ("issue_comment", Some("created")),
        _ => (own, None),
    };
    Event {
        git_ref: body.full_ref(BRANCH, "/repository/mainbranch/name"),
        subject: Subject {
            kind: SubjectKind::Issue,
            number: body.int("/issue/id"),
            url: body.name("/comment/links/html/href").or(body.name("/issue/links/html/href")),
            title: body.untrusted("/issue/title"),
            body: body.body("/comment/content/raw").or(body.body("/issue/content/raw")),
            ..Subject::default()
        },
        ..event(source, kind)
    }
}

pub(super) fn repository(body: Tree<'_>) -> Option<Repository> {
    let repository = body.at("/repository");
    Some(Repository {
        id: None,
        full_name: repository.name("/full_name")?,
        clone_url: repository
            .text("/links/html/href")
            .map(|page| text::name(&format!("{page}.git"))),
        default_branch: repository.name("/mainbranch/name"),
        private: repository.flag("/is_private"),
    })
}

pub(super) fn actor(body: Tree<'_>) -> Option<Actor> {
    let actor = body.at("/actor");
    let account_type = match actor.text("/type") {
        Some("user") => Some("User"),
        Some("team") => Some("Organization"),
        Some("AppUser" | "app_user") => Some("Bot"),
        other => other,
    };
    Some(Actor {
        uid: Some(actor.name("/uuid").or(actor.name("/account_id"))?),
        login: actor.name("/nickname").or(actor.name("/display_name")).unwrap_or_default(),
        account_type: account_type.map(text::name),
        ..Actor::default()
    })
}
