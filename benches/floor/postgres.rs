//! The same on PostgreSQL: one array for each column and `UNNEST`, as the store sends them.

use std::collections::HashMap;

use sqlx::postgres::{PgArguments, PgConnection};
use sqlx::{Arguments as _, Connection as _};

use super::{To, attempt, int, job, job_update, spec, workload, workload_update};

macro_rules! sql {
    ($file:literal) => {
        include_str!(concat!("../../src/store/sql/", $file, ".sql"))
    };
}

type Row = fn(i64, &mut dyn To);

/// A connection to a database whose schema is there.
pub(crate) struct PostgresFloor {
    connection: PgConnection,
    texts: HashMap<&'static str, &'static str>,
    group: i64,
    next: i64,
}

/// The columns of some rows.
#[derive(Default)]
struct Columns {
    columns: Vec<Column>,
    next: usize,
}

enum Column {
    Numbers(Vec<Option<i64>>),
    Names(Vec<Option<&'static str>>),
}

impl Columns {
    fn place(&mut self, new: fn() -> Column) -> &mut Column {
        let at = self.next;
        self.next += 1;
        if at == self.columns.len() {
            self.columns.push(new());
        }
        &mut self.columns[at]
    }

    fn named(&mut self, value: Option<&'static str>) {
        match self.place(|| Column::Names(Vec::new())) {
            Column::Names(names) => names.push(value),
            Column::Numbers(_) => unreachable!("a column has one type"),
        }
    }
}

impl To for Columns {
    fn number(&mut self, value: Option<i64>) {
        match self.place(|| Column::Numbers(Vec::new())) {
            Column::Numbers(numbers) => numbers.push(value),
            Column::Names(_) => unreachable!("a column has one type"),
        }
    }

    fn name(&mut self, value: &'static str) {
        self.named(Some(value));
    }

    fn no_name(&mut self) {
        self.named(None);
    }
}

impl PostgresFloor {
    /// `group` lifecycles move on in each transaction.
    pub(crate) async fn open(url: &str, group: i64) -> sqlx::Result<Self> {
        let mut connection = PgConnection::connect(url).await?;
        let settings = "SET synchronous_commit = on; SET plan_cache_mode = force_generic_plan;
             SET jit = off; SET enable_seqscan = off; SET enable_hashjoin = off;
             SET enable_mergejoin = off; UPDATE leader SET epoch = 1";
        sqlx::raw_sql(settings).execute(&mut connection).await?;
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
        sqlx::raw_sql("BEGIN").execute(&mut self.connection).await?;
        sqlx::query(sql!("leader_fence"))
            .bind(self.next)
            .bind(self.next)
            .bind(1_i64)
            .bind(1_i64)
            .bind(1_700_000_000_000_i64)
            .bind(1_i64)
            .execute(&mut self.connection)
            .await?;
        let new = self.next;
        self.next += self.group;
        self.rows(sql!("workload_insert"), new, |id, to| workload(id, 0, to)).await?;
        self.rows(sql!("job_insert"), new, |id, to| job(id, 1, to)).await?;
        self.rows(sql!("job_spec_insert"), new, spec).await?;
        let claimed = new - self.group;
        self.rows(sql!("workload_update"), claimed, |id, to| workload_update(id, 1, to)).await?;
        self.rows(sql!("job_update"), claimed, |id, to| job_update(id, 2, to)).await?;
        let started = claimed - self.group;
        self.rows(sql!("workload_update"), started, |id, to| workload_update(id, 2, to)).await?;
        self.rows(sql!("job_update"), started, |id, to| job_update(id, 3, to)).await?;
        let ended = started - self.group;
        self.rows(sql!("workload_delete"), ended, |id, to| int(id, to)).await?;
        self.rows(sql!("workload_done_insert"), ended, |id, to| workload(id, 3, to)).await?;
        self.rows(sql!("job_delete"), ended, |id, to| int(id, to)).await?;
        self.rows(sql!("job_done_insert"), ended, |id, to| job(id, 4, to)).await?;
        self.rows(sql!("attempt_insert"), ended, attempt).await?;
        sqlx::raw_sql("COMMIT").execute(&mut self.connection).await.map(drop)
    }

    /// One statement for a group.
    async fn rows(&mut self, template: &'static str, first: i64, bind: Row) -> sqlx::Result<()> {
        let ids: Vec<_> = (first..first + self.group).filter(|id| *id > 0).collect();
        if ids.is_empty() {
            return Ok(());
        }
        let mut rows = Columns::default();
        for id in &ids {
            rows.next = 0;
            bind(*id, &mut rows);
        }
        let mut values = PgArguments::default();
        let mut arrays = Vec::new();
        for (at, column) in (1..).zip(rows.columns) {
            let (array, added) = match column {
                Column::Numbers(numbers) => ("int8[]", values.add(numbers)),
                Column::Names(names) => ("text[]", values.add(names)),
            };
            added.expect("an array");
            arrays.push(format!("${at}::{array}"));
        }
        let text = *self.texts.entry(template).or_insert_with(|| {
            let names: Vec<_> = (1..=arrays.len()).map(|at| format!("column{at}")).collect();
            let (arrays, names) = (arrays.join(","), names.join(","));
            let rows = format!("SELECT * FROM UNNEST({arrays}) AS t ({names})");
            template.replace("{rows}", &rows).leak()
        });
        let done = sqlx::query_with(text, values).execute(&mut self.connection).await?;
        assert_eq!(done.rows_affected(), ids.len() as u64, "{template}");
        Ok(())
    }
}
