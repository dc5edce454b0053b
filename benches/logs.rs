//! Pieces of job logs kept per second, in process: as files, and as rows where DATABASE_URL names a
//! PostgreSQL (`scripts/with-postgres cargo bench --bench logs`). A file is written and not flushed; a row
//! is committed, and flushed, before the next piece of its writer.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "../tests/it/support/schema.rs"]
mod schema;

use bytes::Bytes;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::log::{JobLogs, LogLimits};
use dispatchyard::model::JobId;
use dispatchyard::store::{Location, Store, StoreOptions};
use schema::Schema;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs that write at the same time.
const WRITERS: i64 = 16;
/// How long each measurement takes at most, seconds.
const SECONDS: f64 = 5.0;
/// Bytes that one writer writes at most: less than a log may have.
const WRITER_BYTES_MAX: u64 = 16 << 20;
/// A line as builds write it; pieces are made of these.
const LINE: &str = "2026-01-01T00:00:00.000Z    Compiling something v1.2.3 (of the usual kind)\n";

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    // Beside the build, not in a folder that may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let files = JobLogs::open(folder.path().join("logs"), LogLimits::default());
    measure("files", &files.expect("a folder")).await;
    if std::env::var_os("DATABASE_URL").is_none() {
        println!("PostgreSQL is left out: scripts/with-postgres cargo bench --bench logs");
        return;
    }
    let schema = Schema::new().await;
    let options = StoreOptions::at(Location::Server(schema.url()), folder.path());
    let (store, _writer) = Store::open(options).await.expect("a database");
    let rows = store.log_rows().expect("they are rows");
    measure("rows", &JobLogs::in_rows(rows, LogLimits::default())).await;
    store.close().await;
}

async fn measure(place: &str, logs: &JobLogs) {
    for bytes in [80, 4_096, 65_536] {
        let text = LINE.repeat(bytes / LINE.len() + 1);
        let piece = Bytes::from(text).slice(..bytes);
        let clock = SystemClock::new();
        let began = clock.seconds();
        let writers: Vec<_> = (0..WRITERS)
            .map(|writer| {
                let (logs, piece, clock) = (logs.clone(), piece.clone(), SystemClock::new());
                let (job, until) =
                    (JobId(bytes as i64 * WRITERS + writer), clock.seconds() + SECONDS);
                tokio::spawn(async move {
                    let (mut offset, mut pieces, mut slowest) = (0, 0_u32, 0_f64);
                    while offset < WRITER_BYTES_MAX && clock.seconds() < until {
                        let before = clock.seconds();
                        let appended = logs.append(job, 1, offset, piece.clone()).await;
                        offset = appended.expect("kept").next_offset;
                        pieces += 1;
                        slowest = slowest.max(clock.seconds() - before);
                    }
                    (pieces, slowest)
                })
            })
            .collect();
        let (mut pieces, mut slowest) = (0.0, 0_f64);
        for writer in writers {
            let (its, longest) = writer.await.expect("it wrote");
            pieces += f64::from(its);
            slowest = slowest.max(longest);
        }
        let a_second = pieces / (clock.seconds() - began);
        println!(
            "{place}, {WRITERS} writers, pieces of {bytes} bytes: {a_second:.0} a second, {:.1} MB/s, slowest {:.0} ms",
            a_second * bytes as f64 / 1e6,
            slowest * 1e3
        );
    }
}
