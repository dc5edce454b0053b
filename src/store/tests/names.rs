//! Numbers for names.

use super::fixture::{Opened, on_both};
use crate::model::{PoolId, TenantId};
use crate::store::connection::Kind;

async fn a_name_keeps_its_number_also_while_it_is_not_configured(on: Kind) {
    let opened = Opened::new(on).await;
    let first = opened.writer.intern(&["a", "b"], &[("fast", Some("b")), ("slow", None)]).await;
    let first = first.unwrap();
    assert_eq!(first.tenants["default"], TenantId::DEFAULT);
    assert_eq!(first.pools["default"], (PoolId::DEFAULT, None));
    assert_eq!((first.tenants["a"], first.tenants["b"]), (TenantId(2), TenantId(3)));
    assert_eq!(first.pools["fast"], (PoolId(2), Some(TenantId(3))));

    let second = opened.writer.intern(&["c"], &[("new", None)]).await.unwrap();
    assert_eq!(second.tenants["c"], TenantId(4));
    assert_eq!(second.pools["new"], (PoolId(4), None));
    assert_eq!(second.pools["fast"], first.pools["fast"], "whose it was last");

    let third = opened.writer.intern(&["b", "a"], &[("fast", Some("a"))]).await.unwrap();
    assert_eq!(third.tenants, second.tenants);
    assert_eq!(third.pools["fast"], (PoolId(2), Some(TenantId(2))), "whose it is now");
}

async fn names_are_given_beside_a_writer_that_writes(on: Kind) {
    let mut opened = Opened::new(on).await;
    opened.writer.intern(&["a"], &[]).await.unwrap();
    opened.write(&[]).await.unwrap();
}

on_both!(
    a_name_keeps_its_number_also_while_it_is_not_configured,
    names_are_given_beside_a_writer_that_writes,
);
