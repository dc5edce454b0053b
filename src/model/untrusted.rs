//! Text from outside, and how far an event is trusted.

use serde::{Deserialize, Serialize};

/// Text that somebody outside wrote: a title, a branch name, a comment.
///
/// It can be stored, shown and handed to a job as an environment value, a file or standard input.
/// It has no `Display` and no `AsRef<OsStr>`, so it cannot slip into a command line, a query or a
/// log message by accident; [`Untrusted::as_data`] names the intent at each place that reads it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Untrusted(String);

impl Untrusted {
    /// Marks text as untrusted.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, to be used as data only.
    pub fn as_data(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Untrusted({:?})", self.0)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

/// How far the work that an event starts may be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TrustLevel {
    /// The actor is known to the repository by signed fields.
    Trusted,
    /// A fork, a stranger, or a bot that nobody named.
    Untrusted,
    /// The event does not say; treated as untrusted.
    #[default]
    Unknown,
}

/// The decision about trust, made once from authenticated fields, with its reason.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Trust {
    /// The decision.
    pub level: TrustLevel,
    /// Which field decided.
    pub reason: String,
}

impl Trust {
    /// A decision with its reason.
    pub fn new(level: TrustLevel, reason: impl Into<String>) -> Self {
        Self { level, reason: reason.into() }
    }
}
