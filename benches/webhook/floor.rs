//! What the figure is compared with: a bare axum handler that checks the same signature, parses the
//! body into a struct that borrows from it, and answers; at once, or once the rows of the delivery and
//! of the job it starts are durable.
//!
//! The rows are written through sqlx alone, by the store's own statements, on one connection; a
//! transaction takes what has arrived during the last one. So the durable floor is the least that any
//! server needs which keeps on one SQLite what it has accepted.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dispatchyard::cli::bench::OWN_SECRET;
use dispatchyard::store::{Store, StoreOptions};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;
use sqlx::query_builder::Separated;
use sqlx::sqlite::{Sqlite, SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions as _, QueryBuilder};
use tokio::sync::{mpsc, oneshot};

macro_rules! sql {
    ($file:literal) => {
        include_str!(concat!("../../src/store/sql/", $file, ".sql"))
    };
}

/// Most deliveries in one transaction, and rows of one statement.
const TOGETHER_MAX: usize = 512;
const TIME: i64 = 1_700_000_000_000;

/// What is read of a push.
#[derive(Deserialize)]
struct Push<'b> {
    r#ref: &'b str,
    after: &'b str,
    #[serde(borrow)]
    repository: Repository<'b>,
    #[serde(borrow)]
    sender: Sender<'b>,
}

#[derive(Deserialize)]
struct Repository<'b> {
    full_name: &'b str,
}

#[derive(Deserialize)]
struct Sender<'b> {
    login: &'b str,
}

/// A delivery, and who waits until it is durable.
type Arrived = (Bytes, oneshot::Sender<()>);
/// Where deliveries are written; absent where they are not.
type Keeper = Option<Arc<mpsc::Sender<Arrived>>>;

/// Serves until the process ends, and prints its address; in `folder` deliveries are kept.
pub(crate) async fn serve(folder: Option<&Path>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let keeper = match folder {
        None => None,
        Some(folder) => {
            let writer = Writer::open(folder).await;
            let (sender, arrived) = mpsc::channel(4_096);
            tokio::spawn(writer.run(arrived));
            Some(Arc::new(sender))
        }
    };
    println!("http://{address}");
    let app = Router::new().route("/hooks/{source}", post(accept)).with_state(keeper);
    axum::serve(listener, app).await.expect("serves");
}

