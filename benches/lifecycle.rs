//! Durable lifecycles per second, in process, on SQLite with every commit flushed: what `dispatchyard
//! bench lifecycle` measures, with criterion's statistics; and the same on PostgreSQL where DATABASE_URL
//! names one (`scripts/with-postgres cargo bench --bench lifecycle`).
//!
//! Beside it the floor, `benches/floor`: the same rows in transactions of the same shape through
//! sqlx alone. The batch size is what the load reaches by itself; the floor gets the same.
//! `cargo bench --bench lifecycle`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod floor;
#[path = "../tests/it/support/schema.rs"]
mod schema;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use dispatchyard::bench::LifecycleRig;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::store::{Location, Store, StoreOptions};
use tokio::runtime::Runtime;

use floor::Floor;
use floor::postgres::PostgresFloor;
use schema::Schema;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Clients at the same time.
const CLIENTS: [usize; 3] = [16, 256, 2_048];
/// Lifecycles of each client in one sample.
const ROUNDS: usize = 8;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Lifecycles and seconds of everything measured.
#[derive(Default)]
struct Tally(f64, f64);

impl Tally {
    fn time(&mut self, clock: &SystemClock, lifecycles: f64, work: impl FnOnce()) -> Duration {
        let began = clock.seconds();
        work();
        let took = clock.seconds() - began;
        self.0 += lifecycles;
        self.1 += took;
        Duration::from_secs_f64(took)
    }

    fn per_second(&self) -> f64 {
        self.0 / self.1.max(f64::EPSILON)
    }
}

fn on_sqlite(criterion: &mut Criterion) {
    lifecycles(criterion, "lifecycle", false);
}

fn on_postgres(criterion: &mut Criterion) {
    if std::env::var_os("DATABASE_URL").is_none() {
        println!("PostgreSQL is left out: scripts/with-postgres cargo bench --bench lifecycle");
        return;
    }
    lifecycles(criterion, "lifecycle on PostgreSQL", true);
}

/// Either floor.
enum AnyFloor {
    Sqlite(Floor),
    Postgres(PostgresFloor),
}

impl AnyFloor {
    async fn write(&mut self, transactions: u64) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(floor) => floor.write(transactions).await,
            Self::Postgres(floor) => floor.write(transactions).await,
        }
    }

    async fn close(self) -> sqlx::Result<()> {
        match self {
            Self::Sqlite(floor) => floor.close().await,
            Self::Postgres(floor) => floor.close().await,
        }
    }
}

fn lifecycles(criterion: &mut Criterion, name: &str, on_postgres: bool) {
    let clock = SystemClock::new();
    let mut group = criterion.benchmark_group(name);
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for clients in CLIENTS {
        let lifecycles = (clients * ROUNDS) as f64;
        group.throughput(Throughput::Elements(lifecycles as u64));
        // Beside the build, not in a folder that may be in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let runtime = runtime();
        let schema = || on_postgres.then(|| runtime.block_on(Schema::new()));
        let options = |schema: &Option<Schema>, name: &str| match schema {
            None => StoreOptions::new(folder.path().join(name), folder.path().join("bodies")),
            Some(schema) => StoreOptions::at(Location::Server(schema.url()), folder.path()),
        };
        let ours_schema = schema();
        let start = LifecycleRig::start_on(options(&ours_schema, "server.db"), clients);
        let rig = runtime.block_on(start).expect("a driver");
        let before = rig.batches();
        let mut ours = Tally::default();
        group.bench_function(BenchmarkId::new("dispatchyard", clients), |bencher| {
            bencher.iter_custom(|samples| {
                let sample = |_| runtime.block_on(rig.lifecycles(ROUNDS)).expect("carried out");
                let work = || (0..samples).for_each(sample);
                ours.time(&clock, lifecycles * samples as f64, work)
            });
        });
        let after = rig.batches();
        let batch = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        // Transactions in which one lifecycle has a part: each of them moves so many on.
        let moved = (ours.0 / (after.1 - before.1).max(1.0)).round().max(1.0);
        runtime.block_on(rig.stop());

        let floor_schema = schema();
        let open = async {
            let options = options(&floor_schema, "floor.db");
            drop(Store::open(options).await.expect("a schema"));
            let group = moved as i64;
            match &floor_schema {
                None => {
                    let path = folder.path().join("floor.db");
                    AnyFloor::Sqlite(Floor::open(&path, group).await.expect("a connection"))
                }
                Some(schema) => {
                    let floor = PostgresFloor::open(&schema.url(), group).await;
                    AnyFloor::Postgres(floor.expect("a connection"))
                }
            }
        };
        let mut floor = runtime.block_on(open);
        let transactions = (lifecycles / moved).ceil();
        let mut least = Tally::default();
        group.bench_function(BenchmarkId::new("raw sqlx", clients), |bencher| {
            bencher.iter_custom(|samples| {
                let many = transactions * samples as f64;
                let work = || runtime.block_on(floor.write(many as u64)).expect("written");
                least.time(&clock, moved * many, work)
            });
        });
        runtime.block_on(floor.close()).expect("closed");
        println!(
            "{name}, {clients} clients, every commit flushed: {:.0} lifecycles/s, floor {:.0}, ratio {:.2}; \
             {batch:.0} commands and {moved:.0} lifecycles a transaction",
            ours.per_second(),
            least.per_second(),
            ours.per_second() / least.per_second()
        );
    }
    group.finish();
}

criterion_group!(benches, on_sqlite, on_postgres);
criterion_main!(benches);
