//! Errors on the wire.

use serde::{Deserialize, Serialize};

/// An error as RFC 9457 `application/problem+json`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:dispatchyard:` and the code: a name that programs can compare.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of error it is, for people.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What is wrong with this very request.
    pub detail: String,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl Problem {
    /// The name that programs compare, without the prefix: `lease-lost`.
    pub fn code(&self) -> &str {
        self.kind.strip_prefix("urn:dispatchyard:").unwrap_or(&self.kind)
    }
}
