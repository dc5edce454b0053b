//! Durable lifecycles per second, in process, on SQLite with every commit flushed: what `dispatchyard
//! bench lifecycle` measures, with criterion's statistics.
//!
//! Beside it the floor, `benches/floor`: the same rows in transactions of the same shape through
//! sqlx alone. The batch size is what the load reaches by itself; the floor gets the same.
//! `cargo bench --bench lifecycle`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod floor;

use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use dispatchyard::bench::LifecycleRig;
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::store::{Store, StoreOptions};
use tokio::runtime::Runtime;

use floor::Floor;

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

fn lifecycles(criterion: &mut Criterion) {
    let clock = SystemClock::new();
    let mut group = criterion.benchmark_group("lifecycle");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_secs(1)).measurement_time(Duration::from_secs(5));
    for clients in CLIENTS {
        let lifecycles = (clients * ROUNDS) as f64;
        group.throughput(Throughput::Elements(lifecycles as u64));
        // Beside the build, not in a folder that may be in memory.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
        let runtime = runtime();
        let ours_folder = folder.path().join("server");
        let rig = runtime.block_on(LifecycleRig::start(&ours_folder, clients)).expect("a driver");
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

        let path = folder.path().join("floor.db");
        let open = async {
            let options = StoreOptions::new(&path, folder.path().join("floor-bodies"));
            drop(Store::open(options).await.expect("a schema"));
            Floor::open(&path, moved as i64).await.expect("a connection")
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
            "{clients} clients, synchronous=FULL: {:.0} lifecycles/s, floor {:.0}, ratio {:.2}; \
             {batch:.0} commands and {moved:.0} lifecycles a transaction",
            ours.per_second(),
            least.per_second(),
            ours.per_second() / least.per_second()
        );
    }
    group.finish();
}

criterion_group!(benches, lifecycles);
criterion_main!(benches);
