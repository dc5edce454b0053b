//! Law 12: one bad command hurts only itself.

use std::sync::Arc;

use super::rig::{Rig, bounded, gate, submission};
use crate::dispatch::tests::intake::deliver;
use crate::dispatch::tests::yard::{job, workload};
use crate::dispatch::{Command, Refusal, Reply};
use crate::driver::{CommandError, Probe};
use crate::model::{DeliveryId, DeliveryState, PlannedWorkload};

fn named(name: &str) -> PlannedWorkload {
    PlannedWorkload { name: name.into(), ..workload(vec![job("a")]) }
}

/// Fails on every workload that is called `poison`.
fn fault() -> Probe {
    Arc::new(|command| {
        let workloads = match command {
            Command::Deliver(deliver) => deliver.plan.workloads.as_slice(),
            Command::Submit { workload, .. } => std::slice::from_ref(&**workload),
            _ => &[],
        };
        assert!(workloads.iter().all(|it| it.name != "poison"), "planted");
    })
}

#[tokio::test]
async fn a_panic_hurts_only_its_own_command() {
    let (holding, hold, open) = gate();
    let planted = fault();
    let rig = Rig::with(Some(Arc::new(move |command| {
        holding(command);
        planted(command);
    })))
    .await;
    let epoch = bounded(rig.handle.ask(|scheduler, _| scheduler.epoch())).await.unwrap();
    let submit = |name: &str| {
        let workload = Box::new(named(name));
        rig.handle.send(Command::Submit { workload, idempotency_key: None, ended: Vec::new() })
    };
    let bad_delivery = rig.handle.send(deliver(7, vec![named("poison")]));
    let held = rig.handle.send(hold);
    let release = async move { open.send(()).unwrap() };
    let together = async {
        tokio::join!(held, submit("one"), submit("poison"), bad_delivery, submit("two"), release)
    };
    let (_, one, poison, delivery, two, ()) = bounded(together).await;

    let panicked = Refusal::Panicked("a fault in the server: planted".into());
    assert_eq!(poison, Err(CommandError::Refused(panicked)));
    let Ok(Reply::Delivered { state: DeliveryState::Failed, .. }) = delivery else {
        panic!("{delivery:?}")
    };
    for accepted in [one, two] {
        let Ok(Reply::Submitted { workload_id, .. }) = accepted else { panic!("{accepted:?}") };
        assert_eq!(rig.store.jobs_of(workload_id).await.unwrap().len(), 1);
    }
    let id = DeliveryId(uuid::Uuid::from_u128(7));
    let stored = rig.store.delivery(id).await.unwrap().unwrap();
    assert_eq!(stored.head.state, DeliveryState::Failed);
    assert_eq!(stored.head.reason.as_deref(), Some("a fault in the server: planted"));
    assert!(rig.handle.views().epoch() > epoch, "memory was read again");
    rig.submit(vec![job("later")]).await.unwrap();
}

#[tokio::test]
async fn a_poisoned_delivery_does_not_crash_the_next_start() {
    let rig = Rig::with(Some(fault())).await;
    rig.send(deliver(7, vec![named("poison")])).await.unwrap();
    let rig = rig.restart().await;
    let live = bounded(rig.handle.ask(|scheduler, _| scheduler.durable())).await.unwrap();
    assert!(live.workloads.is_empty());
    // Its provider sends it again: the key still stands for the stored one.
    let again = rig.send(deliver(8, vec![named("fine")])).await;
    let Ok(Reply::Delivered { delivery_id, duplicate: true, .. }) = again else {
        panic!("{again:?}")
    };
    assert_eq!(delivery_id, DeliveryId(uuid::Uuid::from_u128(7)));
}

#[tokio::test]
async fn a_question_that_fails_hurts_nobody_else() {
    let rig = Rig::new().await;
    let failed: Result<(), _> = bounded(rig.handle.ask(|_, _| panic!("planted"))).await;
    assert_eq!(failed, Err(CommandError::Unavailable));
    assert!(rig.send(submission(vec![job("a")], None)).await.is_ok());
}
