//! The floor: what sqlx alone needs to write the rows of the same lifecycles in transactions of the
//! same shape. No scheduler, no channels, no checks, one program on one connection.
//!
//! The statements are the store's own files, so the rows are the same. Each transaction fences,
//! inserts the rows of some new jobs, claims those of the transaction before, starts those before
//! that, and ends the oldest: the mix that a busy driver writes.

pub(crate) mod postgres;

use std::collections::HashMap;
use std::path::Path;

use sqlx::Arguments as _;
use sqlx::sqlite::{SqliteArguments, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, Connection as _};

macro_rules! sql {
    ($file:literal) => {
        include_str!(concat!("../../src/store/sql/", $file, ".sql"))
    };
}

/// Most rows of one statement.
const ROWS_MAX: usize = 256;

type Row = fn(i64, &mut dyn To);

/// A connection to a database whose schema is there.
pub(crate) struct Floor {
    connection: SqliteConnection,
    texts: HashMap<(&'static str, usize), &'static str>,
    /// Lifecycles of each group.
    group: i64,
    /// The first id of the next group.
    next: i64,
}

impl Floor {
    /// `group` lifecycles move on in each transaction.
    pub(crate) async fn open(path: &Path, group: i64) -> sqlx::Result<Self> {
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .statement_cache_capacity(256)
            .pragma("synchronous", "FULL")
            .pragma("wal_autocheckpoint", "1000")
            .pragma("cache_size", "-65536")
            .disable_statement_logging()
            .connect()
            .await?;
        sqlx::query("UPDATE leader SET epoch = 1").execute(&mut connection).await?;
        Ok(Self { connection, texts: HashMap::new(), group, next: 1 })
    }

    /// Writes so many transactions; in the middle of a long run each ends one group.
    pub(crate) async fn write(&mut self, transactions: u64) -> sqlx::Result<()> {
        for _ in 0..transactions {
            self.transaction().await?;
        }
        Ok(())
    }

    /// Closes the connection.
    pub(crate) async fn close(self) -> sqlx::Result<()> {
        self.connection.close().await
    }

    async fn transaction(&mut self) -> sqlx::Result<()> {
        self.plain("BEGIN IMMEDIATE").await?;
        sqlx::query(sql!("leader_fence"))
            .bind(self.next)
            .bind(self.next)
            .bind(1)
            .bind(1)
            .bind(1_700_000_000_000_i64)
            .bind(1)
            .execute(&mut self.connection)
            .await?;
        let new = self.next;
        self.next += self.group;
        self.rows(sql!("workload_insert"), 15, new, |id, to| workload(id, 0, to)).await?;
        self.rows(sql!("job_insert"), 30, new, |id, to| job(id, 1, to)).await?;
        self.rows(sql!("job_spec_insert"), 3, new, spec).await?;
        let claimed = new - self.group;
        self.rows(sql!("workload_update"), 8, claimed, |id, to| workload_update(id, 1, to)).await?;
        self.rows(sql!("job_update"), 23, claimed, |id, to| job_update(id, 2, to)).await?;
        let started = claimed - self.group;
        self.rows(sql!("workload_update"), 8, started, |id, to| workload_update(id, 2, to)).await?;
        self.rows(sql!("job_update"), 23, started, |id, to| job_update(id, 3, to)).await?;
        let ended = started - self.group;
        self.rows(sql!("workload_delete"), 1, ended, int).await?;
        self.rows(sql!("workload_done_insert"), 15, ended, |id, to| workload(id, 3, to)).await?;
        self.rows(sql!("job_delete"), 1, ended, int).await?;
        self.rows(sql!("job_done_insert"), 30, ended, |id, to| job(id, 4, to)).await?;
        self.rows(sql!("attempt_insert"), 18, ended, attempt).await?;
        self.plain("COMMIT").await
    }

    async fn plain(&mut self, text: &'static str) -> sqlx::Result<()> {
        sqlx::query(text).execute(&mut self.connection).await.map(drop)
    }

