//! What is decided beside a commit: nobody hears of it too early, and it falls alone.

use std::sync::Arc;

use futures_util::future::join_all;

use super::rig::{Rig, bounded, submission};
use crate::dispatch::tests::yard::{job, workload};
use crate::dispatch::{Command, Refusal, Reply};
use crate::driver::CommandError;
use crate::model::{PlannedWorkload, WorkloadId};

const CLIENTS: usize = 24;
const ROUNDS: usize = 12;

#[tokio::test]
async fn a_question_is_answered_with_what_is_committed() {
    let rig = Rig::new().await;
    let clients = (0..CLIENTS).map(|_| async {
        for _ in 0..ROUNDS {
            rig.submit(vec![job("a")]).await.unwrap();
        }
    });
    let looks = async {
        for _ in 0..ROUNDS {
            let known: Vec<WorkloadId> =
                bounded(rig.handle.ask(|it, _| it.durable().workloads.keys().copied().collect()))
                    .await
                    .unwrap();
            if let Some(&last) = known.iter().max() {
                assert!(rig.store.workload(last).await.unwrap().is_some(), "{last} is no row");
            }
        }
    };
    bounded(async { tokio::join!(join_all(clients), looks) }).await;
    let all = bounded(rig.handle.ask(|it, _| it.durable().workloads.len())).await.unwrap();
    assert_eq!(all, CLIENTS * ROUNDS);
    assert!(rig.commits() < (CLIENTS * ROUNDS) as u64, "those that come together go together");
}

#[tokio::test]
async fn a_fault_beside_a_commit_hurts_only_its_own_command() {
    let rig = Rig::with(Some(Arc::new(|command| {
        let Command::Submit { workload, .. } = command else { return };
        assert!(workload.name != "poison", "planted");
    })))
    .await;
    let clients = (0..CLIENTS).map(|number| {
        let rig = &rig;
        async move {
            let poisoned = number % 8 == 3;
            let name = if poisoned { "poison" } else { "fine" };
            // With a key and without one: these take different ways.
            let key = (number % 2 == 0).then(|| format!("k{number}"));
            let workload = PlannedWorkload { name: name.into(), ..workload(vec![job("a")]) };
            let mut command = submission(Vec::new(), key.as_deref());
            if let Command::Submit { workload: submitted, .. } = &mut command {
                **submitted = workload;
            }
            match rig.send(command).await {
                Ok(Reply::Submitted { workload_id, .. }) if !poisoned => {
                    assert_eq!(rig.store.jobs_of(workload_id).await.unwrap().len(), 1);
                }
                Err(CommandError::Refused(Refusal::Panicked(_))) if poisoned => {}
                // A command whose round fell with another's is not done, and says so.
                other => panic!("{name}: {other:?}"),
            }
        }
    });
    bounded(join_all(clients)).await;
    let live = bounded(rig.handle.ask(|it, _| it.durable().workloads.len())).await.unwrap();
    assert_eq!(live, CLIENTS - CLIENTS / 8);
}
