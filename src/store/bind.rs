//! Values on their way into a statement, for either database.

use std::sync::Arc;

use serde::Serialize;
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::postgres::PgArguments;
use sqlx::sqlite::SqliteArguments;

use super::connection::Kind;
use super::error::StoreError;
use super::postgres::Arrays;
use crate::model::without_nul;

/// Collects the values of a statement in order. The first one that cannot be written is reported
/// when all are there, so that rows can be bound without a `?` after each column.
pub(super) struct Bind {
    to: To,
    error: Option<BoxDynError>,
}

enum To {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
    /// Many rows, column by column.
    Arrays(Arrays),
}

/// The values of a statement, as one of the databases wants them.
pub(super) enum Arguments {
    Sqlite(SqliteArguments),
    Postgres(PgArguments),
}

/// One value, with its type also where it is NULL.
#[derive(Clone, Copy)]
pub(super) enum Value<'v> {
    Int(Option<i64>),
    Text(Option<&'v str>),
    Bytes(Option<&'v [u8]>),
}

impl Bind {
    /// For a statement that is carried out once.
    pub(super) fn one(kind: Kind) -> Self {
        let to = match kind {
            Kind::Sqlite => To::Sqlite(SqliteArguments::default()),
            Kind::Postgres => To::Postgres(PgArguments::default()),
        };
        Self { to, error: None }
    }

    /// For a statement over many rows, whose columns have these types: see [`super::bulk::Bulk`].
    pub(super) fn rows(kind: Kind, types: &str, rows: usize) -> Self {
        let to = match kind {
            Kind::Sqlite => {
                let mut arguments = SqliteArguments::default();
                arguments.reserve(rows * types.len(), 0);
                To::Sqlite(arguments)
            }
            Kind::Postgres => To::Arrays(Arrays::new(types, rows)),
        };
        Self { to, error: None }
    }

    /// A number, or NULL.
    pub(super) fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        self.add(Value::Int(value.into()))
    }

    /// A text, or NULL. One with U+0000, which was not cleaned where it came in, is cleaned here as the
    /// last resort: it must not stop the batches of all. (JSON has its own way to write it.)
    pub(super) fn text<'t>(&mut self, value: impl Into<Option<&'t str>>) -> &mut Self {
        match value.into().map(without_nul) {
            None => self.add(Value::Text(None)),
            Some(text) => self.add(Value::Text(Some(&text))),
        }
    }

    /// What can be shown as text, or NULL.
    pub(super) fn display(&mut self, value: Option<impl ToString>) -> &mut Self {
        self.text(value.map(|value| value.to_string()).as_deref())
    }

    /// Bytes, or NULL.
    pub(super) fn bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        self.add(Value::Bytes(value))
    }

    /// A value as JSON text.
    pub(super) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        match serde_json::to_string(value) {
            Ok(text) => self.add(Value::Text(Some(&text))),
            Err(error) => {
                self.error.get_or_insert(error.into());
                self.add(Value::Text(None))
            }
        }
    }

    /// A value as JSON text, or NULL.
    pub(super) fn opt_json(&mut self, value: Option<&impl Serialize>) -> &mut Self {
        match value {
            Some(value) => self.json(value),
            None => self.add(Value::Text(None)),
        }
    }

    fn add(&mut self, value: Value<'_>) -> &mut Self {
        let added = match &mut self.to {
            // One allocation for a text, where binding a `&str` makes two.
            To::Sqlite(to) => match value {
                Value::Int(value) => to.add(value),
                Value::Text(value) => to.add(value.map(Arc::<str>::from)),
                Value::Bytes(value) => to.add(value),
            },
            To::Postgres(to) => match value {
                Value::Int(value) => to.add(value),
                Value::Text(value) => to.add(value),
                Value::Bytes(value) => to.add(value),
            },
            To::Arrays(to) => to.add(value),
        };
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
        self
    }

    /// How many values there are so far.
    pub(super) fn len(&self) -> usize {
        match &self.to {
            To::Sqlite(to) => to.len(),
            To::Postgres(to) => to.len(),
            To::Arrays(to) => to.len(),
        }
    }

    /// All values.
    ///
    /// # Errors
    /// [`StoreError::Data`] when one of them could not be written.
    pub(super) fn finish(self, statement: &'static str) -> Result<Arguments, StoreError> {
        let refused = |error: BoxDynError| StoreError::Data { statement, what: error.to_string() };
        if let Some(error) = self.error {
            return Err(refused(error));
        }
        Ok(match self.to {
            To::Sqlite(arguments) => Arguments::Sqlite(arguments),
            To::Postgres(arguments) => Arguments::Postgres(arguments),
            To::Arrays(arrays) => Arguments::Postgres(arrays.finish().map_err(refused)?),
        })
    }
}
