//! The composition root: what a server is made of, in which order it starts and stops.
//!
//! ```text
//! start:  configuration, secrets, rules -> store (lock, schema, names) -> driver (load, or stand by)
//!         -> log sealer
//!         -> what decides about jobs whose needs have ended, what keeps the time of schedules
//!         -> listener
//!         -> executors
//! stop:   executors take nothing new, what lives in this process ends
//!         -> driver takes nothing new, finishes its batch, answers parked polls -> streams end
//!         -> listener stops accepting, connections finish -> store is closed
//! ```

mod backfills;
mod chores;
mod decisions;
pub mod dry;
mod embedded;
mod error;
mod executors;
mod fleets;
mod instance;
#[cfg(feature = "kubernetes")]
mod kubernetes;
#[cfg(not(feature = "kubernetes"))]
#[path = "app/no_kubernetes.rs"]
mod kubernetes;
mod options;
mod reports;
mod repositories;
mod rulebook;
mod rules;
mod settings;
pub mod upkeep;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::listen::{ListenLimits, listen};
use crate::api::state::{AppState, Shared};
use crate::clock::OsEntropy;
use crate::config::{Config, Secrets};
use crate::dispatch::Settings;
use crate::driver::{self, DriverOptions, Handle, Limits};
use crate::executor::{self, Executors, Keeper};
use crate::log::{JobLogs, LogLimits};
use crate::planning::{self, PlannerParts};
use crate::report::{self, ReportParts};
use crate::retention::{Pruner, PrunerParts};
use crate::store::{Location, Store, StoreOptions};
use crate::telemetry::Metrics;

pub use embedded::{DefaultRunner, DefaultRunnerBuilder};
pub use error::{AppError, ReloadError};
pub use executors::OwnExecutor;
pub use options::AppOptions;
pub use rules::{check_rules, warnings};

/// How long finished answers may take to reach their clients when the server stops.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);
/// Ended attempts whose logs wait to be sealed; of more, each follower seals its own.
const ENDED_ATTEMPTS_MAX: usize = 10_000;

/// A running server.
pub struct App {
    address: SocketAddr,
    handle: Handle,
    store: Store,
    /// What its handlers share, for the program that it is part of.
    state: AppState,
    router: axum::Router,
    executors: Arc<Executors>,
    keeper: Arc<Keeper>,
    /// What it was started with.
    config: Config,
    common: rulebook::Common,
    /// How long work that lives in this process may take to end when it stops.
    graceful_shutdown: Duration,
    /// Stops the listener.
    stop_listening: CancellationToken,
    /// Ends streams.
    stopping: CancellationToken,
    listener: JoinHandle<()>,
    /// Cancelled when the driver has ended, whether it was told to or not.
    driver_gone: CancellationToken,
}

impl App {
    /// Starts a server and waits until it listens. The scheduler may still be loading.
    ///
    /// # Errors
    ///
    /// [`AppError`]; nothing is left running.
    pub async fn start(
        config: Config,
        secrets: Secrets,
        options: AppOptions,
    ) -> Result<Self, AppError> {
        let began_ms = options.clock.now().wall_ms;
        // What is wrong is said before anything is made; the names get their numbers later.
        check_rules(&config)?;
        rulebook::sources(&config, &secrets)?;
        let address = config.server.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|error| AppError::Listen { address, error })?;
        let address = listener.local_addr().map_err(|error| AppError::Listen { address, error })?;

