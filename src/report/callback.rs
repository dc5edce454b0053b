//! Callbacks: JSON posted to a URL that a caller named, signed as Standard Webhooks are.
//!
//! <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>

use std::time::Duration;

use reqwest::Url;
use serde_json::{Value, json};

use super::judge::{Fault, held_until_ms, status_fault};
use super::news::News;
use super::said;
use crate::clock::Clock;
use crate::executor::SigningSecret;
use crate::executor::outbound::{HttpSetupError, Reach};
use crate::model::{OutboxId, OutboxPayload, OutboxRow};

/// The longest URL.
const URL_BYTES_MAX: usize = 2_048;

/// Why a URL cannot be called back.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CallbackError {
    /// It is no URL.
    #[error(
        "`callback_url` is no URL: write `https://HOST/...`, of at most {URL_BYTES_MAX} bytes and without user and password"
    )]
    NoUrl,
    /// Its address must not be called.
    #[error("`callback_url`: {0}")]
    Address(String),
    /// Callbacks cannot be signed here.
    #[error(
        "this server calls nobody back: its configuration has no `callback_secret` in `[reports]`"
    )]
    NoSecret,
}

/// How callbacks are made.
pub struct Callbacks {
    /// By what they are signed.
    pub secret: SigningSecret,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether addresses of private networks, and this machine's, may be called.
    pub private_addresses: bool,
}

impl Callbacks {
    /// Whether a URL can be called back, as far as it says so itself: a name is looked at when it is called.
    ///
    /// # Errors
    /// [`CallbackError`].
    pub fn check(&self, url: &str) -> Result<(), CallbackError> {
        self.client(url).map(drop)
    }

    fn client(&self, url: &str) -> Result<(Url, reqwest::Client), CallbackError> {
        let parsed: Url = url.parse().map_err(|_| CallbackError::NoUrl)?;
        let is_plain = matches!(parsed.scheme(), "https" | "http")
            && parsed.host_str().is_some_and(|host| !host.is_empty())
            && parsed.username().is_empty()
            && parsed.password().is_none()
            && url.len() <= URL_BYTES_MAX;
        if !is_plain {
            return Err(CallbackError::NoUrl);
        }
        let reach = Reach {
            connect_timeout: self.timeout,
            timeout: self.timeout,
            private_addresses: self.private_addresses,
        };
        match reach.client(&parsed) {
            Ok(client) => Ok((parsed, client)),
            Err(HttpSetupError::Private(host)) => {
                Err(CallbackError::Address(format!("{host} is a private address")))
            }
            Err(error) => Err(CallbackError::Address(error.to_string())),
        }
    }

    /// Calls a URL. Every try of an entry has the same id.
    pub(super) async fn call(
        &self,
        url: &str,
        (installation, id): (&str, OutboxId),
        body: &Value,
        clock: &dyn Clock,
    ) -> Result<(), Fault> {
        let (url, client) = self.client(url).map_err(|error| Fault::Never(error.to_string()))?;
        let body = body.to_string().into_bytes();
        let now_ms = clock.now().wall_ms;
        let mut request = client.post(url).header("content-type", "application/json");
        let id = format!("dispatchyard-{installation}-{id}");
        for (name, value) in self.secret.headers(&id, now_ms.div_euclid(1_000), &body) {
            request = request.header(name, value);
        }
        let response = request.body(body).send().await.map_err(|error| {
            let text = if error.is_timeout() { "no answer in time" } else { "no answer" };
            match error.is_connect() {
                true => Fault::NotYet("nobody is there, or it may not be called".to_owned()),
                false => Fault::Unknown(text.to_owned()),
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(());
        }
        let text = format!("it answered {}", status.as_u16());
        let after = response.headers().get("retry-after");
        let after_s = after.and_then(|it| it.to_str().ok()?.trim().parse().ok());
        Err(match (status.as_u16(), after_s) {
            (429, _) | (503, Some(_)) => Fault::Held(held_until_ms(after_s, None, now_ms), text),
            (status, _) => status_fault(status, text),
        })
    }
}

/// When an entry became true.
pub(super) fn timestamp(row: &OutboxRow) -> String {
    let at = jiff::Timestamp::from_millisecond(row.entry.created_at_ms);
    at.map(|it| it.to_string()).unwrap_or_default()
}

/// What a callback says.
pub(super) fn body(row: &OutboxRow, news: &News, link: Option<&str>) -> Value {
    let workload = &news.workload;
    let timestamp = timestamp(row);
    let mut data = json!({
        "workload_id": workload.id,
        "job_id": row.entry.job_id,
        "name": &*workload.name,
        "kind": workload.kind,
        "trigger": &*workload.trigger,
        "delivery_id": workload.delivery_id,
        "url": link,
    });
    let kind = match &row.entry.payload {
        OutboxPayload::Text { text } => {
            data["text"] = Value::from(&**text);
            "message".to_owned()
        }
        OutboxPayload::Session { .. } => return said::body(row, None),
        OutboxPayload::Phase { phase, run, state } => {
            data["run"] = Value::from(*run);
            data["state"] = Value::from(state.as_str());
            // What has ended stays as it is, unless it runs again.
            if state.is_terminal() && workload.run == *run {
                let jobs = news.jobs.iter().map(|job| {
                    json!({ "id": job.id, "name": &*job.name, "state": job.kind().to_string() })
                });
                data["jobs"] = jobs.collect();
            }
            format!("workload.{}", phase.as_str())
        }
    };
    json!({ "type": kind, "timestamp": timestamp, "data": data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_and_what_is_no_url_are_refused() {
        let secret = SigningSecret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let timeout = Duration::from_secs(1);
        let callbacks = Callbacks { secret, timeout, private_addresses: false };
        for url in
            ["http://127.0.0.1/x", "http://169.254.169.254/", "http://[::1]/", "http://10.0.0.1:8/"]
        {
            assert!(matches!(callbacks.check(url), Err(CallbackError::Address(_))), "{url}");
        }
        for url in ["", "ftp://x.test", "https://me:hunter2@x.test/", "x"] {
            assert_eq!(callbacks.check(url), Err(CallbackError::NoUrl), "{url}");
        }
        assert_eq!(callbacks.check("https://x.example/hook?y=1"), Ok(()));
    }
}
