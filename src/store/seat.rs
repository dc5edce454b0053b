//! The seat of the one that writes, among servers that share a PostgreSQL: who has it, and taking it.
//!
//! The lock of a session is the seat, and goes away with its connection. Beside it the leader renews a
//! row by the database's clock, so that one which holds the lock and does nothing any more can be found
//! out and ousted. When that may be done is the caller's to decide: there is no clock here.

use std::sync::Arc;

use super::error::StoreError;
use super::lock::DatabaseLock;
use super::postgres::SessionLock;
use super::{Columns, Row, Store, statement as sql};

/// What a server tells the others of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Instance {
    /// New with each process.
    pub id: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// Where other instances reach it; `None`: nowhere.
    pub advertised_url: Option<Box<str>>,
    /// The program's version.
    pub version: Box<str>,
    /// SHA-256 in hex of what instances should have in common of their configurations.
    pub config_hash: Box<str>,
}

/// The instance that leads, as it says itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Leader {
    /// Its process.
    pub instance_id: Box<str>,
    /// What people call it.
    pub name: Box<str>,
    /// Where it is reached; `None`: nowhere.
    pub advertised_url: Option<Box<str>>,
    /// Since when it leads, by the database's clock, in wall milliseconds.
    pub since_ms: i64,
}

/// What a look at the seat has found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Look {
    /// It was free, and is this instance's now.
    Taken(Leader),
    /// Somebody has it.
    Held(Held),
}

/// Somebody has the seat.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Held {
    /// Who renewed it last; `None` when nobody ever did.
    pub leader: Option<Leader>,
    /// The session that was renewed last.
    pub renewed_by: Option<i64>,
    /// How long ago, by the database's clock.
    pub age_ms: i64,
}

/// An instance as the others see it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InstanceRow {
    /// What it told.
    pub instance: Instance,
    /// When it started, by the database's clock, in wall milliseconds.
    pub started_at_ms: i64,
    /// How long ago it was heard of last, by the database's clock.
    pub silent_ms: i64,
    /// Whether it is the one that led last.
    pub leads: bool,
}

/// This process's way to the seat; cheap to clone.
#[derive(Clone, Debug)]
pub struct Seat(Arc<DatabaseLock>);

impl Seat {
    /// The seat of a database that several servers share; `None` where there is one server only.
    pub(super) fn of(lock: &Arc<DatabaseLock>) -> Option<Self> {
        match &**lock {
            DatabaseLock::Session(session) if session.instance().is_some() => {
                Some(Self(Arc::clone(lock)))
            }
            _ => None,
        }
    }

    fn session(&self) -> Result<&SessionLock, StoreError> {
        match &*self.0 {
            DatabaseLock::Session(session) => Ok(session),
            DatabaseLock::File(_) => Err(StoreError::NotLeading),
        }
    }

    /// Connects, where there is no connection to look by.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn reach(&self) -> Result<(), StoreError> {
        self.session()?.reach().await
    }

    /// Looks who has it, and takes it when nobody has.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn look(&self) -> Result<Look, StoreError> {
        self.session()?.look().await
    }

    /// The session that holds the lock now, if one does.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn holder(&self) -> Result<Option<i64>, StoreError> {
        self.session()?.holder().await
    }

    /// Ends that session if it holds the lock, and whatever an earlier leader still writes with.
    ///
    /// # Errors
    /// [`StoreError::Unfit`] when the database's user may not do that; [`StoreError::Unavailable`].
    pub async fn oust(&self, session: i64) -> Result<(), StoreError> {
        self.session()?.oust(session).await
    }

    /// Says that this leader is well, by the connection that holds the lock; whether it still leads.
    /// When this fails, or is not waited for, the connection is closed and the seat is free.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn renew(&self) -> Result<bool, StoreError> {
        self.session()?.renew().await
    }

    /// Says that this instance is there; the names of those that were heard of within `within_ms` and
    /// are configured otherwise, or are of another version.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`].
    pub async fn stamp(&self, within_ms: i64) -> Result<Vec<Box<str>>, StoreError> {
        self.session()?.stamp(within_ms).await
    }

    /// Gives the seat up, if it is this instance's, and is gone.
    pub async fn leave(&self) {
        if let Ok(session) = self.session() {
            session.leave().await;
        }
    }
}

impl Store {
    /// The instances that were heard of lately, the leader first; none where there is one server only.
    ///
    /// # Errors
    /// As every read.
    pub async fn instances(&self) -> Result<Vec<InstanceRow>, StoreError> {
        if self.seat().is_none() {
            return Ok(Vec::new());
        }
        let mut reader = self.reader().await?;
        let rows = reader.all(sql::INSTANCE_LIST, |to| to).await?;
        rows.iter().map(instance).collect()
    }
}

fn instance(row: &Row) -> Result<InstanceRow, StoreError> {
    let mut columns = Columns::new("instance", row);
    let instance = Instance {
        id: columns.text("id")?,
        name: columns.text("name")?,
        advertised_url: columns.opt_text("advertised_url")?,
        version: columns.text("version")?,
        config_hash: columns.text("config_hash")?,
    };
    Ok(InstanceRow {
        instance,
        started_at_ms: columns.int("started_at_ms")?,
        silent_ms: columns.int("silent_ms")?,
        leads: columns.flag("leads")?,
    })
}
