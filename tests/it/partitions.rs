//! A network between an instance and PostgreSQL that breaks, while another instance still has its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use dispatchyard::api::wire::{List, StatusView, SubmitResponse, WorkloadView};
use dispatchyard::app::AppOptions;
use dispatchyard::model::JobStateKind;
use dispatchyard::store::{Planted, Point};
use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::fake_runner::job;
use crate::support::hook::fixture;
use crate::support::instances::{admin, is, is_kept, runner_at, with_term};
use crate::support::proxy::{Proxy, Weather};
use crate::support::wait::{Stopwatch, within};
use crate::support::{Answer, Api, Server, Setup, until};

/// A webhook waits for a decision, and then to be stored: `store_wait_ms` each.
const PATIENCE: Duration = Duration::from_secs(5);
/// What a machine that is busy with other work may need beyond that.
const SLOW: Duration = Duration::from_secs(10);
/// Longer than such a machine stands still.
const TTL_MS: u64 = 3_000;

/// An instance with a network of its own, and the weather that comes when a batch is about to be committed,
/// once that is armed.
struct Exposed {
    server: Server,
    proxy: Proxy,
    armed: Arc<AtomicBool>,
}

impl Exposed {
    async fn start(setup: &Setup, weather: Weather) -> Self {
        let proxy = Proxy::to(&setup.url()).await;
        let armed = Arc::new(AtomicBool::new(false));
        let (at_commit, between) = (Arc::clone(&armed), proxy.clone());
        let planted = Planted {
            at: Some(Arc::new(move |point| {
                if point == Point::Written && at_commit.swap(false, Ordering::SeqCst) {
                    between.set(weather);
                }
                Ok(())
            })),
            ..Planted::default()
        };
        let options = AppOptions { planted, ..AppOptions::default() };
        let server = Server::with(&setup.through(|url| proxy.url(url)), options).await;
        Self { server, proxy, armed }
    }

    /// The next commit meets the weather; sends a workload that has this key and is in it.
    async fn submit_into_it(&self, key: &str) -> Answer {
        self.armed.store(true, Ordering::SeqCst);
        let answer = submit(&admin(&self.server.api), key).await;
        assert!(!self.armed.load(Ordering::SeqCst), "it met no weather");
        answer
    }
}

/// Submits a workload with this name and key.
async fn submit(api: &Api, key: &str) -> Answer {
    let body: Value = json!({ "name": key, "jobs": [job("a")] });
    let request = api.request(Method::POST, "/api/v1/workloads").header("idempotency-key", key);
    let sent = within("a submission", request.json(&body).send()).await.unwrap();
    Answer::of(sent).await.unwrap()
}

/// How many workloads have this name.
async fn named(api: &Api, name: &str) -> usize {
    let list: List<WorkloadView> = api.get("/workloads").await;
    list.items.iter().filter(|it| it.name == name).count()
}

