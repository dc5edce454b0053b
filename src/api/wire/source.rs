//! ```text
//! POST /api/v1/sources/{name}/backfill   BackfillRequest -> BackfillView
//! ```

use serde::{Deserialize, Serialize};

/// Asks a source's forge for what never arrived.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BackfillRequest {
    /// Of what was sent since then, wall milliseconds; at most as far back as the configuration says, which is
    /// also the default.
    pub since_ms: Option<i64>,
    /// Only find it.
    pub dry_run: bool,
}

/// What a forge sent and what of it never arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BackfillView {
    /// The source.
    pub source: String,
    /// From when on was looked, wall milliseconds.
    pub since_ms: i64,
    /// How many deliveries the forge made since then.
    pub sent: usize,
    /// Those that never arrived, oldest first.
    pub lost: Vec<LostDeliveryView>,
    /// Why there may be more than that, if so.
    #[serde(default)]
    pub cut: Option<String>,
}

/// A delivery that never arrived.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LostDeliveryView {
    /// The provider's own id.
    pub external_id: String,
    /// The event's kind.
    pub event: String,
    /// The event's action.
    #[serde(default)]
    pub action: Option<String>,
    /// When it was last sent, wall milliseconds.
    pub sent_at_ms: i64,
    /// What the forge thinks became of it.
    pub status: String,
    /// Whether the forge has promised to send it again.
    pub asked: bool,
    /// Why it has not.
    #[serde(default)]
    pub error: Option<String>,
}
