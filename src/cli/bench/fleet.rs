//! `bench fleet`: many polling runners with many live leases over HTTP, some of which die.
//!
//! Jobs are submitted so that as many as `--leases` are outstanding all the time; each runs for
//! about `--run-ms` on a runner that polls, starts, sends heartbeats and completes as a real one
//! does. Every ten seconds a share of the runners dies with all that it has, without a word, and
//! comes back as a new process. At the end nothing more is submitted, and what is outstanding has
//! to end.

mod book;
mod life;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use clap::Args;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::JoinSet;

use super::figure;
use super::http::not_registered;
use super::lifecycle::temporary;
use super::target::{Target, TargetArgs};
use crate::api::wire::SubmitResponse;
use crate::bench::{Seeded, metric};
use crate::cli::console::Console;
use crate::cli::table::{fields, page};
use crate::cli::{CliError, Global};
use crate::clock::{Clock as _, SystemClock};
use book::Book;
use life::{Crew, Hand};

/// Most jobs of each workload that is submitted.
const WORKLOAD_JOBS_MAX: usize = 10;
/// Jobs of each workload that is to wait.
const QUEUED_TOGETHER: usize = 500;
/// How long the fleet may take, beside a job's run, until most of the leases are live.
const RAMP_SECONDS: f64 = 15.0;
/// How long it may take until all polls of the runners are parked.
const PARKED_SECONDS: f64 = 30.0;
/// How often the fleet is looked at.
const SAMPLE: Duration = Duration::from_millis(500);
/// For how long a runner that died is away.
const AWAY: Duration = Duration::from_secs(2);
/// In this time a `--deaths-percent` of the runners dies.
const DEATHS_EVERY_SECONDS: f64 = 10.0;

/// How large a fleet, and for how long.
#[derive(Clone, Debug, Args)]
pub(super) struct FleetArgs {
    /// Runners, each with a poll always open
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=15_000))]
    runners: u64,
    /// Live leases to keep up
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(1..=200_000))]
    leases: u64,
    /// Jobs beside them that wait all the time, for a label that no runner has
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000))]
    queued: u64,
    /// How long a job runs, half as long and half as much again at most
    #[arg(long, value_name = "MS", default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(10..=600_000))]
    run_ms: u64,
    /// Of a hundred runners, how many die in ten seconds
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u64).range(0..=100))]
    deaths_percent: u64,
    /// How long, once all leases are there
    #[arg(long, value_name = "S", default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: u64,
    /// Of our own server: how long leases, and runners that are silent, live
    #[arg(long, value_name = "MS", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1_000..=600_000))]
    lease_ms: u64,
    #[command(flatten)]
    target: TargetArgs,
}

/// What was measured.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct FleetReport {
    /// Runners.
    pub runners: usize,
    /// Jobs that waited beside them.
    pub queued: usize,
    /// Leases that were to be live.
    pub leases: usize,
    /// How long all leases were there, in seconds.
    pub seconds: u64,
    /// Live leases, as the runners know them, in the middle of the samples.
    pub live_median: usize,
    /// Jobs submitted.
    pub submitted: usize,
    /// Jobs that ended well.
    pub completed: usize,
    /// The same in percent.
    pub success_percent: f64,
    /// Jobs that two attempts could complete: always 0.
    pub completed_twice: usize,
    /// Runners that died with what they had.
    pub deaths: usize,
    /// Completions that came too late, because the lease was another's by then.
    pub late_completions: usize,
    /// Leases of the runner that had most, against the mean of the runners that lived: the median
    /// of the samples.
    pub most_to_mean: f64,
    /// The same in the worst sample.
    pub most_to_mean_worst: f64,
    /// Jobs that ended in a second.
    pub completed_per_s: f64,
    /// Memory of our own server in megabytes, while all runners waited and nobody had anything.
    pub resident_waiting_mb: Option<f64>,
    /// The same in the mean of the first third of the time.
    pub resident_first_mb: Option<f64>,
    /// The same in the last third.
    pub resident_last_mb: Option<f64>,
}

/// One look at the fleet.
struct Sample {
    live: usize,
    most_to_mean: f64,
    resident_mb: Option<f64>,
}

pub(super) async fn run(
    args: FleetArgs,
    global: &Global,
    console: &mut Console,
) -> Result<(), CliError> {
    if args.leases < args.runners {
        return Err(CliError::Usage {
            message: format!("{} leases are fewer than {} runners", args.leases, args.runners),
            hint: "a spread over runners means something when each can have one".to_owned(),
        });
    }
    let target = if args.target.running_server {
        Target::running(&args.target, global)?
    } else {
        let folder = temporary(&args.target.dir, console)?;
        Target::own(folder, args.lease_ms).await?
    };
    let report = measure(&args, &target, console).await;
    target.stop().await;
    console.report(&report?, table)
}

