//! How a request shows who sends it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};

use super::sign::SigningSecret;

/// How a request shows who sends it.
#[derive(Clone)]
pub enum HttpAuth {
    /// It does not.
    None,
    /// `Authorization: Bearer ...`
    Bearer(String),
    /// `Authorization: Basic ...`
    Basic {
        /// Who.
        user: String,
        /// The password.
        password: String,
    },
    /// A header of one's own.
    ApiKey {
        /// Which header.
        header: HeaderName,
        /// The key.
        key: HeaderValue,
    },
    /// A signature over the body, as <https://www.standardwebhooks.com> has it.
    Signature(SigningSecret),
}

impl HttpAuth {
    /// Adds to the headers of a request what it needs for that; `id` is the request's own.
    pub(super) fn show(&self, headers: &mut HeaderMap, id: &str, at_s: i64, body: &[u8]) {
        let authorization = match self {
            Self::None => return,
            Self::Bearer(token) => format!("Bearer {token}"),
            Self::Basic { user, password } => {
                format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
            }
            Self::ApiKey { header, key } => return drop(headers.insert(header, key.clone())),
            Self::Signature(secret) => return headers.extend(secret.headers(id, at_s, body)),
        };
        if let Ok(mut value) = HeaderValue::from_str(&authorization) {
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
    }
}
