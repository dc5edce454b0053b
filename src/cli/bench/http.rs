//! `bench http`: signed webhooks to waiting runners over HTTP, durable, the server in a process of
//! its own.
//!
//! First an open loop: deliveries are sent at a fixed rate, however long the answers take, and the
//! time counts from when each was to be sent to when a runner has its job in hands. Then a closed
//! loop without runners: how many deliveries the server accepts in a second.

mod open;
mod sender;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use super::figure;
use super::lifecycle::temporary;
use super::target::{OwnServer, Target, TargetArgs};
use super::wire::{Registered, Wire};
use crate::api::wire::PollRequest;
use crate::bench::{Percentiles, batches};
use crate::cli::console::Console;
use crate::cli::table::{fields, page};
use crate::cli::{CliError, Global};
use crate::clock::{Clock as _, SystemClock};
use crate::model::WorkloadId;
use crate::webhook::Secret;
use open::Sent;
use sender::Sender;

/// The first deliveries warm up and are not counted.
const WARM_UP_SECONDS: u64 = 1;
/// How long a job may take to reach a runner after the last delivery was sent.
const PATIENCE_SECONDS: f64 = 10.0;
/// Leases of our own server: long enough for any pause of a busy machine.
const LEASE_MS: u64 = 60_000;

/// How much to send.
#[derive(Clone, Debug, Args)]
pub(super) struct HttpArgs {
    /// Deliveries in a second in the open loop
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    rate: u64,
    /// How long each of the two loops lasts
    #[arg(long, value_name = "S", default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    seconds: u64,
    /// Runners that wait
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    runners: u64,
    /// Senders at the same time in the closed loop
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u64).range(1..=5_000))]
    connections: u64,
    /// Of a hundred deliveries, how many have a body of 25 MB
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=100))]
    large_percent: u64,
    #[command(flatten)]
    target: TargetArgs,
    /// The source on a running server; a trigger there must make one job of a push
    #[arg(long, value_name = "NAME", default_value = "github")]
    source: String,
    /// The file with the source's secret on a running server
    #[arg(long, value_name = "FILE", required_if_eq("running_server", "true"))]
    secret_file: Option<PathBuf>,
}

/// How much to send, in one place for the verb and for `cargo bench`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HttpLoad {
    /// Deliveries in a second in the open loop.
    pub rate: u64,
    /// How long each of the two loops lasts.
    pub seconds: u64,
    /// Runners that wait.
    pub runners: usize,
    /// Senders at the same time in the closed loop.
    pub connections: usize,
    /// Of a hundred deliveries, how many have a body of 25 MB.
    pub large_percent: u64,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct HttpReport {
    /// Deliveries in a second that were to be sent in the open loop.
    pub rate: u64,
    /// How long each loop lasted.
    pub seconds: u64,
    /// Runners that waited.
    pub runners: usize,
    /// Deliveries of the open loop that are counted.
    pub deliveries: usize,
    /// How many of them were refused, or not answered.
    pub not_accepted: usize,
    /// How many were accepted before anybody decided what to start, as it is while the leader or
    /// its database is away.
    pub undecided: usize,
    /// How many were accepted, and their job reached no runner in 10 s.
    pub lost: usize,
    /// From the time at which a delivery was to be sent to its job in a runner's hands.
    pub to_runner_ms: Percentiles,
    /// From the same time to the answer that accepts it.
    pub to_answer_ms: Percentiles,
    /// How late the sender was: what is no fault of the server's.
    pub sent_late_ms: Percentiles,
    /// Commands in a transaction, as the open loop made them.
    pub commands_per_transaction: f64,
    /// Deliveries accepted in a second of the closed loop, in which no runner asks.
    pub accepted_per_s: f64,
    /// Deliveries of the closed loop that were not accepted.
    pub refused: u64,
    /// Commands in a transaction, as the closed loop made them.
    pub closed_commands_per_transaction: f64,
    /// Memory of our own server at the end, in megabytes.
    pub resident_mb: Option<f64>,
}

