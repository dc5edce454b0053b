//! Runners' streams: fed with the commit, let go, and free of charge.

use super::rig::{Rig, bounded, until};
use crate::dispatch::tests::yard::job;
use crate::dispatch::{Command, Refusal};
use crate::driver::work::ANSWERS_MAX;
use crate::driver::{CommandError, Told, WorkStream};
use crate::model::{AssignedJob, RunnerId};

async fn given(stream: &mut WorkStream) -> AssignedJob {
    match bounded(stream.next()).await {
        Some(Told::Job(job)) => *job,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_stream_is_fed_by_the_transactions_that_store_its_jobs() {
    let rig = Rig::new().await;
    let runner = rig.register("r", 2).await;
    let mut stream = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    until("it is counted", || rig.metrics.runner_streams.get() == 1).await;
    assert_eq!(rig.metrics.polls_parked.get(), 0);
    for name in ["a", "b"] {
        let before = rig.commits();
        rig.submit(vec![job(name)]).await.unwrap();
        let given = given(&mut stream).await;
        assert_eq!((&*given.name, rig.commits()), (name, before + 1));
        let row = rig.store.job(given.job_id).await.unwrap().unwrap();
        assert_eq!(row.lease(), Some(&given.lease), "it is durable");
    }
}

#[tokio::test]
async fn what_was_not_taken_out_of_a_stream_goes_back_when_it_is_dropped() {
    let rig = Rig::new().await;
    let runner = rig.register("r", 3).await;
    let mut stream = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    rig.submit(vec![job("a"), job("b"), job("c")]).await.unwrap();
    let taken = given(&mut stream).await;
    drop(stream);
    until("nobody waits in the driver", || rig.metrics.runner_streams.get() == 0).await;
    let other = rig.register("other", 3).await;
    let answer = rig.poll(other).await.unwrap();
    assert_eq!(answer.jobs.len(), 2, "whoever waits has it");
    assert!(answer.jobs.iter().all(|job| job.attempt == 2));
    // What was taken out counts as delivered, and is told again to whoever comes back.
    let mut again = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    assert_eq!(given(&mut again).await.lease, taken.lease);
}

#[tokio::test]
async fn a_slow_reader_is_let_go_and_keeps_nothing() {
    let rig = Rig::new().await;
    let runner = rig.register("slow", 1).await;
    let stream = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    // Each of these is an answer of its own, and none is read.
    for round in 0..=ANSWERS_MAX {
        let draining = Some(true);
        let patch = Command::PatchRunner {
            runner_id: runner,
            capabilities: None,
            cordoned: None,
            draining,
            author: round.to_string().into(),
        };
        rig.send(patch).await.unwrap();
    }
    until("it is let go", || rig.metrics.runner_streams.get() == 0).await;
    // Decided in the next round, so after it.
    rig.send(Command::Undelivered(Vec::new())).await.unwrap();
    let status = rig.handle.ask(|core, _| core.status()).await.unwrap();
    assert_eq!(status.parked_polls, 0);
    drop(stream);
}

#[tokio::test]
async fn a_refused_stream_leaves_nobody_waiting_and_a_stop_ends_all() {
    let rig = Rig::new().await;
    let nobody = RunnerId(9);
    let refused = rig.handle.stream(rig.poll_of(nobody)).await;
    assert_eq!(refused.err(), Some(CommandError::Refused(Refusal::UnknownRunner(nobody))));
    let runner = rig.register("r", 1).await;
    let mut stream = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    let mut second = rig.handle.stream(rig.poll_of(runner)).await.unwrap();
    assert_eq!(bounded(stream.next()).await, None, "the second takes its place");
    rig.stop().await;
    assert_eq!(bounded(second.next()).await, None);
}

#[tokio::test]
async fn an_idle_fleet_of_streams_writes_nothing() {
    let rig = Rig::new().await;
    let mut streams = Vec::new();
    for number in 0..16 {
        let runner = rig.register(&format!("r{number}"), 1).await;
        streams.push((runner, rig.handle.stream(rig.poll_of(runner)).await.unwrap()));
    }
    let log = rig.folder.path().join("d.db-wal");
    let size = || std::fs::metadata(&log).unwrap().len();
    let before = (size(), rig.commits(), rig.store.last_commit().await.unwrap());
    for _ in 0..3 {
        for &(runner_id, _) in &streams {
            let (leases, capabilities, current_jobs) = (Vec::new(), None, Some(0));
            let beat = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
            rig.send(beat).await.unwrap();
        }
    }
    let after = (size(), rig.commits(), rig.store.last_commit().await.unwrap());
    assert_eq!(after, before);
}
