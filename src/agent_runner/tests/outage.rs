//! What a runner does while the server is away, forgets it, or repeats itself.

use crate::model::{AttemptOutcome, LeaseToken};

use super::super::{RunnerError, TokenSource};
use super::fake::{Fake, REGISTRATION_TOKEN};
use super::{BOUND, Runner};

#[tokio::test]
async fn a_job_outlives_a_server_restart_and_its_whole_log_arrives() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |options| options.log_batch_bytes_max = 4_096);
    let lease = fake.submit(&[
        "echo up; while [ ! -e go ]; do sleep 0.02; done; seq 1 5000; echo k=v >> $DISPATCHYARD_OUTPUT",
    ]);
    fake.logged(lease, "up").await;
    fake.kill();
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    let spooled = runner.jobs().join("1-1/log");
    let done = async {
        while !std::fs::read_to_string(&spooled).expect("spooled").contains(" 5000\n") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::BOUND, done).await.expect("the work goes on");
    fake.serve();
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.outputs["k"].as_str()), (AttemptOutcome::Completed, "v"));
    let numbers: Vec<String> = (1..=5_000).map(|number| number.to_string()).collect();
    assert_eq!(seen.lines()[2..], numbers);
    assert_eq!(fake.world().registrations.len(), 1, "the runner kept its registration");
    runner.drain().await;
}

#[tokio::test]
async fn heartbeats_go_on_after_a_restart() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done"]);
    fake.logged(lease, "up").await;
    fake.kill();
    let before = fake.world().heartbeats;
    fake.serve();
    fake.wait("a heartbeat", |world| (world.heartbeats > before).then_some(())).await;
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    fake.completed(lease).await;
    runner.drain().await;
}

#[tokio::test]
async fn a_runner_waits_for_a_server_that_is_not_there_yet() {
    let fake = Fake::stopped();
    let runner = Runner::start(&fake, |_| {});
    fake.world().refuse.insert("register", 3);
    fake.serve();
    let lease = fake.submit(&["true"]);
    fake.completed(lease).await;
    runner.drain().await;
}

#[tokio::test]
async fn a_token_that_is_no_longer_accepted_is_replaced_and_the_work_goes_on() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done"]);
    fake.logged(lease, "up").await;
    fake.change(|world| world.runner_token = "revoked".into());
    fake.wait("a second registration", |world| world.registrations.get(1).map(drop)).await;
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, seen.starts), (AttemptOutcome::Completed, 1));
    let registrations = fake.world().registrations.clone();
    let identity = |at: usize| {
        let request = &registrations[at];
        (request.instance_id.clone(), request.boot_id.clone())
    };
    assert_eq!(identity(0), identity(1), "the same process of the same runner");
    runner.drain().await;
}

/// One that has a token and no file with it: nobody can give it another one.
#[tokio::test]
async fn a_runner_whose_one_registration_is_refused_ends_and_takes_its_work_along() {
    let fake = Fake::start();
    let token = TokenSource::Value(REGISTRATION_TOKEN.to_owned());
    let runner = Runner::start(&fake, |options| options.token = token);
    let lease = fake.submit(&["echo up; sleep 600"]);
    fake.logged(lease, "up").await;
    fake.change(|world| (world.is_closed, world.runner_token) = (true, "revoked".into()));
    let ended = tokio::time::timeout(BOUND, runner.task).await.expect("it ends in time");
    let why = ended.expect("no panic").expect_err("it was refused");
    assert!(matches!(why, RunnerError::Refused(_)), "{why}");
}

#[tokio::test]
async fn every_call_may_be_refused_for_a_while_or_lose_its_answer() {
    let fake = Fake::start();
    let calls = ["poll", "start", "logs", "complete", "heartbeat"];
    fake.world().refuse = calls.into_iter().map(|name| (name, 2)).collect();
    fake.world().lose_answer = calls.into_iter().map(|name| (name, 2)).collect();
    let runner = Runner::start(&fake, |options| options.log_batch_bytes_max = 64);
    let lease = fake.submit(&["seq 1 50"]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed);
    let numbers: Vec<String> = (1..=50).map(|number| number.to_string()).collect();
    assert_eq!(seen.lines()[1..], numbers, "no line is lost and none comes twice");
    runner.drain().await;
    let world = fake.world();
    let ends = &world.leases[&lease].completions;
    assert!(ends.len() >= 2 && ends.iter().all(|end| *end == ends[0]), "{ends:?}");
}

#[tokio::test]
async fn a_server_that_lost_a_part_of_a_log_gets_it_again() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let lease = fake.submit(&["echo up; while [ ! -e go ]; do sleep 0.02; done; echo end"]);
    fake.logged(lease, "up").await;
    fake.change(|world| world.leases.get_mut(&lease).expect("known").log.truncate(10));
    std::fs::write(runner.jobs().join("1-1/workspace/go"), "").expect("written");
    let (_, seen) = fake.completed(lease).await;
    assert_eq!(seen.lines()[1..], ["up", "end"]);
    runner.drain().await;
}

#[tokio::test]
async fn an_assignment_whose_answer_was_lost_is_started_once() {
    let fake = Fake::start();
    fake.world().lose_answer.insert("poll", 3);
    let runner = Runner::start(&fake, |options| options.slots = 4);
    let leases: Vec<LeaseToken> = (0..4).map(|_| fake.submit(&["echo once"])).collect();
    for lease in leases {
        let (_, seen) = fake.completed(lease).await;
        assert_eq!((seen.starts, seen.lines()[1..].join(" ")), (1, "once".to_owned()));
    }
    runner.drain().await;
}

#[tokio::test]
async fn a_server_that_never_parks_is_not_hammered() {
    let fake = Fake::start();
    fake.world().never_park = true;
    let runner = Runner::start(&fake, |options| options.poll_floor_ms = 200);
    let lease = fake.submit(&["sleep 1"]);
    fake.completed(lease).await;
    let polls = fake.world().polls.len();
    // Five floors in the second, and one poll more for each change of the slots.
    assert!(polls <= 12, "{polls} polls");
    runner.drain().await;
}

#[tokio::test]
async fn a_server_whose_log_is_full_does_not_stop_the_work() {
    let fake = Fake::start();
    fake.world().truncate_logs = true;
    let runner = Runner::start(&fake, |options| options.log_batch_bytes_max = 256);
    let lease = fake.submit(&["echo up; sleep 0.1; seq 1 20000; echo k=v >> $DISPATCHYARD_OUTPUT"]);
    let (end, seen) = fake.completed(lease).await;
    assert_eq!((end.outcome, end.outputs["k"].as_str()), (AttemptOutcome::Completed, "v"));
    assert!(seen.log.len() <= 256, "{} bytes", seen.log.len());
    runner.drain().await;
}
