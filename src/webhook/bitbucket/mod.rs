//! Bitbucket's payloads as events, under GitHub's names for the same things: those of Bitbucket
//! Cloud and those of Bitbucket Data Center, which have little in common but the header with the
//! kind.
//! <https://support.atlassian.com/bitbucket-cloud/docs/event-payloads/>,
//! <https://confluence.atlassian.com/bitbucketserver/event-payload-938025882.html>
//!
//! One push can move several refs: each is an event of its own, in the payload's order. No payload
//! lists changed files, so they are unknown and path filters run the work.
//!
//! What is deliberately absent: trust in pull requests, issues and comments. Bitbucket does not
//! say how their author stands to the repository, so it is unknown.

mod center;
mod cloud;

use super::parsed::{Parsed, Said};
use super::tree::{self, Tree};
use super::{Head, Payload, PayloadError, Verification};
use crate::event::trust::{self, Claims};
use crate::event::{Event, EventKind};

const BRANCH: &str = "refs/heads/";
const TAG: &str = "refs/tags/";
const REVIEW: &str = "pull_request_review";

/// Most refs of one push that become events: what is over it is no ordinary push.
pub(super) const CHANGES_MAX: usize = 100;

pub(super) fn parse(
    source: &str,
    head: &Head,
    payload: &Payload<'_>,
    trusted_bots: &[String],
) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let (own, body) = (&*head.event_kind, Tree(Some(&value)));
    if own == "diagnostics:ping" {
        return Ok(Parsed::Ping { hook_id: None });
    }
    let mut events = match own {
        "repo:refs_changed" => center::push(source, body),
        _ if own.starts_with("pr:") => vec![center::pull_request(source, own, body)],
        "repo:push" => cloud::push(source, body),
        _ if own.starts_with("pullrequest:") => vec![cloud::pull_request(source, own, body)],
        _ if own.starts_with("issue:") => vec![cloud::issue(source, own, body)],
        other => vec![tree::blank(source, other_kind(other))],
    };
    let is_cloud = body.text("/repository/full_name").is_some();
    for event in &mut events {
        event.repository =
            if is_cloud { cloud::repository(body) } else { center::repository(body) };
        // As at GitHub: whoever may comment does not choose the code that runs.
        if event.kind == EventKind::IssueComment {
            event.git_ref = body.full_ref(BRANCH, "/repository/mainbranch/name");
            event.sha = None;
        }
        event.actor = if is_cloud { cloud::actor(body) } else { center::actor(body) };
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
    Ok(Parsed::Events(Said::plain(events)))
}

/// What GitHub has a name for; the others keep Bitbucket's.
fn other_kind(own: &str) -> EventKind {
    match own {
        "repo:fork" | "repo:forked" => EventKind::from("fork".to_owned()),
        "repo:commit_comment_created" | "repo:comment:added" => tree::kind("commit_comment"),
        "repo:commit_status_created" | "repo:commit_status_updated" => tree::kind("status"),
        other => tree::kind(other),
    }
}

/// The kind comes in a header that the signature does not cover.
fn has_shape(kind: &EventKind, body: Tree<'_>) -> bool {
    let has_conversation = ["/pullrequest", "/pullRequest", "/issue", "/comment"]
        .into_iter()
        .any(|part| body.is_object(part));
    match kind {
        EventKind::Push => {
            !has_conversation
                && (body.list("/push/changes").is_some() || body.list("/changes").is_some())
        }
        EventKind::PullRequest => {
            (body.is_object("/pullrequest") || body.is_object("/pullRequest"))
                && !body.is_object("/comment")
        }
        EventKind::Issues => body.is_object("/issue") && !body.is_object("/comment"),
        EventKind::IssueComment => body.is_object("/comment"),
        EventKind::Other(_) => true,
        // What others send: no payload of Bitbucket's is one.
        _ => false,
    }
}

/// The kind and the action with an event of that kind.
fn event(source: &str, (kind, action): (&str, Option<&str>)) -> Event {
    Event { action: action.map(str::to_owned), ..tree::blank(source, tree::kind(kind)) }
}
