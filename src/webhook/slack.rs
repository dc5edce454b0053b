//! Slack: events, slash commands and interactions.
//! <https://docs.slack.dev/apis/events-api/>, <https://docs.slack.dev/interactivity/implementing-slash-commands>
//!
//! A message, a mention and a command are said at a place ([`Event::chat`]); what changes, deletes or only tells of
//! something is not.
//!
//! What is deliberately absent: what a message means. It is an event of its kind, matchable and
//! never trusted.

use serde_json::{Map, Value, json};

use super::parsed::{Answer, Parsed, Said, TAKEN};
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Address, Event, Subject, inputs};
use crate::model::{ChatPlace, Untrusted};

/// Slack's own account, which speaks as a user.
const SLACKBOT: &str = "USLACKBOT";

pub(super) fn parse(source: &str, payload: &Payload<'_>) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    if body.text("/type") == Some("url_verification") {
        let challenge = body.text("/challenge").unwrap_or_default();
        return Ok(Parsed::Challenge(Answer::Json(json!({"challenge": challenge}))));
    }
    let (kind, event, delivery_id, answer) = if body.text("/command").is_some() {
        let answer = Answer::to_asker(TAKEN);
        ("slash_command", command(source, body)?, body.id("/trigger_id"), Some(answer))
    } else if body.is_object("/event") {
        let kind = body.text("/event/type").unwrap_or("event");
        (kind, happened(source, kind, body)?, event_id(body), None)
    } else {
        let kind = body.text("/type").unwrap_or("slack");
        (kind, interaction(source, kind, body)?, body.id("/trigger_id"), Some(Answer::Empty))
    };
    Ok(Parsed::Events(Said {
        kind: Some(tree::kind(kind).as_str().into()),
        delivery_id: delivery_id.map(Into::into),
        events: vec![event],
        answer,
    }))
}

/// A retry has the id of the first try. Where there is none, a message is known by its place.
fn event_id(body: Tree<'_>) -> Option<String> {
    body.id("/event_id").or_else(|| {
        let parts = [body.text("/team_id")?, body.text("/event/channel")?, body.text("/event/ts")?];
        Some(parts.join("."))
    })
}

fn happened(source: &str, kind: &str, body: Tree<'_>) -> Result<Event, PayloadError> {
    let event = body.at("/event");
    let user = event.name("/user").or_else(|| event.name("/user/id"));
    let is_bot = event.text("/bot_id").is_some() || user.as_deref() == Some(SLACKBOT);
    let bot = event.name("/bot_id");
    let text = event.body("/text");
    let said = text.as_ref().and_then(|text| said(kind, body, text.as_data()));
    let text = text.map(|text| Untrusted::new(typed(text.as_data())));
    let (chat, address) = said.unzip();
    Ok(Event {
        action: event.name("/subtype"),
        actor: user.or(bot).map(|uid| Actor {
            is_nickname: true,
            login: uid.clone(),
            uid: Some(uid),
            account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
            ..Actor::default()
        }),
        subject: Subject { body: text, ..Subject::default() },
        chat,
        address: address.unwrap_or_default(),
        inputs: given(
            body,
            &[
                ("team", "/team_id"),
                ("channel", "/event/channel"),
                ("ts", "/event/ts"),
                ("thread_ts", "/event/thread_ts"),
                ("text", "/event/text"),
                ("user", "/event/user"),
            ],
        )?,
        ..blank(source, tree::kind(kind))
    })
}

