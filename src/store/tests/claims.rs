//! Keys that may be used once, and the fence.

use super::fixture::{Opened, on_both};
use crate::model::{Change, KeyScope, Marks, UniqueKey};
use crate::store::connection::Kind;
use crate::store::{Claim, StoreError};

fn key(scope: KeyScope, key: &str, reference: &str) -> (UniqueKey, Box<str>) {
    (UniqueKey { scope, key: key.into() }, reference.into())
}

fn taken(reference: &str) -> Claim {
    Claim::Taken(reference.into())
}

async fn a_key_is_new_once_and_then_names_the_first(on: Kind) {
    let mut opened = Opened::new(on).await;
    let keys = [
        key(KeyScope::Delivery, "a", "d1"),
        key(KeyScope::Submission, "a", "s1"),
        key(KeyScope::Delivery, "a", "d2"),
    ];
    let mut batch = opened.begin().await.unwrap();
    let claims = batch.claim(&keys, 5).await.unwrap();
    assert_eq!(claims, [Claim::New, Claim::New, taken("d1")]);
    let answer = Change::KeyAnswered(keys[1].0.clone(), "77".into());
    let lent = batch.commit(opened.epoch, &[answer], Marks::default(), 5).await.unwrap();
    opened.writer.take_back(lent);

    let again = [
        key(KeyScope::Delivery, "b", "d3"),
        key(KeyScope::Submission, "a", "s2"),
        key(KeyScope::Delivery, "a", "d4"),
        key(KeyScope::Delivery, "b", "d5"),
    ];
    let mut batch = opened.begin().await.unwrap();
    let claims = batch.claim(&again, 6).await.unwrap();
    assert_eq!(claims, [Claim::New, taken("77"), taken("d1"), taken("d3")]);
    assert_eq!(batch.claim(&[], 6).await.unwrap(), []);
    let _ = batch.rollback().await.unwrap();
}

async fn a_claim_goes_with_its_batch(on: Kind) {
    let mut opened = Opened::new(on).await;
    let keys = [key(KeyScope::Delivery, "a", "d1")];
    let mut batch = opened.begin().await.unwrap();
    assert_eq!(batch.claim(&keys, 5).await.unwrap(), [Claim::New]);
    opened.writer.take_back(batch.rollback().await.unwrap());
    // A rollback that went well leaves the writer as it was.
    let mut batch = opened.begin().await.unwrap();
    assert_eq!(batch.claim(&keys, 5).await.unwrap(), [Claim::New]);
    drop(batch);
    // A dropped batch does not.
    let error = opened.begin().await.map(drop).unwrap_err();
    assert!(error.to_string().contains("must load first"), "{error}");
    opened.load().await;
    let mut batch = opened.begin().await.unwrap();
    assert_eq!(batch.claim(&keys, 5).await.unwrap(), [Claim::New]);
    let _ = batch.commit(opened.epoch, &[], Marks::default(), 5).await.unwrap();
}

async fn many_keys_in_one_claim_are_answered_in_their_order(on: Kind) {
    let mut opened = Opened::new(on).await;
    let number = |at: usize| key(KeyScope::Delivery, &format!("k{at}"), &format!("r{at}"));
    let even: Vec<_> = (0..700).step_by(2).map(number).collect();
    let mut batch = opened.begin().await.unwrap();
    assert_eq!(batch.claim(&even, 5).await.unwrap(), vec![Claim::New; even.len()]);
    let all: Vec<_> = (0..700).map(number).collect();
    for (at, claim) in batch.claim(&all, 6).await.unwrap().into_iter().enumerate() {
        let wanted = if at % 2 == 0 { taken(&format!("r{at}")) } else { Claim::New };
        assert_eq!(claim, wanted, "key {at}");
    }
    let _ = batch.commit(opened.epoch, &[], Marks::default(), 6).await.unwrap();
}

async fn a_batch_of_an_older_epoch_is_fenced_and_writes_nothing(on: Kind) {
    let mut opened = Opened::new(on).await;
    let marks = Marks { next_job: 50, ..Marks::default() };
    let batch = opened.begin().await.unwrap();
    let stale = batch.commit(opened.epoch - 1, &[], marks, 5).await.unwrap_err();
    assert!(matches!(stale, StoreError::Fenced), "{stale}");
    let snapshot = opened.load().await;
    assert_eq!(snapshot.marks, Marks::default());

    let batch = opened.begin().await.unwrap();
    let _ = batch.commit(opened.epoch, &[], marks, 8).await.unwrap();
    let last = opened.store.last_commit().await.unwrap();
    assert_eq!((last.epoch, last.at_ms), (opened.epoch, Some(8)));
    assert_eq!(opened.load().await.marks, marks);
}

on_both!(
    a_key_is_new_once_and_then_names_the_first,
    a_claim_goes_with_its_batch,
    many_keys_in_one_claim_are_answered_in_their_order,
    a_batch_of_an_older_epoch_is_fenced_and_writes_nothing,
);