pub(super) async fn run(
    args: HttpArgs,
    global: &Global,
    console: &mut Console,
) -> Result<(), CliError> {
    let (target, secret) = if args.target.running_server {
        let path = args.secret_file.clone().unwrap_or_default();
        let text = std::fs::read(&path).map_err(|source| CliError::File { path, source })?;
        let secret = Secret::from_text(&text).map_err(|error| CliError::Usage {
            message: error.to_string(),
            hint: "the secret is the one that the server has for the source".to_owned(),
        })?;
        (Target::running(&args.target, global)?, secret.secret)
    } else {
        let folder = temporary(&args.target.dir, console)?;
        (Target::own(folder, LEASE_MS).await?, Target::own_secret()?)
    };
    let load = HttpLoad {
        rate: args.rate,
        seconds: args.seconds,
        runners: args.runners as usize,
        connections: args.connections as usize,
        large_percent: args.large_percent,
    };
    let sender = Sender::new(&target.wire, &args.source, &secret, load.large_percent)?;
    let report = measure(&target, sender, load, |what| console.remark(what)).await;
    target.stop().await;
    console.report(&report?, table)
}

/// Measures a server of our own in that folder, which is the program at that path: what `cargo
/// bench` calls.
///
/// # Errors
/// The server does not start, or refuses our runners.
pub async fn http(program: &Path, folder: &Path, load: HttpLoad) -> Result<HttpReport, CliError> {
    let target = Target::start(OwnServer { program, folder, lease_ms: LEASE_MS }).await?;
    let sender = Sender::new(&target.wire, "github", &Target::own_secret()?, load.large_percent)?;
    let report = measure(&target, sender, load, |_| {}).await;
    target.stop().await;
    report
}

/// How many deliveries whoever listens there accepts in a second, in the closed loop of
/// [`http`]: for a floor to compare a server with.
///
/// # Errors
/// A delivery cannot be signed, which is a fault of the measurement.
pub async fn accepted_per_s(base: &str, load: HttpLoad) -> Result<f64, CliError> {
    let wire = Wire::new(base.to_owned());
    let sender = Sender::new(&wire, "github", &Target::own_secret()?, load.large_percent)?;
    let (accepted, _, seconds) = closed_loop(&sender, load, &Arc::new(SystemClock::new())).await;
    Ok(accepted as f64 / seconds)
}

/// When each workload's job reached a runner, in seconds of the measurement's clock.
type Arrivals = Arc<Mutex<HashMap<WorkloadId, f64>>>;

async fn measure(
    target: &Target,
    sender: Sender,
    load: HttpLoad,
    mut tell: impl FnMut(&str),
) -> Result<HttpReport, CliError> {
    let clock = Arc::new(SystemClock::new());
    let arrivals = Arrivals::default();
    let mut runners = JoinSet::new();
    for number in 0..load.runners {
        let pool = target.pool.as_deref();
        let hello = Registered::hello(&target.wire, &target.token, pool, (number, 1), 100).await;
        let runner = hello.ok_or_else(|| not_registered(target.wire.base()))?;
        runners.spawn(work(runner, Arc::clone(&clock), Arc::clone(&arrivals)));
    }
    tell(&format!("{} deliveries/s for {} s", load.rate, load.seconds));
    let before = batches(&target.wire.metrics().await);
    let mut sent = open::send(&sender, load, &clock).await;
    let not_accepted = sent.iter().filter(|it| it.accepted.is_none()).count();
    let undecided = sent.iter().filter(|it| it.is_undecided()).count();
    let last = clock.seconds();
    let seen =
        |id: &WorkloadId| arrivals.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied();
    let waits_for =
        |sent: &Sent| sent.is_undecided() || sent.workload().is_some_and(|id| seen(&id).is_none());
    while sent.iter().any(waits_for) && clock.seconds() - last < PATIENCE_SECONDS {
        tokio::time::sleep(Duration::from_millis(20)).await;
        open::look_up(&mut sent, target).await;
    }
    let between = batches(&target.wire.metrics().await);
    runners.shutdown().await;
    let arrived: Vec<_> =
        sent.iter().filter_map(|it| Some((it, seen(&it.workload()?)? - it.scheduled))).collect();
    let ms = |values: Vec<f64>| {
        Percentiles::of(&mut values.iter().map(|seconds| seconds * 1e3).collect::<Vec<_>>())
    };
    let to_runner_ms = ms(arrived.iter().map(|(_, waited)| *waited).collect());
    let to_answer_ms = ms(arrived.iter().map(|(it, _)| it.answered - it.scheduled).collect());
    let sent_late_ms = ms(sent.iter().map(|it| it.sent - it.scheduled).collect());

    tell(&format!("{} senders for {} s, without runners", load.connections, load.seconds));
    let (accepted, refused, seconds) = closed_loop(&sender, load, &clock).await;
    let after = batches(&target.wire.metrics().await);
    let per_transaction =
        |(from, to): ((f64, f64), (f64, f64))| (to.0 - from.0) / (to.1 - from.1).max(1.0);
    Ok(HttpReport {
        rate: load.rate,
        seconds: load.seconds,
        runners: load.runners,
        deliveries: sent.len(),
        not_accepted,
        undecided,
        lost: sent.len() - not_accepted - arrived.len(),
        to_runner_ms,
        to_answer_ms,
        sent_late_ms,
        commands_per_transaction: per_transaction((before, between)),
        accepted_per_s: accepted as f64 / seconds,
        refused,
        closed_commands_per_transaction: per_transaction((between, after)),
        resident_mb: target.resident_mb(),
    })
}

