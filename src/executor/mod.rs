//! Who carries a job out: the router, which finds the executors of a job by its name, and executors that
//! jobs are pushed to.
//!
//! ```text
//! tenant::kind::workload::job -> Router (rules in order, the first that matches) -> executors, in order
//!
//! scheduler <- commands - Supervisor (one for each executor: a runner to the scheduler)
//!                            |  start, watch, adopt
//!                         DurableExecutor | TaskExecutor: yours, a function, http, container,
//!                                           kubernetes, lambda
//! ```
//!
//! [`router`] is pure and belongs to the core: the scheduler asks it when work is made. `breaker` is pure
//! too. How to write an executor is in [`TaskExecutor`] and `docs/executors.md`.

mod begun;
mod breaker;
mod container;
mod context;
mod dispatcher;
mod event;
mod function;
mod http;
mod keeper;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(feature = "lambda")]
mod lambda;
mod metrics;
pub mod outbound;
mod process;
mod provisioner;
pub mod router;
mod script;
mod set;
mod supervisor;
mod task_executor;

pub use breaker::{BreakerSettings, BreakerState};
pub use container::{
    ContainerExecutor, ContainerOptions, ContainerProvisioner, ContainerSetupError,
    ContainerTemplate, DaemonAddress, Mount, Pull, RegistryAuth,
};
pub use context::{ContextError, TaskContext};
pub(crate) use context::{agent_message, say_given, wire_context};
pub use dispatcher::{Dispatcher, ExecutorRouter};
pub use event::{DispatchError, ExecutionResult, ExecutionStatus, TaskReadyEvent};
pub use function::FunctionExecutor;
pub use http::{
    HttpAuth, HttpExecutor, HttpOptions, HttpProvisioner, HttpProvisionerOptions, SigningSecret,
};
pub use keeper::{FleetSetup, FleetStatus, Keeper};
#[cfg(feature = "kubernetes")]
pub use kubernetes::{
    ClusterError, ClusterOptions, JobTemplate, KubernetesExecutor, KubernetesOptions,
    KubernetesProvisioner, KubernetesProvisionerOptions, KubernetesSetupError, PodForm,
    PodTemplate, TemplateError,
};
#[cfg(feature = "lambda")]
pub use lambda::{Invocation, LambdaCredentials, LambdaExecutor, LambdaOptions, LambdaSetupError};
pub use metrics::{Busy, ExecutorMetrics, Tally};
pub use outbound::HttpSetupError;
pub use process::{ProcessOptions, ProcessProvisioner};
pub use provisioner::{ProvisionError, Provisioned, Provisioner, RunnerOrder, TOKEN_VARIABLE};
pub use set::{ExecutorSetup, Executors, in_process};
pub use supervisor::{ExecutorOptions, ExecutorStatus, Server};
pub use task_executor::{Adopted, DurableExecutor, TaskExecutor};
