//! Statements of one batch on their way to the database: while one is carried out, the values of the
//! next are bound.
//!
//! Binding takes a third as long as carrying out, and happens on another thread than SQLite's, or on
//! another machine than PostgreSQL; done in turn, each would wait for the other.

use tokio::sync::mpsc;

use super::bind::{Arguments, Bind};
use super::bulk::Bulk;
use super::connection::{Connection, Kind};
use super::error::StoreError;
use super::planted::{Planted, Point};

/// A statement with its values.
struct Bound {
    name: &'static str,
    text: &'static str,
    arguments: Arguments,
    /// How many rows of the table it must touch; `None`: any number.
    rows: Option<usize>,
}

/// Takes statements, which are carried out in order.
pub(super) struct Pipe {
    kind: Kind,
    to: mpsc::Sender<Bound>,
}

impl Pipe {
    /// Carries out what `write` puts into a pipe, one after the other; the first failure ends it.
    ///
    /// # Errors
    /// That of `write`, [`StoreError::Data`] when a statement touched another number of rows than it
    /// must, or what the database could not do. The transaction must end then.
    pub(super) async fn run(
        connection: &mut Connection,
        planted: &Planted,
        write: impl AsyncFnOnce(Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        // One waits, one is being carried out, and one is being bound.
        let (to, mut statements) = mpsc::channel(1);
        let pipe = Self { kind: connection.kind(), to };
        let carry_out = async {
            while let Some(statement) = statements.recv().await {
                statement.carry_out(connection).await?;
                planted.at(Point::Statement)?;
            }
            Ok(())
        };
        tokio::try_join!(write(pipe), carry_out).map(drop)
    }

    /// Sends a statement for all rows, which must touch exactly one row of the table for each.
    ///
    /// # Errors
    /// [`StoreError::Data`] when a value cannot be written.
    pub(super) async fn send<T>(
        &self,
        bulk: &Bulk,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<(), StoreError> {
        self.send_each(bulk, rows, bind, true).await
    }

    /// Sends a statement for all rows, which may touch any number of rows of the table.
    ///
    /// # Errors
    /// [`StoreError::Data`] when a value cannot be written.
    pub(super) async fn send_any<T>(
        &self,
        bulk: &Bulk,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<(), StoreError> {
        self.send_each(bulk, rows, bind, false).await
    }

    async fn send_each<T>(
        &self,
        bulk: &Bulk,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
        one_each: bool,
    ) -> Result<(), StoreError> {
        for (text, chunk) in bulk.chunks(self.kind, rows) {
            let arguments = bulk.arguments(self.kind, chunk, &bind)?;
            let rows = one_each.then_some(chunk.len());
            let bound = Bound { name: bulk.name, text, arguments, rows };
            if self.to.send(bound).await.is_err() {
                // Nobody takes it because one before it failed, which is what is told.
                return Ok(());
            }
        }
        Ok(())
    }
}

impl Bound {
    async fn carry_out(self, connection: &mut Connection) -> Result<(), StoreError> {
        let Self { name, text, arguments, rows } = self;
        let touched = connection.session().run(name, text, arguments).await?;
        let Some(rows) = rows.filter(|&rows| touched != rows as u64) else { return Ok(()) };
        let what = format!("touched {touched} rows where {rows} were sent");
        Err(StoreError::Data { statement: name, what })
    }
}
