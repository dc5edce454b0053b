//! The schema: brought up to date at start, refused when it is newer than this program.

use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::PgConnection;
use sqlx::sqlite::SqliteConnection;

use super::error::StoreError;

/// The files of `migrations/sqlite`, in the program.
pub(super) static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");
/// The files of `migrations/postgres`. Processes that migrate at once take turns: sqlx holds an
/// advisory lock meanwhile.
pub(super) static POSTGRES: Migrator = sqlx::migrate!("migrations/postgres");

/// The first SQLite without a bug that could corrupt a write-ahead log.
/// <https://www.sqlite.org/releaselog/3_51_3.html>
const SQLITE_MIN: (&str, [u32; 3]) = ("3.51.3", [3, 51, 3]);

/// Refuses a SQLite library that can lose data.
///
/// # Errors
/// [`StoreError::TooOld`].
pub(super) async fn assert_version(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()")
        .fetch_one(connection)
        .await
        .map_err(|error| StoreError::database("sqlite_version", error))?;
    if is_old(&found) {
        return Err(StoreError::TooOld { found, needed: SQLITE_MIN.0 });
    }
    Ok(())
}

/// Applies what is missing to a SQLite file.
///
/// # Errors
/// [`StoreError::SchemaNewer`] when a later program made the database, before anything is changed;
/// [`StoreError::Migration`] when a migration fails or was edited after it was applied.
pub(super) async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<(), StoreError> {
    SQLITE.run(connection).await.map_err(|error| sorted(&SQLITE, error))
}

/// The same in a PostgreSQL database.
///
/// # Errors
/// As [`migrate_sqlite`].
pub(super) async fn migrate_postgres(connection: &mut PgConnection) -> Result<(), StoreError> {
    POSTGRES.run(connection).await.map_err(|error| sorted(&POSTGRES, error))
}

fn sorted(migrations: &Migrator, error: MigrateError) -> StoreError {
    let known = migrations.iter().map(|migration| migration.version).max().unwrap_or(0);
    match error {
        MigrateError::VersionMissing(found) if found > known => {
            StoreError::SchemaNewer { found, known }
        }
        other => StoreError::Migration(other),
    }
}

fn is_old(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().unwrap_or(0)).collect();
    parts < SQLITE_MIN.1.to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert!(is_old("3.51.2") && is_old("3.9.9") && is_old("2.99.0"));
        assert!(!is_old("3.51.3") && !is_old("3.100.0") && !is_old("4.0.0"));
    }

    #[test]
    fn every_migration_file_is_in_the_program() {
        for (name, migrations) in [("sqlite", &SQLITE), ("postgres", &POSTGRES)] {
            let folder = format!("{}/migrations/{name}", env!("CARGO_MANIFEST_DIR"));
            let files = std::fs::read_dir(folder).unwrap().count();
            assert_eq!(files, migrations.iter().count(), "{name}");
        }
    }
}
