//! Gitea's and Forgejo's payloads, which are nearly GitHub's.
//! <https://docs.gitea.com/usage/webhooks>, <https://forgejo.org/docs/latest/user/webhooks/>
//!
//! They lack some of GitHub's fields and have others in their place. What is missing is made from
//! those, and the rest is GitHub's own reading.
//!
//! What is deliberately absent: trust in pull requests and comments. These payloads do not say how
//! their author stands to the repository, so it is unknown.

use std::borrow::Cow;

use super::github::{self, Body, Maybe};
use super::parsed::{Parsed, Said};
use super::tree::is_zeros;
use super::{Head, Payload, PayloadError};
use crate::event::EventKind;

/// A review of a pull request, by what it says.
const REVIEWS: [&str; 3] =
    ["pull_request_approved", "pull_request_rejected", "pull_request_comment"];

pub(super) fn parse(
    source: &str,
    head: &Head,
    payload: &Payload<'_>,
    trusted_bots: &[String],
) -> Result<Parsed, PayloadError> {
    let mut body = github::read(payload)?;
    let is_review = REVIEWS.contains(&&*head.event_kind);
    let kind = if is_review { "pull_request_review" } else { &*head.event_kind };
    let kind = EventKind::from(kind.to_owned());
    complete(&kind, &mut body, is_review);
    let event = github::event(source, kind, &body, payload.how(), trusted_bots)?;
    Ok(Parsed::Events(Said::plain(vec![event])))
}

/// Adds what GitHub would have sent.
fn complete(kind: &EventKind, body: &mut Body<'_>, is_review: bool) {
    let action = match (kind, body.action.as_str()) {
        _ if is_review => Some("submitted"),
        (EventKind::PullRequest, Some("synchronized")) => Some("synchronize"),
        (EventKind::Release, Some("updated")) => Some("edited"),
        (_, Some("label_updated")) => Some("labeled"),
        (_, Some("label_cleared")) => Some("unlabeled"),
        _ => None,
    };
    if let Some(action) = action {
        body.action = Maybe(Some(Cow::Borrowed(action)));
    }
    // No account has a type. People and organisations are numbered from 1; the accounts of the
    // server itself have numbers below.
    if let Some(sender) = &mut body.sender.0
        && sender.account_type.as_str().is_none()
        && let Some(id) = sender.id.0
    {
        let account_type = if id > 0 { "User" } else { "Bot" };
        sender.account_type = Maybe(Some(Cow::Borrowed(account_type)));
    }
    if *kind == EventKind::Push {
        complete_push(body);
    }
}

fn complete_push(body: &mut Body<'_>) {
    body.created = Maybe(Some(body.before.as_str().is_none_or(is_zeros)));
    body.deleted = Maybe(Some(body.after.as_str().is_some_and(is_zeros)));
    // Whether the push was forced is not told: see docs/sources.md.
    body.forced = Maybe(Some(false));
    // Only the last few commits are listed, so without their number the list is not whole.
    body.size = Maybe(Some(body.total_commits.0.unwrap_or(-1)));
    let after = body.after.as_str().map(str::to_owned);
    if let Some(commits) = &mut body.commits.0 {
        let first = commits.first().and_then(|commit| commit.as_ref()?.id.as_str());
        // Newest first, where GitHub has the newest last.
        if first.is_some() && first == after.as_deref() {
            commits.reverse();
        }
    }
}
