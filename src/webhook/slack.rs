//! Slack: events, slash commands and interactions.
//! <https://docs.slack.dev/apis/events-api/>, <https://docs.slack.dev/interactivity/implementing-slash-commands>
//!
//! What is deliberately absent: what a message means. It is an event of its kind, matchable and
//! never trusted.

use serde_json::{Map, Value, json};

use super::parsed::{Answer, Parsed, Said, TAKEN};
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Event, Subject, inputs};

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
    let is_bot = event.text("/bot_id").is_some();
    let bot = event.name("/bot_id");
    Ok(Event {
        action: event.name("/subtype"),
        actor: user.or(bot).map(|uid| Actor {
            login: uid.clone(),
            uid: Some(uid),
            account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
            ..Actor::default()
        }),
        subject: Subject { body: event.body("/text"), ..Subject::default() },
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

fn command(source: &str, body: Tree<'_>) -> Result<Event, PayloadError> {
    Ok(Event {
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
