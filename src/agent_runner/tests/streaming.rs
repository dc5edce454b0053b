//! Work that comes by a stream, and what a runner does without one.

use std::sync::Arc;

use crate::agent_runner::WorkTransport;
use crate::clock::Clock as _;
use crate::model::{AttemptOutcome, LeaseToken};

use super::Runner;
use super::fake::{Fake, World};

/// A server with streams.
fn with_streams() -> Arc<Fake> {
    let fake = Fake::start();
    fake.world().has_streams = true;
    fake
}

async fn done(fake: &Fake, lease: LeaseToken) {
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, seen.starts), (AttemptOutcome::Completed, 1));
}

async fn streams(fake: &Fake, many: usize) {
    let opened = |world: &World| (world.streams.len() >= many).then_some(());
    fake.wait(&format!("{many} streams"), opened).await;
}

#[tokio::test]
async fn jobs_come_by_the_stream_and_heartbeats_keep_it_open() {
    let fake = with_streams();
    let runner = Runner::start(&fake, |_| {});
    for _ in 0..3 {
        let lease = fake.submit(&["true"]);
        done(&fake, lease).await;
    }
    let before = fake.world().heartbeats;
    fake.wait("heartbeats without a job", |it| (it.heartbeats > before + 2).then_some(())).await;
    {
        let world = fake.world();
        assert_eq!((world.polls.len(), world.streams.len()), (0, 1));
    }
    runner.drain().await;
}

#[tokio::test]
async fn what_is_cancelled_or_lost_is_heard_at_once() {
    let fake = with_streams();
    fake.world().heartbeat_interval_ms = 600_000;
    let runner = Runner::start(&fake, |_| {});
    let cancelled = fake.submit(&["trap 'echo tidy; exit 3' TERM; echo up; sleep 600 & wait"]);
    fake.logged(cancelled, "up").await;
    fake.change(|world| world.cancel.insert(cancelled));
    let (end, seen) = fake.completed(cancelled).await;
    assert_eq!(end.outcome, AttemptOutcome::Cancelled);
    assert!(seen.lines().contains(&"tidy".to_owned()), "{}", seen.text());
    // Its slot is given away before its work is dead.
    let lost = fake.submit(&["trap '' TERM; echo up; while :; do sleep 600; done"]);
    fake.logged(lost, "up").await;
    let next = fake.submit(&["true"]);
    fake.change(|world| world.lost.insert(lost));
    done(&fake, next).await;
    assert!(fake.world().leases[&lost].completions.is_empty());
    assert_eq!(fake.world().polls.len(), 0);
    runner.drain().await;
}

/// The figure is printed: `cargo nextest run --lib --no-capture a_broken_stream`. The wait before the
/// next stream is long here: one that opens at once would be in the place of the poll.
#[tokio::test]
async fn a_broken_stream_is_followed_by_a_poll_at_once_and_by_another_stream() {
    const ROUNDS: usize = 5;
    const RETRY_MS: u64 = 400;
    let fake = with_streams();
    let runner = Runner::start(&fake, |options| options.retry_initial_ms = RETRY_MS);
    let mut took_ms = Vec::new();
    for round in 1..=ROUNDS {
        streams(&fake, round).await;
        // What came over it shows that it is open at the other end, too.
        let lease = fake.submit(&["true"]);
        done(&fake, lease).await;
        let polls = fake.world().polls.len();
        let cut_at = fake.clock.seconds();
        fake.change(|world| world.streams_cut = round);
        let polled = |world: &World| world.polled_at.get(polls).copied();
        let polled_at = fake.wait("a poll after the break", polled).await;
        took_ms.push((polled_at - cut_at) * 1_000.0);
    }
    took_ms.sort_by(f64::total_cmp);
    let (best, median, worst) = (took_ms[0], took_ms[ROUNDS / 2], took_ms[ROUNDS - 1]);
    println!(
        "from the break to the next poll: best {best:.2} ms, median {median:.2}, worst {worst:.2}"
    );
    // A poll that waited as a stream does would have taken half of that at least.
    assert!(best < RETRY_MS as f64 / 2.0, "{took_ms:?}");
    streams(&fake, ROUNDS + 1).await;
    let lease = fake.submit(&["true"]);
    done(&fake, lease).await;
    runner.drain().await;
}

#[tokio::test]
async fn a_stream_that_has_gone_silent_is_given_up_and_polls_bring_the_work() {
    let fake = with_streams();
    let runner = Runner::start(&fake, |_| {});
    streams(&fake, 1).await;
    let first = fake.submit(&["true"]);
    done(&fake, first).await;
    fake.world().streams_are_mute = true;
    let lease = fake.submit(&["true"]);
    done(&fake, lease).await;
    assert!(!fake.world().polls.is_empty());
    fake.change(|world| world.streams_are_mute = false);
    runner.drain().await;
}

/// As behind something that gathers answers before it passes them on.
#[tokio::test]
async fn a_stream_that_never_says_hello_keeps_no_work_away() {
    let fake = with_streams();
    fake.world().streams_are_mute = true;
    let runner = Runner::start(&fake, |options| options.retry_initial_ms = 60_000);
    for _ in 0..3 {
        let lease = fake.submit(&["true"]);
        done(&fake, lease).await;
    }
    assert_eq!(fake.world().streams.len(), 1, "it is not tried again soon");
    runner.drain().await;
}

#[tokio::test]
async fn a_server_without_streams_is_asked_once_and_polled() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    for _ in 0..3 {
        let lease = fake.submit(&["true"]);
        done(&fake, lease).await;
    }
    assert_eq!(fake.world().streams.len(), 1);
    runner.drain().await;
}

#[tokio::test]
async fn an_operator_may_want_polls_alone() {
    let fake = with_streams();
    let runner = Runner::start(&fake, |options| options.transport = WorkTransport::Poll);
    let lease = fake.submit(&["true"]);
    done(&fake, lease).await;
    assert!(fake.world().streams.is_empty());
    runner.drain().await;
}

#[tokio::test]
async fn a_drain_is_heard_by_the_stream_and_a_draining_runner_polls_for_nothing() {
    let fake = with_streams();
    let runner = Runner::start(&fake, |_| {});
    streams(&fake, 1).await;
    fake.change(|world| world.drain = true);
    runner.left().await;
    let fake = with_streams();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done"]);
    fake.logged(lease, "up").await;
    runner.stop.drain();
    let asks_for_nothing =
        |world: &World| world.polls.last().filter(|it| it.max_jobs == Some(0)).map(drop);
    fake.wait("a poll that asks for nothing", asks_for_nothing).await;
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    done(&fake, lease).await;
    runner.left().await;
}

#[tokio::test]
async fn a_server_that_restarts_is_streamed_from_again_and_the_work_goes_on() {
    let fake = with_streams();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done"]);
    fake.logged(lease, "up").await;
    let before = fake.world().streams.len();
    fake.kill();
    fake.serve();
    streams(&fake, before + 1).await;
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    done(&fake, lease).await;
    assert!(
        fake.world().streams.last().is_some_and(|it| it.leases == [lease]),
        "it says what it has"
    );
    runner.drain().await;
}
