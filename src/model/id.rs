//! Identifiers, one type each, so that a job's number is never taken for a runner's.
//!
//! Rows made by the one writer are numbered from 1 without gaps: short for people, fast as keys.
//! A delivery gets its id where it is received, before the writer knows of it, so its id is a
//! UUID of version 7.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub i64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = std::num::ParseIntError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }
    };
}

number_id!(
    /// What one trigger started for one event.
    WorkloadId
);
number_id!(
    /// A session of an agent: the number of its first workload.
    SessionId
);
number_id!(
    /// The unit that is queued and assigned.
    JobId
);
number_id!(
    /// A process that takes jobs.
    RunnerId
);
number_id!(
    /// Runners of one kind; 1 is the default pool.
    PoolId
);
number_id!(
    /// Who is charged and whose tokens see what; 1 is the default tenant.
    TenantId
);
number_id!(
    /// Interned requirements of jobs.
    ClassId
);
number_id!(
    /// Something to be told to others, numbered by the database.
    OutboxId
);

impl PoolId {
    /// The pool that the first migration makes.
    pub const DEFAULT: Self = Self(1);
}

impl TenantId {
    /// The tenant that the first migration makes.
    pub const DEFAULT: Self = Self(1);
}

/// One accepted request from a source: a UUID of version 7, made where it was received.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DeliveryId(pub uuid::Uuid);

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for DeliveryId {
    type Err = uuid::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}
