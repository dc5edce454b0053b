//! Servers that share a database.
//!
//! ```text
//! GET /api/v1/instances                           List<InstanceView>
//! ```

use serde::{Deserialize, Serialize};

/// Who answers, and who leads.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StandingView {
    /// The instance that answers.
    pub name: String,
    /// `leader` or `standby`.
    pub role: String,
    /// The one that leads; absent when none does.
    pub leader: Option<String>,
    /// Since when, by the database's clock, wall milliseconds.
    pub leader_since_ms: Option<i64>,
}

/// An instance as the others see it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct InstanceView {
    /// What people call it.
    pub name: String,
    /// `leader`, `standby`, or `gone` when it was not heard of for two terms.
    pub role: String,
    /// Where the others reach it; absent: nowhere.
    pub advertised_url: Option<String>,
    /// The program's version.
    pub version: String,
    /// SHA-256 in hex of what instances should have in common of their configurations; absent for a
    /// server that shares with nobody.
    pub config_hash: Option<String>,
    /// Whether that, or the version, is another one than that of the instance that answers.
    pub differs: bool,
    /// When it started, wall milliseconds; absent for a server that shares with nobody.
    pub started_at_ms: Option<i64>,
    /// How long ago it was heard of last.
    pub silent_ms: i64,
}
