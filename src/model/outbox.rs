//! What is told to others, outside: entries of the outbox, each a row from the batch in which it became true
//! until somebody there has heard of it.
//!
//! ```text
//! waiting -> sent                     heard, or told by a later entry
//!         -> waiting, tries + 1       to be tried again
//!         -> dead -> waiting          nobody will hear of it, until an operator has it tried again
//! ```
//!
//! The database numbers them, in the order in which they became true, so nothing of them is in the scheduler's
//! memory. What can be told from the newest state is not in an entry.

use serde::{Deserialize, Serialize};

use super::{
    ChatPlace, JobId, OutboxId, SessionId, SessionSays, TenantId, WorkloadId, WorkloadState,
};

/// What the comments have in them by which they are known to be our own, and nobody sees.
pub const COMMENT_MARK: &str = "<!-- dispatchyard ";

/// To whom something is told. Entries with the same target are told in their order, one at a time: its JSON is
/// the key by which they are ordered.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(tag = "to", rename_all = "snake_case", deny_unknown_fields)]
pub enum OutboxTarget {
    /// The status of a commit.
    CommitStatus {
        /// The source by whose right it is told.
        source: Box<str>,
        /// The repository, `owner/name`.
        repository: Box<str>,
        /// The commit.
        sha: Box<str>,
        /// The name of the status among those of the commit.
        context: Box<str>,
    },
    /// A check run of a commit, at GitHub.
    CheckRun {
        /// The source by whose right it is told.
        source: Box<str>,
        /// The repository, `owner/name`.
        repository: Box<str>,
        /// The commit.
        sha: Box<str>,
        /// The name of the check.
        context: Box<str>,
    },
    /// The comments of an issue or a pull request.
    Comments {
        /// The source by whose right they are written.
        source: Box<str>,
        /// The repository, `owner/name`.
        repository: Box<str>,
        /// The number there.
        number: i64,
        /// Whether it is a pull request, which some forges number apart.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        pull_request: bool,
    },
    /// A conversation of a chat.
    Chat {
        /// The source by whose right it is told.
        source: Box<str>,
        /// Where there.
        place: ChatPlace,
    },
    /// A URL that is called.
    Callback {
        /// It.
        url: Box<str>,
    },
}

/// Whom an entry waits for beside those before it in its line: none of them takes another's places.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum OutboxRoom {
    /// Forges.
    Forge = 0,
    /// Whoever gave a URL.
    Callback = 1,
    /// Chats.
    Chat = 2,
}

impl OutboxRoom {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Forge, Self::Callback, Self::Chat];
}

impl OutboxTarget {
    /// The kind, as people and metrics call it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::CommitStatus { .. } => "commit_status",
            Self::CheckRun { .. } => "check_run",
            Self::Comments { .. } => "comments",
            Self::Chat { .. } => "chat",
            Self::Callback { .. } => "callback",
        }
    }

    /// Whose places its entries take.
    pub fn room(&self) -> OutboxRoom {
        match self {
            Self::CommitStatus { .. } | Self::CheckRun { .. } | Self::Comments { .. } => {
                OutboxRoom::Forge
            }
            Self::Chat { .. } => OutboxRoom::Chat,
            Self::Callback { .. } => OutboxRoom::Callback,
        }
    }

    /// Whether only the newest of several entries matters.
    pub fn coalesces(&self) -> bool {
        matches!(self, Self::CommitStatus { .. } | Self::CheckRun { .. })
    }

    /// The source by whose right it is told, where one is.
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::CommitStatus { source, .. }
            | Self::CheckRun { source, .. }
            | Self::Comments { source, .. }
            | Self::Chat { source, .. } => Some(source),
            Self::Callback { .. } => None,
        }
    }
}

/// When something is told of a workload.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportPhase {
    /// It was made, or is to run again.
    Made,
    /// Its work has begun.
    Started,
    /// It has ended.
    Ended,
}

impl ReportPhase {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Made => "made",
            Self::Started => "started",
            Self::Ended => "ended",
        }
    }
}

/// Of which phases of a workload something is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReportOn {
    /// All of them.
    #[default]
    All,
    /// That it has begun, and its end.
    Work,
    /// Its end.
    Ends,
    /// That it ended otherwise than well.
    Failures,
}

impl ReportOn {
    /// Whether that phase of a workload in that state is told.
    pub fn tells(self, phase: ReportPhase, state: WorkloadState) -> bool {
        match self {
            Self::All => true,
            Self::Work => phase != ReportPhase::Made,
            Self::Ends => phase == ReportPhase::Ended,
            Self::Failures => phase == ReportPhase::Ended && state != WorkloadState::Completed,
        }
    }
}

/// One place where a workload is reported.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportTo {
    /// To whom.
    pub target: OutboxTarget,
    /// Of what.
    #[serde(default)]
    pub on: ReportOn,
}

/// What an entry tells.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case", deny_unknown_fields)]
pub enum OutboxPayload {
    /// Where the entry's workload stands.
    Phase {
        /// When it was added.
        phase: ReportPhase,
        /// The workload's run then.
        run: u32,
        /// The workload's state then.
        state: WorkloadState,
    },
    /// A text, word for word.
    Text {
        /// It.
        text: Box<str>,
    },
    /// What is said in the entry's session, or becomes of it.
    Session {
        /// What it is.
        says: SessionSays,
        /// The number of the message in the session, the last of several; of a request the one by which it is
        /// answered.
        sequence: i64,
        /// Which part of the text this is, from 1, and how many there are.
        part: (u32, u32),
        /// The text, as it was said.
        text: Box<str>,
    },
}

