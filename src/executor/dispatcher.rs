//! Routes and executors in a program without a queue: who asks waits for the end.
//!
//! A server gives jobs out through its scheduler. A program that has tasks of its own may use the same rules
//! and the same executors by themselves, or put them behind one executor of the server.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use async_trait::async_trait;

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::ExecutorMetrics;
use super::router::{Namespace, Router};
use super::task_executor::TaskExecutor;

/// Finds the executor of a task by its name, and has it carried out there.
#[async_trait]
pub trait Dispatcher: Send + Sync {
    /// Carries a task out, by the first of its route's executors that can be reached.
    ///
    /// # Errors
    ///
    /// [`DispatchError::NoExecutor`] when none of them is registered, [`DispatchError::NoCapacity`] when the
    /// first that is there has no room, and what the last one said.
    async fn dispatch(
        &self,
        event: TaskReadyEvent,
        ctx: TaskContext,
    ) -> Result<ExecutionResult, DispatchError>;

    /// Adds an executor, or puts it in the place of the one with that key.
    fn register_executor(&self, key: &str, executor: Arc<dyn TaskExecutor>);

    /// Whether the executor of such a name has room.
    fn has_capacity(&self, namespace: &str) -> bool;

    /// The key of the first executor of such a name.
    fn resolve_executor_key(&self, namespace: &str) -> String;
}

/// Executors behind routes. It is an executor itself.
///
/// ```
/// use std::sync::Arc;
///
/// use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
/// use dispatchyard::executor::{Dispatcher, ExecutionResult, ExecutorRouter, FunctionExecutor};
///
/// let routes = RoutingConfig::new("default").with_rule(RoutingRule::new("**::gpu::**", "gpu"));
/// let dispatcher = ExecutorRouter::new(routes).unwrap();
/// let nothing = async |_, _| Ok(ExecutionResult::success([("done", "yes")]));
/// dispatcher.register_executor("default", Arc::new(FunctionExecutor::new("nothing", 1, nothing)));
/// assert_eq!(dispatcher.resolve_executor_key("acme::workflow::gpu::ml::train"), "gpu");
/// assert!(dispatcher.has_capacity("acme::workflow::build::test"));
/// assert!(!dispatcher.has_capacity("acme::workflow::gpu::ml::train"), "nobody is registered");
/// ```
pub struct ExecutorRouter {
    router: Router,
    executors: RwLock<BTreeMap<Box<str>, Arc<dyn TaskExecutor>>>,
}

impl ExecutorRouter {
    /// Routes without executors yet.
    ///
    /// # Errors
    ///
    /// Every rule whose pattern is none, by its place in the list.
    pub fn new(
        routes: super::router::RoutingConfig,
    ) -> Result<Self, Vec<(usize, super::router::PatternError)>> {
        Ok(Self { router: routes.compile()?, executors: RwLock::default() })
    }

    /// The keys for a name, in order of fallback.
    fn keys(&self, namespace: &str) -> Vec<Box<str>> {
        let rule = Namespace::parse(namespace).ok();
        let rule = rule.and_then(|name| self.router.resolve(&name).map(|(_, rule)| rule));
        let default = || vec![self.router.default_executor().into()];
        rule.map_or_else(default, |rule| rule.executors.clone())
    }

    fn get(&self, key: &str) -> Option<Arc<dyn TaskExecutor>> {
        self.executors.read().unwrap_or_else(|broken| broken.into_inner()).get(key).cloned()
    }

    fn all(&self) -> Vec<Arc<dyn TaskExecutor>> {
        let executors = self.executors.read().unwrap_or_else(|broken| broken.into_inner());
        executors.values().cloned().collect()
    }
}

#[async_trait]
impl Dispatcher for ExecutorRouter {
    async fn dispatch(
        &self,
        event: TaskReadyEvent,
        ctx: TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let keys = self.keys(&event.namespace);
        let mut error = DispatchError::NoExecutor(keys.join(", "));
        for executor in keys.iter().filter_map(|key| self.get(key)) {
            if !executor.has_capacity() {
                return Err(DispatchError::NoCapacity { retry_after: None });
            }
            match executor.execute(event.clone(), ctx.clone()).await {
                Err(away @ DispatchError::Unavailable { .. }) => error = away,
                answer => return answer,
            }
        }
        Err(error)
    }

    fn register_executor(&self, key: &str, executor: Arc<dyn TaskExecutor>) {
        let mut executors = self.executors.write().unwrap_or_else(|broken| broken.into_inner());
        executors.insert(key.into(), executor);
    }

    fn has_capacity(&self, namespace: &str) -> bool {
        let first = self.keys(namespace).iter().find_map(|key| self.get(key));
        first.is_some_and(|executor| executor.has_capacity())
    }

    fn resolve_executor_key(&self, namespace: &str) -> String {
        self.keys(namespace).swap_remove(0).into()
    }
}

#[async_trait]
impl TaskExecutor for ExecutorRouter {
    fn name(&self) -> &str {
        "router"
    }

    fn has_capacity(&self) -> bool {
        self.all().iter().any(|executor| executor.has_capacity())
    }

    /// Of all of them together; the average is weighted by how many each had.
    fn metrics(&self) -> ExecutorMetrics {
        let all = self.all().into_iter().map(|executor| executor.metrics());
        all.fold(ExecutorMetrics::default(), |sum, it| {
            let total_executed = sum.total_executed + it.total_executed;
            let took = |of: &ExecutorMetrics| of.average_duration_ms * of.total_executed as f64;
            ExecutorMetrics {
                active_tasks: sum.active_tasks + it.active_tasks,
                max_concurrent: sum.max_concurrent + it.max_concurrent,
                total_executed,
                total_failed: sum.total_failed + it.total_failed,
                average_duration_ms: (took(&sum) + took(&it)) / total_executed.max(1) as f64,
            }
        })
    }

    async fn execute(
        &self,
        event: TaskReadyEvent,
        ctx: TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        self.dispatch(event, ctx).await
    }
}
