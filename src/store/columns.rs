//! Values on their way out of a row. One that this program would never have written is an error
//! that names table, column and row.

use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::row::{Readable, Row};

/// Reads the columns of one row from left to right. The first column must be the row's key.
pub(super) struct Columns<'r> {
    row: &'r Row,
    table: &'static str,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Starts at the first column.
    pub(super) fn new(table: &'static str, row: &'r Row) -> Self {
        Self { row, table, next: 0 }
    }

    /// The next column, which must be called `column`.
    pub(super) fn get<T: Readable<'r>>(&mut self, column: &'static str) -> Result<T, StoreError> {
        let at = self.next;
        self.next += 1;
        debug_assert_eq!(self.row.name(at), column, "in {}", self.table);
        self.row.get(at).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// A number.
    pub(super) fn int(&mut self, column: &'static str) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A count, which is never negative.
    pub(super) fn count(&mut self, column: &'static str) -> Result<u32, StoreError> {
        let value = self.int(column)?;
        u32::try_from(value).map_err(|_| self.corrupt(column, format!("{value} is no count")))
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, column: &'static str) -> Result<bool, StoreError> {
        match self.int(column)? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.corrupt(column, format!("{other} is neither 0 nor 1"))),
        }
    }

    /// A text.
    pub(super) fn text(&mut self, column: &'static str) -> Result<Box<str>, StoreError> {
        self.get::<&str>(column).map(Box::from)
    }

    /// A text, or nothing.
    pub(super) fn opt_text(
        &mut self,
        column: &'static str,
    ) -> Result<Option<Box<str>>, StoreError> {
        Ok(self.get::<Option<&str>>(column)?.map(Box::from))
    }

    /// The number of one of a closed list.
    pub(super) fn code<T>(
        &mut self,
        column: &'static str,
        from_code: impl Fn(i64) -> Option<T>,
    ) -> Result<T, StoreError> {
        let code = self.int(column)?;
        from_code(code).ok_or_else(|| self.corrupt(column, format!("unknown code {code}")))
    }

    /// As [`Columns::code`], or nothing.
    pub(super) fn opt_code<T>(
        &mut self,
        column: &'static str,
        from_code: impl Fn(i64) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let Some(code) = self.get::<Option<i64>>(column)? else { return Ok(None) };
        let known = from_code(code);
        known.ok_or_else(|| self.corrupt(column, format!("unknown code {code}"))).map(Some)
    }

    /// JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> Result<T, StoreError> {
        let text = self.get::<&str>(column)?;
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// JSON, or nothing.
    pub(super) fn opt_json<T: DeserializeOwned>(
        &mut self,
        column: &'static str,
    ) -> Result<Option<T>, StoreError> {
        let Some(text) = self.get::<Option<&str>>(column)? else { return Ok(None) };
        serde_json::from_str(text).map_err(|error| self.corrupt(column, error.to_string()))
    }

    /// An id that is stored as text, or nothing.
    pub(super) fn opt_parsed<T>(&mut self, column: &'static str) -> Result<Option<T>, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        let Some(text) = self.get::<Option<&str>>(column)? else { return Ok(None) };
        let parsed = text.parse().map(Some);
        parsed.map_err(|error| self.corrupt(column, format!("`{text}`: {error}")))
    }

    /// An id that is stored as text.
    pub(super) fn parsed<T>(&mut self, column: &'static str) -> Result<T, StoreError>
    where
        T: std::str::FromStr<Err: std::fmt::Display>,
    {
        self.opt_parsed(column)?.ok_or_else(|| self.corrupt(column, "is NULL"))
    }

    /// The error about one column of this row.
    pub(super) fn corrupt(&self, column: &'static str, what: impl Into<String>) -> StoreError {
        let row = self
            .row
            .get::<i64>(0)
            .map(|id| id.to_string())
            .or_else(|_| self.row.get::<String>(0))
            .unwrap_or_else(|_| "?".into());
        StoreError::Corrupt { table: self.table, column, row, what: what.into() }
    }
}
