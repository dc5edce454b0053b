//! Servers that share a PostgreSQL: the seat, and deliveries beside the batches.

use super::fixture::{self, Home, Opened, on_both};
use crate::model::{Change, DeliveryState, KeyScope, Marks, UniqueKey};
use crate::store::connection::Kind;
use crate::store::{Instance, Look, News, Store, StoreError, StoreOptions, Writer};

/// As the instance with this name.
fn sharing(home: &Home, name: &str) -> StoreOptions {
    let instance = Instance {
        id: format!("process of {name}").into(),
        name: name.into(),
        advertised_url: Some(format!("http://{name}").into()),
        version: "1".into(),
        config_hash: name.into(),
    };
    StoreOptions { instance: Some(instance), ..home.options() }
}

async fn open(home: &Home, name: &str) -> (Store, Writer) {
    Store::open(sharing(home, name)).await.unwrap()
}

#[tokio::test]
async fn one_of_two_has_the_seat_until_it_leaves() {
    let home = Home::of(Kind::Postgres).await;
    let ((one, mut writer), (other, mut later)) = (open(&home, "a").await, open(&home, "b").await);
    let (seat, next) = (one.seat().unwrap(), other.seat().unwrap());
    assert!(matches!(writer.load("a", 1).await, Err(StoreError::NotLeading)));
    assert!(matches!(seat.look().await.unwrap(), Look::Taken(leader) if &*leader.name == "a"));
    let epoch = writer.load("a", 1).await.unwrap().epoch;
    assert!(seat.renew().await.unwrap());

    let Look::Held(held) = next.look().await.unwrap() else { panic!("two have it") };
    let leader = held.leader.unwrap();
    assert_eq!(leader.advertised_url.as_deref(), Some("http://a"));
    assert!(held.age_ms < 60_000 && held.renewed_by == next.holder().await.unwrap());
    assert!(matches!(later.load("b", 2).await, Err(StoreError::NotLeading)));

    seat.leave().await;
    assert!(matches!(next.look().await.unwrap(), Look::Taken(_)));
    assert_eq!(later.load("b", 2).await.unwrap().epoch, epoch + 1);
    assert!(!seat.renew().await.unwrap(), "it has none");
    assert!(matches!(writer.load("a", 3).await, Err(StoreError::NotLeading)));
}

#[tokio::test]
async fn one_that_is_ousted_neither_renews_nor_writes() {
    let home = Home::of(Kind::Postgres).await;
    let ((one, mut writer), (other, mut later)) = (open(&home, "a").await, open(&home, "b").await);
    let (seat, next) = (one.seat().unwrap(), other.seat().unwrap());
    seat.look().await.unwrap();
    let epoch = writer.load("a", 1).await.unwrap().epoch;
    // In the middle of a batch, which holds the leader's row.
    let mut batch = writer.lend().unwrap().begin().await.unwrap();
    let key = (UniqueKey { scope: KeyScope::Delivery, key: "k".into() }, "d".into());
    batch.claim(&[key], 1).await.unwrap();

    let Look::Held(held) = next.look().await.unwrap() else { panic!("two have it") };
    next.oust(held.renewed_by.unwrap()).await.unwrap();
    let mut looks = 0;
    while !matches!(next.look().await.unwrap(), Look::Taken(_)) {
        looks += 1;
        assert!(looks < 1_000, "it is not ousted");
    }
    assert_eq!(later.load("b", 2).await.unwrap().epoch, epoch + 1);
    let error = batch.commit(epoch, &[], Default::default(), 3).await.unwrap_err();
    assert!(matches!(error, StoreError::Unavailable { .. } | StoreError::Fenced), "{error}");
    assert!(seat.renew().await.is_err());
    assert!(!seat.renew().await.unwrap());
}

