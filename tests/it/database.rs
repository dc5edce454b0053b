//! Databases that cannot be used: a start that says why and what to do, and ends with 2.

use dispatchyard::model::JobStateKind;
use serde_json::json;
use sqlx::{Connection as _, PgConnection};

use crate::support::fake_runner::job_with;
use crate::support::server::ServerProcess;
use crate::support::{Home, Schema, Server, Setup, on_both};

/// Starts a server that does not come far, and returns what it said.
async fn refused(home: &Home) -> String {
    let mut process = ServerProcess::launch(home);
    let status = process.ended().await;
    let told = process.told();
    assert_eq!(status.code(), Some(2), "{told}");
    told
}

/// The test's own address, with another user and password, or another part of it.
fn changed(url: &str, user: &str, database: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap();
    let (_, rest) = rest.split_once('@').unwrap_or(("", rest));
    let host = rest.split(['/', '?']).next().unwrap();
    format!("{scheme}://{user}@{host}/{database}")
}

#[tokio::test]
async fn a_database_that_cannot_be_used_ends_the_start_with_what_to_do() {
    let url = Schema::new().await.url();
    let (_, mine) = url.split_once("://").unwrap();
    let mine = mine.split_once('@').map_or("", |(user, _)| user);
    let cases = [
        ("mysql://me:opensesame@db/yard".to_owned(), "expected `sqlite:PATH` or `postgres://"),
        ("postgres://me:opensesame@127.0.0.1:port/yard".to_owned(), "invalid port number"),
        ("postgres://me:opensesame@127.0.0.1:1/yard".to_owned(), "is it running, and are host"),
        (changed(&url, "nobody_here:opensesame", "postgres"), "check user and password in `url`"),
        (changed(&url, mine, "not_there"), "make the database with `createdb`"),
    ];
    for (url, wanted) in cases {
        let home = Setup::default().database(url).build();
        let told = refused(&home).await;
        assert!(told.contains(wanted), "{wanted}: {told}");
        assert!(!told.contains("opensesame"), "{told}");
        assert!(!told.contains("listening"), "{told}");
    }
}

/// What is remembered and what is stored are the same text, so a restart changes nothing.
async fn a_nul_in_a_submission_is_replaced_before_anybody_reads_it(setup: Setup) {
    let server = Server::start(&setup.patient()).await;
    let (_, jobs) =
        server.api.submit(json!([job_with("a", json!({ "env": { "X": "1\0 2" } }))])).await;
    let request = json!({ "name": "w\0", "jobs": [job_with("x\0y", json!({}))] });
    let answer = server.api.post("/workloads", request).await;
    assert!(answer.status < 300 || answer.status == 422, "{answer:?}");
    let before: Vec<_> = server.api.jobs().await.into_iter().map(|job| job.name).collect();
    assert!(before.iter().all(|name| !name.contains('\0')), "{before:?}");
    let server = Server::again(server.stop().await).await;
    let after: Vec<_> = server.api.jobs().await.into_iter().map(|job| job.name).collect();
    assert_eq!(after, before);
    server.api.job_is(jobs[0], JobStateKind::Pending).await;
}

on_both!(a_nul_in_a_submission_is_replaced_before_anybody_reads_it);

#[tokio::test]
async fn a_second_server_on_a_sqlite_file_and_a_newer_schema_are_refused() {
    let home = Setup::default().build();
    let _first = ServerProcess::start(&home).await;
    let told = refused(&home).await;
    assert!(told.contains("is in use") && told.contains("stop that server"), "{told}");

    let setup = Setup::default().patient().on_postgres().await;
    let home = setup.build();
    let mut first = ServerProcess::start(&home).await;
    let password = home.schema().unwrap().url();
    let password = password.split_once("://").and_then(|(_, rest)| rest.split_once('@'));
    let password = password.and_then(|(user, _)| user.split_once(':')).map(|(_, text)| text);
    assert!(password.is_none_or(|text| !first.told().contains(text)));
    first.kill().await;

    let mut connection = PgConnection::connect(&home.schema().unwrap().url()).await.unwrap();
    let later = "INSERT INTO _sqlx_migrations
                 (version, description, success, checksum, execution_time)
                 VALUES (9999, 'from the future', true, '', 0)";
    sqlx::raw_sql(later).execute(&mut connection).await.unwrap();
    let told = refused(&home).await;
    assert!(told.contains("schema version 9999") && told.contains("start the version"), "{told}");
}