        let data_dir = config.data_dir();
        let opened = instance::share(&config, address, &*options.clock, store_options(&config));
        let shared = opened.instance.clone();
        let opened = StoreOptions { planted: options.planted, ..opened };
        let (store, writer) = Store::open(opened).await?;
        let names = settings::names(&writer, &config).await?;
        let mut settings = Settings {
            scheduling_policies: options.scheduling_policies,
            selection_policies: options.selection_policies,
            ..settings::settings(&config, &names)
        };
        settings.check()?;
        settings.installation = writer.installation().await?;
        let installation = settings.installation.clone();
        let installation = &*installation;
        let configured =
            executors::configured(&config, &secrets, address, installation, &options.clock).await?;
        let setups =
            executors::setups(&config, &settings.catalogue, configured, options.executors)?;
        let catalogue = &settings.catalogue;
        let (own, clock) = (&options.provisioners, &options.clock);
        let made = fleets::fleets(&config, &secrets, catalogue, own, clock, installation).await?;
        let pools = setups.iter().map(|(name, setup)| (name.clone(), setup.options.pool_id));
        let pools: BTreeMap<_, _> = pools.chain(made.executors.clone()).collect();
        settings.executors = pools.keys().cloned().collect();
        settings.router = executors::router(&config, options.routing, catalogue, pools)?;
        settings.fleets = made.settings();
        let pool_tenants = settings.pools.iter().map(|(id, pool)| (*id, pool.tenant_id)).collect();
        let catalogue = Arc::new(settings.catalogue.clone());
        let router = settings.router.clone();
        let common = rulebook::Common {
            names,
            store: store.clone(),
            clock: Arc::clone(&options.clock),
            catalogue: Arc::clone(&catalogue),
            warning: shared.as_ref().and_then(instance::warning),
        };
        let rulebook = common.rulebook(&config, &secrets)?;
        let limits =
            LogLimits { log_bytes_max: config.limits.log_bytes_max, ..LogLimits::default() };
        let logs = match store.log_rows() {
            Some(rows) => JobLogs::in_rows(rows, limits),
            None => JobLogs::open(data_dir.join(upkeep::LOGS), limits)?,
        };
        let metrics = Arc::new(Metrics::new());
        let (ended, ended_attempts) = mpsc::channel(ENDED_ATTEMPTS_MAX);
        let (handle, driver_ended) = driver::spawn(DriverOptions {
            writer,
            settings,
            limits: Limits {
                // With fewer, intake would have no quarter of the room.
                batch_commands_max: config.limits.batch_commands_max.max(4),
                control_queue_max: config.limits.control_queue_max,
                intake_queue_max: config.limits.intake_queue_max,
            },
            records_max: config.limits.stream_records_max,
            clock: Arc::clone(&options.clock),
            entropy: Box::new(OsEntropy),
            seat: store.seat().map(|seat| (seat, instance::term(&config))),
            holder: format!("{address} process {}", std::process::id()),
            metrics: Arc::clone(&metrics),
            ended: Some(ended),
            probe: options.apply_probe,
        })
        .map_err(AppError::Driver)?;
        tokio::spawn(chores::seal_logs(ended_attempts, logs.clone()));
        let (stop_listening, stopping) = (CancellationToken::new(), CancellationToken::new());
        let pruner = Arc::new(Pruner::new(PrunerParts {
            store: store.clone(),
            handle: handle.clone(),
            logs: logs.clone(),
            clock: Arc::clone(&options.clock),
            metrics: Arc::clone(&metrics),
            config: config.retention.clone(),
        }));
        tokio::spawn(Arc::clone(&pruner).run(stopping.clone()));
        let driver_gone = CancellationToken::new();
        let gone = driver_gone.clone();
        tokio::spawn(async move {
            let _ = driver_ended.await;
            gone.cancel();
        });

