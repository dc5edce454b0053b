//! A provisioner of the program's own, which is not what it should be: it never answers, or it fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dispatchyard::api::wire::{PoolScaleView, WarmPoolView};
use dispatchyard::app::AppOptions;
use dispatchyard::executor::{ProvisionError, Provisioned, Provisioner, RunnerOrder};
use serde_json::{Value, json};

use crate::support::{Api, Server, Setup, on_both, until};

/// How it answers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mood {
    Well,
    Fails,
    Silent,
}

#[derive(Clone)]
struct Own {
    mood: Arc<Mutex<Mood>>,
    /// What was asked of it, in order.
    calls: Arc<Mutex<Vec<String>>>,
    runs: Arc<Mutex<BTreeMap<String, RunnerOrder>>>,
}

impl Own {
    fn new(mood: Mood) -> Self {
        Self { mood: Arc::new(Mutex::new(mood)), calls: Arc::default(), runs: Arc::default() }
    }

    fn is(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    async fn called(&self, call: &str, name: &str) -> Result<(), ProvisionError> {
        self.calls.lock().unwrap().push(format!("{call} {name}"));
        let mood = *self.mood.lock().unwrap();
        match mood {
            Mood::Well => Ok(()),
            Mood::Fails => Err(ProvisionError("no machine is free".to_owned())),
            Mood::Silent => std::future::pending().await,
        }
    }

    /// How often something was asked of it.
    fn count(&self, call: &str) -> usize {
        self.calls.lock().unwrap().iter().filter(|it| it.starts_with(call)).count()
    }

    /// Pools say that they have it, in the place of one of the configuration.
    fn options(&self) -> AppOptions {
        let own: Arc<dyn Provisioner> = Arc::new(self.clone());
        AppOptions { provisioners: [("own".into(), own)].into(), ..AppOptions::default() }
    }
}

#[async_trait]
impl Provisioner for Own {
    fn name(&self) -> &'static str {
        "own"
    }

    fn call_max(&self) -> Duration {
        Duration::from_millis(200)
    }

    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError> {
        self.called("create", &order.name).await?;
        self.runs.lock().unwrap().insert(order.name.clone(), order.clone());
        Ok(())
    }

    async fn destroy(&self, name: &str) -> Result<(), ProvisionError> {
        self.called("destroy", name).await?;
        self.runs.lock().unwrap().remove(name);
        Ok(())
    }

    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
        self.called("list", "").await?;
        let names: Vec<_> = self.runs.lock().unwrap().keys().cloned().collect();
        Ok(names.into_iter().map(|name| Provisioned { name, ended: None }).collect())
    }
}

const RULES: &str = r#"
[[provisioner]]
name = "own"
list_interval_ms = 100
[provisioner.process]
[agent_pools.warm.warm]
provisioner = "own"
min_idle = 1
max = 1
"#;

async fn warm(api: &Api) -> WarmPoolView {
    let pool: PoolScaleView = api.get("/pools/warm/scale").await;
    pool.warm.unwrap()
}

async fn one_that_never_answers_stops_nothing_for_ever(setup: Setup) {
    let own = Own::new(Mood::Silent);
    let server = Server::with(&setup.patient().rules(RULES), own.options()).await;
    let why = until("a start was given up", async || warm(&server.api).await.why).await;
    assert_eq!(why, "its provisioner did not answer within 200 ms");
    until("each call is made again", async || {
        let again = ["create", "destroy", "list"].iter().all(|call| own.count(call) > 1);
        again.then_some(())
    })
    .await;
    let first = own
        .calls
        .lock()
        .unwrap()
        .iter()
        .find_map(|it| it.strip_prefix("create ").map(str::to_owned));
    own.is(Mood::Well);
    until("one is started, and what may be there of the others is taken down", async || {
        let gone = own.calls.lock().unwrap().contains(&format!("destroy {}", first.as_ref()?));
        let runs = own.runs.lock().unwrap().len();
        let rows: Value = server.api.get("/runners").await;
        let rows = rows["items"].as_array()?.len();
        (gone && runs == 1 && rows == 1).then_some(())
    })
    .await;
}

async fn a_pool_that_is_held_back_starts_runners_when_an_operator_says_so(setup: Setup) {
    let own = Own::new(Mood::Fails);
    let server = Server::with(&setup.patient().rules(RULES), own.options()).await;
    let api = &server.api;
    let held = until("starts failed", async || {
        Some(warm(api).await).filter(|it| it.failures >= 2 && it.held_until_ms.is_some())
    })
    .await;
    assert_eq!(held.why.as_deref(), Some("no machine is free"));
    own.is(Mood::Well);
    let reset: PoolScaleView = api.done("/pools/warm/reset", json!({})).await;
    let warm = reset.warm.unwrap();
    assert_eq!((warm.failures, warm.why, warm.held_until_ms), (0, None, None));
    until("one is started", async || (own.runs.lock().unwrap().len() == 1).then_some(())).await;
    let cold = api.post("/pools/default/reset", json!({})).await;
    assert_eq!(cold.status, 409, "its runners come by themselves");
    assert_eq!(api.post("/pools/nobody/reset", json!({})).await.status, 404);
}

on_both![
    one_that_never_answers_stops_nothing_for_ever,
    a_pool_that_is_held_back_starts_runners_when_an_operator_says_so,
];
