//! Every error as `application/problem+json` (RFC 9457), in one place.

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::wire::Problem;
use crate::clock::OsEntropy;
use crate::dispatch::Refusal;
use crate::driver::CommandError;
use crate::model::Entropy as _;
use crate::store::StoreError;

/// How long a client waits before it asks a server again that cannot answer now, in seconds.
const RETRY_AFTER: HeaderValue = HeaderValue::from_static("1");
/// Over how many seconds clients are spread that wait for a leader.
const RETRY_SPREAD_S: u64 = 3;

/// What a request can fail with.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The request makes no sense as it is.
    #[error("{0}")]
    BadRequest(String),
    /// No token, or not one of ours.
    #[error("this needs a bearer token that the server knows")]
    Unauthorized,
    /// A token of ours, for something else.
    #[error("this token is not for {0}")]
    Forbidden(&'static str),
    /// Nothing there.
    #[error("there is no {what} {id}")]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Its id, as the request has it.
        id: String,
    },
    /// The address is right, the method is not.
    #[error("there is no {0}: another method may be meant")]
    MethodNotAllowed(String),
    /// The state of what is there does not allow it.
    #[error("{0}")]
    Conflict(String),
    /// The body is larger than it may be.
    #[error("the body is larger than {max} bytes ({limit})")]
    TooLarge {
        /// The limit's key.
        limit: &'static str,
        /// The limit.
        max: u64,
    },
    /// A batch has more items than it may have.
    #[error("{items} items in one request, batch_items_max is {max}")]
    TooManyItems {
        /// How many there are.
        items: usize,
        /// How many there may be.
        max: usize,
    },
    /// The body is of a kind that is not understood.
    #[error("{0}")]
    UnsupportedMediaType(String),
    /// The scheduler did not do it.
    #[error(transparent)]
    Command(#[from] CommandError),
    /// Only the leader can do it, and there is none that can be reached; why.
    #[error("{0}")]
    NoLeader(&'static str),
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Somebody else did not do what we asked of them for this.
    #[error("{0}")]
    Elsewhere(String),
    /// Our own fault.
    #[error("{0}")]
    Internal(String),
}

impl ApiError {
    /// Something with this id is not there.
    pub fn not_found(what: &'static str, id: impl std::fmt::Display) -> Self {
        Self::NotFound { what, id: format!("{id}") }
    }

    /// Nothing has this name, but these do; the first of them are told.
    pub fn unknown<'a>(
        what: &'static str,
        name: &str,
        known: impl IntoIterator<Item = &'a str>,
    ) -> Self {
        let known: Vec<_> = known.into_iter().take(20).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Self::NotFound { what, id: format!("{name}: known are {known}") }
    }

    fn parts(&self) -> (StatusCode, &'static str, &'static str, Option<&'static str>) {
        use StatusCode as S;
        match self {
            Self::BadRequest(_) => (S::BAD_REQUEST, "bad-request", "The request is wrong", None),
            Self::Unauthorized => (
                S::UNAUTHORIZED,
                "unauthorized",
                "Not logged in",
                Some("send `Authorization: Bearer TOKEN`; the command line takes --token-file"),
            ),
            Self::Forbidden(_) => (S::FORBIDDEN, "forbidden", "Not allowed", None),
            Self::NotFound { .. } => (
                S::NOT_FOUND,
                "not-found",
                "Not found",
                Some(
                    "`dispatchyard deliveries`, `workloads`, `jobs` and `runners` list what there is",
                ),
            ),
            Self::MethodNotAllowed(_) => {
                (S::METHOD_NOT_ALLOWED, "method-not-allowed", "Wrong method", None)
            }
            Self::Conflict(_) => (
                S::CONFLICT,
                "conflict",
                "The state does not allow it",
                Some("`dispatchyard jobs ID` and `explain ID` show where it stands"),
            ),
            Self::TooLarge { .. } => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "The body is too large",
                Some("the limit stands in [limits] of the server's configuration"),
            ),
            Self::TooManyItems { .. } => (
                S::UNPROCESSABLE_ENTITY,
                "too-many-items",
                "The batch is too large",
                Some("send it in parts; the limit stands in [limits] of the configuration"),
            ),
            Self::UnsupportedMediaType(_) => {
                (S::UNSUPPORTED_MEDIA_TYPE, "unsupported-media-type", "Wrong kind of body", None)
            }
            Self::Command(error) => command_parts(error),
            Self::NoLeader(_) => (
                S::SERVICE_UNAVAILABLE,
                "no-leader",
                "No instance leads",
                Some("ask again: another one takes over in a moment"),
            ),
            Self::Store(StoreError::ReadTimeout { .. }) => {
                (S::SERVICE_UNAVAILABLE, "read-timeout", "The read took too long", None)
            }
            Self::Store(StoreError::Corrupt { .. }) => (
                S::INTERNAL_SERVER_ERROR,
                "corrupt-row",
                "A row is corrupt",
                Some("restore a backup, or mend the row that is named here"),
            ),
            Self::Store(_) => unavailable(),
            Self::Elsewhere(_) => (S::BAD_GATEWAY, "elsewhere", "Another service failed", None),
            Self::Internal(_) => (S::INTERNAL_SERVER_ERROR, "internal", "The server failed", None),
        }
    }

    /// The error as it goes out.
    pub fn problem(&self) -> Problem {
        let (status, code, title, hint) = self.parts();
        Problem {
            kind: format!("urn:dispatchyard:{code}"),
            title: title.to_owned(),
            status: status.as_u16(),
            detail: self.to_string(),
            hint: hint.map(str::to_owned),
        }
    }
}

