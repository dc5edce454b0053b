//! A server that ends at a named point of its store, or is told there that the store failed, again
//! and again: what was answered is there, and every job ends once.
//!
//! The server is a process of its own on real files, or on a real PostgreSQL. It is this test's
//! program, started again, because the one that users have cannot be told to do that. Which call of
//! a point it is, and which points in which order, is a matter of the seed (`DISPATCHYARD_IT_SEED`);
//! `CRASH_RUNS=n` has so many ends, in rounds of which each begins with an empty database. Every point
//! must be reached in both ways.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dispatchyard::api::wire::DeliveryAccepted;
use dispatchyard::app::{App, AppOptions};
use dispatchyard::config::Config;
use dispatchyard::store::{AtPoint, Planted, Point};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use super::load::Load;
use super::{WORKFLOW, begin, conclude};
use crate::support::hook::{fixture, try_answer};
use crate::support::{Api, Home, Hook, ServerProcess, Setup};

/// Where the child finds its configuration, and what it is to do.
const CHILD: &str = "DISPATCHYARD_TEST_CRASH_CONFIG";
const ARMED: &str = "DISPATCHYARD_TEST_CRASH_AT";
/// In the home: a file to which the child adds a line when it has reached its point.
const REACHED: &str = "reached";

/// Enough that no queue is left over, though they forget jobs whose leases have to expire.
const RUNNERS: u64 = 9;
/// How long a child lives at most that does not reach its point.
const ALIVE_MAX: Duration = Duration::from_secs(4);
/// How long one lives after it was ready, if it is not its point that ends it.
const ALIVE_MS: std::ops::Range<u64> = 50..250;
/// The longest that a child lives without anybody who ends it.
const ORPHAN_LIMIT: Duration = Duration::from_secs(60);
/// Between two looks, and between two deliveries that are repeated.
const STEP: Duration = Duration::from_millis(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_at_any_point_of_its_store_loses_nothing() {
    if let Ok(config) = std::env::var(CHILD) {
        return serve(Path::new(&config)).await;
    }
    println!("{}", rounds(Armed::all(false), async || Setup::default()).await);
}

/// What has ended may still be committing there when the next one starts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_on_postgresql() {
    if let Ok(config) = std::env::var(CHILD) {
        return serve(Path::new(&config)).await;
    }
    println!("{}", rounds(Armed::all(true), async || Setup::default().on_postgres().await).await);
}

/// At which call of which point something happens.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Armed {
    point: Point,
    /// The process ends there; else it is told that the store failed.
    ends: bool,
}

impl Armed {
    /// The places that a round goes through: each point that there is in both ways.
    fn all(is_shared: bool) -> Vec<Self> {
        let there = |point: &Point| is_shared || point.is_on_sqlite();
        let both =
            |ends| Point::ALL.into_iter().filter(there).map(move |point| Self { point, ends });
        both(true).chain(both(false)).collect()
    }

    /// Which call it is: the first where a server comes by at its start or end only, or when a batch
    /// has nothing but deliveries that it knows.
    fn nth(self, dice: &mut StdRng) -> u64 {
        use Point::{Closed, Closing, Loaded, Locked, Migrated, Opened, Raised, RolledBack};
        match self.point {
            Locked | Migrated | Opened | Raised | Loaded | RolledBack | Closing | Closed => 1,
            _ => dice.random_range(1..=8),
        }
    }

    fn is_at_the_end(self) -> bool {
        matches!(self.point, Point::Closing | Point::Closed)
    }

    fn text(self, nth: u64) -> String {
        let at = Point::ALL.iter().position(|point| *point == self.point).unwrap();
        format!("{at} {} {nth}", u8::from(self.ends))
    }

    fn parse(text: &str) -> (Self, u64) {
        let numbers: Vec<u64> = text.split(' ').map(|part| part.parse().unwrap()).collect();
        let point = Point::ALL[usize::try_from(numbers[0]).unwrap()];
        (Self { point, ends: numbers[1] == 1 }, numbers[2])
    }
}

/// The child: a server that does at its point what it was told.
async fn serve(config: &Path) {
    let (armed, nth) = Armed::parse(&std::env::var(ARMED).unwrap());
    let reached = config.with_file_name(REACHED);
    let planted = Planted { at: Some(at_point(armed, nth, reached)), ..Planted::default() };
    let config = Config::load(config, []).unwrap_or_else(|error| panic!("{error}"));
    let secrets = config.load_secrets(|_| None).unwrap_or_else(|error| panic!("{error}"));
    let mut terminate = signal(SignalKind::terminate()).unwrap();
    let options = AppOptions { planted, ..AppOptions::default() };
    // Told while it opens its store that this failed, it does not start.
    let Ok(app) = App::start(config, secrets, options).await else { return };
    let _ = tokio::time::timeout(ORPHAN_LIMIT, terminate.recv()).await;
    app.stop().await;
}

fn at_point(armed: Armed, nth: u64, reached: PathBuf) -> AtPoint {
    let calls = AtomicU64::new(0);
    Arc::new(move |point| {
        if point != armed.point || calls.fetch_add(1, Ordering::Relaxed) + 1 != nth {
            return Ok(());
        }
        std::fs::write(&reached, armed.text(nth)).unwrap();
        if armed.ends {
            // As a power button: nothing of this process runs any more.
            kill_process(rustix::process::getpid(), Signal::KILL).unwrap();
            std::process::abort();
        }
        Err(format!("planted at {point:?}"))
    })
}

/// A child process on a home.
struct Server<'a> {
    home: &'a Home,
    child: Child,
}

