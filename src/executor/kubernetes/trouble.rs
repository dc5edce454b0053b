//! What a failed call of the Kubernetes API means: pure.

use std::time::Duration;

use kube::core::Status;

/// How much of its text is shown.
const SHOWN_CHARS_MAX: usize = 300;

/// Why a call came to nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Trouble {
    /// Nothing was sent: refused, no such host, no right certificate.
    #[error("the API server cannot be reached: {0}")]
    NotThere(String),
    /// It may have been carried out: no answer in time, a broken one, 500 and above.
    #[error("{why}")]
    Perhaps { why: String, retry_after: Option<Duration> },
    /// It was not carried out.
    #[error("the API server answered {code}: {message}")]
    Refused { code: u16, reason: String, message: String, retry_after: Option<Duration> },
}

impl Trouble {
    pub(super) fn perhaps(why: impl Into<String>) -> Self {
        Self::Perhaps { why: why.into(), retry_after: None }
    }

    /// How long to leave it alone, if it says so.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::NotThere(_) => None,
            Self::Perhaps { retry_after, .. } | Self::Refused { retry_after, .. } => *retry_after,
        }
    }

    /// Whether it was answered so.
    pub(super) fn is(&self, status: u16) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == status)
    }
}

/// A request that was not answered.
pub(super) fn not_sent(error: &kube::Error) -> Trouble {
    let why = causes(error);
    if matches!(error, kube::Error::Auth(_)) {
        return Trouble::NotThere(why);
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(it) = cause {
        if let Some(error) = it.downcast_ref::<hyper_util::client::legacy::Error>()
            && error.is_connect()
        {
            return Trouble::NotThere(why);
        }
        cause = it.source();
    }
    Trouble::perhaps(format!("no answer: {why}"))
}

/// An answer that is no.
pub(super) fn refusal(code: u16, retry_after: Option<Duration>, body: &[u8]) -> Trouble {
    let status: Option<Status> = serde_json::from_slice(body).ok();
    let text = String::from_utf8_lossy(body);
    let message = status.as_ref().map_or(&*text, |status| &status.message);
    let message: String = message.chars().take(SHOWN_CHARS_MAX).collect();
    let reason = status.as_ref().map(|status| status.reason.clone()).unwrap_or_default();
    let asked = status.and_then(|status| status.details).map(|it| it.retry_after_seconds);
    let asked = asked.filter(|seconds| *seconds > 0).map(|it| Duration::from_secs(it.into()));
    let retry_after = retry_after.or(asked);
    match code {
        500.. => {
            let why = format!("the API server answered {code}: {message}");
            Trouble::Perhaps { why, retry_after }
        }
        _ => Trouble::Refused { code, reason, message, retry_after },
    }
}

/// An error with what lies under it, the last of which says most.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut last = error.to_string();
    let mut cause = error.source();
    while let Some(it) = cause {
        last = it.to_string();
        cause = it.source();
    }
    last.chars().take(SHOWN_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_whether_it_was_carried_out() {
        let status =
            br#"{"kind":"Status","status":"Failure","message":"busy","reason":"TooManyRequests",
            "details":{"retryAfterSeconds":7},"code":429}"#;
        let seven = Some(Duration::from_secs(7));
        let busy = refusal(429, None, status);
        assert!(busy.is(429) && busy.retry_after() == seven, "{busy:?}");
        let busy = refusal(
            429,
            Some(Duration::from_secs(2)),
            b"Too many requests, please try again later.",
        );
        assert_eq!(busy.retry_after(), Some(Duration::from_secs(2)));
        assert!(busy.to_string().contains("Too many requests"), "{busy}");
        let broken = refusal(503, None, b"");
        assert!(matches!(broken, Trouble::Perhaps { .. }), "{broken:?}");
    }
}
