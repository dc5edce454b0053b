//! The right of one runner to one attempt.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{JobId, JobPriority, Name, RunnerId, WorkloadId, WorkloadKind};

/// A fencing token that only grows: `epoch << 40 | sequence`.
///
/// It is never reused: a new epoch begins with every load of the scheduler, so a token is larger
/// than each one that any earlier process can have given. On the wire it is a string of decimal
/// digits, because JavaScript rounds integers above 2^53.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct LeaseToken(pub i64);

impl LeaseToken {
    const SEQUENCE_BITS: u32 = 40;

    /// The token with this place in this epoch.
    pub fn new(epoch: i64, sequence: i64) -> Self {
        debug_assert!(sequence < (1 << Self::SEQUENCE_BITS), "sequence {sequence} overflows");
        Self((epoch << Self::SEQUENCE_BITS) | sequence)
    }

    /// The epoch in which the token was given.
    pub fn epoch(self) -> i64 {
        self.0 >> Self::SEQUENCE_BITS
    }
}

impl fmt::Display for LeaseToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for LeaseToken {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl Serialize for LeaseToken {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for LeaseToken {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(|_| serde::de::Error::custom(format!("`{text}` is no lease token")))
    }
}

/// What makes a token unguessable: 64 random bits, as 16 hex digits on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Nonce(pub u64);

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Nonce {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Nonce {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        u64::from_str_radix(&text, 16)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a nonce is 16 hex digits"))
    }
}

/// How a caller names its lease: both halves, and the runner it says it is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LeaseRef {
    /// The fencing token.
    pub token: LeaseToken,
    /// Must be the one that was handed out with the token.
    pub nonce: Nonce,
    /// Whose token authenticated the request; a lease of another runner is lost to it.
    pub runner_id: RunnerId,
}

/// Units of resources that a job holds while a runner has it: of each resource, which units.
///
/// A unit has a number from 0, so that a job can be told which of several equal things is its own.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct HeldUnits(pub std::collections::BTreeMap<Box<str>, Vec<u32>>);

impl HeldUnits {
    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A live lease, as the row keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The fencing token.
    pub token: LeaseToken,
    /// Its unguessable half.
    pub nonce: Nonce,
    /// The one owner.
    pub runner_id: RunnerId,
    /// When the job was given to the runner, wall milliseconds.
    pub assigned_at_ms: i64,
}

/// A job in a runner's hands: what a poll answers.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AssignedJob {
    /// The job.
    pub job_id: JobId,
    /// The workload that it belongs to.
    pub workload_id: WorkloadId,
    /// The workload's run: 1, or more after a manual retry.
    pub run: u32,
    /// What kind of work it is.
    pub kind: WorkloadKind,
    /// The job's name inside its workload.
    pub name: Name,
    /// `tenant::kind::workload::job`.
    pub namespace: String,
    /// The level it was queued at.
    pub priority: JobPriority,
    /// This try, counted from 1 over all runs: with the job's id the key of one attempt.
    pub attempt: u32,
    /// How many tries were charged to the job so far.
    pub retry_count: u32,
    /// How many charged tries may be followed by another.
    pub max_retries: u32,
    /// How long the attempt may run once started.
    pub timeout_ms: i64,
    /// The units of resources that it holds.
    pub units: HeldUnits,
    /// The lease to present with every call about this attempt.
    pub lease: Lease,
}
