//! Discord: interactions, and events of an application.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>,
//! <https://discord.com/developers/docs/events/webhook-events>
//!
//! What is deliberately absent: what an interaction means. It is an event of its kind, matchable
//! and never trusted. Its token, with which anybody could answer, is not among the inputs.

use serde_json::{Value, json};

use super::parsed::{Answer, Parsed, Said, TAKEN};
use super::slack::given;
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Event};

/// Only the person who asked sees the answer.
const EPHEMERAL: i64 = 1 << 6;

pub(super) fn parse(source: &str, payload: &Payload<'_>) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    let number = body.int("/type");
    if body.is_object("/event") || (number == Some(0) && body.int("/id").is_none()) {
        return application_event(source, body, number);
    }
    let (kind, answer) = match number {
        Some(1) => return Ok(Parsed::Challenge(Answer::Json(json!({"type": 1})))),
        Some(2) => ("application_command", taken()),
        Some(3) => ("message_component", json!({"type": 6})),
        Some(4) => {
            ("application_command_autocomplete", json!({"type": 8, "data": {"choices": []}}))
        }
        Some(5) => ("modal_submit", taken()),
        _ => ("interaction", taken()),
    };
    let user = if body.is_object("/member/user") { "/member/user" } else { "/user" };
    let event = Event {
        action: body.name("/data/name").or(body.name("/data/custom_id")),
        actor: actor(body.at(user)),
        inputs: given(
            body,
            &[
                ("guild", "/guild_id"),
                ("channel", "/channel_id"),
                ("command", "/data/name"),
                ("custom_id", "/data/custom_id"),
                ("user", "/member/user/id"),
            ],
        )?,
        ..blank(source, tree::kind(kind))
    };
    Ok(said(event, body.id("/id"), Some(Answer::Json(answer))))
}

/// "Received", as a message.
fn taken() -> Value {
    json!({"type": 4, "data": {"content": TAKEN, "flags": EPHEMERAL}})
}

/// A webhook event: type 0 asks whether this is the address, and wants 204.
fn application_event(
    source: &str,
    body: Tree<'_>,
    number: Option<i64>,
) -> Result<Parsed, PayloadError> {
    if number == Some(0) {
        return Ok(Parsed::Challenge(Answer::Empty));
    }
    let kind = body.text("/event/type").unwrap_or("event").to_ascii_lowercase();
    let event =
        Event { actor: actor(body.at("/event/data/user")), ..blank(source, tree::kind(&kind)) };
    Ok(said(event, None, Some(Answer::Empty)))
}

fn said(event: Event, delivery_id: Option<String>, answer: Option<Answer>) -> Parsed {
    let kind = Some(event.kind.as_str().into());
    let delivery_id = delivery_id.map(Into::into);
    Parsed::Events(Said { kind, delivery_id, events: vec![event], answer })
}

/// Ids are numbers, sent as text.
fn actor(user: Tree<'_>) -> Option<Actor> {
    let id = user.text("/id")?.parse().ok()?;
    let is_bot = user.flag("/bot") == Some(true);
    Some(Actor {
        id: Some(id),
        login: user.name("/username").unwrap_or_default(),
        account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
        ..Actor::default()
    })
}
