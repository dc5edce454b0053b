//! Mattermost: <https://developers.mattermost.com/api-documentation/#/operations/CreatePost>.
//!
//! A repeat is known by its `pending_post_id` for a while; beyond that the mark in the post's own properties is looked
//! for before a second try.

use serde_json::{Value, json};

use super::{CLOCKS_APART_MS, Chat, Saying};
use crate::report::judge::Fault;
use crate::report::said::without_mentions;

/// The property of a post that has its mark.
const PROPERTY: &str = "dispatchyard_mark";

impl Chat {
    pub(super) async fn say_mattermost(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        let place = saying.place;
        let mut body = json!({
            "channel_id": place.channel,
            "message": without_mentions(saying.text),
            "pending_post_id": saying.mark,
            "props": { PROPERTY: saying.mark },
        });
        if let Some(root) = &place.thread {
            body["root_id"] = Value::from(&**root);
        }
        let request = self.client.post(self.url(&["posts"])).json(&body);
        let answer = self.ask(self.bearer(request, "Bearer")).await?;
        Ok(answer.body["id"].as_str().unwrap_or("?").into())
    }

    pub(super) async fn find_mattermost(
        &self,
        saying: &Saying<'_>,
    ) -> Result<Option<Box<str>>, Fault> {
        let url = match &saying.place.thread {
            Some(root) => self.url(&["posts", root, "thread"]),
            None => {
                let mut url = self.url(&["channels", &saying.place.channel, "posts"]);
                let since_ms = saying.since_ms.saturating_sub(CLOCKS_APART_MS).max(0).to_string();
                url.query_pairs_mut().append_pair("since", &since_ms);
                url
            }
        };
        let answer = match self.ask(self.bearer(self.client.get(url), "Bearer")).await {
            // It may write there and not read: a repeat is better than silence.
            Err(Fault::Never(_)) => return Ok(None),
            answer => answer?,
        };
        let posts = answer.body["posts"].as_object();
        let is_it = |(_, post): &(&String, &Value)| post["props"][PROPERTY] == saying.mark;
        let found = posts.and_then(|posts| posts.iter().find(is_it));
        Ok(found.map(|(id, _)| id.as_str().into()))
    }
}
