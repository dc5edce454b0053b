//! GitHub's payloads as events.
//!
//! New kinds, new actions and new fields appear without notice, and any field can be absent or
//! null, so nothing but broken JSON (or inputs over their limits) is an error: what is missing is
//! missing in the event, and a kind that is not known is [`EventKind::Other`].
//! <https://docs.github.com/en/webhooks/webhook-events-and-payloads>
//!
//! What is deliberately absent: questions to GitHub's API. A payload that lacks something says so
//! ([`ChangeSet`](crate::event::ChangeSet), trust `unknown`), and `intake` looks it up.

mod body;
mod changes;
mod claims;
mod lenient;
mod semantic;
mod subject;

use super::parsed::{Parsed, Said};
use super::{Head, Payload, PayloadError, Verification};
use crate::event::{Actor, Address, ChangeSet, Event, EventKind, Repository, inputs, text, trust};
use crate::model::Untrusted;
pub(in crate::webhook) use body::Body;
use body::Text;
pub(in crate::webhook) use lenient::Maybe;
pub(in crate::webhook) use semantic::semantic_id;

/// Reads a verified payload. `trusted_bots` are the bots that may start trusted work, each by its
/// account number or its full login.
///
/// # Errors
///
/// [`PayloadError`] when the text is not a JSON object or inputs pass their limits; to be stored
/// with the delivery as `failed`.
pub fn parse(
    source: &str,
    head: &Head,
    payload: &Payload<'_>,
    trusted_bots: &[String],
) -> Result<Parsed, PayloadError> {
    let body = read(payload)?;
    if &*head.event_kind == "ping" {
        return Ok(Parsed::Ping { hook_id: body.hook_id.0 });
    }
    let kind = EventKind::from(head.event_kind.to_string());
    event(source, kind, &body, payload.how(), trusted_bots)
        .map(|event| Parsed::Events(Said::plain(vec![event])))
}

/// The fields that an event is made from.
///
/// # Errors
///
/// [`PayloadError`] when the text is not a JSON object.
pub(in crate::webhook) fn read<'p>(payload: &'p Payload<'_>) -> Result<Body<'p>, PayloadError> {
    let body: Maybe<Body<'_>> = serde_json::from_str(payload.text())?;
    body.0.ok_or(PayloadError::NotAnObject)
}

/// The event, of a payload that has the fields of GitHub's.
///
/// # Errors
///
/// [`PayloadError`] when inputs pass their limits.
pub(in crate::webhook) fn event(
    source: &str,
    kind: EventKind,
    body: &Body<'_>,
    how: Verification,
    trusted_bots: &[String],
) -> Result<Event, PayloadError> {
    let subject = subject::of(&kind, body);
    let mut actor = actor(body);
    let claims = claims::of(&kind, body, how, actor.as_ref(), subject.from_fork);
    let trust = trust::decide(&claims, trusted_bots);
    if let Some(actor) = &mut actor {
        actor.association = claims::senders_association(&kind, body).map(text::name);
    }
    let pull = body.pull_request.as_ref();
    let head = pull.and_then(|pull| pull.head.as_ref());
    let merged = pull.filter(|pull| subject::is_merge(pull, body));
    let base = pull.and_then(|pull| pull.base.as_ref());
    let of = |name| kind.as_str() == name;
    let group = body.merge_group.as_ref().filter(|_| of("merge_group"));
    let run = body.workflow_run.as_ref().filter(|_| of("workflow_run"));
    let action = body.action.as_str().map(text::name);
    Ok(Event {
        source: source.to_owned(),
        repository: repository(body),
        actor,
        git_ref: subject::git_ref(&kind, body),
        base_ref: base.and_then(|side| untrusted(&side.branch)).or_else(|| {
            let base = group?.base_ref.as_str()?;
            Some(text::untrusted_name(base.strip_prefix("refs/heads/").unwrap_or(base)))
        }),
        // The branch that another workflow ran on is only looked at: what runs because of it is the default branch's.
        head_ref: head
            .and_then(|side| untrusted(&side.branch))
            .or_else(|| untrusted(&run?.head_branch)),
        sha: match &kind {
            EventKind::Push => body.after.as_str().and_then(text::commit),
            EventKind::PullRequest if merged.is_some() => {
                merged.and_then(|pull| pull.merge_commit_sha.as_str()).and_then(text::commit)
            }
            _ => head
                .and_then(|side| side.sha.as_str())
                .or_else(|| group?.head_sha.as_str())
                .or_else(|| body.deployment.as_ref()?.sha.as_str())
                .and_then(text::commit),
        },
        changes: match &kind {
            EventKind::Push => changes::of_push(body),
            _ => ChangeSet::Unknown,
        },
        labels: labels(body),
        label: match action.as_deref() {
            Some("labeled" | "unlabeled") => {
                body.label.as_ref().and_then(|label| label.name.as_str()).map(text::name)
            }
            _ => None,
        },
        inputs: match &kind {
            EventKind::WorkflowDispatch => inputs_of(body.inputs)?,
            EventKind::RepositoryDispatch => inputs_of(body.client_payload)?,
            EventKind::Other(name) if name == "check_run" => asked_of_check(body),
            _ => serde_json::Map::new(),
        },
        trust,
        causation_depth: 0,
        chat: None,
        address: Address::Everybody,
        subject,
        action,
        kind,
    })
}

/// Which check run somebody asks something of, and what.
fn asked_of_check(body: &Body<'_>) -> serde_json::Map<String, serde_json::Value> {
    let external_id = body.check_run.as_ref().and_then(|it| it.external_id.as_str());
    let identifier = body.requested_action.as_ref().and_then(|it| it.identifier.as_str());
    [("external_id", external_id), ("identifier", identifier)]
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), text::name(value?).into())))
        .collect()
}

fn inputs_of(
    raw: Option<&serde_json::value::RawValue>,
) -> Result<serde_json::Map<String, serde_json::Value>, PayloadError> {
    Ok(inputs::from_json(raw.map_or("null", |raw| raw.get()))?)
}

fn repository(body: &Body<'_>) -> Option<Repository> {
    let repository = body.repository.as_ref()?;
    Some(Repository {
        id: repository.id.0,
        full_name: text::name(repository.full_name.as_str()?),
        clone_url: repository.clone_url.as_str().map(text::name),
        default_branch: repository.default_branch.as_str().map(text::name),
        private: repository.private.0,
    })
}

/// The sender: the account whose request to GitHub caused the event. Its association is added
/// where it is the sender's.
fn actor(body: &Body<'_>) -> Option<Actor> {
    let sender = body.sender.as_ref()?;
    if sender.id.0.is_none() && sender.login.as_str().is_none() {
        return None;
    }
    Some(Actor {
        id: sender.id.0,
        login: sender.login.as_str().map(text::name).unwrap_or_default(),
        account_type: sender.account_type.as_str().map(text::name),
        ..Actor::default()
    })
}

fn labels(body: &Body<'_>) -> Vec<String> {
    let of_pull = body.pull_request.as_ref().and_then(|pull| pull.labels.as_ref());
    let of_issue = body.issue.as_ref().and_then(|issue| issue.labels.as_ref());
    of_pull
        .or(of_issue)
        .into_iter()
        .flatten()
        .filter_map(|label| label.as_ref()?.name.as_str())
        .take(text::LABELS_MAX)
        .map(text::name)
        .collect()
}

fn untrusted(name: &Text<'_>) -> Option<Untrusted> {
    name.as_str().map(text::untrusted_name)
}

#[cfg(test)]
mod tests;