/// What was sent into the dark comes late: the commit of a batch, and signs of life.
#[tokio::test]
async fn a_leader_that_is_cut_off_is_followed_and_nothing_stale_of_it_is_written() {
    let setup = with_term(TTL_MS).await;
    let first = Exposed::start(&setup, Weather::Dark).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&second.api).await;
    admin(&second.api).submit(json!([job("a")])).await;
    let held = runner.begin().await;
    let before: StatusView = admin(&second.api).get("/status").await;

    let watch = Stopwatch::start();
    let timed = async |what: &str, answer: Answer| {
        let took = watch.elapsed();
        println!("{what}: {} after {} ms", answer.status, took.as_millis());
        assert!(took < PATIENCE + SLOW, "{what} waited for {took:?}");
        answer.status
    };
    let (stale, here, there, ()) = tokio::join!(
        async {
            timed("a submission to the old leader", first.submit_into_it("stale").await).await
        },
        async {
            let answer = first.server.hook().send("push", "d-1", fixture("push")).await;
            timed("a delivery to the old leader", answer).await
        },
        async {
            let answer = second.hook().send("push", "d-2", fixture("push")).await;
            timed("a delivery to the standby", answer).await
        },
        async {
            is(&second.api, "running").await;
            println!("taken over after {} ms", watch.elapsed().as_millis());
        },
    );
    assert_eq!(stale, 503);
    assert!([202, 503].contains(&here), "{here}");
    assert_eq!(there, 202);
    assert_ne!(first.server.handle().views().state().as_str(), "running");
    is_kept(&runner, &held, &second.api).await;

    // What lay in the dark meets a database that has ended its connection.
    first.proxy.set(Weather::Fair);
    is(&first.server.api, "standby").await;
    let again = first.server.hook().send("push", "d-1", fixture("push")).await;
    assert!([200, 202].contains(&again.status), "{again:?}");
    let api = admin(&second.api);
    until("both deliveries are decided, once", async || {
        let rows = api.deliveries().await;
        assert!(rows.len() <= 2, "{rows:?}");
        (rows.iter().filter(|row| row.state == "dispatched").count() == 2).then_some(())
    })
    .await;
    assert_eq!(named(&api, "stale").await, 0, "it was refused");
    let after: StatusView = admin(&first.server.api).get("/status").await;
    assert!(after.epoch > before.epoch && after.state == "running", "{after:?}");
    assert_eq!(submit(&admin(&first.server.api), "stale").await.status, 201, "and passes calls on");
}

/// The commit is carried out, and whoever asked for it does not hear of it.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_on_the_way_is_found_by_its_key() {
    let setup = with_term(TTL_MS).await;
    let first = Exposed::start(&setup, Weather::Mute).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;

    let watch = Stopwatch::start();
    let answer = first.submit_into_it("once").await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(watch.elapsed() < PATIENCE + SLOW, "{:?}", watch.elapsed());
    is(&second.api, "running").await;
    let again = submit(&admin(&second.api), "once").await;
    let made: SubmitResponse = again.json();
    assert_eq!((again.status, made.duplicate), (200, true), "it was committed");
    assert_eq!(named(&admin(&second.api), "once").await, 1);

    first.proxy.set(Weather::Fair);
    is(&first.server.api, "standby").await;
    let again: SubmitResponse = submit(&admin(&first.server.api), "once").await.json();
    assert_eq!(again, made);
}

