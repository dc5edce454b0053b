//! All executors of a server.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;

use super::context::TaskContext;
use super::event::ExecutionResult;
use super::supervisor::{ExecutorOptions, ExecutorStatus, Server, Supervisor};
use super::task_executor::{DurableExecutor, InProcess, TaskExecutor};
use crate::model::LeaseToken;

/// An executor and what it is given, before its server starts.
#[derive(Clone)]
pub struct ExecutorSetup {
    /// Its code.
    pub executor: Arc<dyn DurableExecutor>,
    /// What it is given.
    pub options: ExecutorOptions,
}

/// Makes of an executor whose attempts live in this process one as all others.
pub fn in_process(executor: Arc<dyn TaskExecutor>) -> Arc<dyn DurableExecutor> {
    Arc::new(InProcess(executor))
}

/// The executors of a server, by the names that routes have for them.
#[derive(Default)]
pub struct Executors {
    supervisors: BTreeMap<Box<str>, Arc<Supervisor>>,
}

impl Executors {
    /// Sets them to work.
    pub fn start(executors: BTreeMap<Box<str>, ExecutorSetup>, server: &Server) -> Self {
        let supervisors =
            executors.into_iter().map(|(name, ExecutorSetup { executor, options })| {
                let supervisor = Supervisor::new(name.clone(), executor, options, server.clone());
                let supervisor = Arc::new(supervisor);
                tokio::spawn(Arc::clone(&supervisor).run());
                (name, supervisor)
            });
        Self { supervisors: supervisors.collect() }
    }

    /// How each of them stands, by name.
    pub fn list(&self) -> Vec<ExecutorStatus> {
        self.supervisors.values().map(|supervisor| supervisor.status()).collect()
    }

    /// How one stands.
    pub fn get(&self, name: &str) -> Option<ExecutorStatus> {
        self.supervisors.get(name).map(|supervisor| supervisor.status())
    }

    /// Closes the breaker of one: jobs go there again. `false` when there is no such executor.
    pub async fn reset(&self, name: &str) -> bool {
        let Some(supervisor) = self.supervisors.get(name) else { return false };
        supervisor.reset().await;
        true
    }

    /// Somebody gives a sign of life of an attempt, perhaps with a piece of its log. `false` when nobody
    /// here has it.
    pub async fn heard(&self, token: LeaseToken, log: Option<String>) -> bool {
        let Some(ctx) = self.attempt(token) else { return false };
        ctx.heard();
        if let Some(log) = log {
            ctx.log(log).await;
        }
        true
    }

    /// Somebody has said the end of an attempt, and it is stored.
    pub fn ended(&self, token: LeaseToken, result: ExecutionResult) {
        if let Some(ctx) = self.attempt(token) {
            ctx.call_back(result);
        }
    }

    fn attempt(&self, token: LeaseToken) -> Option<TaskContext> {
        self.supervisors.values().find_map(|supervisor| supervisor.attempt(token))
    }

    /// Ends their work, all at the same time; what lives in this process gets `grace` to end.
    pub async fn stop(&self, grace: Duration) {
        join_all(self.supervisors.values().map(|supervisor| supervisor.stop(grace))).await;
    }
}
