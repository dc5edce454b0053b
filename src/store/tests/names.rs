//! Numbers for names.

use super::fixture::Opened;
use crate::model::{PoolId, TenantId};

#[tokio::test]
async fn a_name_keeps_its_number_also_while_it_is_not_configured() {
    let opened = Opened::new().await;
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

#[tokio::test]
async fn names_are_given_beside_a_writer_that_writes() {
    let mut opened = Opened::new().await;
    opened.writer.intern(&["a"], &[]).await.unwrap();
    opened.write(&[]).await.unwrap();
}
