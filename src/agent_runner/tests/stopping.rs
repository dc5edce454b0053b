//! How work is stopped: time, cancels, lost leases, drains.

use crate::model::{AttemptOutcome, JobWork, LeaseToken, RequeueReason, Step};

use super::Runner;
use super::fake::Fake;

/// Says that it is up, and would run for ever.
const FOR_EVER: &str = "echo up; sleep 600";

#[tokio::test]
async fn a_step_that_takes_too_long_is_stopped_and_named() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let step = Step {
        name: Some("slow".into()),
        run: FOR_EVER.into(),
        timeout_ms: Some(100),
        ..Step::default()
    };
    let lease = fake.submit_with(JobWork::Steps(vec![step]), |_| {});
    let (end, _) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.signal), (AttemptOutcome::TimedOut, Some(15)));
    let error = end.error.unwrap_or_default();
    assert_eq!(error.lines().next(), Some("step `slow` ran longer than its 100 ms"));
    runner.drain().await;
}

#[tokio::test]
async fn a_job_that_ignores_the_polite_signal_is_killed_when_its_time_is_up() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| options.grace_ms = 500);
    let script = "trap 'echo no' TERM; while :; do sleep 600 || true; done";
    let step = Step { run: script.into(), ..Step::default() };
    let lease = fake.submit_with(JobWork::Steps(vec![step]), |lease| {
        lease.assignment.timeout_ms = 1_000;
    });
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.signal), (AttemptOutcome::TimedOut, Some(9)));
    assert!(end.error.is_some_and(|error| error.contains("the job ran longer than 1000 ms")));
    assert!(seen.lines().contains(&"no".to_owned()), "it was asked first: {}", seen.text());
    runner.drain().await;
}

#[tokio::test]
async fn a_cancel_is_heard_while_all_slots_are_full_and_leaves_time_to_tidy_up() {
    for by_heartbeat in [false, true] {
        let fake = Fake::start();
        fake.world().cancel_by_heartbeat = by_heartbeat;
        let runner = Runner::start(&fake, |_| {});
        let lease = fake.submit(&["trap 'echo tidy; exit 3' TERM; echo up; sleep 600 & wait"]);
        fake.logged(lease, "up").await;
        fake.wait("a poll without room", |w| {
            w.polls.iter().find(|p| p.max_jobs == Some(0)).map(drop)
        })
        .await;
        fake.change(|world| world.cancel.insert(lease));
        let (end, seen) = fake.completed(lease).await;
        let ended = (end.outcome, end.exit_code, end.signal);
        assert_eq!(ended, (AttemptOutcome::Cancelled, Some(3), None), "{:?}", end.error);
        assert!(seen.lines().contains(&"tidy".to_owned()), "{}", seen.text());
        runner.drain().await;
    }
}

#[tokio::test]
async fn a_lost_lease_kills_its_work_and_is_never_spoken_of_again() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["trap '' TERM; echo $$; echo up; while :; do sleep 600; done"]);
    fake.logged(lease, "up").await;
    let pid = fake.world().leases[&lease].lines()[1].parse().expect("a pid");
    fake.change(|world| world.lost.insert(lease));
    let known_to_last = |w: &super::fake::World| {
        let last = w.polls.last()?;
        (last.max_jobs == Some(1) && last.leases.is_empty()).then_some(())
    };
    fake.wait("the slot is free", known_to_last).await;
    assert!(super::super::procfs::Process::find(pid).is_none_or(|process| process.dead));
    assert!(fake.world().leases[&lease].completions.is_empty());
    let next = fake.submit(&["true"]);
    fake.completed(next).await;
    runner.drain().await;
}

#[tokio::test]
async fn a_drain_finishes_what_runs_and_takes_nothing_new() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| (options.slots, options.ephemeral) = (2, true));
    let first = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done"]);
    fake.logged(first, "up").await;
    runner.stop.drain();
    fake.wait("a poll that asks for nothing", |w| {
        w.polls.last().filter(|poll| poll.max_jobs == Some(0)).map(drop)
    })
    .await;
    let second = fake.submit(&["true"]);
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    let (end, _) = fake.completed(first).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed);
    runner.left().await;
    let world = fake.world();
    assert_eq!(world.leases[&second].starts, 0);
    assert!(world.deregistered, "an ephemeral runner is not to be remembered");
}

async fn given_back(fake: &Fake, lease: LeaseToken) -> RequeueReason {
    fake.wait("the job is given back", |world| world.leases[&lease].released).await
}

#[tokio::test]
async fn a_forced_stop_and_a_drain_that_takes_too_long_give_the_work_back() {
    for drain_timeout_ms in [60_000, 100] {
        let fake = Fake::start();
        let runner = Runner::start(&fake, |o| o.drain_timeout_ms = drain_timeout_ms);
        let lease = fake.submit(&[FOR_EVER]);
        fake.logged(lease, "up").await;
        if drain_timeout_ms == 100 {
            runner.stop.drain();
        } else {
            runner.stop.force();
        }
        assert_eq!(given_back(&fake, lease).await, RequeueReason::Drained);
        runner.left().await;
        let world = fake.world();
        assert!(world.leases[&lease].completions.is_empty() && !world.deregistered);
    }
}

#[tokio::test]
async fn a_forced_stop_does_not_wait_for_a_server_that_is_away() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| options.release_wait_ms = 100);
    let lease = fake.submit(&[FOR_EVER]);
    fake.logged(lease, "up").await;
    fake.kill();
    runner.stop.force();
    runner.left().await;
}

#[tokio::test]
async fn the_server_can_ask_a_runner_to_leave() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    fake.wait("a poll", |world| world.polls.first().map(drop)).await;
    fake.change(|world| world.drain = true);
    runner.left().await;
}

#[tokio::test]
async fn a_lease_that_only_the_log_call_knows_to_be_lost_is_given_up_too() {
    let fake = Fake::start();
    fake.world().heartbeat_interval_ms = 600_000;
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["while :; do echo up; sleep 0.02; done"]);
    fake.logged(lease, "up").await;
    fake.change(|world| world.lost.insert(lease));
    let next = fake.submit(&["true"]);
    fake.completed(next).await;
    assert!(fake.world().leases[&lease].completions.is_empty());
    runner.drain().await;
}
