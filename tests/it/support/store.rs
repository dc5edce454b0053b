//! A store that cannot be written for a while: another connection takes away the row that every
//! transaction writes first, and gives it back. Reads go on.

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, PgConnection};

use super::Home;

/// While this is there no transaction of the server on that home can be committed.
pub(crate) enum Away {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

impl Away {
    pub(crate) async fn of(home: &Home) -> Self {
        let mut away = match home.schema() {
            None => {
                let path = home.file("data").join("dispatchyard.db");
                let options = SqliteConnectOptions::new().filename(path);
                Self::Sqlite(options.connect().await.unwrap())
            }
            Some(schema) => Self::Postgres(PgConnection::connect(&schema.url()).await.unwrap()),
        };
        away.rename("leader", "leader_away").await;
        away
    }

    pub(crate) async fn end(mut self) {
        self.rename("leader_away", "leader").await;
        match self {
            Self::Sqlite(connection) => connection.close().await.unwrap(),
            Self::Postgres(connection) => connection.close().await.unwrap(),
        }
    }

    async fn rename(&mut self, from: &str, to: &str) {
        let query = sqlx::raw_sql(AssertSqlSafe(format!("ALTER TABLE {from} RENAME TO {to}")));
        let done = match self {
            Self::Sqlite(connection) => query.execute(connection).await.map(drop),
            Self::Postgres(connection) => query.execute(connection).await.map(drop),
        };
        done.unwrap();
    }
}
