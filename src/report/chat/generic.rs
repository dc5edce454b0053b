//! Whoever takes a call: JSON, signed as Standard Webhooks are, with the same `webhook-id` in every try.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use super::{Chat, Saying};
use crate::report::judge::Fault;

impl Chat {
    pub(super) async fn say_generic(&self, saying: &Saying<'_>) -> Result<Box<str>, Fault> {
        let body = saying.body.to_string().into_bytes();
        let at_s = self.clock.now().wall_ms.div_euclid(1_000);
        let request = self.client.post(self.api_url.clone());
        let mut request = request.header("content-type", "application/json");
        for (name, value) in self.signing.iter().flat_map(|it| it.headers(saying.mark, at_s, &body))
        {
            request = request.header(name, value);
        }
        self.ask(request.body(body)).await?;
        Ok(saying.mark.into())
    }
}
