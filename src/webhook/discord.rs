//! Discord: interactions, and events of an application.
//! <https://discord.com/developers/docs/interactions/receiving-and-responding>,
//! <https://discord.com/developers/docs/events/webhook-events>
//!
//! A command is said at a place ([`Event::chat`]): a thread is a channel of its own there. Events of an application are
//! about who installed it, and none is a message.
//!
//! What is deliberately absent: what an interaction means. It is an event of its kind, matchable
//! and never trusted. Its token, with which anybody could answer, is not among the inputs.

use serde_json::{Value, json};

use super::parsed::{Answer, Parsed, Said, TAKEN};
use super::slack::given;
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Address, Event, Subject, text};
use crate::model::{ChatPlace, Untrusted};

/// Only the person who asked sees the answer.
const EPHEMERAL: i64 = 1 << 6;
/// A command that is typed, and not chosen from the menu of a person or message.
const CHAT_INPUT: i64 = 1;
/// Groups of commands are two levels deep.
const OPTIONS_DEPTH_MAX: usize = 3;

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
    let is_typed = number == Some(2) && body.int("/data/type").is_none_or(|it| it == CHAT_INPUT);
    let chat = || ChatPlace::new(body.id("/guild_id"), body.id("/channel_id"), None);
    let event = Event {
        subject: Subject {
            body: is_typed.then(|| asked(body.at("/data"))).flatten(),
            ..Subject::default()
        },
        chat: is_typed.then(chat).flatten(),
        address: match is_typed {
            true => Address::Us { words_at: 0 },
            false => Address::Everybody,
        },
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

/// What a command was given: the value of its only option, or a line for each of several.
/// <https://discord.com/developers/docs/interactions/receiving-and-responding#interaction-object-application-command-interaction-data-option-structure>
fn asked(data: Tree<'_>) -> Option<Untrusted> {
    let mut given = Vec::new();
    collect(data, OPTIONS_DEPTH_MAX, &mut given);
    let text = match given.as_slice() {
        [] => return None,
        [(_, only)] => only.clone(),
        many => {
            let lines = many.iter().map(|(name, value)| format!("{name}: {value}"));
            lines.collect::<Vec<_>>().join("\n")
        }
    };
    Some(text::untrusted_body(&text))
}

/// The options with values, also of commands within commands; `depth_left` bounds the recursion.
fn collect<'v>(of: Tree<'v>, depth_left: usize, given: &mut Vec<(&'v str, String)>) {
    let Some(depth_left) = depth_left.checked_sub(1) else { return };
    for option in of.items("/options") {
        match (option.text("/name"), option.at("/value").0) {
            (Some(name), Some(Value::String(text))) => given.push((name, text.clone())),
            (Some(name), Some(value @ (Value::Number(_) | Value::Bool(_)))) => {
                given.push((name, value.to_string()));
            }
            _ => collect(option, depth_left, given),
        }
    }
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
        is_nickname: true,
        id: Some(id),
        login: user.name("/username").unwrap_or_default(),
        account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
        ..Actor::default()
    })
}
