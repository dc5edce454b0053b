//! Keys that may be used once.

use super::rig::{Rig, bounded, gate, submission};
use crate::dispatch::tests::yard::job;
use crate::dispatch::{Refusal, Reply};
use crate::driver::CommandError;
use crate::model::WorkloadId;

fn submitted(number: i64, duplicate: bool) -> Result<Reply, CommandError> {
    Ok(Reply::Submitted { workload_id: WorkloadId(number), duplicate, outlooks: Vec::new() })
}

#[tokio::test]
async fn a_repeated_key_in_one_batch_and_later_is_answered_with_the_first() {
    let (probe, hold, open) = gate();
    let rig = Rig::with(Some(probe)).await;
    let submit = || rig.handle.send(submission(vec![job("a")], Some("once")));
    let held = rig.handle.send(hold);
    let release = async move { open.send(()).unwrap() };
    let (_, first, second, ()) =
        bounded(async { tokio::join!(held, submit(), submit(), release) }).await;
    assert_eq!((first, second), (submitted(1, false), submitted(1, true)));
    assert_eq!(bounded(submit()).await, submitted(1, true));
    let rig = rig.restart().await;
    let later = rig.send(submission(vec![job("other")], Some("once"))).await;
    assert_eq!(later, submitted(1, true));
}

#[tokio::test]
async fn a_key_whose_request_was_refused_beside_accepted_ones_can_be_used_again() {
    let (probe, hold, open) = gate();
    let rig = Rig::with(Some(probe)).await;
    let held = rig.handle.send(hold);
    let empty = rig.handle.send(submission(Vec::new(), Some("once")));
    let good = rig.handle.send(submission(vec![job("a")], None));
    let release = async move { open.send(()).unwrap() };
    let (_, refused, accepted, ()) =
        bounded(async { tokio::join!(held, empty, good, release) }).await;
    assert!(matches!(refused, Err(CommandError::Refused(Refusal::Invalid(_)))), "{refused:?}");
    assert_eq!(accepted, submitted(1, false));
    let again = rig.send(submission(vec![job("a")], Some("once"))).await;
    assert_eq!(again, submitted(2, false));
}
