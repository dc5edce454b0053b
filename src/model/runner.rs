//! A process that takes jobs.

use serde::{Deserialize, Serialize};

use super::{PoolId, RunnerCapabilities, RunnerId};

/// A runner's row. When it was last heard of, what it reported to be busy with and whether it has
/// a poll parked are in memory only.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Runner {
    /// Its number.
    pub id: RunnerId,
    /// What people call it.
    pub name: Box<str>,
    /// Chosen by the runner and kept in its work folder: registering twice is the same runner.
    pub instance_id: Box<str>,
    /// Chosen anew by each process of the runner: another one has lost its predecessor's work.
    pub boot_id: Box<str>,
    /// Which pool it belongs to.
    pub pool_id: PoolId,
    /// SHA-256 of its token, in hex.
    pub token_hash: Box<str>,
    /// What it offers; `current_jobs` is always 0 here.
    pub capabilities: RunnerCapabilities,
    /// No new jobs, by whom and why, until somebody lifts it.
    pub cordoned: Option<Box<str>>,
    /// Whether it finishes what it has and takes nothing new.
    pub draining: bool,
    /// The version that it said it is.
    pub version: Box<str>,
    /// When it registered last, or was ordered (wall milliseconds).
    pub registered_at_ms: i64,
    /// How it came to be, where the server had it started.
    pub order: Option<Box<StartOrder>>,
}

impl Runner {
    /// Whether it was ordered, is to come, and has not registered yet.
    pub fn is_starting(&self) -> bool {
        let comes = |order: &StartOrder| !order.registered && order.leaving.is_none();
        self.order.as_deref().is_some_and(comes)
    }

    /// Why it is to be taken down, if it is.
    pub fn leaving(&self) -> Option<&str> {
        self.order.as_ref()?.leaving.as_deref()
    }
}

/// What is known of a runner that the server had started, from before it registers until it is taken down.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct StartOrder {
    /// The fleet that it is part of.
    pub fleet: Box<str>,
    /// SHA-256 of the token with which it registers, and nobody else, in hex.
    pub token_hash: Box<str>,
    /// When (wall milliseconds).
    pub ordered_at_ms: i64,
    /// Whether it has registered.
    #[serde(default)]
    pub registered: bool,
    /// Why it is to be taken down: it has no work and gets none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaving: Option<Box<str>>,
}

/// What people are shown about a runner.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunnerState {
    /// Heard of lately, with room.
    Online,
    /// Heard of lately, without room.
    Busy,
    /// Takes nothing new and leaves when it has finished.
    Draining,
    /// Takes nothing new until somebody lifts it.
    Cordoned,
    /// Not heard of for longer than the heartbeat timeout.
    Offline,
}

impl RunnerState {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Online => "online",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Cordoned => "cordoned",
            Self::Offline => "offline",
        }
    }
}
