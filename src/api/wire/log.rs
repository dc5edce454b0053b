//! What a stream that follows a log says: the data of its SSE events.

use serde::{Deserialize, Serialize};

use crate::model::JobStateKind;

/// A piece of a log that is followed: the data of an SSE event `log`. The event's id is
/// `attempt-offset` with the offset of the byte after the piece; sent back as `Last-Event-ID`, the
/// log goes on there.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogChunk {
    /// Which try wrote it, from 1.
    pub attempt: u32,
    /// The offset of its first byte in that try's log.
    pub offset: u64,
    /// What was written; bytes that are not UTF-8 are replaced.
    pub text: String,
}

/// The job has ended and its log was told: the data of the last SSE event, `end`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LogEnd {
    /// How the job ended.
    pub state: JobStateKind,
    /// Whether the log was removed before all of it was told, because its time was over.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub removed: bool,
}
