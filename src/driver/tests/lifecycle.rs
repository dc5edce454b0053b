//! From submission to completion, and over a restart.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::rig::{Rig, bounded, lease};
use crate::dispatch::tests::yard::{after, job, names};
use crate::dispatch::{Command, HeldLease, Refusal, Reply};
use crate::driver::{CommandError, ServerState, Streamed};
use crate::model::{AttemptOutcome, JobId, JobStateKind, RecordName};
use crate::store::Point;
use crate::store::tests::fixture::occupy;

#[tokio::test]
async fn a_job_goes_through_its_whole_life() {
    whole_life(Rig::new().await).await;
}

#[tokio::test]
async fn a_job_goes_through_its_whole_life_on_postgresql() {
    whole_life(Rig::on_postgres().await).await;
}

async fn whole_life(rig: Rig) {
    let runner_id = rig.register("r", 1).await;
    let begin = rig.handle.views().records.end();
    let workload_id = rig.submit(vec![job("build"), after("test", &["build"])]).await.unwrap();
    for name in ["build", "test"] {
        let answer = rig.poll(runner_id).await.unwrap();
        assert_eq!(names(&answer.jobs), [name]);
        let given = &answer.jobs[0];
        assert!(rig.handle.views().lease(lease(given)).is_some(), "logs can be checked");
        let started = rig.send(Command::Start(lease(given))).await;
        assert!(matches!(started, Ok(Reply::Started { attempt: 1, .. })), "{started:?}");
        let leases = vec![HeldLease { token: given.lease.token, nonce: given.lease.nonce }];
        let (capabilities, current_jobs) = (None, Some(1));
        let beat = Command::Heartbeat { runner_id, leases, capabilities, current_jobs };
        let heard = Reply::Heartbeat { lost: vec![], cancel: vec![], drain: false };
        assert_eq!(rig.send(beat).await, Ok(heard));
        assert_eq!(rig.complete(given).await, Ok(JobStateKind::Completed));
        assert_eq!(rig.handle.views().lease(lease(given)), None);
        let again = rig.complete(given).await;
        let lost = Refusal::LeaseLost(given.lease.token);
        assert_eq!(again, Err(CommandError::Refused(lost)));
        let attempts = rig.store.attempts_of(given.job_id).await.unwrap();
        assert_eq!(attempts.len(), 1);
        assert_eq!(attempts[0].outcome, AttemptOutcome::Completed);
    }
    let jobs = rig.store.jobs_of(workload_id).await.unwrap();
    assert!(jobs.iter().all(|job| job.kind() == JobStateKind::Completed), "{jobs:?}");
    let Streamed::Records(records) = rig.handle.views().records.after(begin, 99) else {
        panic!("the stream is whole")
    };
    use RecordName::{JobAssigned, JobCompleted, JobQueued, JobStarted, WorkloadCreated};
    let seen: Vec<_> = records.iter().map(|(_, record)| record.name).collect();
    assert_eq!(seen[..5], [WorkloadCreated, JobQueued, JobAssigned, JobStarted, JobCompleted]);
    assert_eq!(seen.last(), Some(&RecordName::WorkloadEnded));
}

#[tokio::test]
async fn a_restart_keeps_queue_runners_and_leases() {
    restart(Rig::new().await).await;
}

#[tokio::test]
async fn a_restart_keeps_queue_runners_and_leases_on_postgresql() {
    restart(Rig::on_postgres().await).await;
}

async fn restart(rig: Rig) {
    let runner_id = rig.register("r", 2).await;
    rig.submit(vec![job("a"), after("b", &["a"])]).await.unwrap();
    let given = rig.poll(runner_id).await.unwrap().jobs.remove(0);
    rig.send(Command::Start(lease(&given))).await.unwrap();
    let before = rig.handle.ask(|scheduler, _| scheduler.durable()).await.unwrap();
    let epoch = rig.handle.views().epoch();

    let rig = rig.restart().await;
    let after = bounded(rig.handle.ask(|scheduler, _| scheduler.durable())).await.unwrap();
    assert_eq!(after, before);
    assert_eq!(rig.handle.views().epoch(), epoch + 1);
    assert_eq!(rig.handle.views().runner_by_token_hash("hash"), Some(runner_id));
    assert_eq!(rig.complete(&given).await, Ok(JobStateKind::Completed));
    assert_eq!(names(&rig.poll(runner_id).await.unwrap().jobs), ["b"]);
}

#[tokio::test]
async fn after_a_stop_nothing_is_accepted_and_what_had_arrived_is_stored() {
    let rig = Rig::new().await;
    let handle = rig.handle.clone();
    let sent: Vec<_> = (0..20)
        .map(|_| {
            let handle = handle.clone();
            tokio::spawn(
                async move { handle.send(super::rig::submission(vec![job("a")], None)).await },
            )
        })
        .collect();
    let rig = rig.restart().await;
    assert_eq!(handle.views().state(), ServerState::Stopping);
    let refused = handle.send(Command::Deregister(crate::model::RunnerId(1))).await;
    assert_eq!(refused, Err(CommandError::Stopping));
    let live = bounded(rig.handle.ask(|scheduler, _| scheduler.durable())).await.unwrap();
    for task in sent {
        match bounded(task).await.unwrap() {
            Ok(Reply::Submitted { workload_id, .. }) => {
                assert!(live.workloads.contains_key(&workload_id));
                assert!(live.jobs.contains_key(&JobId(workload_id.0)));
            }
            other => assert_eq!(other, Err(CommandError::Stopping)),
        }
    }
}

/// How often its one class is known to have run.
async fn known_runs(rig: &Rig) -> u64 {
    let asked = rig.handle.ask(|scheduler, _| {
        let class = scheduler.learned(None, 1).classes.first().map(|it| it[0].class_id);
        class.map_or(0, |class| scheduler.predicted_run(class).runs)
    });
    bounded(asked).await.unwrap()
}

/// Has one run carried out; soft state is not written by itself so soon.
async fn learn(rig: &Rig) {
    let runner_id = rig.register("r", 1).await;
    rig.submit(vec![job("a")]).await.unwrap();
    let given = rig.poll(runner_id).await.unwrap().jobs.remove(0);
    rig.send(Command::Start(lease(&given))).await.unwrap();
    rig.complete(&given).await.unwrap();
    assert_eq!(known_runs(rig).await, 1);
}

#[tokio::test]
async fn what_was_learned_is_written_at_a_stop() {
    for rig in [Rig::new().await, Rig::on_postgres().await] {
        learn(&rig).await;
        assert_eq!(known_runs(&rig.restart().await).await, 1);
    }
}

#[tokio::test]
async fn a_stop_does_without_soft_state_that_cannot_be_written() {
    let fails = Arc::new(AtomicBool::new(false));
    let planted = Arc::clone(&fails);
    let rig = Rig::with_store(|options| {
        options.planted.at = Some(Arc::new(move |point| match point {
            Point::Begin if planted.load(Ordering::Relaxed) => Err("planted".to_owned()),
            _ => Ok(()),
        }));
    })
    .await;
    learn(&rig).await;
    fails.store(true, Ordering::Relaxed);
    assert_eq!(known_runs(&rig.restart().await).await, 0);
}

#[tokio::test]
async fn a_stop_waits_a_moment_only_for_soft_state_to_be_written() {
    // Longer than anything may take here.
    let rig = Rig::with_store(|options| options.busy_timeout_ms = 600_000).await;
    learn(&rig).await;
    let occupied = occupy(&rig.folder.path().join("d.db")).await;
    let (folder, _) = rig.stop().await;
    drop((occupied, folder));
}
