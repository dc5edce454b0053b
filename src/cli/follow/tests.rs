//! The follower against a server that breaks off.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::response::IntoResponse;
use axum::routing::get;

use super::*;
use crate::cli::client::tests::serve;

const QUICK: Patience = Patience {
    first: Duration::from_millis(1),
    longest: Duration::from_millis(2),
    failures_max: 3,
};

/// The first connection breaks off inside an event, the second is refused for a moment, later
/// ones go on behind the id that they are told.
fn flaky(calls: Arc<AtomicUsize>) -> Router {
    let answer = move |headers: HeaderMap| async move {
        let id = headers.get("last-event-id").map(|id| id.to_str().unwrap().to_owned());
        match (calls.fetch_add(1, Ordering::SeqCst), id.as_deref()) {
            (0, None) => "id: 1\ndata: one\n\nid: 2\ndata: lost".into_response(),
            (1, _) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
            (2, Some("1")) => {
                "id: 2\ndata: two\n\nid: 3\nevent: end\ndata: three\n\n".into_response()
            }
            (_, Some("3")) => "".into_response(),
            (_, other) => panic!("asked for what is behind {other:?}"),
        }
    };
    Router::new().route("/api/v1/stream", get(answer))
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_was_and_is_given_up_in_the_end() {
    let calls = Arc::new(AtomicUsize::new(0));
    let client = Client::new(&serve(flaky(calls.clone())).await, None).unwrap();
    let mut follower = Follower::new(&client, &["stream"], Vec::new()).patience(QUICK);
    let mut told = Vec::new();
    for _ in 0..3 {
        told.push(follower.next().await.unwrap().data);
    }
    assert_eq!(told, ["one", "two", "three"]);
    let error = follower.next().await.unwrap_err();
    assert!(matches!(error, CliError::StreamLost { failures: 4, .. }), "{error}");
    assert_eq!(calls.load(Ordering::SeqCst), 6);
}

#[tokio::test]
async fn a_refusal_and_a_first_failure_are_told_at_once() {
    let calls = Arc::new(AtomicUsize::new(1));
    let client = Client::new(&serve(flaky(calls.clone())).await, None).unwrap();
    let mut follower = Follower::new(&client, &["stream"], Vec::new()).patience(QUICK);
    assert!(follower.next().await.is_err());
    let mut follower = Follower::new(&client, &["elsewhere"], Vec::new()).patience(QUICK);
    assert!(matches!(follower.next().await, Err(CliError::Unexplained { status: 404, .. })));
    assert_eq!(calls.load(Ordering::SeqCst), 2);
}

#[test]
fn waits_double_up_to_the_longest() {
    let patience = Patience::default();
    assert_eq!(patience.wait(1), Duration::from_millis(250));
    assert_eq!(patience.wait(3), Duration::from_secs(1));
    assert_eq!(patience.wait(99), Duration::from_secs(5));
}
