//! Async Rust functions as executors.

use std::future::Future;

use async_trait::async_trait;

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::task_executor::TaskExecutor;

/// A function of the program itself that carries jobs out.
///
/// ```
/// use dispatchyard::executor::{ExecutionResult, FunctionExecutor};
///
/// let executor = FunctionExecutor::new("double", 4, async |_event, ctx| {
///     let context = ctx.load().await.map_err(|error| error.to_string())?;
///     Ok(ExecutionResult::success([("attempt", context.attempt.to_string())]))
/// });
/// # let _ = executor;
/// ```
pub struct FunctionExecutor<F> {
    name: String,
    max_concurrent: u64,
    function: F,
    tally: Tally,
}

impl<F> FunctionExecutor<F> {
    /// A function that runs at most so many times at once. An `Err` is a failure of the work.
    pub fn new<R>(name: impl Into<String>, max_concurrent: u32, function: F) -> Self
    where
        F: Fn(TaskReadyEvent, TaskContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ExecutionResult, String>> + Send + 'static,
    {
        let (name, max_concurrent) = (name.into(), max_concurrent.into());
        Self { name, max_concurrent, function, tally: Tally::default() }
    }
}

#[async_trait]
impl<F, R> TaskExecutor for FunctionExecutor<F>
where
    F: Fn(TaskReadyEvent, TaskContext) -> R + Send + Sync + 'static,
    R: Future<Output = Result<ExecutionResult, String>> + Send + 'static,
{
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(self.max_concurrent)
    }

    async fn execute(
        &self,
        event: TaskReadyEvent,
        ctx: TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let busy = self.tally.begin();
        let result = (self.function)(event, ctx).await.unwrap_or_else(ExecutionResult::failed);
        busy.ended(result.status);
        Ok(result)
    }
}
