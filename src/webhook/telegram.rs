//! Telegram: updates of a bot. <https://core.telegram.org/bots/api#update>
//!
//! A new message with a text is said at a place ([`Event::chat`]); an edited one, a notice and what a channel
//! posts are not.
//!
//! What is deliberately absent: what a message means. It is an event of its kind, matchable and
//! never trusted.

use super::parsed::{Parsed, Said};
use super::slack::given;
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Address, Event, Subject};
use crate::model::ChatPlace;

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
    let (chat, address) = said(kind, what).unzip();
    let event = Event {
        actor: actor(what.at("/from")),
        chat,
        address: address.unwrap_or_default(),
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

/// Where a message was newly said, and to whom. <https://core.telegram.org/bots/api#message>
fn said(kind: &str, message: Tree<'_>) -> Option<(ChatPlace, Address)> {
    let is_text = message.text("/text").or(message.text("/caption")).is_some();
    // On behalf of a chat there is no person whose account it is.
    let is_of_person = !message.is_object("/sender_chat");
    if kind != "message" || !is_text || !is_of_person || message.int("/edit_date").is_some() {
        return None;
    }
    let is_topic = message.flag("/is_topic_message") == Some(true);
    let thread = message.id("/message_thread_id").filter(|_| is_topic);
    let place = ChatPlace::new(None, message.id("/chat/id"), thread)?;
    let address = match message.text("/chat/type") {
        Some("private") => Address::Us { words_at: 0 },
        _ => Address::Everybody,
    };
    Some((place, address))
}

fn actor(from: Tree<'_>) -> Option<Actor> {
    let is_bot = from.flag("/is_bot") != Some(false);
    Some(Actor {
        is_nickname: true,
        id: Some(from.int("/id")?),
        // The first name is whatever somebody likes to be called: it names no account.
        login: from.name("/username").unwrap_or_default(),
        account_type: Some(if is_bot { "Bot" } else { "User" }.to_owned()),
        ..Actor::default()
    })
}
