//! Discord: <https://discord.com/developers/docs/resources/message#create-message>.
//!
//! A thread is a channel. A repeat is known by its nonce for some minutes; one that comes later is another message.

use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Chat, Saying};
use crate::report::judge::Fault;

/// Bytes of the nonce's hash: it may have 25 characters.
const NONCE_BYTES: usize = 12;
/// No previews of links.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

impl Chat {
    pub(super) async fn say_discord(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        let channel = saying.place.thread.as_deref().unwrap_or(&saying.place.channel);
        let body = json!({
            "content": saying.text,
            "nonce": nonce(saying.mark),
            "enforce_nonce": true,
            "allowed_mentions": { "parse": [] },
            "flags": SUPPRESS_EMBEDS,
        });
        let url = self.url(&["channels", channel, "messages"]);
        let answer = self.ask(self.bearer(self.client.post(url).json(&body), "Bot")).await?;
        Ok(answer.body["id"].as_str().unwrap_or("?").into())
    }
}

/// The same for every try of one entry, and of one entry alone.
fn nonce(mark: &str) -> String {
    let hash = Sha256::digest(mark.as_bytes());
    hash.iter().take(NONCE_BYTES).map(|byte| format!("{byte:02x}")).collect()
}
