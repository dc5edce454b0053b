//! Three instances on one PostgreSQL in trouble, one after the other: killed, put to sleep for longer than a
//! term, stopped. Ten real runners work for them beside those of the tests, each by the address of one
//! instance, and senders see to it that there is always something to do.
//!
//! `CRASH_MINUTES=n` goes on for so long; `DISPATCHYARD_IT_SEED` chooses moments and instances.

use std::sync::Arc;
use std::time::Duration;

use dispatchyard::api::wire::StatusView;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use reqwest::Method;
use rustix::process::Signal;

use super::load::Load;
use super::{ALIVE_MS, RUNNERS, WORKFLOW, ask, begin, conclude_at};
use crate::support::wait::Stopwatch;
use crate::support::{Api, RunnerSetup, ServerProcess, Setup, until};

/// How often an instance is in trouble, when nobody says for how long.
const TROUBLES: usize = 6;
/// What happens to one, in turn.
const KINDS: [&str; 3] = ["killed", "asleep", "stopped"];
/// The term of their leader.
const TTL_MS: u64 = 1_500;
/// Real runners.
const REAL_RUNNERS: usize = 10;
/// With more jobs than that in the queue senders wait: the load is steady, and has an end.
const QUEUED_MAX: u64 = 150;
const LOOK: Duration = Duration::from_millis(100);
/// The longest time in which no job is given out, on a machine that is busy with other work.
const GAP_MAX_MS: i64 = 20_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn instances_in_trouble_lose_nothing_and_do_nothing_twice() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let mut random = StdRng::seed_from_u64(number("DISPATCHYARD_IT_SEED").unwrap_or(7));
    let lasts = number("CRASH_MINUTES").map(|minutes| Duration::from_secs(minutes * 60));
    let instances = format!("\n[instances]\nleader_ttl_ms = {TTL_MS}\nlook_interval_ms = 50\n");
    let mut setup = Setup::default().on_postgres().await.workflow("ci", WORKFLOW);
    setup = setup.scheduler("retry_max_attempts", 1_000).more(&instances);
    let (mut homes, mut servers) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        setup = setup.own_port();
        let home = setup.build();
        servers.push(ServerProcess::start(&home).await);
        homes.push(home);
    }
    let apis: Vec<_> = servers.iter().map(|server| server.api.clone()).collect();
    let load = Arc::new(Load::new(apis.clone()));
    let mut tasks = begin(&load, RUNNERS);
    tasks.spawn(feed(Arc::clone(&load), apis.clone()));
    let real = |number: usize| {
        let name = format!("real-{number}");
        RunnerSetup::new(&name).spawn(&homes[number % 3], &apis[number % 3])
    };
    let mut real: Vec<_> = (0..REAL_RUNNERS).map(real).collect();

    let (watch, mut troubles) = (Stopwatch::start(), 0);
    let over = |troubles| lasts.map_or(troubles >= TROUBLES, |lasts| watch.elapsed() >= lasts);
    while !over(troubles) {
        tokio::time::sleep(Duration::from_millis(random.random_range(ALIVE_MS))).await;
        // Mostly the one that leads.
        let leader = until("one leads", async || leader(&apis).await).await;
        let at = if random.random_range(0..4) == 0 { (leader + 1) % 3 } else { leader };
        match KINDS[troubles % 3] {
            "killed" => servers[at].kill().await,
            "asleep" => {
                servers[at].signal(Signal::STOP);
                tokio::time::sleep(Duration::from_millis(TTL_MS + 700)).await;
                servers[at].signal(Signal::CONT);
            }
            _ => {
                servers[at].signal(Signal::TERM);
                assert!(servers[at].ended().await.success(), "{}", servers[at].told());
            }
        }
        if KINDS[troubles % 3] != "asleep" {
            servers[at] = ServerProcess::start(&homes[at]).await;
        }
        troubles += 1;
    }
    let lasted = watch.elapsed();
    let checked = conclude_at(&apis[0], &load, &mut tasks).await;
    for runner in &mut real {
        runner.signal(Signal::TERM);
        assert!(runner.ended().await.success(), "{}", runner.told());
    }
    let gap_ms = checked.longest_gap_ms();
    println!(
        "{troubles} troubles in {} s ({}): {checked}, {}, no job was given out for {gap_ms} ms at most",
        lasted.as_secs(),
        KINDS.join(", "),
        load.counters()
    );
    load.assert_reached();
    assert!(gap_ms < GAP_MAX_MS, "no job was given out for {gap_ms} ms");
}

/// The place of the one that leads.
async fn leader(apis: &[Api]) -> Option<usize> {
    for (at, api) in apis.iter().enumerate() {
        let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
        if answer.text().await.ok()?.trim() == "running" {
            return Some(at);
        }
    }
    None
}

/// Lets senders wait while there is enough to do.
async fn feed(load: Arc<Load>, apis: Vec<Api>) {
    let mut next = apis.iter().cycle();
    while load.is_sending() {
        let Some(api) = next.next() else { return };
        // One that is asleep answers later: another one is asked meanwhile.
        let asked = tokio::time::timeout(LOOK, ask::<StatusView>(api, "/status")).await;
        if let Ok(Some(status)) = asked {
            load.hold_back(status.queue_size > QUEUED_MAX);
        }
        tokio::time::sleep(LOOK).await;
    }
}