impl<'a> Server<'a> {
    fn start(home: &'a Home, armed: Armed, nth: u64) -> Self {
        let _ = std::fs::remove_file(home.file(REACHED));
        let name = std::thread::current().name().unwrap().to_owned();
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env(CHILD, home.config_file())
            .env(ARMED, armed.text(nth))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        Self { home, child: child.unwrap() }
    }

    fn has_reached(&self) -> bool {
        self.home.file(REACHED).exists()
    }

    /// Waits for the end, so long at most.
    async fn ended_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok().map(Result::unwrap)
    }

    async fn end(&mut self, by: Signal) {
        if let Some(id) = self.child.id() {
            kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap(), by).unwrap();
        }
        if self.ended_within(Duration::from_secs(20)).await.is_none() {
            panic!("the server does not end");
        }
    }

    /// Waits until it answers, or has ended.
    async fn is_ready(&mut self, api: &Api) -> bool {
        for _ in 0..2_000 {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let answer = api.try_ask(Method::GET, "/status", None).await;
            if answer.is_some_and(|answer| answer.status == 200) {
                return true;
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("the server neither answers nor ends");
    }
}

/// How often a server is started for a place that it has not reached.
const TRIES_MAX: usize = 15;

/// Rounds, as many as it takes for all ends; what they came to.
async fn rounds(places: Vec<Armed>, setup: impl AsyncFn() -> Setup) -> String {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let all = places.len();
    let ends = number("CRASH_RUNS").map_or(all, |ends| usize::try_from(ends).unwrap());
    let mut dice = StdRng::seed_from_u64(number("DISPATCHYARD_IT_SEED").unwrap_or(7));
    let mut reached = BTreeSet::new();
    let (mut done, mut rounds, mut seen) = (0, 0, String::new());
    while done < ends {
        let setup = setup().await;
        let some = &places[..all.min(ends - done)];
        let (ends, what) = round(setup, &mut dice, &mut reached, some, some.len() == all).await;
        (done, rounds, seen) = (done + ends, rounds + 1, seen + &what + "\n");
    }
    let missed: Vec<_> = places.iter().filter(|armed| !reached.contains(armed)).collect();
    assert!(missed.is_empty() || ends < all, "never reached: {missed:?}");
    let reached = reached.len();
    format!("{seen}{done} ends in {rounds} rounds, {reached} of {all} places reached")
}

/// One server after the other on one database, then a look at what they left: how many ended, and
/// what was seen.
async fn round(
    setup: Setup,
    dice: &mut StdRng,
    reached: &mut BTreeSet<Armed>,
    places: &[Armed],
    is_whole: bool,
) -> (usize, String) {
    let setup = setup.own_port().workflow("ci", WORKFLOW).scheduler("retry_max_attempts", 1_000);
    // Every body is large.
    let home = setup.limit("body_inline_bytes_max", 100).build();
    let api = Api::new(home.config().server.listen);
    let load = Arc::new(Load::new(vec![api.clone()]));
    let mut tasks = begin(&load, RUNNERS);
    tasks.spawn(repeat(Arc::clone(&load), api.clone(), StdRng::seed_from_u64(dice.random())));
    let mut done = 0;
    for &armed in places {
        // What is rare may not come by in time, least of all on a busy machine.
        for _ in 0..TRIES_MAX {
            done += 1;
            if one_end(&home, &api, armed, dice).await {
                reached.insert(armed);
                break;
            }
        }
    }
    // The one that users have.
    let server = ServerProcess::start(&home).await;
    let (_, checked) = conclude(&server, &load, &mut tasks).await;
    for (name, id) in load.acknowledged() {
        let path = format!("/deliveries/{id}/body");
        let body = server.api.try_ask(Method::GET, &path, None).await.unwrap();
        assert_eq!((body.status, body.text.into_bytes()), (200, fixture("push")), "{name}");
    }
    // The last round may have a few ends only.
    if is_whole {
        load.assert_reached();
    }
    (done, format!("{checked}, {}", load.counters()))
}

/// A server that ends by its point, or is ended a while after it is ready. Whether it reached its
/// point.
async fn one_end(home: &Home, api: &Api, armed: Armed, dice: &mut StdRng) -> bool {
    let nth = armed.nth(dice);
    let mut server = Server::start(home, armed, nth);
    let ready = server.is_ready(api).await;
    if ready && armed.ends && !armed.is_at_the_end() {
        let _ = server.ended_within(ALIVE_MAX).await;
    } else if ready {
        let mut waited = Duration::ZERO;
        while !server.has_reached() && waited < ALIVE_MAX && !armed.is_at_the_end() {
            tokio::time::sleep(STEP).await;
            waited += STEP;
        }
        // It goes on after what it was told.
        tokio::time::sleep(Duration::from_millis(dice.random_range(ALIVE_MS))).await;
    }
    let by = if armed.is_at_the_end() { Signal::TERM } else { Signal::KILL };
    server.end(by).await;
    server.has_reached()
}

/// Sends deliveries again that were acknowledged: each is answered with what was answered first.
async fn repeat(load: Arc<Load>, api: Api, mut dice: StdRng) {
    let hook = Hook::new(&api);
    while load.is_sending() {
        tokio::time::sleep(STEP).await;
        let acknowledged: Vec<_> = load.acknowledged().into_iter().collect();
        let Some((name, id)) = acknowledged.choose(&mut dice) else { continue };
        let Some(answer) = try_answer(hook.signed("push", name, fixture("push"))).await else {
            continue;
        };
        if answer.status != 503 {
            let again: DeliveryAccepted = answer.json();
            assert_eq!((again.delivery_id, again.duplicate), (*id, true), "{name}");
        }
    }
}
