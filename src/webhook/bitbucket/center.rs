//! Bitbucket Data Center. Accounts and repositories have numbers.

use super::{CHANGES_MAX, REVIEW, TAG, event};
use crate::event::{Actor, Event, Repository, Subject, SubjectKind, text};
use crate::webhook::tree::Tree;

/// One event for each ref that moved.
pub(super) fn push(source: &str, body: Tree<'_>) -> Vec<Event> {
    let changes = body.items("/changes").take(CHANGES_MAX);
    changes
        .map(|change| {
            let name = change.text("/ref/id").or(change.text("/refId")).unwrap_or_default();
            let is_tag = name.starts_with(TAG);
            Event {
                git_ref: name.starts_with("refs/").then(|| text::untrusted_name(name)),
                sha: change.commit("/toHash"),
                subject: Subject {
                    kind: if is_tag { SubjectKind::Tag } else { SubjectKind::Branch },
                    deleted: change.text("/type") == Some("DELETE"),
                    ..Subject::default()
                },
                ..event(source, ("push", None))
            }
        })
        .collect()
}

/// What happened to a pull request, in GitHub's words.
pub(super) fn pull_request(source: &str, own: &str, body: Tree<'_>) -> Event {
    let kind = match own.strip_prefix("pr:").unwrap_or_default() {
        "opened" => ("pull_request", Some("opened")),
        "from_ref_updated" => ("pull_request", Some("synchronize")),
        "modified" => ("pull_request", Some("edited")),
        "merged" | "declined" | "deleted" => ("pull_request", Some("closed")),
        "reviewer:approved" | "reviewer:needs_work" | "reviewer:changes_requested" => {
            (REVIEW, Some("submitted"))
        }
        "reviewer:unapproved" => (REVIEW, Some("dismissed")),
        "comment:added" => ("issue_comment", Some("created")),
        "comment:edited" => ("issue_comment", Some("edited")),
        "comment:deleted" => ("issue_comment", Some("deleted")),
        _ => (own, None),
    };
    let pull = body.at("/pullRequest");
    let number = pull.int("/id");
    let sides = pull.int("/fromRef/repository/id").zip(pull.int("/toRef/repository/id"));
    Event {
        git_ref: number.map(|it| text::untrusted_name(&format!("refs/pull-requests/{it}/from"))),
        base_ref: pull.untrusted("/toRef/displayId"),
        head_ref: pull.untrusted("/fromRef/displayId"),
        sha: pull.commit("/fromRef/latestCommit"),
        subject: Subject {
            kind: SubjectKind::PullRequest,
            number,
            url: pull.name("/links/self/0/href"),
            title: pull.untrusted("/title"),
            body: body.body("/comment/text").or(pull.body("/description")),
            from_fork: sides.map(|(from, into)| from != into),
            ..Subject::default()
        },
        ..event(source, kind)
    }
}

/// Of a pull request the one that it would be merged into.
pub(super) fn repository(body: Tree<'_>) -> Option<Repository> {
    let own = body.at("/repository");
    let repository = if own.is_object("") { own } else { body.at("/pullRequest/toRef/repository") };
    let (project, name) = repository.text("/project/key").zip(repository.text("/slug"))?;
    let clones = repository.items("/links/clone");
    let http = clones.filter(|link| matches!(link.text("/name"), Some("http" | "https")));
    Some(Repository {
        id: repository.int("/id"),
        full_name: text::name(&format!("{project}/{name}")),
        clone_url: http.filter_map(|link| link.name("/href")).next(),
        default_branch: None,
        private: repository.flag("/public").map(|public| !public),
    })
}

pub(super) fn actor(body: Tree<'_>) -> Option<Actor> {
    let actor = body.at("/actor");
    let account_type = match actor.text("/type") {
        Some("NORMAL") => Some("User"),
        Some("SERVICE") => Some("Bot"),
        other => other,
    };
    Some(Actor {
        id: Some(actor.int("/id")?),
        login: actor.name("/name").unwrap_or_default(),
        account_type: account_type.map(text::name),
        ..Actor::default()
    })
}
