//! What instances on one PostgreSQL tell each other of the seat, and how long a webhook waits beside it.

use std::time::Duration;

use dispatchyard::app::AppOptions;
use dispatchyard::executor::ExecutionResult;
use dispatchyard::model::JobStateKind;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::backend::Backend;
use crate::support::fake_runner::job;
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
    start_with(setup, name, AppOptions::default()).await
}

/// The same, with executors of the test's own.
async fn start_with(setup: &Setup, name: &str, options: AppOptions) -> Server {
    let home = setup.build();
    let url = format!("{}&application_name={name}", home.schema().unwrap().url());
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let own = home.schema().unwrap().url();
    std::fs::write(home.config_file(), text.replace(&own, &url)).unwrap();
    Server::again_with(home, options).await
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

    end_session(&first).await;
    // Whoever comes takes the free seat, and says so.
    let third = start(&setup, "seat_of_third").await;
    is(&third.api, "running").await;
    is(&first.api, "standby").await;
}

/// Ends the session that has the seat.
async fn end_session(server: &Server) {
    let mut connection = connect(server).await;
    let session = "SELECT backend_pid::int FROM leadership WHERE id = 1";
    let session: i32 = sqlx::query_scalar(session).fetch_one(&mut connection).await.unwrap();
    until("the session has ended", async || {
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1";
        let left = sqlx::query(end).bind(session).fetch_optional(&mut connection).await.unwrap();
        left.is_none().then_some(())
    })
    .await;
}

/// What goes on outside is looked after by whoever has the seat: who lost it stops nothing and begins nothing.
#[tokio::test]
async fn a_server_that_loses_the_seat_leaves_durable_attempts_to_the_next_one() {
    let backend = Backend::default();
    let options = || Backend::options(&[("cloud", &backend)], vec![]);
    let setup = rarely_looking().await;
    let first = start_with(&setup, "durable_of_first", options()).await;
    let names = ["goes-on", "ends-between", "goes-on-too"];
    let (_, ids) = first.api.submit(json!(names.map(job))).await;
    let keys = backend.has(3).await;
    for id in &ids {
        first.api.job_is(*id, JobStateKind::Running).await;
    }
    listens(&first, "durable_of_first").await;

    end_session(&first).await;
    let second = start_with(&setup, "durable_of_second", options()).await;
    is(&second.api, "running").await;
    is(&first.api, "standby").await;
    backend.ends(&keys[1], ExecutionResult::success([("a", "b")]));
    let between = second.api.job_is(ids[1], JobStateKind::Completed).await;
    assert_eq!((between.attempts.len(), &*between.outputs["a"]), (1, "b"));
    until("the second one alone watches what goes on", async || {
        let watched = backend.with(|state| state.watchers.clone());
        ([0, 2].map(|at| watched[&keys[at]]) == [1, 1]).then_some(())
    })
    .await;
    assert!(backend.with(|state| state.stopped.is_empty()), "nobody stopped anything");
    for at in [0, 2] {
        assert_eq!(second.api.job(ids[at]).await.job.state, JobStateKind::Running);
        backend.ends(&keys[at], ExecutionResult::success([("a", "b")]));
        let done = second.api.job_is(ids[at], JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 1, "{done:?}");
    }
    assert!(backend.with(|state| state.starts.values().all(|times| *times == 1)));
    assert_eq!(backend.has(3).await, keys);
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
