//! What others outside are told.
//!
//! ```text
//! GET  /api/v1/outbox             ?limit&before&state   List<OutboxView>
//! POST /api/v1/outbox/{id}/retry                        OutboxView
//! ```

use serde::{Deserialize, Serialize};

use crate::model::{JobId, OutboxId, SessionId, WorkloadId};

/// Something that is to be told, or was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct OutboxView {
    /// Its number.
    pub id: OutboxId,
    /// `commit_status`, `check_run`, `comments`, `chat` or `callback`.
    pub kind: String,
    /// To whom, in one line: of a URL not what could be secret.
    pub target: String,
    /// `made`, `started`, `ended`, or `text`; of a session `started`, `reply`, `approval_request`, `note` or `ended`.
    pub what: String,
    /// What it is about; nothing where a session rests.
    #[serde(default)]
    pub workload_id: Option<WorkloadId>,
    /// The session that it is about.
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// Which job of it.
    #[serde(default)]
    pub job_id: Option<JobId>,
    /// `waiting`, `sent` or `dead`.
    pub state: String,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was added, wall milliseconds.
    pub created_at_ms: i64,
    /// Of one that waits: before that (wall milliseconds) it is not tried.
    #[serde(default)]
    pub next_at_ms: Option<i64>,
    /// What came of the last try, for people.
    #[serde(default)]
    pub note: Option<String>,
}
