//! One batch: claimed keys, then one fenced transaction of folded changes.

use std::collections::{HashMap, HashSet};

use super::apply::apply;
use super::columns::Columns;
use super::connection::{BEGIN_BATCH, COMMIT, Connection, Kind, Plain, ROLLBACK};
use super::error::StoreError;
use super::planted::{Planted, Point};
use super::statement as sql;
use super::write_set::WriteSet;
use crate::model::{Change, Marks, UniqueKey};

/// Whether a key was free.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// It was, and is now this batch's.
    New,
    /// Somebody had it before: the reference of the first.
    Taken(Box<str>),
}

/// The writer's connection between two batches, out of the writer's hands: whoever has it may
/// begin, and gives back what the batch's end returns ([`super::Writer::take_back`]). Dropped, it
/// is closed, and the writer must load.
#[must_use = "the writer must load unless it gets its connection back"]
pub struct Lent {
    /// `None` when it was found unfit after its last batch.
    pub(super) connection: Option<Connection>,
    /// That of the writer's load.
    pub(super) epoch: i64,
    pub(super) planted: Planted,
}

impl Lent {
    /// Begins a batch: from its first statement to its commit the database is this writer's alone.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the connection was found unfit after its last batch, or
    /// the write lock is not to be had in time; then the writer must load.
    pub async fn begin(self) -> Result<Batch, StoreError> {
        let Some(mut connection) = self.connection else {
            return Err(StoreError::not_loaded("begin"));
        };
        self.planted.at(Point::Begin)?;
        connection.session().plain(BEGIN_BATCH).await?;
        self.planted.at(Point::Begun)?;
        Ok(Batch { connection, epoch: self.epoch, planted: self.planted })
    }
}

/// A batch that was begun. Dropped without an end it is rolled back, and the writer must load.
#[must_use = "a batch that is not committed is rolled back"]
pub struct Batch {
    connection: Connection,
    epoch: i64,
    planted: Planted,
}

impl Batch {
    /// Claims keys, each with what it refers to; the answers are in the order of the keys. A key
    /// that is repeated among them is taken by its first place.
    ///
    /// # Errors
    /// As [`Batch::commit`]; the batch can then only be dropped or rolled back.
    pub async fn claim(
        &mut self,
        keys: &[(UniqueKey, Box<str>)],
        wall_ms: i64,
    ) -> Result<Vec<Claim>, StoreError> {
        self.keep_the_epoch().await?;
        let mut seen = HashSet::with_capacity(keys.len());
        let distinct: Vec<_> = keys.iter().filter(|(key, _)| seen.insert(key)).collect();
        let free = sql::UNIQUE_KEY_CLAIM
            .fetch(&mut self.connection, &distinct, |(key, reference), to| {
                to.int(key.scope as i64).text(&*key.key).text(&**reference).int(wall_ms);
            })
            .await?;
        self.planted.at(Point::Claimed)?;
        if free.len() == keys.len() {
            return Ok(vec![Claim::New; keys.len()]);
        }
        let mut new = HashSet::with_capacity(free.len());
        for row in &free {
            let mut columns = Columns::new("unique_key", row);
            new.insert((columns.int("scope")?, columns.text("key")?));
        }
        let is_new = |key: &UniqueKey| new.contains(&(key.scope as i64, key.key.clone()));
        let taken: Vec<_> = distinct.iter().filter(|(key, _)| !is_new(key)).collect();
        let mut references = self.references(&taken).await?;
        // From here on a key that was new refers to its first place.
        let mut answers = Vec::with_capacity(keys.len());
        for (key, reference) in keys {
            let id = (key.scope as i64, key.key.clone());
            answers.push(match references.get(&id) {
                Some(first) => Claim::Taken(first.clone()),
                None => {
                    references.insert(id, reference.clone());
                    Claim::New
                }
            });
        }
        Ok(answers)
    }

    /// Before a batch touches anything, nobody else may be, or become, the one who writes. SQLite's
    /// transaction is exclusive from its begin; on PostgreSQL the first statement of a batch takes
    /// the leader's row: this one, or the fence itself when nothing is claimed.
    async fn keep_the_epoch(&mut self) -> Result<(), StoreError> {
        if self.connection.kind() == Kind::Sqlite {
            return Ok(());
        }
        let epoch = self.epoch;
        let ours = self.connection.session().first(sql::LEADER_LOCK, |to| to.int(epoch)).await?;
        ours.map(drop).ok_or(StoreError::Fenced)
    }

    /// What taken keys stand for.
    async fn references(
        &mut self,
        taken: &[&&(UniqueKey, Box<str>)],
    ) -> Result<HashMap<(i64, Box<str>), Box<str>>, StoreError> {
        let rows = sql::UNIQUE_KEY_FIND
            .fetch(&mut self.connection, taken, |(key, _), to| {
                to.int(key.scope as i64).text(&*key.key);
            })
            .await?;
        let read = |row| {
            let mut columns = Columns::new("unique_key", row);
            Ok(((columns.int("scope")?, columns.text("key")?), columns.text("reference")?))
        };
        rows.iter().map(read).collect()
    }

    /// Writes the changes and the marks, if `epoch` is still the database's, and commits.
    ///
    /// # Errors
    /// After each of them nothing may be said of the batch, and the writer must load:
    /// [`StoreError::Fenced`] when another writer has loaded since, [`StoreError::Data`] when one
    /// of the changes is to blame, [`StoreError::Unavailable`] when the database could not do it
    /// or it is unknown whether it did.
    pub async fn commit(
        mut self,
        epoch: i64,
        changes: &[Change],
        marks: Marks,
        wall_ms: i64,
    ) -> Result<Lent, StoreError> {
        let set = WriteSet::fold(changes)?;
        let fence = self.connection.session().execute(sql::LEADER_FENCE, |to| {
            to.int(marks.next_workload).int(marks.next_job).int(marks.next_runner);
            to.int(marks.next_class).int(wall_ms).int(epoch)
        });
        if fence.await? != 1 {
            return Err(StoreError::Fenced);
        }
        self.planted.at(Point::Fenced)?;
        apply(&mut self.connection, set, &self.planted).await?;
        self.planted.at(Point::Written)?;
        self.end(COMMIT, Point::Committed).await
    }

    /// Gives the batch up: nothing of it is written, and the writer can go on.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when that failed; then the writer must load.
    pub async fn rollback(self) -> Result<Lent, StoreError> {
        self.end(ROLLBACK, Point::RolledBack).await
    }

    /// Ends the transaction and gives the connection back, if it is fit for use.
    async fn end(mut self, statement: Plain, reached: Point) -> Result<Lent, StoreError> {
        let ended = self.connection.session().plain(statement).await;
        let (epoch, planted) = (self.epoch, self.planted);
        if planted.unguarded {
            return Ok(Lent { connection: Some(self.connection), epoch, planted });
        }
        ended?;
        planted.at(reached)?;
        let clean = self.connection.is_clean().await;
        let clean = clean.map_err(|error| StoreError::database(statement.sqlite, error))?;
        Ok(Lent { connection: clean.then_some(self.connection), epoch, planted })
    }
}

impl std::fmt::Debug for Lent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lent").field("fit", &self.connection.is_some()).finish()
    }
}

impl std::fmt::Debug for Batch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Batch").finish_non_exhaustive()
    }
}
