//! Merge requests, which GitHub calls pull requests.
//! <https://docs.gitlab.com/user/project/integrations/webhook_events/#merge-request-events>

use std::collections::BTreeSet;

use super::action;
use crate::event::{Event, EventKind, Subject, SubjectKind, text};
use crate::webhook::tree::{Tree, is_zeros};

const REVIEW: &str = "pull_request_review";

/// One event, or one for each label where labels changed: GitHub tells each of them.
pub(super) fn events(mut event: Event, body: Tree<'_>) -> Vec<Event> {
    describe(&mut event, body.at("/object_attributes"));
    let own = body.text("/object_attributes/action");
    event.action = action(own);
    match own {
        Some("approved" | "approval") => {
            vec![Event { action: Some("submitted".to_owned()), ..review(event) }]
        }
        Some("unapproved" | "unapproval") => {
            vec![Event { action: Some("dismissed".to_owned()), ..review(event) }]
        }
        // There only when commits were pushed.
        Some("update")
            if body.text("/object_attributes/oldrev").is_some_and(|it| !is_zeros(it)) =>
        {
            let pushed = Event { action: Some("synchronize".to_owned()), ..event.clone() };
            std::iter::once(pushed).chain(labels(&event, body)).collect()
        }
        Some("update") => by_label(event, body),
        _ => vec![event],
    }
}

fn review(event: Event) -> Event {
    Event { kind: EventKind::Other(REVIEW.to_owned()), ..event }
}

/// What is known of the merge request.
pub(super) fn describe(event: &mut Event, merge: Tree<'_>) {
    let sides = merge.int("/source_project_id").zip(merge.int("/target_project_id"));
    let number = merge.int("/iid");
    event.subject = Subject {
        kind: SubjectKind::PullRequest,
        number,
        url: merge.name("/url"),
        title: merge.untrusted("/title"),
        body: merge.body("/description"),
        // The project that a fork was, when it is gone, is null.
        from_fork: match sides {
            Some((from, into)) => Some(from != into),
            None if merge.int("/target_project_id").is_some() => Some(true),
            None => None,
        },
        ..Subject::default()
    };
    event.git_ref =
        number.map(|number| text::untrusted_name(&format!("refs/merge-requests/{number}/head")));
    event.base_ref = merge.untrusted("/target_branch");
    event.head_ref = merge.untrusted("/source_branch");
    event.sha = merge.commit("/last_commit/id");
}

/// One event for each label that came or went; the event itself where something else changed, or none did.
pub(super) fn by_label(event: Event, body: Tree<'_>) -> Vec<Event> {
    let mut events = labels(&event, body);
    let changes = body.at("/changes").0.and_then(|it| it.as_object());
    let mut keys = changes.into_iter().flat_map(|changes| changes.keys());
    if events.is_empty() || keys.any(|key| !AT_EACH_UPDATE.contains(&key.as_str())) {
        events.insert(0, event);
    }
    events
}

/// What changes with the labels, and tells nothing by itself.
const AT_EACH_UPDATE: [&str; 5] =
    ["labels", "updated_at", "updated_by_id", "last_edited_at", "last_edited_by_id"];

fn labels(event: &Event, body: Tree<'_>) -> Vec<Event> {
    let (before, now) = (titles(body, "/previous"), titles(body, "/current"));
    let came = now.difference(&before).map(|label| ("labeled", label));
    let went = before.difference(&now).map(|label| ("unlabeled", label));
    let changed = came.chain(went).take(text::LABELS_MAX);
    changed
        .map(|(action, label)| Event {
            action: Some(action.to_owned()),
            label: Some(text::name(label)),
            ..event.clone()
        })
        .collect()
}

fn titles<'v>(body: Tree<'v>, when: &str) -> BTreeSet<&'v str> {
    let labels = body.at("/changes/labels").at(when).items("");
    labels.filter_map(|label| label.text("/title")).collect()
}
