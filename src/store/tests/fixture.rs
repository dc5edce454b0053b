//! Rows to write, and a store on either database that disappears.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use sqlx::ConnectOptions as _;
use sqlx::postgres::PgConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tempfile::TempDir;

use super::schema::Schema;
use crate::model::{
    Attempt, AttemptOutcome, Body, Change, Class, ClassId, Delivery, DeliveryId, DeliveryState,
    Edge, EndReason, Job, JobId, JobPriority, JobSpec, JobState, JobStateKind, JobWork, Lease,
    LeaseToken, Marks, Nonce, PoolId, Rare, Runner, RunnerCapabilities, RunnerId,
    RunnerRequirements, Snapshot, StartOrder, TenantId, Trust, TrustLevel, Workload, WorkloadId,
    WorkloadKind, WorkloadState,
};
use crate::store::connection::{Connection, Kind};
use crate::store::{Batch, Location, Store, StoreError, StoreOptions, Writer};

/// A store that was loaded once.
pub(in crate::store) struct Opened {
    pub(in crate::store) store: Store,
    pub(in crate::store) writer: Writer,
    pub(in crate::store) epoch: i64,
    pub(in crate::store) home: Home,
}

/// Where a test's database is; it goes away with the value.
pub(in crate::store) struct Home {
    folder: TempDir,
    schema: Option<Schema>,
}

impl Home {
    /// An empty one of that kind.
    pub(in crate::store) async fn of(kind: Kind) -> Self {
        let schema = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Schema::new().await),
        };
        Self { folder: tempfile::tempdir().unwrap(), schema }
    }

    pub(in crate::store) fn kind(&self) -> Kind {
        if self.schema.is_some() { Kind::Postgres } else { Kind::Sqlite }
    }

    pub(in crate::store) fn options(&self) -> StoreOptions {
        let data = self.folder.path().join("data");
        let location = match &self.schema {
            None => Location::File(data.join("d.db")),
            Some(schema) => Location::Server(schema.url()),
        };
        StoreOptions::at(location, data.join("bodies"))
    }
}

/// Takes the write lock of a SQLite file, until the value is dropped.
pub(crate) async fn occupy(database: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(database);
    let mut connection = options.connect().await.unwrap();
    sqlx::raw_sql("BEGIN IMMEDIATE").execute(&mut connection).await.unwrap();
    connection
}

/// Makes two tests of each of these functions, one for each database.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::store::connection::Kind::Sqlite).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test]
            async fn $name() {
                super::$name(crate::store::connection::Kind::Postgres).await;
            })*
        }
    };
}
pub(in crate::store) use on_both;

impl Opened {
    /// On a new database.
    pub(in crate::store) async fn new(on: Kind) -> Self {
        let home = Home::of(on).await;
        let (store, mut writer) = Store::open(home.options()).await.unwrap();
        let epoch = writer.load("test", 1).await.unwrap().epoch;
        Self { store, writer, epoch, home }
    }

    /// Writes changes as one batch.
    pub(in crate::store) async fn write(&mut self, changes: &[Change]) -> Result<(), StoreError> {
        let lent = self.begin().await?.commit(self.epoch, changes, Marks::default(), 2).await?;
        self.writer.take_back(lent);
        Ok(())
    }

    /// Begins a batch.
    pub(in crate::store) async fn begin(&mut self) -> Result<Batch, StoreError> {
        self.writer.lend()?.begin().await
    }

    /// Loads again.
    pub(in crate::store) async fn load(&mut self) -> Snapshot {
        let snapshot = self.writer.load("test", 3).await.unwrap();
        self.epoch = snapshot.epoch;
        snapshot
    }

    /// Runs a text on the writer's own connection, behind its back.
    pub(in crate::store) async fn raw(&mut self, text: &'static str) {
        let done = match self.writer.connection.as_mut().unwrap() {
            Connection::Sqlite(connection) => {
                sqlx::raw_sql(text).execute(connection).await.map(drop)
            }
            Connection::Postgres(connection, _) => {
                sqlx::raw_sql(text).execute(connection).await.map(drop)
            }
        };
        done.unwrap();
    }

