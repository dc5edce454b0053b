//! The client against a small server on loopback.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{get, post};

use super::*;

/// Serves on a free port until the test ends.
pub(in crate::cli) async fn serve(router: Router) -> String {
    // The second test of a process finds it installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn problem(status: u16, hint: Option<&str>) -> axum::response::Response {
    let problem = Problem {
        kind: "urn:dispatchyard:not-found".to_owned(),
        title: "Not found".to_owned(),
        status,
        detail: "there is no job 7".to_owned(),
        hint: hint.map(str::to_owned),
    };
    let body = serde_json::to_string(&problem).unwrap();
    let kind = [(header::CONTENT_TYPE, "application/problem+json")];
    (StatusCode::from_u16(status).unwrap(), kind, body).into_response()
}

#[tokio::test]
async fn a_token_goes_to_the_api_and_not_to_hooks() {
    let told = |headers: HeaderMap| async move {
        let token = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        serde_json::json!({ "token": token }).to_string()
    };
    let router = Router::new()
        .route("/base/api/v1/status", get(told))
        .route("/base/hooks/github", post(told));
    let server = serve(router).await;
    let client = Client::new(&format!("{server}/base/"), Some("t0ken".to_owned())).unwrap();
    let answer = client.get(&["status"], &[]).await.unwrap();
    assert_eq!(answer.text, r#"{"token":"Bearer t0ken"}"#);
    let answer = client.post_hook(&["hooks", "github"], HeaderMap::new(), vec![]).await.unwrap();
    assert_eq!(answer.text, r#"{"token":null}"#);
    assert!(!format!("{client:?}").contains("t0ken"));
}

#[tokio::test]
async fn a_name_cannot_name_another_route() {
    let router = Router::new()
        .route("/api/v1/workflows/{name}/run", post(|Path(name): Path<String>| async { name }));
    let client = Client::new(&serve(router).await, None).unwrap();
    let path = ["workflows", "../jobs/7?x=1#y", "run"];
    let answer = client.post(&path, &serde_json::json!({})).await.unwrap();
    assert_eq!(answer.text, "../jobs/7?x=1#y");
}

#[tokio::test]
async fn a_problem_is_told_with_its_hint_or_one_of_ours() {
    let router = Router::new()
        .route("/api/v1/jobs/7", get(|| async { problem(404, Some("look elsewhere")) }))
        .route("/api/v1/jobs/8", get(|| async { problem(401, None) }));
    let client = Client::new(&serve(router).await, None).unwrap();
    let error = client.get(&["jobs", "7"], &[]).await.unwrap_err();
    assert_eq!(error.to_string(), "there is no job 7");
    assert_eq!(error.hint().as_deref(), Some("look elsewhere"));
    assert_eq!(error.exit_code(), 1);
    let error = client.get(&["jobs", "8"], &[]).await.unwrap_err();
    assert!(error.hint().unwrap().contains("--token-file"));
}

#[tokio::test]
async fn an_answer_of_another_server_is_shown_as_such() {
    let page = || async { (StatusCode::BAD_GATEWAY, "<html>".repeat(100)) };
    let router = Router::new()
        .route("/api/v1/status", get(page))
        .route("/api/v1/queue", get(|| async { "hi" }));
    let client = Client::new(&serve(router).await, None).unwrap();
    let error = client.get(&["status"], &[]).await.unwrap_err();
    assert!(matches!(&error, CliError::Unexplained { status: 502, body, .. } if body.len() == 200));
    assert!(error.is_transient());
    let answer = client.get(&["queue"], &[]).await.unwrap();
    let error = answer.read::<crate::api::wire::QueueView>().unwrap_err();
    assert!(matches!(error, CliError::NotUnderstood { .. }));
}

#[tokio::test]
async fn nobody_there_is_answered_with_how_to_start_a_server() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    // A port that was free a moment ago.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let server = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let client = Client::new(&server, None).unwrap();
    let error = client.get(&["status"], &[]).await.unwrap_err();
    assert!(error.to_string().starts_with(&format!("no answer from {server}: ")), "{error}");
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(error.hint().unwrap().contains("dispatchyard dev"));
}

#[test]
fn what_is_no_address_is_a_wrong_argument() {
    for address in ["127.0.0.1:7878", "ftp://host", "http://", ""] {
        let error = Client::new(address, None).unwrap_err();
        assert_eq!(error.exit_code(), 2, "{address}");
    }
}
