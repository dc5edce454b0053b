//! One statement for many rows.
//!
//! SQLite: multi-row `VALUES` in a few fixed sizes. A statement per row costs 7 to 13 times as much as
//! one statement for about 250 rows, most of it on the way to the connection's thread. The sizes are
//! few so that each text is prepared once per connection and kept; what does not fill a size is
//! written with the next smaller one. The placeholders are plain `?`, where every other statement has
//! `$1`: SQLite looks a numbered one up by name among all the names of the statement, which is
//! quadratic in 6,000 placeholders.
//!
//! PostgreSQL: one array for each column, and `UNNEST`, so that there is one text for any number of
//! rows. `COPY` would be faster only above some 5,000 rows, and evades the server's timeouts, so that
//! a writer that hangs in it could not be fenced.

use std::sync::OnceLock;

use super::bind::{Arguments, Bind};
use super::connection::{Connection, Kind};
use super::error::StoreError;
use super::postgres::Column;
use super::row::Row;

/// Rows per statement on SQLite, largest first; the last must be 1.
pub(super) const SIZES: [usize; 9] = [256, 128, 64, 32, 16, 8, 4, 2, 1];

/// Rows per statement on PostgreSQL: bounds its message, as a row can hold a body.
pub(super) const ARRAY_ROWS_MAX: usize = 1_024;

/// A statement that is repeated over rows.
pub(super) struct Bulk {
    /// The name of its file, for messages.
    pub(super) name: &'static str,
    /// The text for SQLite, with `{rows}` where the rows go.
    sqlite: &'static str,
    /// The same for PostgreSQL.
    postgres: &'static str,
    /// One letter for each column of a row: `i` a number, `t` a text, `b` bytes.
    types: &'static str,
    /// SQLite's text for each size, made when it is first needed and kept for ever:
    /// `SIZES.len()` texts of each listed statement are all that can exist.
    texts: [OnceLock<&'static str>; SIZES.len()],
    /// PostgreSQL's.
    unnest: OnceLock<&'static str>,
}

impl Bulk {
    /// A statement whose texts have `{rows}` where the rows go, with columns of these types.
    pub(super) const fn new(
        name: &'static str,
        sqlite: &'static str,
        postgres: &'static str,
        types: &'static str,
    ) -> Self {
        let texts = [const { OnceLock::new() }; SIZES.len()];
        Self { name, sqlite, postgres, types, texts, unnest: OnceLock::new() }
    }

    /// SQLite's text for `SIZES[size]` rows.
    pub(super) fn values(&self, size: usize) -> &'static str {
        self.texts[size].get_or_init(|| {
            let row = format!("({})", vec!["?"; self.types.len()].join(","));
            let rows = vec![row.as_str(); SIZES[size]].join(",");
            self.sqlite.replace("{rows}", &format!("VALUES {rows}")).leak()
        })
    }

    /// PostgreSQL's text. The columns have the names that SQLite gives to those of `VALUES`.
    pub(super) fn unnest(&self) -> &'static str {
        self.unnest.get_or_init(|| {
            let types = self.types.bytes().map(|letter| Column::from_letter(letter).array_type());
            let arrays: Vec<_> =
                (1..).zip(types).map(|(at, array)| format!("${at}::{array}")).collect();
            let names: Vec<_> = (1..=arrays.len()).map(|at| format!("column{at}")).collect();
            let (arrays, names) = (arrays.join(","), names.join(","));
            let rows = format!("SELECT * FROM UNNEST({arrays}) AS t ({names})");
            self.postgres.replace("{rows}", &rows).leak()
        })
    }

    /// PostgreSQL's text before the rows are in it.
    #[cfg(test)]
    pub(super) fn template(&self) -> &'static str {
        self.postgres
    }

    /// Whether PostgreSQL has a file of its own.
    #[cfg(test)]
    pub(super) fn has_two_texts(&self) -> bool {
        self.sqlite != self.postgres
    }

    /// How many values one row has.
    #[cfg(test)]
    pub(super) fn columns(&self) -> usize {
        self.types.len()
    }

    /// Runs it over all rows and collects what it returns.
    ///
    /// # Errors
    /// What the database refused ([`StoreError::Data`]) or could not do.
    pub(super) async fn fetch<T>(
        &self,
        connection: &mut Connection,
        rows: &[T],
        bind: impl Fn(&T, &mut Bind),
    ) -> Result<Vec<Row>, StoreError> {
        let (kind, mut found) = (connection.kind(), Vec::new());
        for (text, chunk) in self.chunks(kind, rows) {
            let arguments = self.arguments(kind, chunk, &bind)?;
            found.extend(connection.session().rows(self.name, text, arguments).await?);
        }
        Ok(found)
    }

    /// The values of some rows.
    ///
    /// # Errors
    /// [`StoreError::Data`] when one of them cannot be written.
    pub(super) fn arguments<T>(
        &self,
        kind: Kind,
        rows: &[T],
        bind: &impl Fn(&T, &mut Bind),
    ) -> Result<Arguments, StoreError> {
        let mut values = Bind::rows(kind, self.types, rows.len());
        for row in rows {
            bind(row, &mut values);
        }
        debug_assert_eq!(values.len(), rows.len() * self.types.len(), "in {}", self.name);
        values.finish(self.name)
    }

    /// Cuts rows into pieces, each with the text for it.
    pub(super) fn chunks<'r, T>(
        &self,
        kind: Kind,
        mut rows: &'r [T],
    ) -> impl Iterator<Item = (&'static str, &'r [T])> {
        std::iter::from_fn(move || {
            let (text, many) = match kind {
                Kind::Sqlite => {
                    let size = SIZES.iter().position(|&size| size <= rows.len())?;
                    (self.values(size), SIZES[size])
                }
                Kind::Postgres if rows.is_empty() => return None,
                Kind::Postgres => (self.unnest(), rows.len().min(ARRAY_ROWS_MAX)),
            };
            let (chunk, rest) = rows.split_at(many);
            rows = rest;
            Some((text, chunk))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    static BULK: Bulk = Bulk::new("x", "INSERT INTO x {rows} RETURNING a", "X {rows} Y", "it");

    #[test]
    fn rows_are_cut_into_the_largest_sizes_in_order() {
        let rows: Vec<usize> = (0..1_500).collect();
        let sizes = |kind, many: usize| -> Vec<usize> {
            BULK.chunks(kind, &rows[..many]).map(|(_, chunk)| chunk.len()).collect()
        };
        assert_eq!(sizes(Kind::Sqlite, 600), [256, 256, 64, 16, 8]);
        assert_eq!(sizes(Kind::Postgres, 1_500), [1_024, 476]);
        for kind in [Kind::Sqlite, Kind::Postgres] {
            let again: Vec<_> = BULK.chunks(kind, &rows).flat_map(|(_, rows)| rows).collect();
            assert_eq!(again, rows.iter().collect::<Vec<_>>());
            assert_eq!(BULK.chunks::<u8>(kind, &[]).count(), 0);
        }
    }

    #[test]
    fn a_text_has_one_group_per_row_or_one_array_per_column() {
        let four = SIZES.iter().position(|&size| size == 4).unwrap();
        assert_eq!(BULK.values(four), "INSERT INTO x VALUES (?,?),(?,?),(?,?),(?,?) RETURNING a");
        assert!(std::ptr::eq(BULK.values(four), BULK.values(four)));
        let rows = "SELECT * FROM UNNEST($1::int8[],$2::text[]) AS t (column1,column2)";
        assert_eq!(BULK.unnest(), format!("X {rows} Y"));
    }
}
