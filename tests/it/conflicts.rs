//! A PostgreSQL that gives up a transaction in the middle of a batch, as it may at any time: the batch is not
//! there, one load follows, and everybody is told what is so.

use dispatchyard::api::wire::{DeliveryAccepted, List, StatusView, SubmitResponse, WorkloadView};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::fake_runner::job;
use crate::support::hook::fixture;
use crate::support::wait::within;
use crate::support::{Answer, Api, FakeRunner, Server, Setup, until};

/// What a database says that could not do it now: serialization failure, deadlock, lock and statement timeout,
/// out of memory, disk full, and the end of the session by an administrator.
const CODES: [&str; 7] = ["40001", "40P01", "55P03", "57014", "53200", "53100", "57P01"];
/// How many of each kind are sent together.
const EACH: usize = 4;

/// Fails once, and tells that in a place that no rollback reaches: at the statement, or at the commit.
async fn plant(connection: &mut PgConnection, code: &str, at_commit: bool) {
    let trigger = if at_commit {
        "CREATE CONSTRAINT TRIGGER fail_once AFTER INSERT ON job DEFERRABLE INITIALLY DEFERRED"
    } else {
        "CREATE TRIGGER fail_once BEFORE INSERT ON job"
    };
    let text = format!(
        "CREATE SEQUENCE IF NOT EXISTS failures; ALTER SEQUENCE failures RESTART;
         CREATE OR REPLACE FUNCTION fail_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('failures') = 1 THEN RAISE EXCEPTION 'planted' USING ERRCODE = '{code}'; END IF;
             RETURN NEW; END $$;
         {trigger} FOR EACH ROW EXECUTE FUNCTION fail_once()"
    );
    sqlx::raw_sql(AssertSqlSafe(text)).execute(connection).await.unwrap();
}

async fn submit(api: &Api, name: &str, key: Option<&str>) -> Answer {
    let body = json!({ "name": name, "jobs": [job("a")] });
    let mut request = api.request(Method::POST, "/api/v1/workloads").json(&body);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    Answer::of(within("a submission", request.send()).await.unwrap()).await.unwrap()
}

/// How many workloads have this name.
async fn named(api: &Api, name: &str) -> usize {
    let list: List<WorkloadView> = api.get("/workloads?limit=500").await;
    list.items.iter().filter(|it| it.name == name).count()
}

#[tokio::test]
async fn a_transaction_that_the_database_gives_up_costs_one_load_and_nothing_else() {
    // Nobody loses patience, whose work may then be there or not.
    let setup = Setup::default().on_postgres().await.patient().scheduler("store_wait_ms", 25_000);
    let server = Server::start(&setup).await;
    let mut connection = PgConnection::connect(&setup.url()).await.unwrap();
    let mut failed = 0;
    for (round, (code, at_commit)) in
        CODES.into_iter().flat_map(|code| [(code, false), (code, true)]).enumerate()
    {
        let before: StatusView = server.api.get("/status").await;
        plant(&mut connection, code, at_commit).await;
        let (api, hook) = (&server.api, server.hook());
        let (plain, keyed, sent) = tokio::join!(
            join_all((0..EACH).map(async |at| {
                let name = format!("plain-{round}-{at}");
                (submit(api, &name, None).await.status, name)
            })),
            join_all((0..EACH).map(async |at| {
                let name = format!("keyed-{round}-{at}");
                (submit(api, &name, Some(&name)).await, name)
            })),
            join_all((0..EACH).map(async |at| {
                let id = format!("d-{round}-{at}");
                (hook.send("push", &id, fixture("push")).await, id)
            })),
        );
        let what = format!("{code}, at the commit: {at_commit}");
        for (status, name) in plain {
            let there = usize::from(status == 201);
            assert!([201, 503].contains(&status), "{what}: {status}");
            assert_eq!(named(api, &name).await, there, "{what}: it was told {status}");
            failed += usize::from(status == 503);
        }
        // What has a key is tried again for its sender.
        for (answer, name) in keyed {
            assert_eq!(answer.status, 201, "{what}: {answer:?}");
            let again: SubmitResponse = submit(api, &name, Some(&name)).await.json();
            let made: SubmitResponse = answer.json();
            assert_eq!((again.workload_id, again.duplicate), (made.workload_id, true), "{what}");
            assert_eq!(named(api, &name).await, 1, "{what}");
        }
        for (answer, id) in sent {
            assert_eq!(answer.status, 202, "{what}: {answer:?}");
            let told: DeliveryAccepted = answer.json();
            // One that came while it loaded is decided after that.
            let row = until("it is decided", async || {
                let row = api.delivery(told.delivery_id).await;
                (row.state == "dispatched").then_some(row)
            })
            .await;
            assert_eq!(row.triggers.iter().filter(|it| it.workload_id.is_some()).count(), 1);
            let again: DeliveryAccepted = hook.send("push", &id, fixture("push")).await.json();
            assert_eq!((again.delivery_id, again.duplicate), (told.delivery_id, true), "{what}");
        }
        let after: StatusView = server.api.get("/status").await;
        assert_eq!(after.epoch, before.epoch + 1, "{what}: one load");
        let over = "DROP TRIGGER fail_once ON job";
        sqlx::raw_sql(over).execute(&mut connection).await.unwrap();
    }
    println!("{failed} submissions without a key were told to come again");
    all_of_it_runs(&server).await;
}

/// Two sessions wait for each other: the database ends one of them. Which one is its own to decide.
#[tokio::test]
async fn a_deadlock_with_another_session_ends() {
    // Nobody loses patience, whose work may then be there or not.
    let setup = Setup::default().on_postgres().await.patient().scheduler("store_wait_ms", 25_000);
    let server = Server::start(&setup).await;
    let mut other = PgConnection::connect(&setup.url()).await.unwrap();
    let mut looks = PgConnection::connect(&setup.url()).await.unwrap();
    sqlx::raw_sql("BEGIN; LOCK TABLE job IN SHARE MODE").execute(&mut other).await.unwrap();
    let (api, hook) = (server.api.clone(), server.hook());
    let plain = tokio::spawn(async move { submit(&api, "plain", None).await.status });
    let sent = tokio::spawn(async move { hook.send("push", "d-1", fixture("push")).await });
    until("the batch waits for the table", async || {
        let waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'job'::regclass";
        sqlx::query(waits).fetch_optional(&mut looks).await.unwrap().map(drop)
    })
    .await;
    // The batch has the leader's row.
    let take = sqlx::raw_sql("UPDATE leader SET holder = holder").execute(&mut other);
    let taken = within("the end of the deadlock", take).await;
    println!("the database has ended {}", if taken.is_ok() { "the batch" } else { "the other" });
    other.close().await.unwrap();

    let (plain, sent) = (plain.await.unwrap(), sent.await.unwrap());
    assert_eq!(sent.status, 202, "{sent:?}");
    assert!([201, 503].contains(&plain), "{plain}");
    assert_eq!(named(&server.api, "plain").await, usize::from(plain == 201));
    assert!(plain == 201 || taken.is_ok(), "nobody has ended its batch");
    all_of_it_runs(&server).await;
}

/// Every job that is there is given out, and once.
async fn all_of_it_runs(server: &Server) {
    let labels = ["x", "self-hosted"];
    let runner = FakeRunner::with_slots(&server.api, "one", &labels, 100).await;
    loop {
        let given = runner.look().await;
        if given.is_empty() {
            break;
        }
        for held in &given {
            runner.start(held).await;
            runner.complete(held).await;
        }
    }
    let status: StatusView = server.api.get("/status").await;
    assert_eq!((status.queue_size, status.running_jobs), (0, 0));
}
