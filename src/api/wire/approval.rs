//! Held deliveries.
//!
//! ```text
//! POST /api/v1/deliveries/{id}/approve         AnswerRequest      -> DeliveryView
//! POST /api/v1/deliveries/{id}/deny            AnswerRequest      -> DeliveryView
//! ```

use serde::{Deserialize, Serialize};

/// What somebody says of a held delivery.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AnswerRequest {
    /// The commit that was looked at: a delivery about another one is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What is approved of a delivery, and by whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ApprovalView {
    /// The commit, where the event names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha: Option<String>,
    /// Who approved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}
