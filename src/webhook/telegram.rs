//! Telegram: updates of a bot. <https://core.telegram.org/bots/api#update>
//!
//! What is deliberately absent: what a message means. It is an event of its kind, matchable and
//! never trusted.

use super::parsed::{Parsed, Said};
use super::slack::given;
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Event, Subject};

/// The field of an update that is there beside the one that says what happened.
const UPDATE_ID: &str = "update_id";

pub(super) fn parse(source: &str, payload: &Payload<'_>) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    let mut fields = value.as_object().into_iter().flatten();
    let what = fields.find(|(name, value)| *name != UPDATE_ID && value.is_object());
    let kind = what.map_or("update", |(name, _)| name.as_str());
    let what = Tree(what.map(|(_, value)| value));
    // A pressed button comes with the message that it is below.
    let message = if what.is_object("/message") { what.at("/message") } else { what };
    let event = Event {
        actor: actor(what.at("/from")),
        subject: Subject {
            body: what.body("/data").or(message.body("/text")).or(message.body("/caption")),
            ..Subject::default()
        },
        inputs: given(
            message,
            &[
                ("chat", "/chat/id"),
                ("message", "/message_id"),
                ("thread", "/message_thread_id"),
                ("text", "/text"),
            ],
        )?,
        ..blank(source, tree::kind(kind))
    };
    Ok(Parsed::Events(Said {
        kind: Some(event.kind.as_str().into()),
        delivery_id: body.int("/update_id").map(|it| it.to_string().into()),
        events: vec![event],
        answer: None,
    }))
}

fn actor(from: Tree<'_>) -> Option<Actor> {
    let is_bot = from.flag("/is_bot") != Some(false);
    Some(Actor {
        id: Some(from.int("/id")?),
        // The first name is whatever somebody likes to be called: it names no account.
        login: from.name("/username").unwrap_or_default(),
        account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
        ..Actor::default()
    })
}
