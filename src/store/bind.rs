//! Values on their way into a statement.

use std::sync::Arc;

use serde::Serialize;
use sqlx::Arguments as _;
use sqlx::error::BoxDynError;
use sqlx::sqlite::SqliteArguments;

use super::error::StoreError;

/// Collects the values of a statement in order. The first one that cannot be written is reported
/// when all are there, so that rows can be bound without a `?` after each column.
pub(super) struct Bind {
    arguments: SqliteArguments,
    error: Option<BoxDynError>,
}

impl Bind {
    /// Room for this many values.
    pub(super) fn with_capacity(values: usize) -> Self {
        let mut arguments = SqliteArguments::default();
        arguments.reserve(values, 0);
        Self { arguments, error: None }
    }

    /// A number, or NULL.
    pub(super) fn int(&mut self, value: impl Into<Option<i64>>) -> &mut Self {
        let added = self.arguments.add(value.into());
        self.keep(added)
    }

    /// A text, or NULL: one allocation, where binding a `&str` makes two.
    pub(super) fn text<'t>(&mut self, value: impl Into<Option<&'t str>>) -> &mut Self {
        let added = self.arguments.add(value.into().map(Arc::<str>::from));
        self.keep(added)
    }

    /// What can be shown as text, or NULL.
    pub(super) fn display(&mut self, value: Option<impl ToString>) -> &mut Self {
        let added = self.arguments.add(value.map(|value| value.to_string()));
        self.keep(added)
    }

    /// Bytes, or NULL.
    pub(super) fn bytes(&mut self, value: Option<&[u8]>) -> &mut Self {
        let added = self.arguments.add(value);
        self.keep(added)
    }

    /// A value as JSON text.
    pub(super) fn json(&mut self, value: &impl Serialize) -> &mut Self {
        let added = serde_json::to_string(value)
            .map_err(BoxDynError::from)
            .and_then(|text| self.arguments.add(text));
        self.keep(added)
    }

    /// How many there are so far.
    /// JSON, or NULL.
    pub(super) fn opt_json(&mut self, value: Option<&impl Serialize>) -> &mut Self {
        match value {
            Some(value) => self.json(value),
            None => self.int(None),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.arguments.len()
    }

    /// All values.
    ///
    /// # Errors
    /// [`StoreError::Data`] when one of them could not be written.
    pub(super) fn finish(self, statement: &'static str) -> Result<SqliteArguments, StoreError> {
        match self.error {
            None => Ok(self.arguments),
            Some(error) => Err(StoreError::Data { statement, what: error.to_string() }),
        }
    }

    fn keep(&mut self, added: Result<(), BoxDynError>) -> &mut Self {
        if let Err(error) = added {
            self.error.get_or_insert(error);
        }
        self
    }
}