    /// What a text selects: one text of each row.
    pub(in crate::store) async fn texts(&mut self, text: &'static str) -> Vec<String> {
        match self.writer.connection.as_mut().unwrap() {
            Connection::Sqlite(connection) => sqlx::query_scalar(text).fetch_all(connection).await,
            Connection::Postgres(connection, _) => {
                sqlx::query_scalar(text).fetch_all(connection).await
            }
        }
        .unwrap()
    }

    /// Names of the columns of a table, each with its type and whether it can be NULL.
    pub(in crate::store) async fn columns_of(&mut self, table: &str) -> Vec<(String, String)> {
        match self.writer.connection.as_mut().unwrap() {
            Connection::Sqlite(connection) => {
                let query = "SELECT name, type || \"notnull\" || pk FROM pragma_table_info($1)";
                sqlx::query_as(query).bind(table).fetch_all(connection).await
            }
            Connection::Postgres(connection, _) => {
                let query = "SELECT column_name::text, data_type::text || is_nullable::text
                     FROM information_schema.columns
                     WHERE table_schema = current_schema() AND table_name = $1
                     ORDER BY ordinal_position";
                sqlx::query_as(query).bind(table).fetch_all(connection).await
            }
        }
        .unwrap()
    }

    /// The text of a view.
    pub(in crate::store) async fn text_of_view(&mut self, view: &str) -> String {
        match self.writer.connection.as_mut().unwrap() {
            Connection::Sqlite(connection) => {
                let query = "SELECT sql FROM sqlite_schema WHERE name = $1";
                sqlx::query_scalar(query).bind(view).fetch_one(connection).await
            }
            Connection::Postgres(connection, _) => {
                let query = "SELECT pg_get_viewdef($1::regclass)";
                sqlx::query_scalar(query).bind(view).fetch_one(connection).await
            }
        }
        .unwrap()
    }

    /// From now on the database takes values that it would refuse.
    pub(in crate::store) async fn ignore_checks(&mut self) {
        match self.home.schema {
            None => self.raw("PRAGMA ignore_check_constraints = ON").await,
            Some(_) => {
                self.raw(
                    "DO $$ DECLARE c record; BEGIN
                     FOR c IN SELECT conrelid::regclass AS t, conname FROM pg_constraint
                         WHERE contype = 'c' AND connamespace = current_schema()::regnamespace
                     LOOP EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', c.t, c.conname);
                     END LOOP; END $$",
                )
                .await;
            }
        }
    }

    /// The writer's own connection.
    pub(in crate::store) fn sqlite(&mut self) -> &mut SqliteConnection {
        match self.writer.connection.as_mut() {
            Some(Connection::Sqlite(connection)) => connection,
            _ => panic!("this is about SQLite"),
        }
    }

    /// The writer's own connection.
    pub(in crate::store) fn postgres(&mut self) -> &mut PgConnection {
        match self.writer.connection.as_mut() {
            Some(Connection::Postgres(connection, _)) => connection,
            _ => panic!("this is about PostgreSQL"),
        }
    }
}

