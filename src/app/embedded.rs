//! The server as a part of another program: its queue, its routes and its executors, without a binary
//! of its own.

use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use super::executors::OwnExecutor;
use super::{App, AppError, AppOptions};
use crate::api::embedded;
use crate::api::error::ApiError;
use crate::api::wire::{JobDetail, SubmitRequest, SubmitResponse, WorkloadDetail};
use crate::config::Config;
use crate::executor::router::RoutingConfig;
use crate::executor::{
    DurableExecutor, ExecutionResult, ExecutorStatus, FunctionExecutor, TaskContext, TaskExecutor,
    TaskReadyEvent, in_process,
};
use crate::model::{JobId, WorkloadId};

/// How many jobs an executor has at once whose program does not say.
const MAX_CONCURRENT: u32 = 16;
/// The name of the function that is registered without one.
const DEFAULT: &str = "default";

/// A server in this process.
///
/// Nothing that it accepted is lost when the process ends: started again on the same database it goes on.
///
/// ```
/// use dispatchyard::DefaultRunner;
/// use dispatchyard::executor::ExecutionResult;
/// use dispatchyard::model::WorkloadState;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let url = format!("sqlite:{}", folder.path().join("jobs.db").display());
/// let runner = DefaultRunner::builder()
///     .database_url(url)
///     .function(async |event, _ctx| Ok(ExecutionResult::success([("from", event.name)])))
///     .build()
///     .await?;
/// let request = serde_json::from_str(
///     r#"{ "name": "hello", "jobs": [{ "name": "greet", "work": { "steps": [] } }] }"#,
/// )?;
/// let made = runner.submit(request, None).await?;
/// let ended = runner.ended(made.workload_id).await?;
/// assert_eq!(ended.workload.state, WorkloadState::Completed);
/// runner.stop().await;
/// # Ok(())
/// # }
/// ```
pub struct DefaultRunner {
    app: App,
}

/// What a [`DefaultRunner`] is made of.
#[derive(Default)]
pub struct DefaultRunnerBuilder {
    url: Option<String>,
    data_dir: Option<PathBuf>,
    listen: Option<SocketAddr>,
    config: Option<Config>,
    options: AppOptions,
}

impl DefaultRunner {
    /// Begins one.
    pub fn builder() -> DefaultRunnerBuilder {
        DefaultRunnerBuilder::default()
    }

    /// Makes a workload; a key that was used before gives the workload of then.
    ///
    /// # Errors
    ///
    /// What is wrong with it, or that the store cannot be written now.
    pub async fn submit(
        &self,
        request: SubmitRequest,
        idempotency_key: Option<&str>,
    ) -> Result<SubmitResponse, ApiError> {
        embedded::submit(&self.app.state, request, idempotency_key).await
    }

    /// A workload with its jobs, as it is now.
    ///
    /// # Errors
    ///
    /// It is not there, or the store cannot be read now.
    pub async fn workload(&self, id: WorkloadId) -> Result<WorkloadDetail, ApiError> {
        embedded::workload(&self.app.state, id).await
    }

    /// A workload with its jobs, once it has ended.
    ///
    /// # Errors
    ///
    /// It is not there, or the store cannot be read now.
    pub async fn ended(&self, id: WorkloadId) -> Result<WorkloadDetail, ApiError> {
        embedded::ended(&self.app.state, id).await
    }

    /// A job with its attempts and outputs, as it is now.
    ///
    /// # Errors
    ///
    /// It is not there, or the store cannot be read now.
    pub async fn job(&self, id: JobId) -> Result<JobDetail, ApiError> {
        embedded::job(&self.app.state, id).await
    }

    /// How its executors stand, by name.
    pub fn executors(&self) -> Vec<ExecutorStatus> {
        self.app.executors.list()
    }

    /// Where it answers HTTP: everything that the server of the binary does.
    pub fn address(&self) -> SocketAddr {
        self.app.address()
    }

