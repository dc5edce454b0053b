//! One statement for many rows: multi-row `VALUES` in a few fixed sizes.
//!
//! A statement per row costs 7 to 13 times as much as one statement for about 250 rows, most of it
//! on the way to the connection's thread. The sizes are few so that each text is prepared once per
//! connection and kept; what does not fill a size is written with the next smaller one.
//!
//! The placeholders are plain `?`, where every other statement has `$1`: SQLite looks a numbered
//! one up by name among all the names of the statement, which is quadratic in 6,000 placeholders.
//! A second database brings its own form here (arrays and `UNNEST`) and nowhere else.

use std::sync::OnceLock;

use sqlx::sqlite::{SqliteArguments, SqliteConnection, SqliteRow};

use super::bind::Bind;
use super::error::StoreError;

/// Rows per statement, largest first; the last must be 1.
pub(super) const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// A statement that is repeated over rows.
pub(super) struct Bulk {
    /// The name of its file, for messages.
    pub(super) name: &'static str,
    template: &'static str,
    columns: usize,
    /// The text for each size, made when it is first needed and kept for ever: `SIZES.len()` texts
    /// of each listed statement are all that can exist.
    texts: [OnceLock<&'static str>; SIZES.len()],
}

impl Bulk {
    /// A statement whose text has `{rows}` where the rows go, each of `columns` values.
    pub(super) const fn new(name: &'static str, template: &'static str, columns: usize) -> Self {
        Self { name, template, columns, texts: [const { OnceLock::new() }; SIZES.len()] }
    }

    /// The text for `SIZES[size]` rows.
    pub(super) fn text(&self, size: usize) -> &'static str {
        self.texts[size].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.columns].join(","));
            let rows = vec![row.as_str(); SIZES[size]].join(",");
            self.template.replace("{rows}", &rows).leak()
        })
    }

    /// How many values one row has.
    #[cfg(test)]
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// Runs it over all rows and returns how many rows of the table it touched.
    ///
    /// # Errors
    /// What the database refused ([`StoreError::Data`]) or could not do.
    pub(super) async fn execute<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<u64, StoreError> {
        let mut touched = 0;
        for (size, chunk) in chunks(rows) {
            let query = sqlx::query_with(self.text(size), self.arguments(chunk, &bind)?);
            let done = query.execute(&mut *connection).await;
            touched +=
                done.map_err(|error| StoreError::database(self.name, error))?.rows_affected();
        }
        Ok(touched)
    }

    /// As [`Bulk::execute`], for a statement that must touch exactly one row for each given one.
    ///
    /// # Errors
    /// As there; [`StoreError::Data`] also when the number of rows is another.
    pub(super) async fn execute_exactly<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<(), StoreError> {
        let touched = self.execute(connection, rows, bind).await?;
        if touched == rows.len() as u64 {
            return Ok(());
        }
        let what = format!("touched {touched} rows where {} were sent", rows.len());
        Err(StoreError::Data { statement: self.name, what })
    }

    /// Runs it over all rows and collects what it returns.
    ///
    /// # Errors
    /// As [`Bulk::execute`].
    pub(super) async fn fetch<T>(
        &self,
        connection: &mut SqliteConnection,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<Vec<SqliteRow>, StoreError> {
        let mut found = Vec::new();
        for (size, chunk) in chunks(rows) {
            let query = sqlx::query_with(self.text(size), self.arguments(chunk, &bind)?);
            let rows = query.fetch_all(&mut *connection).await;
            found.extend(rows.map_err(|error| StoreError::database(self.name, error))?);
        }
        Ok(found)
    }

    fn arguments<T>(
        &self,
        rows: &[T],
        bind: &impl Fn(&T, &mut Bind),
    ) -> Result<SqliteArguments, StoreError> {
        let mut arguments = Bind::with_capacity(rows.len() * self.columns);
        for row in rows {
            bind(row, &mut arguments);
        }
        debug_assert_eq!(arguments.len(), rows.len() * self.columns, "in {}", self.name);
        arguments.finish(self.name)
    }
}

/// Cuts rows into pieces that have exactly the sizes that there are; the number is the place of
/// the size in [`SIZES`].
fn chunks<T>(mut rows: &[T]) -> impl Iterator<Item = (usize, &[T])> {
    std::iter::from_fn(move || {
        let size = SIZES.iter().position(|&size| size <= rows.len())?;
        let (chunk, rest) = rows.split_at(SIZES[size]);
        rows = rest;
        Some((size, chunk))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_into_the_largest_sizes_in_order() {
        let rows: Vec<usize> = (0..600).collect();
        let sizes: Vec<_> = chunks(&rows).map(|(_, chunk)| chunk.len()).collect();
        assert_eq!(sizes, [256, 256, 64, 16, 8]);
        let again: Vec<_> = chunks(&rows).flat_map(|(_, chunk)| chunk).copied().collect();
        assert_eq!(again, rows);
        assert_eq!(chunks::<u8>(&[]).count(), 0);
    }

    #[test]
    fn a_text_has_one_group_per_row() {
        let bulk = Bulk::new("x", "INSERT INTO x VALUES {rows} RETURNING a", 2);
        let four = SIZES.iter().position(|&size| size == 4).unwrap();
        assert_eq!(bulk.text(four), "INSERT INTO x VALUES (?,?),(?,?),(?,?),(?,?) RETURNING a");
        assert!(std::ptr::eq(bulk.text(four), bulk.text(four)));
    }
}
