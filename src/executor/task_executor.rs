//! What an executor is: the traits that one of your own implements.
//!
//! Most executors are a [`TaskExecutor`]: one function that carries a job out and says how it ended.
//! Its attempts live in this process and end with it. What goes on outside without the server, such as a
//! pod, is a [`DurableExecutor`]: it starts the work under a name, watches it, and after a restart of the
//! server finds it again by that name.
//!
//! To the scheduler an executor is a runner with many slots. So there is one way in which jobs are
//! given out, one lease for each attempt, one explanation, and one set of limits: an executor decides
//! nothing of that. What it must keep to:
//!
//! - Start the work of an attempt once. [`TaskReadyEvent::attempt_key`] is the attempt's name for that.
//! - Stop when [`TaskContext::cancelled`] says so, and answer [`ExecutionResult::cancelled`].
//! - Answer [`DispatchError::Unavailable`] only when the work has certainly not begun: the job then goes to
//!   the next executor of its route at once.

use std::collections::BTreeSet;
use std::sync::Arc;

use async_trait::async_trait;

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::ExecutorMetrics;

/// Carries jobs out in this process, or calls somebody who does and waits for the end.
///
/// ```
/// use async_trait::async_trait;
/// use dispatchyard::executor::{
///     DispatchError, ExecutionResult, ExecutorMetrics, TaskContext, TaskExecutor, TaskReadyEvent,
///     Tally,
/// };
///
/// /// Says hello in the job's log.
/// #[derive(Default)]
/// struct Greeter {
///     tally: Tally,
/// }
///
/// #[async_trait]
/// impl TaskExecutor for Greeter {
///     fn name(&self) -> &str {
///         "greeter"
///     }
///
///     fn metrics(&self) -> ExecutorMetrics {
///         self.tally.metrics(10)
///     }
///
///     async fn execute(
///         &self,
///         event: TaskReadyEvent,
///         ctx: TaskContext,
///     ) -> Result<ExecutionResult, DispatchError> {
///         let _busy = self.tally.begin();
///         ctx.log(format!("hello, {}\n", event.name)).await;
///         Ok(ExecutionResult::success([("greeted", event.name)]))
///     }
/// }
/// ```
#[async_trait]
pub trait TaskExecutor: Send + Sync + 'static {
    /// What people call it, in logs. Routes name it by the key under which it is registered.
    fn name(&self) -> &str;

    /// Whether it could begin another job now. Beside the slots that it is registered with, which the
    /// scheduler counts by itself.
    fn has_capacity(&self) -> bool {
        let ExecutorMetrics { active_tasks, max_concurrent, .. } = self.metrics();
        active_tasks < max_concurrent
    }

    /// What it does now and did so far.
    fn metrics(&self) -> ExecutorMetrics;

    /// Carries a job out, to its end.
    ///
    /// # Errors
    ///
    /// [`DispatchError`]: what follows from each is said there. A panic counts as a failure of the work.
    async fn execute(
        &self,
        event: TaskReadyEvent,
        ctx: TaskContext,
    ) -> Result<ExecutionResult, DispatchError>;
}

/// What became of an attempt that was started before this process.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Adopted {
    /// It goes on: it is watched from here, by the name that was stored, or else by [`TaskReadyEvent::attempt_key`].
    Running,
    /// It has ended so.
    Ended(ExecutionResult),
    /// It is certainly not there any more, or never was: the job is queued again.
    Gone,
    /// Nobody can say just now. It is asked again, and the job is not queued again meanwhile.
    Unknown,
}

/// Carries jobs out where they go on without this process.
#[async_trait]
pub trait DurableExecutor: Send + Sync + 'static {
    /// As [`TaskExecutor::name`].
    fn name(&self) -> &str;

    /// As [`TaskExecutor::has_capacity`].
    fn has_capacity(&self) -> bool {
        true
    }

    /// What it does now and did so far.
    fn metrics(&self) -> ExecutorMetrics;

    /// Whether attempts go on when this process ends, and can be found again.
    fn is_durable(&self) -> bool {
        true
    }

    /// Whether a server that stops gives attempts time to end: what it does not hear now is lost with it.
    fn is_waited_for(&self) -> bool {
        !self.is_durable()
    }

    /// Whether it can be reached, asked while it counts as away, before jobs are tried again. Without
    /// an own answer a job finds out.
    ///
    /// # Errors
    ///
    /// [`DispatchError::Unavailable`] keeps it away.
    async fn probe(&self) -> Result<(), DispatchError> {
        Ok(())
    }

    /// Starts the work and answers at once, with the name by which it is found again; that name is
    /// stored. Called again for the same attempt it starts nothing and answers the same. An empty name says
    /// that nothing was begun yet: [`DurableExecutor::watch`] begins, and may call
    /// [`TaskContext::is_called`].
    ///
    /// # Errors
    ///
    /// [`DispatchError`]; nothing was started.
    async fn start(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<String, DispatchError>;

    /// Waits for the end of what [`DurableExecutor::start`] started, or [`DurableExecutor::adopt`] found. What
    /// cannot be seen for a while is waited for in here.
    ///
    /// # Errors
    ///
    /// [`DispatchError`].
    async fn watch(
        &self,
        external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError>;

    /// Looks for an attempt that another process started. `None` when that ended before the name was
    /// stored: whoever makes the name out of [`TaskReadyEvent::attempt_key`] finds it all the same.
    async fn adopt(
        &self,
        external_ref: Option<&str>,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Adopted;

    /// The attempt's end is stored, or it was given back: what is left of it in the backend can go. Not
    /// called when this process ends first, so the backend should also let go of it by itself some day.
    async fn settled(&self, _event: &TaskReadyEvent) {}

    /// A server begins to lead, and these attempts, by their keys, are all that live at this moment. What
    /// else it finds of its own in the backend, and has not begun since, is left over and can go.
    async fn tidy(&self, _live: &BTreeSet<String>) {}
}

/// A [`TaskExecutor`] as the supervisor has all executors.
pub(super) struct InProcess(pub(super) Arc<dyn TaskExecutor>);

#[async_trait]
impl DurableExecutor for InProcess {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn has_capacity(&self) -> bool {
        self.0.has_capacity()
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.0.metrics()
    }

    fn is_durable(&self) -> bool {
        false
    }

    async fn start(
        &self,
        event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        Ok(event.attempt_key.clone())
    }

    async fn watch(
        &self,
        _external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        self.0.execute(event.clone(), ctx.clone()).await
    }

    /// Another process had it, and took it along.
    async fn adopt(
        &self,
        _external_ref: Option<&str>,
        _event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Adopted {
        Adopted::Gone
    }
}