    /// Takes nothing new, lets what its functions do end, and closes the database.
    pub async fn stop(self) {
        self.app.stop().await;
    }
}

impl DefaultRunnerBuilder {
    /// `sqlite:PATH` or `postgres://USER@HOST/DATABASE`; a SQLite file in the data folder when it is not
    /// said.
    #[must_use]
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// The folder of logs and large bodies: beside a SQLite file when it is not said.
    #[must_use]
    pub fn data_dir(mut self, folder: impl Into<PathBuf>) -> Self {
        self.data_dir = Some(folder.into());
        self
    }

    /// Where it answers HTTP; some port of this machine alone when it is not said.
    #[must_use]
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.listen = Some(address);
        self
    }

    /// Everything else that a server can be told, from a file of the binary's form.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Some(config);
        self
    }

    /// Which executor carries out what.
    #[must_use]
    pub fn routing_config(mut self, routes: RoutingConfig) -> Self {
        self.options.routing = Some(routes);
        self
    }

    /// Adds an executor under the key that routes name, for as many jobs at once as it says itself.
    #[must_use]
    pub fn executor(self, key: &str, executor: impl TaskExecutor) -> Self {
        let max_concurrent = u32::try_from(executor.metrics().max_concurrent).unwrap_or(u32::MAX);
        let max_concurrent = if max_concurrent == 0 { MAX_CONCURRENT } else { max_concurrent };
        self.with(key, in_process(Arc::new(executor)), max_concurrent)
    }

    /// As [`DefaultRunnerBuilder::executor`], of one whose attempts outlive this process.
    #[must_use]
    pub fn durable_executor(
        self,
        key: &str,
        executor: impl DurableExecutor,
        max_concurrent: u32,
    ) -> Self {
        self.with(key, Arc::new(executor), max_concurrent)
    }

    /// Adds a function as the executor `default`, to which everything goes that no rule sends elsewhere.
    /// An `Err` is a failure of the work.
    #[must_use]
    pub fn function<F, R>(self, function: F) -> Self
    where
        F: Fn(TaskReadyEvent, TaskContext) -> R + Send + Sync + 'static,
        R: Future<Output = Result<ExecutionResult, String>> + Send + 'static,
    {
        self.executor(DEFAULT, FunctionExecutor::new(DEFAULT, MAX_CONCURRENT, function))
    }

    fn with(mut self, key: &str, executor: Arc<dyn DurableExecutor>, max_concurrent: u32) -> Self {
        let own = OwnExecutor { executor, max_concurrent, pool: None };
        self.options.executors.insert(key.into(), own);
        self
    }

    /// Starts it: migrates the database, and goes on with what is in it.
    ///
    /// # Errors
    ///
    /// [`AppError`]: what is wrong, and what to do. Nothing is left running.
    pub async fn build(mut self) -> Result<DefaultRunner, AppError> {
        let mut config = match self.config {
            Some(config) => config,
            None => Config::from_text("dispatchyard.toml".as_ref(), String::new(), [])?,
        };
        // A program is no server of its own: nobody but this machine, and no fixed port.
        config.server.listen = self.listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 0)));
        if let Some(url) = self.url {
            config.database.url = Some(url.parse()?);
        }
        let file = config.database.url.as_ref().and_then(|url| url.file());
        let beside = file.and_then(|file| file.parent()).map(Into::into);
        if let Some(folder) = self.data_dir.or(beside) {
            config.server.data_dir = folder;
        }
        // Without a word about routes everything goes to the function.
        if self.options.routing.is_none() && self.options.executors.contains_key(DEFAULT) {
            self.options.routing = Some(RoutingConfig::new(DEFAULT));
        }
        let secrets = config.load_secrets(|name| std::env::var(name).ok())?;
        Ok(DefaultRunner { app: App::start(config, secrets, self.options).await? })
    }
}