fn unavailable() -> (StatusCode, &'static str, &'static str, Option<&'static str>) {
    let hint = "nothing was changed that you were told of: ask again";
    (StatusCode::SERVICE_UNAVAILABLE, "unavailable", "Not available now", Some(hint))
}

fn command_parts(
    error: &CommandError,
) -> (StatusCode, &'static str, &'static str, Option<&'static str>) {
    use StatusCode as S;
    let refusal = match error {
        CommandError::Refused(refusal) => refusal,
        CommandError::Unavailable | CommandError::Overloaded => return unavailable(),
        CommandError::Stopping => {
            let hint = "ask again once it has been restarted";
            return (S::SERVICE_UNAVAILABLE, "stopping", "The server is stopping", Some(hint));
        }
    };
    match refusal {
        Refusal::LeaseLost(_) => (S::CONFLICT, "lease-lost", "The lease is lost", None),
        Refusal::UnknownRunner(_) => (
            S::NOT_FOUND,
            "unknown-runner",
            "No such runner",
            Some("register again: POST /api/v1/runners/register"),
        ),
        Refusal::UnknownJob(_) | Refusal::UnknownWorkload(_) | Refusal::UnknownSession(_) => {
            (S::NOT_FOUND, "not-found", "Not found", None)
        }
        Refusal::WrongState(_) | Refusal::Superseded(_) => {
            (S::CONFLICT, "conflict", "The state does not allow it", None)
        }
        Refusal::LookUp(_) => {
            (S::CONFLICT, "conflict", "A workload that is needed has just ended: ask again", None)
        }
        // It may be met later, when less waits.
        Refusal::CannotMeet(_) => (
            S::CONFLICT,
            "cannot-be-met",
            "It cannot be in time",
            Some("nothing was stored: allow a longer wait, or send it again later"),
        ),
        Refusal::Invalid(_) => {
            (S::UNPROCESSABLE_ENTITY, "invalid", "It cannot be carried out", None)
        }
        Refusal::TooMany { .. } => (
            S::TOO_MANY_REQUESTS,
            "too-many",
            "A limit is reached",
            Some("wait, or raise the limit in [limits]"),
        ),
        // 4xx, so that nobody repeats what fails again: law 12.
        Refusal::Panicked(_) => {
            let hint = "the server's log says more; nothing was changed";
            (S::UNPROCESSABLE_ENTITY, "fault", "A fault in the server", Some(hint))
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let problem = self.problem();
        // Not all at once, when there is one again.
        let retry_after = match self {
            Self::NoLeader(_) => HeaderValue::from(1 + OsEntropy.below(RETRY_SPREAD_S)),
            _ => RETRY_AFTER,
        };
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::BAD_REQUEST);
        if status.is_server_error() && !matches!(self, Self::Command(_) | Self::NoLeader(_)) {
            tracing::warn!(error = %self, status = status.as_u16(), "a request failed");
        }
        let body = serde_json::to_vec(&problem).unwrap_or_default();
        let json = HeaderValue::from_static("application/problem+json");
        let mut response = (status, [(header::CONTENT_TYPE, json)], body).into_response();
        match status {
            StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS => {
                response.headers_mut().insert(header::RETRY_AFTER, retry_after);
            }
            StatusCode::UNAUTHORIZED => {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            }
            _ => {}
        }
        response
    }
}