/// As behind a firewall that was restarted: old connections end nowhere, new ones are good.
#[tokio::test]
async fn connections_that_are_forgotten_on_the_way_are_replaced_by_new_ones() {
    // Nobody looks for what others accepted unless he is told.
    let setup = with_term(TTL_MS).await;
    let seldom = format!(
        "\n[instances]\nleader_ttl_ms = {TTL_MS}\nlook_interval_ms = 50\n\
         adopt_interval_ms = 600000\n"
    );
    let setup = setup.rules(crate::support::home::RULES).more(&seldom);
    let first = Server::start(&setup).await;
    let second = Exposed::start(&setup, Weather::Fair).await;
    is(&second.server.api, "standby").await;
    let api = admin(&second.server.api);
    let many = async |what: &str| {
        let sent = (0..12).map(async |at| {
            let (hook, id) = (second.server.hook(), format!("{what}-{at}"));
            hook.send("push", &id, fixture("push")).await.status
        });
        let read = (0..12).map(async |_| api.ask(Method::GET, "/deliveries", None).await.status);
        let watch = Stopwatch::start();
        let (sent, read) = tokio::join!(join_all(sent), join_all(read));
        println!("{what}: {} ms", watch.elapsed().as_millis());
        assert!(watch.elapsed() < PATIENCE * 2 + SLOW, "{what} took {:?}", watch.elapsed());
        assert!(sent.iter().all(|it| [200, 202, 503].contains(it)), "{sent:?}");
        assert!(read.iter().all(|it| [200, 503].contains(it)), "{read:?}");
        sent.iter().chain(&read).all(|status| *status != 503)
    };
    until("all is well", async || many("before").await.then_some(())).await;
    second.proxy.forget();
    until("all is well at the standby", async || many("after").await.then_some(())).await;

    // And it hears of what others accept when it leads.
    let home = first.stop().await;
    is(&second.server.api, "running").await;
    let first = Server::again(home).await;
    is(&first.api, "standby").await;
    let told = first.hook().push("bell").await;
    until("it was told of the delivery", async || {
        (api.delivery(told.delivery_id).await.state == "dispatched").then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_instance_that_is_cut_off_ends_when_it_is_told_to() {
    let setup = with_term(TTL_MS).await;
    let first = Exposed::start(&setup, Weather::Dark).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    admin(&first.server.api).deliveries().await;
    first.proxy.set(Weather::Dark);
    // These wait for the dark, each with a connection.
    let asked = join_all((0..4).map(|_| {
        let api = admin(&first.server.api);
        tokio::spawn(async move { api.try_ask(Method::GET, "/deliveries", None).await })
    }));
    let watch = Stopwatch::start();
    within("the end of the server", first.server.stop()).await;
    println!("ended in the dark after {} ms", watch.elapsed().as_millis());
    is(&second.api, "running").await;
    within("the end of reads", asked).await;
}

/// Each answer takes its time: less is done in a second, and nobody loses anything by it.
#[tokio::test]
async fn a_slow_database_slows_things_down_and_costs_nobody_the_seat() {
    let late = Duration::from_millis(40);
    let setup = with_term(5 * TTL_MS).await;
    let first = Exposed::start(&setup, Weather::Fair).await;
    let second = Server::start(&setup).await;
    is(&second.api, "standby").await;
    let runner = runner_at(&first.server.api).await;
    let api = admin(&first.server.api);
    let lifecycle = async |weather: &str| {
        let watch = Stopwatch::start();
        let (_, jobs) = api.submit(json!([job("a")])).await;
        let held = runner.begin().await;
        assert_eq!(held.job_id, jobs[0]);
        runner.complete(&held).await;
        println!(
            "{weather}: a job from its submission to its end in {} ms",
            watch.elapsed().as_millis()
        );
        watch.elapsed()
    };
    lifecycle("fair").await;
    let before: StatusView = api.get("/status").await;

    first.proxy.set(Weather::Slow(late));
    let slow = lifecycle("slow").await;
    assert!(slow > late * 2 * 3, "the weather is not what it should be: {slow:?}");
    let watch = Stopwatch::start();
    let sent = join_all((0..5).map(async |at| {
        first.server.hook().send("push", &format!("d-{at}"), fixture("push")).await.status
    }));
    let sent = sent.await;
    println!("five deliveries together in {} ms: {sent:?}", watch.elapsed().as_millis());
    assert!(watch.elapsed() < PATIENCE + SLOW, "{:?}", watch.elapsed());
    assert!(sent.iter().all(|it| [202, 503].contains(it)), "{sent:?}");
    let during: StatusView = api.get("/status").await;
    assert_eq!((during.epoch, during.state.as_str()), (before.epoch, "running"));

    first.proxy.set(Weather::Fair);
    // Those that are still being written are in front of it.
    let accepted = sent.iter().filter(|it| **it == 202).count();
    until("what was accepted is decided", async || {
        let rows = api.deliveries().await;
        let decided = rows.iter().filter(|row| row.state == "dispatched").count();
        (decided >= accepted && decided == rows.len()).then_some(())
    })
    .await;
    let mut fastest = Duration::MAX;
    for id in api.jobs().await.iter().filter(|it| it.state == JobStateKind::Pending) {
        api.done::<Value>(&format!("/jobs/{}/cancel", id.id), json!({})).await;
    }
    for _ in 0..3 {
        fastest = fastest.min(lifecycle("fair again").await);
    }
    assert!(fastest < slow, "it is as slow as it was: {fastest:?} to {slow:?}");
}