    /// One statement for each `ROWS_MAX` rows of a group.
    async fn rows(
        &mut self,
        template: &'static str,
        columns: usize,
        first: i64,
        bind: Row,
    ) -> sqlx::Result<()> {
        let ids: Vec<_> = (first..first + self.group).filter(|id| *id > 0).collect();
        for ids in ids.chunks(ROWS_MAX) {
            let text = *self.texts.entry((template, ids.len())).or_insert_with(|| {
                let row = format!("({})", vec!["?"; columns].join(","));
                let rows = vec![row.as_str(); ids.len()].join(",");
                template.replace("{rows}", &format!("VALUES {rows}")).leak()
            });
            let mut values = SqliteArguments::default();
            values.reserve(ids.len() * columns, 0);
            ids.iter().for_each(|id| bind(*id, &mut values));
            let done = sqlx::query_with(text, values).execute(&mut self.connection).await?;
            assert_eq!(done.rows_affected(), ids.len() as u64, "{template}");
        }
        Ok(())
    }
}

/// Where the values of a row go.
trait To {
    fn number(&mut self, value: Option<i64>);
    fn name(&mut self, value: &'static str);
    fn no_name(&mut self);
}

impl To for SqliteArguments {
    fn number(&mut self, value: Option<i64>) {
        self.add(value).expect("a number");
    }

    fn name(&mut self, value: &'static str) {
        self.add(value).expect("a text");
    }

    fn no_name(&mut self) {
        self.number(None);
    }
}

fn int(value: impl Into<Option<i64>>, to: &mut dyn To) {
    to.number(value.into());
}

fn ints<const N: usize>(values: [Option<i64>; N], to: &mut dyn To) {
    values.into_iter().for_each(|value| int(value, to));
}

fn text(value: &'static str, to: &mut dyn To) {
    to.name(value);
}

/// A text that is not there: SQLite wants no type for it, PostgreSQL does.
fn no_text(to: &mut dyn To) {
    to.no_name();
}

fn workload(id: i64, state: i64, to: &mut dyn To) {
    ints([Some(id), Some(1), Some(0)], to);
    text("build", to);
    int(1, to);
    no_text(to);
    text("on-push", to);
    no_text(to);
    let ended = (state > 2).then_some(TIME);
    ints([Some(state), Some(i64::from(state > 1)), Some(TIME), ended], to);
    no_text(to);
    ints([Some(0), Some(0)], to);
}

fn workload_update(id: i64, state: i64, to: &mut dyn To) {
    ints([Some(id), Some(1), Some(state), Some(i64::from(state > 1)), None], to);
    no_text(to);
    ints([Some(0), Some(0)], to);
}

fn job(id: i64, state: i64, to: &mut dyn To) {
    ints([Some(id), Some(id), Some(1), Some(1)], to);
    text("test", to);
    ints([Some(21_600_000), Some(1_000)], to);
    job_changing(id, state, to);
    no_text(to);
    ints([Some(TIME), Some(0)], to);
    no_text(to);
}

fn job_update(id: i64, state: i64, to: &mut dyn To) {
    int(id, to);
    job_changing(id, state, to);
    ints([Some(TIME), Some(0)], to);
    no_text(to);
}

const TIME: i64 = 1_700_000_000_000;
const EPOCH: i64 = 1 << 40;

fn job_changing(id: i64, state: i64, to: &mut dyn To) {
    let attempt = i64::from(state > 1);
    ints([Some(state), Some(2), Some(TIME), Some(TIME), Some(0), Some(attempt)], to);
    ints([Some(0), Some(0), Some(0), None, None], to);
    no_text(to);
    let leased = (state == 2 || state == 3).then_some(());
    ints([leased.map(|()| EPOCH + id), leased.map(|()| !id << 20), leased.map(|()| 7)], to);
    let ended = (state > 3).then_some(TIME);
    let started = (state == 3).then_some(TIME);
    ints([leased.map(|()| TIME), started, ended, ended.map(|_| 0)], to);
}

fn spec(id: i64, to: &mut dyn To) {
    ints([Some(id), Some(id)], to);
    text(r#"{"work":{"steps":[{"run":"make test"}]},"trust":{"level":"unknown","reason":""}}"#, to);
}

fn attempt(id: i64, to: &mut dyn To) {
    ints([Some(EPOCH + id), Some(!id << 20), Some(id), Some(1), Some(1), Some(7)], to);
    ints([Some(TIME), Some(TIME), Some(TIME), Some(0), None, Some(4), Some(0)], to);
    no_text(to);
    no_text(to);
    ints([Some(1), Some(0), Some(0)], to);
}
