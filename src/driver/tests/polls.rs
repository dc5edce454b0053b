//! Parked polls: answered with the commit, let go, and free of charge.

use super::rig::{Rig, bounded, until};
use crate::dispatch::tests::yard::{job, names};
use crate::dispatch::{Command, Refusal};
use crate::driver::CommandError;
use crate::model::RunnerId;

#[tokio::test]
async fn a_parked_poll_is_answered_by_the_transaction_that_stores_its_job() {
    let rig = Rig::new().await;
    let runner = rig.register("r", 1).await;
    let parked = rig.park(runner).await;
    let before = rig.commits();
    rig.submit(vec![job("a")]).await.unwrap();
    let answer = bounded(parked).await.unwrap().unwrap();
    assert_eq!(names(&answer.jobs), ["a"]);
    assert_eq!(rig.commits(), before + 1);
    let row = rig.store.job(answer.jobs[0].job_id).await.unwrap().unwrap();
    assert_eq!(row.lease(), Some(&answer.jobs[0].lease), "it is durable");
}

#[tokio::test]
async fn a_poll_that_is_dropped_is_parked_no_longer() {
    let rig = Rig::new().await;
    let runner = rig.register("r", 1).await;
    let parked = rig.park(runner).await;
    parked.abort();
    until("nobody waits in the driver", || rig.metrics.polls_parked.get() == 0).await;
    let status = rig.handle.ask(|scheduler, _| scheduler.status()).await.unwrap();
    assert_eq!(status.parked_polls, 0);
    rig.submit(vec![job("a")]).await.unwrap();
    assert_eq!(rig.poll(runner).await.unwrap().jobs[0].attempt, 1, "nobody else was given it");
}

#[tokio::test]
async fn a_refused_poll_leaves_nobody_waiting() {
    let rig = Rig::new().await;
    let nobody = RunnerId(9);
    let refused = rig.poll(nobody).await;
    assert_eq!(refused, Err(CommandError::Refused(Refusal::UnknownRunner(nobody))));
    let runner = rig.register("r", 1).await;
    rig.park(runner).await;
    assert_eq!(rig.metrics.polls_parked.get(), 1);
}

#[tokio::test]
async fn a_stop_answers_parked_polls() {
    let rig = Rig::new().await;
    let runner = rig.register("r", 1).await;
    let parked = rig.park(runner).await;
    rig.stop().await;
    assert_eq!(bounded(parked).await.unwrap().unwrap().jobs, []);
}

#[tokio::test]
async fn an_idle_fleet_of_parked_polls_writes_nothing() {
    let rig = Rig::new().await;
    let mut runners = Vec::new();
    for number in 0..16 {
        runners.push(rig.register(&format!("r{number}"), 1).await);
    }
    let log = rig.folder.path().join("d.db-wal");
    let size = || std::fs::metadata(&log).unwrap().len();
    let committed = || rig.handle.views().last_commit_at_ms();
    let before = (size(), committed(), rig.commits(), rig.store.last_commit().await.unwrap());
    for round in 0..3 {
        for &runner_id in &runners {
            let mut poll = rig.poll_of(runner_id);
            poll.wait_ms = round;
            poll.current_jobs = Some(0);
            assert_eq!(bounded(rig.handle.poll(poll)).await.unwrap().jobs, []);
            let (leases, capabilities, current_jobs) = (Vec::new(), None, Some(0));
            let beat = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
            rig.send(beat).await.unwrap();
        }
    }
    let after = (size(), committed(), rig.commits(), rig.store.last_commit().await.unwrap());
    assert_eq!(after, before);
}
