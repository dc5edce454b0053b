//! What others outside are told: forges of commits, issues and pull requests, and whoever named a callback.
//!
//! ```text
//! scheduler: entry in the batch in which it became true (dispatch::outbox) -> row -> the bell
//!   -> due? (store; of each target the first) -> begin (committed, where a repeat would be seen twice)
//!   -> news of the workload -> call -> judge -> Command::OutboxTold -> commit
//! ```
//!
//! At least once, and where the other side can tell a repeat, once: statuses and check runs are set to what is
//! true now, comments and messages of chats carry a mark that is looked for before a second try, callbacks an id that
//! stays the same. Entries of one line are told in order, one at a time. Of statuses and check runs only the newest is
//! told. Forges, chats and callbacks take no places of each other.
//!
//! What is deliberately absent: what is told when, which the terms of a workload and the `reply_to` of a session say
//! (`intake::SourceReport`).

mod attempt;
mod callback;
mod chat;
mod checks;
mod forge;
mod judge;
mod news;
mod refresh;
mod said;
mod sender;
mod text;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::driver::Handle;
use crate::store::Store;
use crate::telemetry::Metrics;

pub use callback::{CallbackError, Callbacks};
pub use chat::{Chat, ChatError, ChatKind, ChatOptions};
pub use checks::RERUN;
pub use forge::{Forge, ForgeAuth, ForgeOptions};
pub use sender::send;

/// By whose right what is told: the forges and chats of the sources by their names, and callbacks. It changes with the
/// configuration.
pub struct Connections {
    /// Forges, by the names of the sources.
    pub forges: BTreeMap<String, Arc<Forge>>,
    /// Chats, by the names of the sources.
    pub chats: BTreeMap<String, Arc<Chat>>,
    /// How callbacks are made; `None` where they cannot be signed.
    pub callbacks: Option<Arc<Callbacks>>,
}

/// How it is told.
#[derive(Clone, Debug)]
pub struct ReportOptions {
    /// What sets this installation's marks apart from those of another.
    pub installation: Box<str>,
    /// Where people reach this server, without a slash at the end.
    pub public_url: Option<Box<str>>,
    /// How long the first rest is; doubled with each try.
    pub backoff_ms: i64,
    /// The longest of them.
    pub backoff_max_ms: i64,
    /// After how many tries something is given up.
    pub tries_max: u32,
    /// After how long something is given up.
    pub give_up_after_ms: i64,
    /// How often a forge is told at most why something waits still.
    pub refresh: Duration,
    /// How long one answer may take: who began a try is not overtaken before.
    pub timeout_ms: i64,
    /// How many are told at once, of forges, chats and callbacks each.
    pub at_once_max: usize,
}

/// What a sender works with.
#[derive(Clone)]
pub struct ReportParts {
    /// Where entries are.
    pub store: Store,
    /// Takes what became of them.
    pub handle: Handle,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// By whose right; asked anew for each.
    pub connections: Arc<dyn Fn() -> Arc<Connections> + Send + Sync>,
    /// How.
    pub options: Arc<ReportOptions>,
}
