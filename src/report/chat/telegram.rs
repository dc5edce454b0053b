//! Telegram: <https://core.telegram.org/bots/api#sendmessage>.
//!
//! Text is sent as it is (no `parse_mode`). A repeat cannot be told: what was taken while its answer was lost is said
//! twice. The token is a part of the address, which no note and no log shows.

use serde_json::{Value, json};

use super::{Chat, Saying};
use crate::report::judge::Fault;
use crate::report::said::without_mentions;

impl Chat {
    pub(super) async fn say_telegram(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        let place = saying.place;
        let number =
            |text: &str| text.parse::<i64>().map_or_else(|_| Value::from(text), Value::from);
        let mut body = json!({
            "chat_id": number(&place.channel),
            "text": without_mentions(saying.text),
            "link_preview_options": { "is_disabled": true },
        });
        if let Some(thread) = &place.thread {
            body["message_thread_id"] = number(thread);
        }
        let url = self.url(&[&format!("bot{}", self.token), "sendMessage"]);
        let answer = self.ask(self.client.post(url).json(&body)).await?;
        if answer.body["ok"] != Value::Bool(true) {
            let text = format!("its answer is not understood: {}", answer.excerpt);
            return Err(Fault::Unknown(text));
        }
        Ok(answer.body["result"]["message_id"].to_string().into())
    }
}
