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
use crate::event::{Actor, Event, Subject};

pub(super) fn parse(source: &str, payload: &Payload<'_>) -> Result<Parsed, PayloadError> {
    let value = tree::read(payload.text())?;
    let body = Tree(Some(&value));
    let is_command = body.text("/command").is_some();
    let uid = body.name("/user_id");
    let event = Event {
        action: body.name("/command").or(body.name("/trigger_word")),
        actor: uid.map(|uid| Actor {
            login: body.name("/user_name").unwrap_or_else(|| uid.clone()),
            uid: Some(uid),
            account_type: Some("User".to_owned()),
            ..Actor::default()
        }),
        subject: Subject { body: body.body("/text"), ..Subject::default() },
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