/// What is said when a server takes no runner of ours.
pub(super) fn not_registered(server: &str) -> CliError {
    CliError::Usage {
        message: format!("{server} did not register a runner of this measurement"),
        hint: "--token-file with a token that may register runners in --pool".to_owned(),
    }
}

/// Each sender sends the next delivery when the last one was answered. How many were accepted and
/// refused, in how many seconds.
async fn closed_loop(sender: &Sender, load: HttpLoad, clock: &Arc<SystemClock>) -> (u64, u64, f64) {
    let began = clock.seconds();
    let ends = began + load.seconds as f64;
    let next = Arc::new(AtomicU64::new(load.rate * (load.seconds + WARM_UP_SECONDS)));
    let mut senders = JoinSet::new();
    for _ in 0..load.connections {
        let (sender, clock, next) = (sender.clone(), Arc::clone(clock), Arc::clone(&next));
        senders.spawn(async move {
            let (mut accepted, mut refused) = (0, 0);
            while clock.seconds() < ends {
                let number = next.fetch_add(1, Ordering::Relaxed);
                match sender.send(number, load.large_percent).await {
                    Some(_) => accepted += 1,
                    None => {
                        refused += 1;
                        // A server that refuses is not asked as fast as it can say no.
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    }
                }
            }
            (accepted, refused)
        });
    }
    let (mut accepted, mut refused) = (0, 0);
    while let Some(done) = senders.join_next().await {
        let (more, less): (u64, u64) = done.unwrap_or_default();
        accepted += more;
        refused += less;
    }
    (accepted, refused, (clock.seconds() - began).max(f64::EPSILON))
}

/// A runner with a poll always open, which starts and completes what it gets.
async fn work(runner: Registered, clock: Arc<SystemClock>, arrivals: Arrivals) {
    let mut leases = Vec::new();
    let mut jobs = JoinSet::new();
    loop {
        let poll = PollRequest { wait_ms: 20_000, leases, ..PollRequest::default() };
        let Some(answer) = runner.poll(&poll).await else {
            // Perhaps the server is busy; a runner asks again.
            tokio::time::sleep(Duration::from_millis(50)).await;
            leases = Vec::new();
            continue;
        };
        let now = clock.seconds();
        leases = answer.jobs.iter().map(|job| job.lease).collect();
        for job in answer.jobs {
            let mut seen = arrivals.lock().unwrap_or_else(PoisonError::into_inner);
            seen.entry(job.workload_id).or_insert(now);
            drop(seen);
            let runner = runner.clone();
            jobs.spawn(async move {
                if runner.start(&job).await {
                    runner.complete(&job).await;
                }
            });
        }
        while jobs.try_join_next().is_some() {}
    }
}

fn table(report: &HttpReport) -> String {
    let ms = |it: Percentiles| {
        let [p50, p99, max] = [it.p50, it.p99, it.max].map(figure);
        format!("p50 {p50} ms, p99 {p99} ms, max {max} ms")
    };
    let HttpReport { rate, seconds, runners, deliveries, refused, .. } = report;
    let HttpReport { not_accepted, undecided, lost, .. } = report;
    let became = format!(
        "{deliveries}: {not_accepted} not accepted, {undecided} decided later, {lost} lost"
    );
    let memory = report.resident_mb.map(|mb| ("memory of the server", format!("{mb:.0} MB")));
    let glance = [
        ("open loop", format!("{rate} deliveries/s for {seconds} s, {runners} runners")),
        ("deliveries", became),
        ("to a runner", ms(report.to_runner_ms)),
        ("to the answer", ms(report.to_answer_ms)),
        ("sent late by", ms(report.sent_late_ms)),
        ("commands/commit", figure(report.commands_per_transaction)),
        ("closed loop", format!("{} accepted/s, {refused} refused", figure(report.accepted_per_s))),
        ("commands/commit", figure(report.closed_commands_per_transaction)),
    ];
    page([fields(glance.into_iter().chain(memory))])
}