async fn measure(
    args: &FleetArgs,
    target: &Target,
    console: &mut Console,
) -> Result<FleetReport, CliError> {
    let clock = SystemClock::new();
    let (runners, leases) = (args.runners as usize, args.leases as usize);
    let book = Arc::new(Book::default());
    let crew = Arc::new(Crew {
        wire: target.wire.clone(),
        token: target.token.clone(),
        pool: target.pool.clone(),
        // Half as many again as are wanted, so that there is a choice.
        slots: (leases * 3).div_ceil(runners * 2).max(1) as u32,
        run_ms: args.run_ms,
        book: Arc::clone(&book),
    });
    queue(&crew, args.queued as usize).await?;
    let mut hands = Vec::with_capacity(runners);
    for number in 0..runners {
        let hand = Hand::begin(Arc::clone(&crew), number).await;
        hands.push(hand.ok_or_else(|| not_registered(target.wire.base()))?);
    }
    all_are_parked(&crew, runners, &clock).await;
    let resident_waiting_mb = target.resident_mb();
    let mut background = JoinSet::new();
    background.spawn(submit(Arc::clone(&crew), leases));
    console.remark(&format!("{runners} runners wait; now for {leases} leases"));
    let full = |hands: &[Hand]| live(hands) * 10 >= leases * 8;
    let began = clock.seconds();
    while !full(&hands) && clock.seconds() - began < RAMP_SECONDS + args.run_ms as f64 / 1e3 {
        tokio::time::sleep(SAMPLE).await;
    }
    console.remark(&format!("{} leases are live; {} s from now", live(&hands), args.seconds));

    let (mut samples, mut deaths, mut random) = (Vec::new(), 0, Seeded(7));
    let deaths_per_s = args.deaths_percent as f64 / 100.0 * runners as f64 / DEATHS_EVERY_SECONDS;
    let (began, completed_before) = (clock.seconds(), book.completed());
    loop {
        let passed = clock.seconds() - began;
        if passed >= args.seconds as f64 {
            break;
        }
        while (deaths as f64) < deaths_per_s * passed {
            let at = random.below(hands.len());
            hands[at].die_and_return(AWAY);
            deaths += 1;
        }
        crew.ask_after_the_unheard().await;
        samples.push(look(&hands, target));
        tokio::time::sleep(SAMPLE).await;
    }
    let seconds = clock.seconds() - began;
    let completed_per_s = (book.completed() - completed_before) as f64 / seconds;

    console.remark("nothing more is submitted; what is outstanding has to end");
    book.closed.store(true, Ordering::SeqCst);
    // Each job may have to wait for a lease that nobody keeps, and then to run.
    let patience = 30.0 + 3.0 * (args.run_ms * 2 + args.lease_ms) as f64 / 1e3;
    let closed = clock.seconds();
    while book.outstanding() > 0 && clock.seconds() - closed < patience {
        tokio::time::sleep(SAMPLE).await;
        crew.ask_after_the_unheard().await;
    }
    background.shutdown().await;
    for hand in hands {
        hand.end().await;
    }
    let report = told(args, &book, &samples, deaths, completed_per_s);
    Ok(FleetReport { resident_waiting_mb, ..report })
}

/// Waits until every runner has a poll at the server, for a while: what is measured then is less.
async fn all_are_parked(crew: &Crew, runners: usize, clock: &SystemClock) {
    let began = clock.seconds();
    while clock.seconds() - began < PARKED_SECONDS {
        if metric(&crew.wire.metrics().await, "dispatchyard_polls_parked ") >= runners as f64 {
            return;
        }
        tokio::time::sleep(SAMPLE).await;
    }
}

/// Submits jobs that no runner can take.
async fn queue(crew: &Crew, jobs: usize) -> Result<(), CliError> {
    let needs = json!({ "labels": ["of-no-runner"] });
    let job = |at: usize| {
        let work = json!({ "steps": [{ "run": "true" }] });
        json!({ "name": format!("job-{at}"), "work": work, "requirements": needs })
    };
    for from in (0..jobs).step_by(QUEUED_TOGETHER) {
        let jobs: Vec<_> = (from..jobs.min(from + QUEUED_TOGETHER)).map(job).collect();
        let workload = json!({ "name": "waits", "jobs": jobs });
        let answer: Option<SubmitResponse> =
            crew.wire.post("workloads", &crew.token, &workload).await;
        answer.ok_or_else(|| CliError::Usage {
            message: format!("{} did not take jobs that are to wait", crew.wire.base()),
            hint: "fewer in --queued, or a higher queue_jobs_max in [limits]".to_owned(),
        })?;
    }
    Ok(())
}