#[tokio::test]
async fn instances_know_of_each_other_and_who_differs() {
    let home = Home::of(Kind::Postgres).await;
    let ((one, _writer), (other, _later)) = (open(&home, "a").await, open(&home, "b").await);
    let (seat, next) = (one.seat().unwrap(), other.seat().unwrap());
    seat.look().await.unwrap();
    next.look().await.unwrap();
    assert!(seat.stamp(60_000).await.unwrap().is_empty());
    assert_eq!(next.stamp(60_000).await.unwrap(), ["a".into()]);
    let rows = one.instances().await.unwrap();
    let seen: Vec<_> = rows.iter().map(|row| (&*row.instance.name, row.leads)).collect();
    assert_eq!(seen, [("a", true), ("b", false)]);
    next.leave().await;
    assert_eq!(one.instances().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_server_that_shares_with_nobody_is_refused_beside_others() {
    let home = Home::of(Kind::Postgres).await;
    let (store, _writer) = open(&home, "a").await;
    store.seat().unwrap().look().await.unwrap();
    let error = Store::open(home.options()).await.map(drop).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
    store.seat().unwrap().leave().await;
    // And it is not taken for one that has gone silent.
    let _alone = Store::open(home.options()).await.unwrap();
    let Look::Held(held) = store.seat().unwrap().look().await.unwrap() else { panic!("shared") };
    assert!(held.leader.is_none() && held.age_ms < 0, "{held:?}");
}

#[tokio::test]
async fn whoever_shares_the_database_hears_of_the_seat() {
    let home = Home::of(Kind::Postgres).await;
    let (one, _writer) = open(&home, "a").await;
    let (other, _others_writer) = open(&home, "b").await;
    let mut bell = other.news_bell().await.unwrap();
    one.seat().unwrap().look().await.unwrap();
    assert_eq!(bell.rung().await.unwrap(), News::Seat, "it was taken");
    one.seat().unwrap().leave().await;
    assert_eq!(bell.rung().await.unwrap(), News::Seat, "it is free");
}

#[tokio::test]
async fn a_delivery_is_accepted_once_beside_the_batches_and_taken_up_by_the_leader_alone() {
    let home = Home::of(Kind::Postgres).await;
    let (store, mut writer) = open(&home, "a").await;
    store.seat().unwrap().look().await.unwrap();
    let epoch = writer.load("a", 1).await.unwrap().epoch;
    let mut bell = store.news_bell().await.unwrap();
    let accepted = |number| {
        let mut delivery = fixture::delivery(number);
        (delivery.state, delivery.attempts) = (DeliveryState::Accepted, 0);
        delivery
    };
    let key = UniqueKey { scope: KeyScope::Delivery, key: "github/1".into() };
    let (first, again) = (accepted(1), accepted(2));
    assert_eq!(store.accept(&first, &key).await.unwrap(), first.id);
    assert_eq!(store.accept(&again, &key).await.unwrap(), first.id);
    assert_eq!(bell.rung().await.unwrap(), News::Accepted);

    assert_eq!(store.take_up(10, epoch - 1).await.unwrap(), []);
    let taken = store.take_up(10, epoch).await.unwrap();
    assert_eq!((taken.len(), taken[0].head.id, taken[0].head.attempts), (1, first.id, 1));
    // It ended the process, as it seems: it is tried again alone, and those that came later are not counted
    // with it.
    for number in 2..=3 {
        let key = UniqueKey { scope: KeyScope::Delivery, key: format!("github/{number}").into() };
        store.accept(&accepted(number), &key).await.unwrap();
    }
    for attempts in 2..=3 {
        let taken = store.take_up(10, epoch).await.unwrap();
        assert_eq!((taken.len(), taken[0].head.id), (1, first.id));
        assert_eq!(taken[0].head.attempts, attempts);
    }
    let mut failed = first.clone();
    failed.state = DeliveryState::Failed;
    let decided = [Change::DeliveryDecided(Box::new(failed))];
    let batch = writer.lend().unwrap().begin().await.unwrap();
    let lent = batch.commit(epoch, &decided, Marks::default(), 1).await.unwrap();
    writer.take_back(lent);
    let taken = store.take_up(10, epoch).await.unwrap();
    let attempts: Vec<_> = taken.iter().map(|row| row.head.attempts).collect();
    assert_eq!(attempts, [1, 1]);
}

async fn a_delivery_is_decided_once(on: Kind) {
    let mut opened = Opened::new(on).await;
    let mut delivery = fixture::delivery(1);
    delivery.state = DeliveryState::Accepted;
    opened.write(&[Change::DeliveryInserted(Box::new(delivery.clone()))]).await.unwrap();
    delivery.state = DeliveryState::Ignored;
    delivery.reason = Some("nothing wanted it".into());
    let decided = [Change::DeliveryDecided(Box::new(delivery.clone()))];
    opened.write(&decided).await.unwrap();
    let row = opened.store.delivery(delivery.id).await.unwrap().unwrap();
    assert_eq!((row.head.state, row.head.reason), (DeliveryState::Ignored, delivery.reason));
    let error = opened.write(&decided).await.unwrap_err();
    assert!(error.is_data(), "{error}");
}

on_both!(a_delivery_is_decided_once);