/// Where a message was newly said, and to whom. <https://docs.slack.dev/reference/events/message>,
/// <https://docs.slack.dev/reference/events/app_mention>
fn said(kind: &str, body: Tree<'_>, text: &str) -> Option<(ChatPlace, Address)> {
    let event = body.at("/event");
    let is_new = matches!(
        event.text("/subtype"),
        None | Some("file_share" | "me_message" | "thread_broadcast")
    );
    let is_edited = event.is_object("/edited") || event.flag("/hidden") == Some(true);
    if !matches!(kind, "message" | "app_mention") || !is_new || is_edited {
        return None;
    }
    let channel = event.id("/channel");
    let is_direct = event.text("/channel_type") == Some("im")
        || channel.as_ref().is_some_and(|id| id.starts_with('D'));
    // What is said in a channel opens a thread below it.
    let thread = event.id("/thread_ts").or_else(|| event.id("/ts").filter(|_| !is_direct));
    let place = ChatPlace::new(body.id("/team_id"), channel, thread)?;
    let own = body.items("/authorizations").find(|it| it.flag("/is_bot") == Some(true));
    let own = own.and_then(|it| it.text("/user_id"));
    let words_at = after_mention(text, own).map_or(0, |at| typed(&text[..at]).len());
    let is_named = || own.is_some_and(|own| mentions(text, own));
    let address = match kind {
        "app_mention" => Address::Us { words_at },
        _ if is_direct => Address::Us { words_at: own.map_or(0, |_| words_at) },
        _ if is_named() => Address::Mentioned { words_at },
        _ => Address::Everybody,
    };
    Some((place, address))
}

/// A message's text as somebody typed it: Slack writes three characters of it as entities, and no others, because
/// what stands between `<` and `>` is its own. <https://docs.slack.dev/messaging/formatting-message-text>
fn typed(text: &str) -> String {
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
}

/// Whether a text names an account: `<@U012AB3CD>`, or with a name behind a bar.
fn mentions(text: &str, account: &str) -> bool {
    let mut names = text.split("<@").skip(1);
    names.any(|rest| rest.strip_prefix(account).is_some_and(|rest| rest.starts_with(['>', '|'])))
}

/// Where a text goes on that begins with a mention: of that account, or of any where ours is not known.
fn after_mention(text: &str, own: Option<&str>) -> Option<usize> {
    let rest = text.trim_start();
    let (name, after) = rest.strip_prefix("<@")?.split_once('>')?;
    let account = name.split_once('|').map_or(name, |(account, _)| account);
    let is_account = !account.is_empty() && account.bytes().all(|it| it.is_ascii_alphanumeric());
    (is_account && own.is_none_or(|own| own == account)).then(|| text.len() - after.len())
}

fn command(source: &str, body: Tree<'_>) -> Result<Event, PayloadError> {
    Ok(Event {
        chat: ChatPlace::new(body.id("/team_id"), body.id("/channel_id"), None),
        address: Address::Us { words_at: 0 },
        action: body.name("/command"),
        actor: asker(body.name("/user_id"), body.name("/user_name")),
        subject: Subject { body: body.body("/text"), ..Subject::default() },
        inputs: given(
            body,
            &[
                ("team", "/team_id"),
                ("channel", "/channel_id"),
                ("command", "/command"),
                ("text", "/text"),
                ("user", "/user_id"),
            ],
        )?,
        ..blank(source, tree::kind("slash_command"))
    })
}

fn interaction(source: &str, kind: &str, body: Tree<'_>) -> Result<Event, PayloadError> {
    Ok(Event {
        action: body.name("/actions/0/action_id").or(body.name("/callback_id")),
        actor: asker(body.name("/user/id"), body.name("/user/username")),
        inputs: given(
            body,
            &[
                ("team", "/team/id"),
                ("channel", "/channel/id"),
                ("message_ts", "/message/ts"),
                ("action", "/actions/0/action_id"),
                ("value", "/actions/0/value"),
                ("user", "/user/id"),
            ],
        )?,
        ..blank(source, tree::kind(kind))
    })
}

fn asker(uid: Option<String>, name: Option<String>) -> Option<Actor> {
    let uid = uid?;
    Some(Actor {
        is_nickname: true,
        login: name.unwrap_or_else(|| uid.clone()),
        uid: Some(uid),
        account_type: Some("User".to_owned()),
        ..Actor::default()
    })
}

/// Those of the named places that hold something, for the jobs.
pub(super) fn given(
    body: Tree<'_>,
    places: &[(&str, &str)],
) -> Result<Map<String, Value>, PayloadError> {
    let found = places.iter().filter_map(|(name, pointer)| {
        let value = body.at(pointer).0.filter(|value| value.is_string() || value.is_number())?;
        Some(((*name).to_owned(), value.clone()))
    });
    Ok(inputs::from_map(found.collect())?)
}
