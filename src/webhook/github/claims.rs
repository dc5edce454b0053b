//! What a payload offers for the decision about trust.

use super::body::{Account, Body};
use crate::event::trust::Claims;
use crate::event::{Actor, EventKind};
use crate::webhook::Verification;

/// The claims of a payload.
pub(super) fn of<'a>(
    kind: &'a EventKind,
    body: &'a Body<'_>,
    how: Verification,
    sender: Option<&'a Actor>,
    from_fork: Option<bool>,
) -> Claims<'a> {
    Claims {
        kind,
        authenticated: how == Verification::Signed,
        has_shape: has_shape(kind, body),
        sender,
        author_association: author(kind, body).and_then(|(_, association)| association),
        from_fork,
    }
}

/// The sender's association: the author's, if they are one account.
pub(super) fn senders_association<'a>(kind: &EventKind, body: &'a Body<'_>) -> Option<&'a str> {
    let (author, association) = author(kind, body)?;
    let sender = body.sender.as_ref()?.id.0?;
    if author?.id.0? == sender { association } else { None }
}

/// The account that wrote the text of the event, and how it stands to the repository.
fn author<'a>(
    kind: &EventKind,
    body: &'a Body<'_>,
) -> Option<(Option<&'a Account<'a>>, Option<&'a str>)> {
    match kind {
        EventKind::IssueComment => {
            body.comment.as_ref().map(|it| (it.user.as_ref(), it.author_association.as_str()))
        }
        EventKind::Issues => {
            body.issue.as_ref().map(|it| (it.user.as_ref(), it.author_association.as_str()))
        }
        EventKind::PullRequest => {
            body.pull_request.as_ref().map(|it| (it.user.as_ref(), it.author_association.as_str()))
        }
        _ => None,
    }
}

/// Whether the body has the fields that its kind always has, and not those of a kind that others
/// may cause. The kind comes in a header that no signature covers: without this, a stranger's
/// signed comment, sent again under the name `push`, would be a trusted push.
fn has_shape(kind: &EventKind, body: &Body<'_>) -> bool {
    let has_conversation = body.issue.as_ref().is_some()
        || body.pull_request.as_ref().is_some()
        || body.comment.as_ref().is_some();
    match kind {
        EventKind::Push => {
            let is_full = body.git_ref.as_str().is_some_and(|name| name.starts_with("refs/"));
            is_full && body.after.as_str().is_some() && !has_conversation
        }
        EventKind::PullRequest => {
            body.pull_request.as_ref().is_some()
                && body.review.as_ref().is_none()
                && body.comment.as_ref().is_none()
        }
        EventKind::Issues => body.issue.as_ref().is_some() && body.comment.as_ref().is_none(),
        EventKind::IssueComment => body.issue.as_ref().is_some() && body.comment.as_ref().is_some(),
        EventKind::WorkflowDispatch => {
            body.workflow.as_str().is_some() && body.git_ref.as_str().is_some() && !has_conversation
        }
        EventKind::RepositoryDispatch => {
            body.action.as_str().is_some() && body.branch.as_str().is_some() && !has_conversation
        }
        EventKind::Release => body.release.as_ref().is_some() && !has_conversation,
        EventKind::Create | EventKind::Delete => {
            body.ref_type.as_str().is_some() && body.after.as_str().is_none() && !has_conversation
        }
        EventKind::Other(_) => true,
    }
}
