//! Who sends signed deliveries.

use reqwest::header::{HeaderMap, HeaderValue};

use crate::cli::CliError;
use crate::cli::bench::wire::Wire;
use crate::cli::send::sign_like_github;
use crate::clock::{Clock as _, SystemClock};
use crate::webhook::Secret;

const PUSH: &str = include_str!("../../../../fixtures/github/push.json");
/// About the size of a large delivery; a server takes 26,214,400 bytes.
const LARGE_BYTES: usize = 25_000_000;

/// Sends pushes that were signed once: a signature is over the body alone.
#[derive(Clone)]
pub(super) struct Sender {
    wire: Wire,
    path: String,
    small: (HeaderMap, Vec<u8>),
    /// Only when it is wanted.
    large: Option<(HeaderMap, bytes::Bytes)>,
    /// Ids of deliveries begin so, that a second measurement of a server sends no duplicates.
    prefix: String,
}

impl Sender {
    pub(super) fn new(
        wire: &Wire,
        source: &str,
        secret: &Secret,
        large_percent: u64,
    ) -> Result<Self, CliError> {
        let sign = |body: Vec<u8>| sign_like_github(body, "push", "0", secret);
        let small = sign(PUSH.into())?;
        let large = (large_percent > 0).then(|| sign(padded())).transpose()?;
        let began = SystemClock::new().now().wall_ms;
        Ok(Self {
            wire: wire.clone(),
            path: format!("hooks/{source}"),
            small: (small.headers, small.body),
            large: large.map(|signed| (signed.headers, signed.body.into())),
            prefix: format!("bench-{began}"),
        })
    }

    /// Sends delivery `number`; the answer, if it was accepted.
    pub(super) async fn send(&self, number: u64, large_percent: u64) -> Option<String> {
        let (mut headers, body) = match &self.large {
            Some((headers, body)) if number % 100 < large_percent => {
                (headers.clone(), reqwest::Body::from(body.clone()))
            }
            _ => (self.small.0.clone(), reqwest::Body::from(self.small.1.clone())),
        };
        let id = HeaderValue::from_str(&format!("{}-{number}", self.prefix)).ok()?;
        headers.insert("x-github-delivery", id);
        self.wire.deliver(&self.path, headers, body).await
    }
}

/// A push of the size of the largest that GitHub sends.
fn padded() -> Vec<u8> {
    let rest = PUSH.trim_start().strip_prefix('{').unwrap_or(PUSH);
    let padding = "x".repeat(LARGE_BYTES.saturating_sub(rest.len()));
    format!(r#"{{"padding":"{padding}",{rest}"#).into_bytes()
}
