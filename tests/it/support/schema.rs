//! A PostgreSQL schema of a test's own, in the database that `DATABASE_URL` names.

use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

/// The schema; it goes away with the value.
pub(crate) struct Schema {
    name: String,
}

impl Schema {
    /// An empty one.
    pub(crate) async fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{}_{number}", std::process::id());
        let text = format!("DROP SCHEMA IF EXISTS {name} CASCADE; CREATE SCHEMA {name}");
        carry_out(text).await.unwrap_or_else(|error| panic!("{error}; {WHAT_TO_DO}"));
        Self { name }
    }

    /// The address of a database that looks as if it had this schema only.
    pub(crate) fn url(&self) -> String {
        let base = base();
        let joint = if base.contains('?') { '&' } else { '?' };
        format!("{base}{joint}options[search_path]={}", self.name)
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        // A private cluster goes away as a whole, and sooner.
        if std::env::var_os("DISPATCHYARD_TEST_CLUSTER").is_some() {
            return;
        }
        let text = format!("SET lock_timeout = '5s'; DROP SCHEMA {} CASCADE", self.name);
        // A test's own runtime may be ending.
        let thread = std::thread::spawn(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.map(|it| it.block_on(carry_out(text)))
        });
        let _ = thread.join();
    }
}

const WHAT_TO_DO: &str =
    "these tests need PostgreSQL 15 or newer: type `scripts/with-postgres cargo test`";

fn base() -> String {
    std::env::var("DATABASE_URL")
        .unwrap_or_else(|_| panic!("DATABASE_URL is not set; {WHAT_TO_DO}"))
}

async fn carry_out(text: String) -> sqlx::Result<()> {
    let mut connection = PgConnection::connect(&base()).await?;
    sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await?;
    connection.close().await
}