        let served = executor::Server {
            handle: handle.clone(),
            store: store.clone(),
            logs: logs.clone(),
            clock: Arc::clone(&options.clock),
        };
        let executors = Arc::new(Executors::start(setups, &served));
        let server_url = executors::base_url(&config, address);
        let keeper =
            Keeper::new(made.setups, served, server_url, installation, made.list_interval_ms);
        let keeper = Arc::new(keeper);
        tokio::spawn(Arc::clone(&keeper).run());
        let graceful_shutdown = millis(config.server.graceful_shutdown_timeout_ms);
        let adopt_interval = millis(config.instances.adopt_interval_ms);
        let listen_limits = ListenLimits {
            header_read_timeout: millis(config.server.header_read_timeout_ms),
            connections_max: config.server.connections_max,
            close_timeout: CLOSE_TIMEOUT,
        };
        let state = AppState(Arc::new(Shared {
            handle: handle.clone(),
            store: store.clone(),
            logs,
            rulebook: RwLock::new(Arc::new(rulebook)),
            reload_failed: Mutex::default(),
            catalogue,
            router,
            pool_tenants,
            forwarder: instance::forwarder(&config, shared.as_ref()),
            instance: shared,
            installation: installation.into(),
            address,
            gone_after_ms: instance::term(&config).gone_after_ms(),
            body_read_timeout: millis(config.server.body_read_timeout_ms),
            pruner,
            executors: Arc::clone(&executors),
            keeper: Arc::clone(&keeper),
            planning: Arc::default(),
            hook_bytes: Arc::new(Semaphore::new(config.limits.hook_bytes_in_flight_max)),
            reports: Semaphore::new(crate::api::report::REPORTS_AT_ONCE),
            scheduler: config.scheduler.clone(),
            limits: config.limits.clone(),
            sessions: config.sessions.clone(),
            clock: options.clock,
            metrics,
            advising: tokio::sync::Mutex::new(()),
            stopping: stopping.clone(),
            evaluate_probe: options.evaluate_probe,
            next_poll: AtomicU64::new(1),
        }));
        let planner = PlannerParts {
            store: store.clone(),
            handle: handle.clone(),
            clock: Arc::clone(&state.clock),
            decide: options.decide.unwrap_or_else(|| decisions::by_rules(state.clone())),
        };
        tokio::spawn(planning::plan(planner, stopping.clone()));
        tokio::spawn(crate::api::adopt(state.clone(), adopt_interval, stopping.clone()));
        tokio::spawn(crate::api::keep_time(state.clone(), stopping.clone()));
        tokio::spawn(crate::api::plan(state.clone(), stopping.clone()));
        tokio::spawn(backfills::after_a_gap(state.clone(), began_ms, stopping.clone()));
        let reporting = state.clone();
        let reporter = ReportParts {
            store: store.clone(),
            handle: handle.clone(),
            clock: Arc::clone(&state.clock),
            metrics: Arc::clone(&state.metrics),
            connections: Arc::new(move || Arc::clone(&reporting.rulebook().reports)),
            options: Arc::new(reports::options(&config, &state.installation)),
        };
        tokio::spawn(report::send(reporter, stopping.clone()));
        let router = crate::api::router(state.clone());
        let listening = listen(listener, router.clone(), listen_limits, stop_listening.clone());
        let listener = tokio::spawn(listening);
        tracing::info!(%address, "listening");
        Ok(Self {
            address,
            handle,
            store,
            state,
            router,
            executors,
            keeper,
            config,
            common,
            graceful_shutdown,
            stop_listening,
            stopping,
            listener,
            driver_gone,
        })
    }

    /// Where it listens: with port 0 configured, the port that was taken.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The way to its driver.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// What it answers with, for tests that give a request up between two of its steps.
    #[doc(hidden)]
    pub fn router(&self) -> axum::Router {
        self.router.clone()
    }

    /// Waits until the driver has ended, which it does by itself only when something is badly
    /// wrong: nothing can be decided any more, and the process should end.
    pub async fn driver_gone(&self) {
        self.driver_gone.cancelled().await;
    }

    /// Stops: executors take nothing new, and what lives in this process may end. Then no new
    /// connections, the batch in hand is finished, parked polls are answered, streams end. Remote runners
    /// keep their leases.
    pub async fn stop(self) {
        tracing::info!("stopping");
        self.keeper.stop();
        self.executors.stop(self.graceful_shutdown).await;
        self.handle.stop().await;
        self.driver_gone.cancelled().await;
        self.stopping.cancel();
        self.stop_listening.cancel();
        let _ = self.listener.await;
        self.store.close().await;
        tracing::info!("stopped");
    }
}

/// Where a configuration says that the database is.
fn store_options(config: &Config) -> StoreOptions {
    let data_dir = config.data_dir();
    let location = match &config.database.url {
        None => Location::File(data_dir.join(upkeep::DATABASE)),
        Some(url) => url.file().map_or_else(
            || Location::Server(url.secret_text().to_owned()),
            |path| Location::File(config.resolve(path)),
        ),
    };
    StoreOptions::at(location, data_dir.join(upkeep::BODIES))
}

fn millis(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Fifo;
    use crate::runner::RoundRobin;

    #[tokio::test]
    async fn a_server_has_policies_of_its_own_once_they_are_registered() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[server]\nlisten = '127.0.0.1:0'\ndata_dir = 'data'";
        let path = folder.path().join("dispatchyard.toml");
        std::fs::create_dir(folder.path().join("workflows")).unwrap();
        let start = |options| {
            let mut config = Config::from_text(&path, text, []).unwrap();
            config.scheduler.scheduling_policy = "own".to_owned();
            config.scheduler.selection_policy = "mine".to_owned();
            let secrets = config.load_secrets(|_| None).unwrap();
            App::start(config, secrets, options)
        };
        let mut options = AppOptions::default();
        options.scheduling_policies.register("own", Fifo);
        let refused = start(options.clone()).await.err().expect("nobody knows `mine`");
        assert!(refused.to_string().starts_with("unknown selection policy `mine`"), "{refused}");
        options.selection_policies.register("mine", |_| Box::new(RoundRobin));
        start(options).await.unwrap().stop().await;
    }
}
