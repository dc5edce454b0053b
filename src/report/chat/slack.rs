//! Slack: <https://docs.slack.dev/reference/methods/chat.postMessage>.
//!
//! An answer is 200 whatever became of it: `ok` says. What was said carries metadata
//! (<https://docs.slack.dev/messaging/message-metadata>), by which it is found again before a second try; a bot that
//! may not read the conversation's history cannot look, and may say something twice.

use serde_json::{Value, json};

use super::{Answer, CLOCKS_APART_MS, Chat, PAGES_MAX, Saying};
use crate::report::judge::Fault;

/// The type of the metadata.
const EVENT_TYPE: &str = "dispatchyard_said";
/// The most messages that are asked for at once.
const ROWS: &str = "200";

/// How much of the name of an error is kept.
const NAME_CHARS_MAX: usize = 60;

/// Whether a lookup was refused because the bot may not read there.
const MAY_NOT_READ: [&str; 4] =
    ["missing_scope", "not_in_channel", "not_allowed_token_type", "no_permission"];

impl Chat {
    pub(super) async fn say_slack(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        let place = saying.place;
        let mut body = json!({
            "channel": place.channel,
            "text": escaped(saying.text),
            "unfurl_links": false,
            "unfurl_media": false,
            "metadata": { "event_type": EVENT_TYPE, "event_payload": { "mark": saying.mark } },
        });
        if let Some(thread) = &place.thread {
            body["thread_ts"] = Value::from(&**thread);
        }
        let request = self.client.post(self.url(&["chat.postMessage"])).json(&body);
        let answer = self.ask(self.bearer(request, "Bearer")).await?;
        self.good(&answer).map_err(|(fault, _)| fault)?;
        Ok(answer.body["ts"].as_str().unwrap_or("?").into())
    }

    pub(super) async fn find_slack(&self, saying: &Saying<'_>) -> Result<Option<Box<str>>, Fault> {
        let place = saying.place;
        let oldest_ms = saying.since_ms.saturating_sub(CLOCKS_APART_MS).max(0);
        let oldest = format!("{}.000000", oldest_ms / 1_000);
        let mut cursor = String::new();
        for _ in 0..PAGES_MAX {
            let method = match place.thread {
                Some(_) => "conversations.replies",
                None => "conversations.history",
            };
            let mut url = self.url(&[method]);
            {
                let mut query = url.query_pairs_mut();
                query.append_pair("channel", &place.channel);
                query.append_pair("oldest", &oldest).append_pair("limit", ROWS);
                query.append_pair("include_all_metadata", "true");
                if let Some(thread) = &place.thread {
                    query.append_pair("ts", thread);
                }
                if !cursor.is_empty() {
                    query.append_pair("cursor", &cursor);
                }
            }
            let answer = self.ask(self.bearer(self.client.get(url), "Bearer")).await?;
            match self.good(&answer) {
                Ok(()) => {}
                Err((_, name)) if MAY_NOT_READ.contains(&&*name) => return Ok(None),
                Err((fault, _)) => return Err(fault),
            }
            let is_it = |message: &&Value| {
                message["metadata"]["event_type"] == EVENT_TYPE
                    && message["metadata"]["event_payload"]["mark"] == saying.mark
            };
            let messages = answer.body["messages"].as_array();
            if let Some(found) = messages.and_then(|all| all.iter().find(is_it)) {
                return Ok(Some(found["ts"].as_str().unwrap_or("?").into()));
            }
            let next = answer.body["response_metadata"]["next_cursor"].as_str();
            cursor = next.unwrap_or_default().to_owned();
            if cursor.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// Whether it was done; if not, why, and how Slack calls that.
    fn good(&self, answer: &Answer) -> Result<(), (Fault, String)> {
        if answer.body["ok"] == Value::Bool(true) {
            return Ok(());
        }
        let Some(name) = answer.body["error"].as_str() else {
            let text = format!("its answer is not understood: {}", answer.excerpt);
            return Err((Fault::Unknown(text), String::new()));
        };
        let is_name = |it: char| it.is_ascii_alphanumeric() || it == '_';
        let name: String = name.chars().filter(|it| is_name(*it)).take(NAME_CHARS_MAX).collect();
        let name = name.as_str();
        let text = format!("Slack answered `{name}`{}", about(name));
        let fault = match name {
            "ratelimited" | "rate_limited" => self.hold(self.until_ms(None), text),
            // Some of it may have been done.
            "fatal_error" | "internal_error" | "request_timeout" => Fault::Unknown(text),
            "service_unavailable" | "team_added_to_org" | "message_limit_exceeded" => {
                Fault::NotYet(text)
            }
            _ => Fault::Never(text),
        };
        Err((fault, name.to_owned()))
    }
}

/// What to look at.
fn about(name: &str) -> &'static str {
    match name {
        "invalid_auth" | "not_authed" | "account_inactive" | "token_revoked" | "token_expired" => {
            ": the token of the source's `chat` is not valid"
        }
        "channel_not_found" | "not_in_channel" => ": invite the bot to the channel",
        "missing_scope" => ": the bot needs the scope `chat:write`",
        _ => "",
    }
}

/// Text as it is, without mentions and links of Slack's own form.
/// <https://docs.slack.dev/messaging/formatting-message-text#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
