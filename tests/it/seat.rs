//! What instances on one PostgreSQL tell each other of the seat.

use reqwest::Method;
use sqlx::{Connection as _, PgConnection};

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
