//! Durable lifecycles per second, in process, on SQLite with every commit flushed: submit a
//! workload of one job, poll it, start it, heartbeat now and then, complete it.
//!
//! Beside it the floor, `benches/floor`: the same rows in transactions of the same shape through
//! sqlx alone. The batch size is what the load reaches by itself; the floor gets the same.
//! `cargo bench --bench lifecycle`.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod floor;
mod shared;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use criterion::{
    BenchmarkId, Criterion, SamplingMode, Throughput, criterion_group, criterion_main,
};
use dispatchyard::clock::{Clock, OsEntropy, SystemClock};
use dispatchyard::dispatch::{Command, HeldLease, Poll, Reply};
use dispatchyard::driver::{self, DriverOptions, Handle, Limits};
use dispatchyard::model::{JobPriority, JobResult, LeaseRef, RunnerCapabilities, RunnerId};
use dispatchyard::runner::PollId;
use dispatchyard::store::{Store, StoreOptions};
use dispatchyard::telemetry::Metrics;
use tokio::runtime::Runtime;

use floor::Floor;
use shared::{one_job, register, settings};

/// Clients at the same time.
const CLIENTS: [usize; 3] = [16, 256, 2_048];
/// Lifecycles of each client in one sample.
const ROUNDS: usize = 8;

struct Server {
    runtime: Runtime,
    handle: Handle,
    ended: tokio::sync::oneshot::Receiver<()>,
    runners: Vec<RunnerId>,
    polls: Arc<AtomicU64>,
    metrics: Arc<Metrics>,
}

impl Server {
    fn start(folder: &Path, clients: usize) -> Self {
        let runtime = runtime();
        let options = StoreOptions::new(folder.join("d.db"), folder.join("bodies"));
        let (_store, writer) = runtime.block_on(Store::open(options)).expect("a store");
        let metrics = Arc::new(Metrics::new());
        let limits = Limits {
            batch_commands_max: 4_096,
            control_queue_max: 16_384,
            intake_queue_max: 16_384,
        };
        let options = DriverOptions {
            writer,
            settings: settings(),
            limits,
            records_max: 10_000,
            clock: Arc::new(SystemClock::new()),
            entropy: Box::new(OsEntropy),
            holder: "bench".into(),
            ended: None,
            metrics: Arc::clone(&metrics),
            probe: None,
        };
        let (handle, ended) = driver::spawn(options).expect("a thread");
        let mut runners = Vec::new();
        for number in 0..clients {
            let hello = register(number, RunnerCapabilities::default());
            match runtime.block_on(handle.send(Command::Register(hello))) {
                Ok(Reply::Registered(id)) => runners.push(id),
                other => panic!("{other:?}"),
            }
        }
        Self { runtime, handle, ended, runners, polls: Arc::default(), metrics }
    }

    /// Every client carries so many jobs from submission to completion.
    fn lifecycles(&self, rounds: usize) {
        let clients = self.runners.iter().map(|&runner_id| {
            let (handle, polls) = (self.handle.clone(), Arc::clone(&self.polls));
            self.runtime.spawn(async move {
                for round in 0..rounds {
                    lifecycle(&handle, runner_id, &polls, round % 8 == 0).await;
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        for client in clients {
            self.runtime.block_on(client).expect("a client's work");
        }
    }

    /// Commands and transactions so far.
    fn batches(&self) -> (f64, f64) {
        let text = self.metrics.encode();
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|value| value.trim().parse().ok()).unwrap_or(0.0)
        };
        (value("dispatchyard_batch_commands_sum "), value("dispatchyard_batch_commands_count "))
    }

    fn stop(self) {
        self.runtime.block_on(async {
            self.handle.stop().await;
            self.ended.await.expect("the driver ends");
        });
    }
}

async fn lifecycle(handle: &Handle, runner_id: RunnerId, polls: &AtomicU64, beat: bool) {
    let workload = Box::new(one_job(Vec::new(), JobPriority::Normal));
    let submit = Command::Submit { workload, idempotency_key: None, ended: Vec::new() };
    handle.send(submit).await.expect("submitted");
    let poll = Poll {
        runner_id,
        poll_id: PollId(polls.fetch_add(1, Ordering::Relaxed)),
        wait_ms: 30_000,
        jobs_max: Some(1),
        known: Vec::new(),
        capabilities: None,
        current_jobs: None,
    };
    let answer = handle.poll(poll).await.expect("answered");
    let lease = answer.jobs.first().expect("as many jobs as polls").lease;
    let reference = LeaseRef { token: lease.token, nonce: lease.nonce, runner_id };
    handle.send(Command::Start(reference)).await.expect("started");
    if beat {
        let leases = vec![HeldLease { token: lease.token, nonce: lease.nonce }];
        let (capabilities, current_jobs) = (None, Some(1));
        let command = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
        handle.send(command).await.expect("heard");
    }
    let result = Box::new(JobResult::success());
    handle.send(Command::Complete { lease: reference, result }).await.expect("completed");
}

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
        let server = Server::start(&folder.path().join("server"), clients);
        let before = server.batches();
        let mut ours = Tally::default();
        group.bench_function(BenchmarkId::new("dispatchyard", clients), |bencher| {
            bencher.iter_custom(|samples| {
                let work = || (0..samples).for_each(|_| server.lifecycles(ROUNDS));
                ours.time(&clock, lifecycles * samples as f64, work)
            });
        });
        let after = server.batches();
        let batch = (after.0 - before.0) / (after.1 - before.1).max(1.0);
        // Transactions in which one lifecycle has a part: each of them moves so many on.
        let moved = (ours.0 / (after.1 - before.1).max(1.0)).round().max(1.0);
        server.stop();

        let path = folder.path().join("floor.db");
        let runtime = runtime();
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
