//! Several servers on one PostgreSQL, and a runner that goes from one to the other.

use std::time::Duration;

use dispatchyard::api::wire::Assignment;
use dispatchyard::model::JobStateKind;
use reqwest::Method;

use super::home::{ADMIN_TOKEN, REGISTRATION_TOKEN};
use super::{Api, FakeRunner, Setup, until};

/// The term of these tests: a leader that is silent for longer is ousted.
pub(crate) const TTL_MS: u64 = 1_500;
/// What a take-over may take on a busy machine beyond what it waits for.
pub(crate) const SLOW: Duration = Duration::from_secs(4);

/// Of several instances on one database; no lease ends by itself.
pub(crate) async fn setup() -> Setup {
    with_term(TTL_MS).await
}

/// The same with another term: a machine that stands still for three quarters of it costs the leader its seat.
pub(crate) async fn with_term(ttl_ms: u64) -> Setup {
    let instances = format!("\n[instances]\nleader_ttl_ms = {ttl_ms}\nlook_interval_ms = 50\n");
    Setup::default().on_postgres().await.patient().tokens().more(&instances)
}

pub(crate) fn admin(api: &Api) -> Api {
    api.with_token(ADMIN_TOKEN)
}

pub(crate) async fn runner_at(api: &Api) -> FakeRunner {
    let api = api.with_token(REGISTRATION_TOKEN);
    FakeRunner::register(&api, "one", &["x", "self-hosted"]).await
}

/// The same runner by another address.
pub(crate) fn by(runner: &FakeRunner, api: &Api) -> FakeRunner {
    FakeRunner { api: api.with_token(&runner.token), ..runner.clone() }
}

/// A runner's lease is good at the instance that leads now, and ends once.
pub(crate) async fn is_kept(runner: &FakeRunner, held: &Assignment, leader: &Api) {
    let runner = by(runner, leader);
    assert_eq!(runner.heartbeat(&[held]).await.lost, []);
    runner.complete(held).await;
    runner.complete(held).await;
    let job = admin(leader).job(held.job_id).await;
    assert_eq!((job.job.state, job.attempts.len()), (JobStateKind::Completed, 1));
}

/// Waits until an instance says that it is so.
pub(crate) async fn is(api: &Api, state: &str) {
    until(&format!("it is {state}"), async || {
        let answer = api.request(Method::GET, "/readyz").send().await.ok()?;
        (answer.text().await.ok()?.trim() == state).then_some(())
    })
    .await;
}