pub(in crate::store) fn delivery(number: u128) -> Delivery {
    Delivery {
        id: delivery_id(number),
        source: "github".into(),
        external_id: Some("guid".into()),
        event_kind: "push".into(),
        action: None,
        state: DeliveryState::Dispatched,
        reason: None,
        verdicts: Vec::new(),
        trust: Trust::new(TrustLevel::Trusted, "the pusher is a member"),
        tenant_id: TenantId::DEFAULT,
        replay_of: None,
        attempts: 1,
        received_at_ms: 10,
        headers: "{}".into(),
        event: Some(r#"{"source":"github"}"#.into()),
        traceparent: None,
        approval: None,
        body: Body::Inline(Bytes::from_static(b"\0raw\xff")),
    }
}

pub(in crate::store) fn delivery_id(number: u128) -> DeliveryId {
    DeliveryId(uuid::Uuid::from_u128(number))
}

pub(in crate::store) fn class(id: i64) -> Class {
    let labels = vec!["linux".into()];
    Class {
        id: ClassId(id),
        requirements: RunnerRequirements { labels, ..RunnerRequirements::default() },
    }
}

pub(in crate::store) fn workload(id: i64) -> Workload {
    Workload {
        id: WorkloadId(id),
        run: 1,
        kind: WorkloadKind::Workflow,
        name: "build".into(),
        tenant_id: TenantId::DEFAULT,
        delivery_id: None,
        trigger: "".into(),
        session_key: None,
        state: WorkloadState::Pending,
        terms: None,
        open: false,
        in_group: false,
        quiet_until_ms: 0,
        begun: false,
        created_at_ms: 10,
        ended_at_ms: None,
    }
}

pub(in crate::store) fn ended_workload(id: i64) -> Workload {
    let state = WorkloadState::Completed;
    Workload { state, begun: true, ended_at_ms: Some(20), ..workload(id) }
}

pub(in crate::store) fn job(id: i64, workload_id: i64) -> Job {
    Job {
        id: JobId(id),
        workload_id: WorkloadId(workload_id),
        class_id: ClassId(1),
        tenant_id: TenantId::DEFAULT,
        name: format!("job-{id}").into(),
        state: JobState::Pending,
        priority: JobPriority::High,
        lane_key: 10,
        queued_at_ms: 10,
        not_before_ms: 0,
        timeout_ms: 60_000,
        backoff_ms: 1_000,
        attempt: 0,
        retry_count: 0,
        max_retries: 2,
        terms: None,
        ready_at_ms: 0,
        need_failed: false,
        in_group: false,
        unschedulable: false,
        extras: Rare::default(),
    }
}

pub(in crate::store) fn ended_job(id: i64, workload_id: i64) -> Job {
    let state =
        JobState::Ended { kind: JobStateKind::Completed, at_ms: 20, reason: EndReason::Succeeded };
    Job { state, attempt: 1, ..job(id, workload_id) }
}

/// A nonce whose highest bit is set, so that its row is negative.
pub(in crate::store) fn lease() -> Lease {
    Lease {
        token: LeaseToken::new(3, 7),
        nonce: Nonce(u64::MAX - 1),
        runner_id: RunnerId(4),
        assigned_at_ms: 11,
    }
}

pub(in crate::store) fn spec() -> Arc<JobSpec> {
    Arc::new(JobSpec {
        work: JobWork::Steps(Vec::new()),
        env: [("A".to_owned(), "b".to_owned())].into(),
        trust: Trust::default(),
        traceparent: None,
        workflow: None,
    })
}

pub(in crate::store) fn new_job(job: Job, needs: &[i64]) -> Change {
    let edge = |&needs_job_id: &i64| Edge {
        workload_id: job.workload_id,
        job_id: job.id,
        needs_job_id: JobId(needs_job_id),
    };
    let edges = needs.iter().map(edge).collect();
    Change::JobInserted { job, spec: spec(), edges }
}

pub(in crate::store) fn attempt(token: i64, job_id: i64) -> Attempt {
    Attempt {
        token: LeaseToken(token),
        nonce: Nonce(u64::MAX),
        job_id: JobId(job_id),
        number: 1,
        run: 1,
        runner_id: RunnerId(4),
        assigned_at_ms: 11,
        started_at_ms: Some(12),
        ended_at_ms: 20,
        outcome: AttemptOutcome::Completed,
        requeue_reason: None,
        job_state: JobStateKind::Completed,
        exit_code: Some(0),
        signal: None,
        error: None,
        pool_id: PoolId::DEFAULT,
        waited_ms: 0,
        cost_micros_per_hour: 0,
        outputs: [("version".to_owned(), format!("1.{token}"))].into(),
    }
}

pub(in crate::store) fn runner(id: i64) -> Runner {
    Runner {
        id: RunnerId(id),
        name: "builder".into(),
        instance_id: format!("instance-{id}").into(),
        boot_id: "boot-1".into(),
        pool_id: PoolId::DEFAULT,
        token_hash: "00ff".into(),
        capabilities: RunnerCapabilities::default(),
        cordoned: None,
        draining: false,
        version: "0.1.0".into(),
        registered_at_ms: 10,
        order: (id % 2 == 1).then(|| {
            Box::new(StartOrder {
                fleet: "pool/linux".into(),
                token_hash: "beef".into(),
                ordered_at_ms: 3,
                registered: true,
                leaving: Some("it is old".into()),
            })
        }),
    }
}
