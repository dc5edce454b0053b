//! One accepted request from a source, raw body and headers kept.

use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::{Approval, DeliveryId, TenantId, Trust, WorkloadId};

/// A delivery's row. What is large is shared: a delivery is kept by several until it is stored.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Delivery {
    /// Made where the request was received.
    pub id: DeliveryId,
    /// The configured source's name; `api` for events of one's own, `cli` for runs by hand.
    pub source: Box<str>,
    /// The provider's own id of the delivery, where it sent one.
    pub external_id: Option<Box<str>>,
    /// The event's kind, as the provider calls it.
    pub event_kind: Box<str>,
    /// The event's action, where the kind has actions.
    pub action: Option<Box<str>>,
    /// Where it stands.
    pub state: DeliveryState,
    /// Why it failed, or is held, for people.
    pub reason: Option<Box<str>>,
    /// What each trigger said, and what it started.
    pub verdicts: Vec<TriggerVerdict>,
    /// How far what it starts is trusted.
    pub trust: Trust,
    /// Whose source it came from.
    pub tenant_id: TenantId,
    /// The delivery that this one repeats, for a replay.
    pub replay_of: Option<DeliveryId>,
    /// How often it was taken up to be evaluated.
    pub attempts: u32,
    /// Wall milliseconds.
    pub received_at_ms: i64,
    /// Headers as received, without those that authenticate, as a JSON object.
    pub headers: Arc<str>,
    /// The normalised event as JSON; `None` when the body could not be understood.
    pub event: Option<Arc<str>>,
    /// The trace that it is part of.
    pub traceparent: Option<Box<str>>,
    /// What somebody must approve, or has approved; the scheduler says what when it is held.
    pub approval: Option<Box<Approval>>,
    /// The body, byte for byte.
    pub body: Body,
}

/// Where the bytes of a body are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// In the row.
    Inline(Bytes),
    /// In a file of the store that was written, and flushed, before the row.
    Spilled {
        /// The file's name below the store's folder of bodies.
        file: Box<str>,
        /// Its length.
        bytes: u64,
    },
}

impl Body {
    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Inline(bytes) => bytes.len() as u64,
            Self::Spilled { bytes, .. } => *bytes,
        }
    }

    /// Whether there are no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where a delivery stands.
///
/// ```text
/// accepted -> dispatched | ignored | planning -> ... | held -> ... | failed (replayable)
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DeliveryState {
    /// Stored, not evaluated.
    Accepted = 0,
    /// At least one trigger started something.
    Dispatched = 1,
    /// No trigger wanted it; each said why.
    Ignored = 2,
    /// Facts are being looked up before it can be evaluated.
    Planning = 3,
    /// Waits for a person or a time.
    Held = 4,
    /// Could not be understood or evaluated; can be replayed.
    Failed = 5,
}

impl DeliveryState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Accepted, Self::Dispatched, Self::Ignored, Self::Planning, Self::Held, Self::Failed];

    /// The state with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Dispatched => "dispatched",
            Self::Ignored => "ignored",
            Self::Planning => "planning",
            Self::Held => "held",
            Self::Failed => "failed",
        }
    }
}

impl std::str::FromStr for DeliveryState {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|state| state.as_str() == text)
            .ok_or_else(|| format!("no delivery state `{text}`"))
    }
}

/// What one trigger said about an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TriggerVerdict {
    /// The trigger's name.
    pub trigger: String,
    /// Whether it wanted the event.
    pub matched: bool,
    /// The clause that decided, for people.
    pub why: String,
    /// What it started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workload_id: Option<WorkloadId>,
}