async fn accept(
    State(keeper): State<Keeper>,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, String) {
    let said = headers.get("x-hub-signature-256").and_then(|it| it.to_str().ok());
    let said = said.and_then(|it| hex::decode(it.strip_prefix("sha256=")?).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(OWN_SECRET.as_bytes()).expect("any length");
    mac.update(&body);
    if said.is_none_or(|said| mac.verify_slice(&said).is_err()) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    let answer = match serde_json::from_slice::<Push<'_>>(&body) {
        Ok(push) => [push.r#ref, push.after, push.repository.full_name, push.sender.login].concat(),
        Err(error) => return (StatusCode::BAD_REQUEST, error.to_string()),
    };
    if let Some(keeper) = keeper {
        let (kept, is_kept) = oneshot::channel();
        if keeper.send((body, kept)).await.is_err() || is_kept.await.is_err() {
            return (StatusCode::SERVICE_UNAVAILABLE, String::new());
        }
    }
    (StatusCode::ACCEPTED, answer)
}

struct Writer {
    connection: SqliteConnection,
    next: i64,
}

type Row<'q> = Separated<'q, Sqlite, &'static str>;

impl Writer {
    async fn open(folder: &Path) -> Self {
        let path = folder.join("floor.db");
        let options = StoreOptions::new(&path, folder.join("bodies"));
        drop(Store::open(options).await.expect("a schema"));
        let connection = SqliteConnectOptions::new()
            .filename(path)
            .pragma("synchronous", "FULL")
            .pragma("wal_autocheckpoint", "1000")
            .pragma("cache_size", "-65536")
            .disable_statement_logging()
            .connect()
            .await
            .expect("a connection");
        Self { connection, next: 1 }
    }

    async fn run(mut self, mut arrived: mpsc::Receiver<Arrived>) {
        let mut batch = Vec::new();
        while arrived.recv_many(&mut batch, TOGETHER_MAX).await > 0 {
            self.write(&batch).await.expect("written");
            for (_, kept) in batch.drain(..) {
                let _ = kept.send(());
            }
        }
    }

    async fn write(&mut self, batch: &[Arrived]) -> sqlx::Result<()> {
        let first = self.next;
        self.next += batch.len().cast_signed() as i64;
        let rows: Vec<_> = (first..).zip(batch.iter().map(|(body, _)| body)).collect();
        sqlx::query("BEGIN IMMEDIATE").execute(&mut self.connection).await?;
        self.rows(sql!("unique_key_claim"), &rows, |id, _, mut row| {
            row.push_bind(0).push_bind(format!("github:bench-{TIME}-{id}"));
            row.push_bind(delivery_id(id)).push_bind(TIME);
        })
        .await?;
        self.rows(sql!("delivery_insert"), &rows, delivery).await?;
        self.rows(sql!("workload_insert"), &rows, workload).await?;
        self.rows(sql!("job_insert"), &rows, job).await?;
        self.rows(sql!("job_spec_insert"), &rows, |id, _, mut row| {
            row.push_bind(id).push_bind(id).push_bind("s".repeat(216));
        })
        .await?;
        sqlx::query("COMMIT").execute(&mut self.connection).await.map(drop)
    }

    async fn rows(
        &mut self,
        template: &'static str,
        rows: &[(i64, &Bytes)],
        mut bind: impl FnMut(i64, &Bytes, Row<'_>),
    ) -> sqlx::Result<()> {
        let (before, after) = template.split_once("{rows}").expect("a place for rows");
        let mut query = QueryBuilder::new(before);
        query.push_values(rows, |row, (id, body)| bind(*id, body, row));
        query.push(after);
        query.build().execute(&mut self.connection).await.map(drop)
    }
}

fn delivery_id(id: i64) -> String {
    format!("01a1ffff-3b32-7d5d-86ae-{id:012x}")
}

fn nulls(row: &mut Row<'_>, many: usize) {
    for _ in 0..many {
        row.push("NULL");
    }
}

/// Texts are as long as a server's own of a push.
fn delivery(id: i64, body: &Bytes, mut row: Row<'_>) {
    row.push_bind(delivery_id(id)).push_bind("github");
    row.push_bind(format!("bench-{TIME}-{id}")).push_bind("push");
    nulls(&mut row, 1);
    row.push_bind(1);
    nulls(&mut row, 1);
    row.push_bind("v".repeat(86)).push_bind("t".repeat(59)).push_bind(1);
    nulls(&mut row, 1);
    row.push_bind(1).push_bind(TIME).push_bind("p".repeat(55)).push_bind(body.len() as i64);
    nulls(&mut row, 1);
    row.push_bind("h".repeat(170)).push_bind("e".repeat(727)).push_bind(body.to_vec());
}

fn workload(id: i64, _: &Bytes, mut row: Row<'_>) {
    row.push_bind(id).push_bind(1).push_bind(0).push_bind("build").push_bind(1);
    row.push_bind(delivery_id(id)).push_bind("one-job");
    nulls(&mut row, 1);
    row.push_bind(0).push_bind(0).push_bind(TIME);
    nulls(&mut row, 2);
    row.push_bind(0).push_bind(0);
}

fn job(id: i64, _: &Bytes, mut row: Row<'_>) {
    row.push_bind(id).push_bind(id).push_bind(1).push_bind(1).push_bind("agent");
    row.push_bind(21_600_000).push_bind(1_000).push_bind(1).push_bind(2);
    row.push_bind(TIME).push_bind(TIME);
    for _ in 0..5 {
        row.push_bind(0);
    }
    nulls(&mut row, 11);
    row.push_bind(TIME).push_bind(0);
    nulls(&mut row, 1);
}
