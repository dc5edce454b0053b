//! The fixtures of all providers but GitHub through all stages, and payloads that no documentation
//! promises.

mod chat;
mod forges;
mod generic;
mod odd;

use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::*;
use crate::event::Event;
use crate::model::Untrusted;

macro_rules! fixtures {
    ($($provider:ident $name:literal $kind:literal),+ $(,)?) => {
        /// Provider, file, and the kind that the headers say.
        const FIXTURES: &[(Provider, &str, &str, &str)] = &[$((
            Provider::$provider,
            $name,
            $kind,
            include_str!(concat!("../../../fixtures/", $name, ".json")),
        )),+];
    };
}

fixtures!(
    Gitea "gitea/push" "push",
    Gitea "gitea/pull_request_sync" "pull_request",
    Gitea "gitea/pull_request_approved" "pull_request_approved",
    Gitea "gitea/issue_comment" "issue_comment",
    Forgejo "forgejo/push" "push",
    Gitlab "gitlab/push" "Push Hook",
    Gitlab "gitlab/push_deleted" "Push Hook",
    Gitlab "gitlab/tag_push" "Tag Push Hook",
    Gitlab "gitlab/merge_request" "Merge Request Hook",
    Gitlab "gitlab/merge_request_new_commits" "Merge Request Hook",
    Gitlab "gitlab/merge_request_fork" "Merge Request Hook",
    Gitlab "gitlab/merge_request_labels" "Merge Request Hook",
    Gitlab "gitlab/note_on_merge_request" "Note Hook",
    Gitlab "gitlab/issue" "Issue Hook",
    Gitlab "gitlab/release" "Release Hook",
    Gitlab "gitlab/pipeline" "Pipeline Hook",
    Bitbucket "bitbucket/push" "repo:push",
    Bitbucket "bitbucket/pullrequest_created" "pullrequest:created",
    Bitbucket "bitbucket/pullrequest_comment_created" "pullrequest:comment_created",
    Bitbucket "bitbucket/refs_changed" "repo:refs_changed",
    Bitbucket "bitbucket/pr_from_ref_updated" "pr:from_ref_updated",
    Slack "slack/app_mention" "",
    Slack "slack/message" "",
    Slack "slack/url_verification" "",
    Discord "discord/ping" "",
    Discord "discord/command" "",
    Discord "discord/command_with_options" "",
    Telegram "telegram/message" "",
    Mattermost "mattermost/outgoing" "",
    StandardWebhooks "standard_webhooks/invoice_paid" "",
    Hmac "hmac/build" "",
);

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// The headers of a delivery that are not its proof.
fn headers(provider: Provider, kind: &str, content_type: &'static str) -> HeaderMap {
    let names: &[&str] = match provider {
        Provider::Github => &["x-github-event", "x-github-delivery"],
        Provider::Gitea => &["x-gitea-event", "x-gitea-delivery", "x-github-event"],
        Provider::Forgejo => &["x-forgejo-event", "x-forgejo-delivery", "x-gitea-event"],
        Provider::Gitlab => &["x-gitlab-event", "idempotency-key"],
        Provider::Bitbucket => &["x-event-key", "x-request-uuid"],
        Provider::StandardWebhooks => &["", "webhook-id"],
        _ => &[],
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    for (at, name) in names.iter().enumerate().filter(|(_, name)| !name.is_empty()) {
        let value = if at == 1 { "delivery-1" } else { kind };
        headers.insert(*name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

/// A signed body through all stages, as the server takes it.
fn through(
    reader: &Reader,
    headers: &HeaderMap,
    body: &str,
) -> (Head, Result<Parsed, PayloadError>) {
    let scheme = Scheme::Gitlab;
    let secrets = Secrets::new(vec![Secret::new(b"current").unwrap()]).unwrap();
    let token = HeaderMap::from_iter([(
        HeaderName::from_static("x-gitlab-token"),
        HeaderValue::from_static("current"),
    )]);
    // Any proof will do: the stages behind it do not know which it was.
    let verified = check(scheme, &token, body.as_bytes(), &secrets, None).unwrap();
    let head = Head::read(reader, &verified, headers).unwrap();
    let payload = head.payload(&verified).unwrap();
    let parsed = reader.parse("source", &head, &payload);
    (head, parsed)
}

fn reader(provider: Provider) -> Reader {
    Reader { provider, ..Reader::default() }
}

fn fixture(name: &str) -> (Provider, &'static str, &'static str) {
    let (provider, _, kind, text) = FIXTURES.iter().find(|(_, known, ..)| *known == name).unwrap();
    (*provider, kind, text)
}

fn parse_as(provider: Provider, kind: &str, text: &str) -> Result<Parsed, PayloadError> {
    through(&reader(provider), &headers(provider, kind, JSON), text).1
}

fn said(parsed: Parsed) -> Said {
    match parsed {
        Parsed::Events(said) => said,
        other => panic!("no events: {other:?}"),
    }
}

fn events(name: &str) -> Vec<Event> {
    let (provider, kind, text) = fixture(name);
    said(parse_as(provider, kind, text).unwrap()).events
}

/// The one event of a fixture.
fn event(name: &str) -> Event {
    let events = events(name);
    assert_eq!(events.len(), 1, "{name}");
    events.into_iter().next().unwrap()
}

/// The same with one value changed, by JSON pointer.
fn changed(name: &str, pointer: &str, value: serde_json::Value) -> Event {
    let (provider, kind, text) = fixture(name);
    let mut payload: serde_json::Value = serde_json::from_str(text).unwrap();
    *payload.pointer_mut(pointer).unwrap() = value;
    let events = said(parse_as(provider, kind, &payload.to_string()).unwrap()).events;
    events.into_iter().next().unwrap()
}

fn data(text: Option<&Untrusted>) -> Option<&str> {
    text.map(Untrusted::as_data)
}

/// Kind, action, ref and number: what triggers look at first.
fn outline(event: &Event) -> String {
    let number = event.subject.number.map(|it| format!(" #{it}")).unwrap_or_default();
    let git_ref = data(event.git_ref.as_ref()).unwrap_or("-");
    format!("{} {} {git_ref}{number}", event.kind.as_str(), event.action.as_deref().unwrap_or("-"))
}