/// Something to be told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxEntry {
    /// To whom.
    pub target: OutboxTarget,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What it is about, and with which it is forgotten. A session that rests has none.
    pub workload_id: Option<WorkloadId>,
    /// The session that it is about, where it is of one.
    pub session_id: Option<SessionId>,
    /// Which job of it.
    pub job_id: Option<JobId>,
    /// What is told.
    pub payload: OutboxPayload,
    /// Wall milliseconds.
    pub created_at_ms: i64,
}

impl OutboxEntry {
    /// The line in which it waits.
    pub fn line(&self) -> OutboxLine {
        let run = match (&self.target, &self.payload) {
            (OutboxTarget::CheckRun { .. }, OutboxPayload::Phase { run, .. }) => {
                self.workload_id.map(|id| (id, *run))
            }
            _ => None,
        };
        OutboxLine { target: self.target.clone(), run }
    }
}

/// Entries of one line are told in their order, one at a time: those of one target, and of check runs those of one
/// run of a workload, each of which has a check run of its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct OutboxLine {
    /// To whom.
    pub target: OutboxTarget,
    /// Of which run of which workload, where each has a line of its own.
    pub run: Option<(WorkloadId, u32)>,
}

/// Where an entry stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutboxState {
    /// To be sent.
    Waiting = 0,
    /// Heard, or told by a later one.
    Sent = 1,
    /// Given up.
    Dead = 2,
}

impl OutboxState {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 3] = [Self::Waiting, Self::Sent, Self::Dead];

    /// The state with that number, as stored.
    pub fn from_code(code: i64) -> Option<Self> {
        usize::try_from(code).ok().and_then(|at| Self::ALL.get(at).copied())
    }

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Sent => "sent",
            Self::Dead => "dead",
        }
    }
}

/// An entry's row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxRow {
    /// Its number.
    pub id: OutboxId,
    /// What it tells.
    pub entry: OutboxEntry,
    /// From when its age is counted, wall milliseconds: since it was made, or is tried again.
    pub since_ms: i64,
    /// How far that is.
    pub progress: OutboxProgress,
}

/// How far an entry is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxProgress {
    /// Where it stands.
    pub state: OutboxState,
    /// How often it was tried.
    pub attempts: u32,
    /// Before that (wall milliseconds) it is not tried again.
    pub next_at_ms: i64,
    /// Whether a try was begun of which it is not known what it did.
    pub unsure: bool,
    /// How the other side calls what was made there.
    pub reference: Option<Box<str>>,
    /// What came of the last try, for people; without secrets.
    pub note: Option<Box<str>>,
}

/// What a try came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxTold {
    /// Which entry.
    pub id: OutboxId,
    /// How often it had been tried when its row was read: one that was tried since, or does not wait any more,
    /// is not changed.
    pub attempts: u32,
    /// How far it is now.
    pub progress: OutboxProgress,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_a_text_by_which_entries_are_ordered() {
        let target = OutboxTarget::Comments {
            source: "gh".into(),
            repository: "acme/app".into(),
            number: 7,
            pull_request: false,
        };
        let text = serde_json::to_string(&target).unwrap();
        insta::assert_snapshot!(text, @r#"{"to":"comments","source":"gh","repository":"acme/app","number":7}"#);
        assert_eq!(serde_json::from_str::<OutboxTarget>(&text).unwrap(), target);
    }

    #[test]
    fn each_run_of_a_workload_has_a_line_of_its_own_where_it_has_a_check_run() {
        let (source, repository, sha, context) =
            ("gh".into(), "acme/app".into(), "a".into(), "yard/ci".into());
        let check = OutboxTarget::CheckRun { source, repository, sha, context };
        let entry = |target: &OutboxTarget, id, run| {
            let (phase, state) = (ReportPhase::Made, WorkloadState::Pending);
            let payload = OutboxPayload::Phase { phase, run, state };
            OutboxEntry {
                target: target.clone(),
                tenant_id: TenantId::DEFAULT,
                workload_id: Some(WorkloadId(id)),
                session_id: None,
                job_id: None,
                payload,
                created_at_ms: 0,
            }
        };
        let of = |target, id, run| entry(target, id, run).line();
        assert_eq!(of(&check, 1, 1), of(&check, 1, 1));
        assert_ne!(of(&check, 1, 1), of(&check, 2, 1));
        assert_ne!(of(&check, 1, 1), of(&check, 1, 2));
        let callback = OutboxTarget::Callback { url: "x".into() };
        assert_eq!(of(&callback, 1, 1), of(&callback, 2, 2));
    }

    #[test]
    fn a_report_of_failures_is_silent_about_a_good_end() {
        use ReportPhase::{Ended, Made, Started};
        let told = |on: ReportOn, state| {
            [Made, Started, Ended].map(|phase| on.tells(phase, state)).to_vec()
        };
        assert_eq!(told(ReportOn::All, WorkloadState::Completed), [true, true, true]);
        assert_eq!(told(ReportOn::Work, WorkloadState::Completed), [false, true, true]);
        assert_eq!(told(ReportOn::Ends, WorkloadState::Completed), [false, false, true]);
        assert_eq!(told(ReportOn::Failures, WorkloadState::Completed), [false, false, false]);
        assert_eq!(told(ReportOn::Failures, WorkloadState::Cancelled), [false, false, true]);
    }
}
