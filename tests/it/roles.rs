//! Instances that connect as different users of the database, of which one may not end the sessions of the
//! other.

use dispatchyard::api::wire::StatusView;
use rustix::process::Signal;
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::fake_runner::job;
use crate::support::instances::{admin, is, is_kept, runner_at, with_term};
use crate::support::proxy::with_user;
use crate::support::server::ServerProcess;
use crate::support::wait::Stopwatch;

/// Nobody may end the session of the one that sleeps: the database does it by itself, and until then the other
/// says what it lacks.
#[tokio::test]
async fn one_that_may_not_oust_the_leader_says_so_and_takes_over_once_the_database_has_ended_it() {
    let setup = with_term(3_000).await;
    let home = setup.build();
    let first = ServerProcess::start(&home).await;
    let role = Role::new(&setup.url()).await;
    let other = setup.through(|url| with_user(url, &role.name, PASSWORD)).build();
    let second = ServerProcess::start(&other).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&second.api).await;
    let (_, jobs) = admin(&second.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;

    let watch = Stopwatch::start();
    first.signal(Signal::STOP);
    is(&second.api, "running").await;
    println!("taken over without the right to oust after {} ms", watch.elapsed().as_millis());
    let told = second.told();
    assert!(told.contains("GRANT pg_signal_backend"), "{told}");
    is_kept(&runner, &held, &second.api).await;
    let before: StatusView = admin(&second.api).get("/status").await;

    first.signal(Signal::CONT);
    is(&first.api, "standby").await;
    let after: StatusView = admin(&second.api).get("/status").await;
    assert_eq!(
        (after.state, after.epoch),
        ("running".to_owned(), before.epoch),
        "{}",
        first.told()
    );
    let job = admin(&first.api).job(jobs[0]).await;
    assert_eq!(job.attempts.len(), 1, "{job:?}");
    drop((first, second));
    role.drop_it().await;
}

const PASSWORD: &str = "of-a-test";

/// A user who may do everything in the schema and nothing beside it.
struct Role {
    name: String,
    url: String,
}

impl Role {
    async fn new(url: &str) -> Self {
        let mut connection = PgConnection::connect(url).await.unwrap();
        let schema: String = sqlx::query_scalar("SELECT current_schema()::text")
            .fetch_one(&mut connection)
            .await
            .unwrap();
        let name = format!("{schema}_other");
        let text = format!(
            "DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}';
             GRANT ALL ON SCHEMA {schema} TO {name};
             GRANT ALL ON ALL TABLES IN SCHEMA {schema} TO {name};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA {schema} TO {name}"
        );
        let made = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await;
        made.unwrap_or_else(|error| panic!("this test needs a user that may make others: {error}"));
        Self { name, url: url.to_owned() }
    }

    async fn drop_it(self) {
        let mut connection = PgConnection::connect(&self.url).await.unwrap();
        let text = format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name);
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut connection).await.unwrap();
    }
}
