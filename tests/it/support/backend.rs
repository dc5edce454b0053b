//! A backend that jobs are pushed to, in this process: what it has outlives the servers of a test. And what
//! others have in common.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use dispatchyard::api::wire::JobDetail;
use dispatchyard::app::{AppOptions, OwnExecutor};
use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::executor::{
    Adopted, DispatchError, DurableExecutor, ExecutionResult, ExecutorMetrics, TaskContext,
    TaskReadyEvent,
};
use reqwest::Method;
use serde_json::Value;
use tokio::sync::watch;

use super::{Api, until};

/// What a backend has, and how it answers.
#[derive(Default)]
pub(crate) struct State {
    /// How often each attempt was started.
    pub(crate) starts: BTreeMap<String, usize>,
    /// Attempts that were told to stop.
    pub(crate) stopped: Vec<String>,
    /// How many watch each attempt.
    pub(crate) watchers: BTreeMap<String, usize>,
    /// How attempts ended.
    ends: BTreeMap<String, ExecutionResult>,
    /// What it says to whoever wants to start something.
    refuses: Option<DispatchError>,
    /// What became of an attempt is not known just now.
    is_blind: bool,
    /// It never says whether it can be reached.
    pub(crate) is_mute: bool,
    /// Probes that were begun, and those that were given up.
    pub(crate) probes: (usize, usize),
    /// How many attempts were told to stop while a probe was waiting.
    pub(crate) stopped_beside: usize,
    /// It never comes to the end of tidying up.
    pub(crate) tidies_for_ever: bool,
    /// How often it began to tidy up, and how often it was stopped in that.
    pub(crate) tidied: (usize, usize),
}

#[derive(Clone, Default)]
pub(crate) struct Backend {
    state: Arc<Mutex<State>>,
    bell: Arc<watch::Sender<()>>,
}

impl Backend {
    pub(crate) fn with<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        let result = change(&mut self.state.lock().unwrap());
        self.bell.send_replace(());
        result
    }

    pub(crate) fn refuses(&self, error: Option<DispatchError>) {
        self.with(|state| state.refuses = error);
    }

    pub(crate) fn is_blind(&self, is_blind: bool) {
        self.with(|state| state.is_blind = is_blind);
    }

    pub(crate) fn ends(&self, attempt: &str, result: ExecutionResult) {
        self.with(|state| state.ends.insert(attempt.to_owned(), result));
    }

    /// Waits until it has so many attempts, and tells which.
    pub(crate) async fn has(&self, many: usize) -> Vec<String> {
        until("the backend has them", async || {
            let attempts: Vec<_> = self.with(|state| state.starts.keys().cloned().collect());
            (attempts.len() == many).then_some(attempts)
        })
        .await
    }

    /// Under these keys, each for so many jobs; the first key carries out everything.
    pub(crate) fn options(backends: &[(&str, &Self)], more: Vec<RoutingRule>) -> AppOptions {
        let (first, _) = backends[0];
        let all = backends[1..]
            .iter()
            .fold(RoutingRule::new("**", first), |rule, (key, _)| rule.or(*key));
        let routes = more.into_iter().fold(RoutingConfig::default(), RoutingConfig::with_rule);
        let own = |backend: &Self| OwnExecutor {
            executor: Arc::new(backend.clone()),
            max_concurrent: 4,
            pool: None,
        };
        AppOptions {
            executors: backends.iter().map(|(key, it)| ((*key).into(), own(it))).collect(),
            routing: Some(routes.with_rule(all)),
            ..AppOptions::default()
        }
    }
}

/// Somebody who watches an attempt, until it is dropped.
struct Watcher {
    state: Arc<Mutex<State>>,
    key: String,
}

impl Watcher {
    fn new(backend: &Backend, key: &str) -> Self {
        let (state, key) = (Arc::clone(&backend.state), key.to_owned());
        *state.lock().unwrap().watchers.entry(key.clone()).or_default() += 1;
        Self { state, key }
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let mut state = self.state.lock().unwrap_or_else(|broken| broken.into_inner());
        *state.watchers.entry(self.key.clone()).or_default() -= 1;
    }
}

/// Waits for ever, and counts that it did, and that it was dropped.
struct Forever<'a>(&'a Backend, fn(&mut State) -> &mut (usize, usize));

impl Forever<'_> {
    async fn wait(self) {
        self.0.with(|state| (self.1)(state).0 += 1);
        std::future::pending::<()>().await;
    }
}

impl Drop for Forever<'_> {
    fn drop(&mut self) {
        self.0.with(|state| (self.1)(state).1 += 1);
    }
}

#[async_trait]
impl DurableExecutor for Backend {
    fn name(&self) -> &str {
        "backend"
    }

    fn metrics(&self) -> ExecutorMetrics {
        ExecutorMetrics::default()
    }

    async fn probe(&self) -> Result<(), DispatchError> {
        if self.with(|state| state.is_mute) {
            Forever(self, |state| &mut state.probes).wait().await;
        }
        Ok(())
    }

    async fn tidy(&self, _live: &BTreeSet<String>) {
        if self.with(|state| state.tidies_for_ever) {
            Forever(self, |state| &mut state.tidied).wait().await;
        }
    }

    async fn start(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        ctx.log(format!("{} is handed over\n", event.name)).await;
        let key = event.attempt_key.clone();
        self.with(|state| match &state.refuses {
            Some(error) => Err(error.clone()),
            None => {
                *state.starts.entry(key.clone()).or_default() += 1;
                Ok(format!("run/{key}"))
            }
        })
    }

    async fn watch(
        &self,
        external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        assert_ne!(event.name, "panics", "as it was told to");
        let key = external_ref.strip_prefix("run/").unwrap().to_owned();
        let mut bell = self.bell.subscribe();
        let _watcher = Watcher::new(self, &key);
        loop {
            if let Some(result) = self.state.lock().unwrap().ends.get(&key) {
                return Ok(result.clone());
            }
            tokio::select! {
                _ = bell.changed() => {}
                () = ctx.cancelled() => {
                    self.with(|state| {
                        state.stopped.push(key);
                        state.stopped_beside += state.probes.0 - state.probes.1;
                    });
                    return Ok(ExecutionResult::cancelled());
                }
            }
        }
    }

    async fn adopt(
        &self,
        external_ref: Option<&str>,
        event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Adopted {
        let key = &event.attempt_key;
        assert!(external_ref.is_none_or(|it| it == format!("run/{key}")));
        let state = self.state.lock().unwrap();
        match (state.is_blind, state.starts.contains_key(key), state.ends.get(key)) {
            (true, ..) => Adopted::Unknown,
            (_, false, _) => Adopted::Gone,
            (_, true, Some(result)) => Adopted::Ended(result.clone()),
            (_, true, None) => Adopted::Running,
        }
    }
}

/// Says something about an attempt, as its backend.
pub(crate) async fn call_back(api: &Api, posted: &Value, body: Value) -> u16 {
    let url = posted["callback"]["url"].as_str().unwrap();
    let path = url.strip_prefix(api.base()).unwrap_or_else(|| panic!("{url}"));
    let token = posted["callback"]["token"].as_str().unwrap();
    let request = api.with_token(token).request(Method::POST, path).json(&body);
    request.send().await.unwrap().status().as_u16()
}

/// The requests of a job that are kept in its history.
pub(crate) fn tries(job: &JobDetail) -> Vec<&str> {
    let records = job.records.iter().filter(|it| it.name == "job.tried");
    records.map(|record| record.detail.as_str()).collect()
}