/// Keeps as many jobs outstanding as there are to be leases.
async fn submit(crew: Arc<Crew>, leases: usize) {
    let job = |at: usize| json!({ "name": format!("job-{at}"), "work": { "steps": [{ "run": "true" }] } });
    let many = (leases / 100).clamp(1, WORKLOAD_JOBS_MAX);
    let jobs: Vec<_> = (0..many).map(job).collect();
    let workload = json!({ "name": "bench", "jobs": jobs });
    let mut senders = JoinSet::new();
    for _ in 0..4 {
        let (crew, workload) = (Arc::clone(&crew), workload.clone());
        senders.spawn(async move {
            let book = &crew.book;
            while !book.closed.load(Ordering::SeqCst) {
                if !book.reserve(many, leases) {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    continue;
                }
                let answer: Option<SubmitResponse> =
                    crew.wire.post("workloads", &crew.token, &workload).await;
                if answer.is_none() {
                    book.give_up(many);
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            }
        });
    }
    while senders.join_next().await.is_some() {}
}

fn live(hands: &[Hand]) -> usize {
    hands.iter().filter_map(Hand::live).sum()
}

fn look(hands: &[Hand], target: &Target) -> Sample {
    let alive: Vec<_> = hands.iter().filter_map(Hand::live).collect();
    let live: usize = alive.iter().sum();
    let mean = live as f64 / alive.len().max(1) as f64;
    let most = alive.iter().copied().max().unwrap_or(0) as f64;
    let most_to_mean = if mean > 0.0 { most / mean } else { 0.0 };
    Sample { live, most_to_mean, resident_mb: target.resident_mb() }
}

fn told(
    args: &FleetArgs,
    book: &Book,
    samples: &[Sample],
    deaths: usize,
    completed_per_s: f64,
) -> FleetReport {
    let third = (samples.len() / 3).max(1);
    let mean = |samples: &[Sample]| {
        let known: Vec<_> = samples.iter().filter_map(|it| it.resident_mb).collect();
        (!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64)
    };
    let mut live: Vec<_> = samples.iter().map(|it| it.live).collect();
    live.sort_unstable();
    let mut spread: Vec<_> = samples.iter().map(|it| it.most_to_mean).collect();
    spread.sort_unstable_by(f64::total_cmp);
    let (submitted, completed) = (book.submitted(), book.completed());
    FleetReport {
        runners: args.runners as usize,
        queued: args.queued as usize,
        leases: args.leases as usize,
        seconds: args.seconds,
        live_median: live.get(live.len() / 2).copied().unwrap_or(0),
        submitted,
        completed,
        success_percent: completed as f64 * 100.0 / submitted.max(1) as f64,
        completed_twice: book.completed_twice(),
        deaths,
        late_completions: book.late(),
        most_to_mean: spread.get(spread.len() / 2).copied().unwrap_or(0.0),
        most_to_mean_worst: spread.last().copied().unwrap_or(0.0),
        completed_per_s,
        resident_waiting_mb: None,
        resident_first_mb: mean(&samples[..third.min(samples.len())]),
        resident_last_mb: mean(&samples[samples.len().saturating_sub(third)..]),
    }
}

fn table(report: &FleetReport) -> String {
    let FleetReport { runners, queued, leases, seconds, live_median, deaths, .. } = report;
    let memory = report.resident_first_mb.zip(report.resident_last_mb).map(|(first, last)| {
        let change = (last / first.max(f64::EPSILON) - 1.0) * 100.0;
        let text =
            format!("{first:.1} MB in the first third, {last:.1} MB in the last: {change:+.1} %");
        ("memory of the server", text)
    });
    let glance = [
        ("fleet", format!("{runners} runners, {live_median} of {leases} leases for {seconds} s")),
        (
            "jobs",
            format!(
                "{} submitted, {} completed, {queued} waited",
                report.submitted, report.completed
            ),
        ),
        ("success", format!("{:.3} %, {} twice", report.success_percent, report.completed_twice)),
        ("deaths", format!("{deaths}, {} late completions refused", report.late_completions)),
        (
            "spread",
            format!(
                "most to mean {}, {} at worst",
                figure(report.most_to_mean),
                figure(report.most_to_mean_worst)
            ),
        ),
        ("completed/s", figure(report.completed_per_s)),
    ];
    let waiting = report.resident_waiting_mb;
    let waiting = waiting.map(|mb| ("memory while all waited", format!("{mb:.1} MB")));
    page([fields(glance.into_iter().chain(waiting).chain(memory))])
}
