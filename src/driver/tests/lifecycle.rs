//! From submission to completion, and over a restart.

use super::rig::{Rig, bounded, lease};
use crate::dispatch::tests::yard::{after, job, names};
use crate::dispatch::{Command, HeldLease, Refusal, Reply};
use crate::driver::{CommandError, ServerState, Streamed};
use crate::model::{AttemptOutcome, JobId, JobStateKind, RecordName};

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
