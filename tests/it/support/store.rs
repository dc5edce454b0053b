//! A store that cannot be written for a while: another connection takes away the row that every
//! transaction writes first, and gives it back. Reads go on.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

use super::Home;

/// While this is there no transaction of the server on that home can be committed.
pub(crate) struct Away(SqliteConnection);

impl Away {
    pub(crate) async fn of(home: &Home) -> Self {
        let path = home.file("data").join("dispatchyard.db");
        let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
        rename(&mut connection, "leader", "leader_away").await;
        Self(connection)
    }

    pub(crate) async fn end(mut self) {
        rename(&mut self.0, "leader_away", "leader").await;
        self.0.close().await.unwrap();
    }
}

async fn rename(connection: &mut SqliteConnection, from: &str, to: &str) {
    let statement = format!("ALTER TABLE {from} RENAME TO {to}");
    sqlx::query(sqlx::AssertSqlSafe(statement)).execute(connection).await.unwrap();
}
