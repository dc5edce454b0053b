//! What instances on one PostgreSQL tell each other of the seat, and how long a webhook waits beside it.

use std::time::Duration;

use reqwest::Method;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::hook::push_with;
use crate::support::wait::Stopwatch;
use crate::support::{Api, Server, Setup, until};

/// Of instances that by themselves would look at the seat when the test is long over.
async fn rarely_looking() -> Setup {
    let instances = "\n[instances]\nleader_ttl_ms = 600_000\nlook_interval_ms = 600_000\n";
    Setup::default().on_postgres().await.patient().more(instances)
}

/// Starts one that calls its connections so.
async fn start(setup: &Setup, name: &str) -> Server {
    let home = setup.build();
    let url = format!("{}&application_name={name}", home.schema().unwrap().url());
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let own = home.schema().unwrap().url();
    std::fs::write(home.config_file(), text.replace(&own, &url)).unwrap();
    Server::again(home).await
}

async fn connect(server: &Server) -> PgConnection {
    PgConnection::connect(&server.home.schema().unwrap().url()).await.unwrap()
}

/// Waits until that instance would hear of news.
async fn listens(server: &Server, name: &str) {
    let mut connection = connect(server).await;
    until("it listens", async || {
        let query = "SELECT 1 FROM pg_stat_activity
             WHERE application_name = $1 AND state = 'idle' AND query LIKE '%dispatchyard_seat%'";
        sqlx::query(query).bind(name).fetch_optional(&mut connection).await.unwrap()
    })
    .await;
}

async fn is(api: &Api, state: &str) {
    until(&format!("it is {state}"), async || {
        let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
        (answer.text().await.ok()?.trim() == state).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_leader_whose_session_was_ended_stands_by_as_soon_as_another_one_leads() {
    let setup = rarely_looking().await;
    let first = start(&setup, "seat_of_first").await;
    let second = start(&setup, "seat_of_second").await;
    listens(&first, "seat_of_first").await;
    is(&second.api, "standby").await;

    let mut connection = connect(&first).await;
    let session = "SELECT backend_pid::int FROM leadership WHERE id = 1";
    let session: i32 = sqlx::query_scalar(session).fetch_one(&mut connection).await.unwrap();
    until("the session has ended", async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1";
        let left = sqlx::query(end).bind(session).fetch_optional(&mut connection).await.unwrap();
        left.is_none().then_some(())
    })
    .await;
    // Whoever comes takes the free seat, and says so.
    let third = start(&setup, "seat_of_third").await;
    is(&third.api, "running").await;
    is(&first.api, "standby").await;
}

#[tokio::test]
async fn a_standby_leads_as_soon_as_the_leader_has_left() {
    let setup = rarely_looking().await;
    let first = start(&setup, "left_by_first").await;
    let second = start(&setup, "left_by_second").await;
    listens(&second, "left_by_second").await;
    is(&second.api, "standby").await;
    first.stop().await;
    is(&second.api, "running").await;
}

#[tokio::test]
async fn a_webhook_waits_once_for_all_that_may_store_it() {
    const PATIENCE_MS: i64 = 4_000;
    // Nothing is ended by its own limit before the patience is.
    let instances = "\n[instances]\nleader_ttl_ms = 60_000\n";
    let setup = Setup::default().on_postgres().await.patient().more(instances);
    let server = Server::start(&setup.scheduler("store_wait_ms", PATIENCE_MS)).await;
    is(&server.api, "running").await;
    let mut connection = connect(&server).await;
    let hold = "BEGIN; LOCK TABLE delivery IN ACCESS EXCLUSIVE MODE";
    sqlx::raw_sql(AssertSqlSafe(hold)).execute(&mut connection).await.unwrap();

    let watch = Stopwatch::start();
    let refused = server.hook().send("push", "d-1", push_with("/after", "a")).await;
    let took = watch.elapsed();
    assert_eq!(refused.status, 503, "{refused:?}");
    // It was twice as long when the second way had a patience of its own.
    assert!(took < Duration::from_millis(2 * PATIENCE_MS.unsigned_abs() - 1_000), "{took:?}");

    sqlx::raw_sql("COMMIT").execute(&mut connection).await.unwrap();
    let again = server.hook().send("push", "d-1", push_with("/after", "a")).await;
    assert!((200..300).contains(&again.status), "{again:?}");
}
