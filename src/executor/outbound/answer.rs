//! What came of one request.

use std::error::Error as _;
use std::fmt;
use std::time::Duration;

use futures_util::StreamExt as _;
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode, Url};

/// How much of an answer people are shown.
const EXCERPT_CHARS_MAX: usize = 200;

/// One request, for history.
pub(in super::super) struct Tried {
    pub(in super::super) method: &'static str,
    /// Without its secrets.
    pub(in super::super) url: String,
    pub(in super::super) request_id: String,
    pub(in super::super) took: Duration,
    pub(in super::super) answered: Answered,
}

/// What came back.
pub(in super::super) enum Answered {
    /// An answer.
    Response(Answer),
    /// Nothing can have begun: refused, no such host, no such address.
    NotThere(String),
    /// It may have begun: no answer in time, or a broken one.
    Broken(String),
}

/// An answer, or as much of it as is read.
pub(in super::super) struct Answer {
    pub(in super::super) status: StatusCode,
    pub(in super::super) headers: HeaderMap,
    pub(in super::super) body: Vec<u8>,
    pub(in super::super) is_cut: bool,
}

impl Answer {
    /// The text of a header.
    pub(in super::super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// How long it asks to be left alone, up to that.
    pub(in super::super) fn retry_after(&self, longest: Duration) -> Option<Duration> {
        let seconds = self.header("retry-after")?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds).min(longest))
    }
}

impl Answered {
    /// Reads an answer, of which so much counts.
    pub(super) async fn read(response: Response, bytes_max: usize) -> Self {
        let (status, headers) = (response.status(), response.headers().clone());
        let (mut body, mut is_cut) = (Vec::new(), false);
        let mut stream = response.bytes_stream();
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(piece) => body.extend_from_slice(&piece),
                Err(error) => return Self::Broken(causes(&error)),
            }
            if body.len() > bytes_max {
                body.truncate(bytes_max);
                is_cut = true;
                break;
            }
        }
        Self::Response(Answer { status, headers, body, is_cut })
    }

    /// No answer came.
    pub(super) fn failed(error: &reqwest::Error) -> Self {
        match error.is_connect() {
            true => Self::NotThere(causes(error)),
            false => Self::Broken(causes(error)),
        }
    }
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { method, url, request_id, took, answered } = self;
        write!(f, "{method} {url} ({request_id}): ")?;
        match answered {
            Answered::Response(Answer { status, body, is_cut, .. }) => {
                let more = if *is_cut { " or more" } else { "" };
                write!(f, "{}, {} bytes{more}", status.as_u16(), body.len())?;
            }
            Answered::NotThere(why) | Answered::Broken(why) => f.write_str(why)?,
        }
        write!(f, ", {} ms", took.as_millis())?;
        match answered {
            Answered::Response(it) if !it.status.is_success() && !it.body.is_empty() => {
                write!(f, ": {}", excerpt(&it.body))
            }
            _ => Ok(()),
        }
    }
}

/// The beginning of an answer, in one line.
pub(in super::super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let clean = text.chars().map(|it| if it.is_control() { ' ' } else { it });
    clean.take(EXCERPT_CHARS_MAX).collect::<String>().trim().to_owned()
}

/// An error with what lies under it, without the URL, which may have a secret in it.
pub(in super::super) fn causes(error: &reqwest::Error) -> String {
    let mut texts = Vec::new();
    let mut cause = error.source();
    while let Some(it) = cause {
        texts.push(it.to_string());
        cause = it.source();
    }
    let what = if error.is_timeout() { "no answer in time" } else { "no answer" };
    match texts.last() {
        Some(last) if !error.is_timeout() => format!("{what}: {last}"),
        _ => what.to_owned(),
    }
}

/// A URL without user, password and the values of its query.
pub(in super::super) fn without_secrets(url: &Url) -> String {
    let mut shown = url.clone();
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    let keys: Vec<_> = url.query_pairs().map(|(key, _)| key.into_owned()).collect();
    shown.set_query(None);
    if !keys.is_empty() {
        shown.query_pairs_mut().extend_pairs(keys.iter().map(|key| (key, "***")));
    }
    shown.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_of_a_try_has_no_secrets_and_is_short() {
        let url = "https://me:hunter2@farm.example/run?key=hunter2&x=1".parse().unwrap();
        let body = format!("line\none{}", "x".repeat(1_000)).into_bytes();
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        let tried = Tried {
            method: "POST",
            url: without_secrets(&url),
            request_id: "job-1-attempt-1".to_owned(),
            took: Duration::from_millis(12),
            answered: Answered::Response(Answer {
                status,
                headers: HeaderMap::new(),
                body,
                is_cut: false,
            }),
        };
        let text = tried.to_string();
        assert!(!text.contains("hunter2") && text.len() < 400, "{text}");
        assert!(text.starts_with(
            "POST https://farm.example/run?key=***&x=*** (job-1-attempt-1): 500, 1008 bytes, 12 ms: line one"
        ), "{text}");
    }
}
