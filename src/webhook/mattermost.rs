//! Mattermost: outgoing webhooks and slash commands, as forms or as JSON.
//! <https://developers.mattermost.com/integrate/webhooks/outgoing/>,
//! <https://developers.mattermost.com/integrate/slash-commands/custom/>
//!
//! What is deliberately absent: what a message means. It is an event of its kind, matchable and
//! never trusted. The token is not among the inputs.

use super::parsed::{Answer, Parsed, Said, TAKEN};
use super::slack::given;
use super::tree::{self, Tree, blank};
use super::{Payload, PayloadError};
use crate::event::{Actor, Address, Event, Subject};
use crate::model::ChatPlace;

pub(super) fn parse(source: &str, payload: &Payload<'_>) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    let is_command = body.text("/command").is_some();
    let uid = body.name("/user_id");
    let text = body.body("/text");
    let address = match (is_command, body.text("/trigger_word"), &text) {
        (true, ..) => Address::Us { words_at: 0 },
        (false, Some(word), Some(text)) => {
            Address::Us { words_at: after_word(text.as_data(), word).unwrap_or_default() }
        }
        _ => Address::Everybody,
    };
    let chat = || {
        let thread = body.text("/root_id").map(str::to_owned);
        ChatPlace::new(body.id("/team_id"), body.id("/channel_id"), thread)
    };
    let event = Event {
        chat: (is_command || text.is_some()).then(chat).flatten(),
        address,
        action: body.name("/command").or(body.name("/trigger_word")),
        actor: uid.map(|uid| Actor {
            is_nickname: true,
            login: body.name("/user_name").unwrap_or_else(|| uid.clone()),
            uid: Some(uid),
            account_type: Some("User".to_owned()),
            ..Actor::default()
        }),
        subject: Subject { body: text, ..Subject::default() },
        inputs: given(
            body,
            &[
                ("team", "/team_id"),
                ("channel", "/channel_id"),
                ("post", "/post_id"),
                ("command", "/command"),
                ("text", "/text"),
                ("user", "/user_id"),
            ],
        )?,
        ..blank(source, tree::kind(if is_command { "slash_command" } else { "message" }))
    };
    Ok(Parsed::Events(Said {
        kind: Some(event.kind.as_str().into()),
        delivery_id: body.id("/post_id").or(body.id("/trigger_id")).map(Into::into),
        events: vec![event],
        answer: is_command.then(|| Answer::to_asker(TAKEN)),
    }))
}

/// Where a text goes on that begins with a trigger word.
fn after_word(text: &str, word: &str) -> Option<usize> {
    let after = text.trim_start().strip_prefix(word)?;
    let ends = after.chars().next().is_none_or(|c| c.is_whitespace() || matches!(c, ',' | ':'));
    let after = after.trim_start_matches([',', ':']);
    ends.then(|| text.len() - after.len())
}
