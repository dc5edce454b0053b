//! From the configuration to the runners that a server starts: pools that are kept warm, and executors that
//! are runners of this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::AppError;
use super::{executors, millis};
use crate::clock::Clock;
use crate::config::{Config, HttpProvisionerConfig, ProcessConfig, ProvisionerConfig, Secrets};
use crate::executor::{
    FleetSetup, HttpProvisioner, HttpProvisionerOptions, ProcessOptions, ProcessProvisioner,
    Provisioner,
};
use crate::model::{Catalogue, PoolId, RunnerCapabilities};
use crate::runner::{FleetSettings, Fleets};
use crate::webhook::Secret;

/// Where runners of this machine have their folders, in a data folder.
const RUNNERS: &str = "runners";
/// Where workspaces are that outlive the runners that use them.
const WARM: &str = "warm";
/// How long a runner of this machine may take to register.
const LOCAL_START_TIMEOUT_MS: i64 = 60_000;
/// How often provisioners are asked what runs, where none of the configuration says so.
const LIST_INTERVAL_MS: i64 = 5_000;

/// What is set for fleets, and how their runners are started.
#[derive(Default)]
pub(super) struct Made {
    /// Each with what is set for it.
    pub(super) setups: BTreeMap<Box<str>, FleetSetup>,
    /// Executors that are one runner, with their pools.
    pub(super) executors: BTreeMap<Box<str>, PoolId>,
    /// How often provisioners are asked what runs.
    pub(super) list_interval_ms: i64,
}

impl Made {
    /// What the scheduler goes by.
    pub(super) fn settings(&self) -> Fleets {
        self.setups.iter().map(|(name, setup)| (name.clone(), setup.settings.clone())).collect()
    }
}

/// All fleets; `own` are provisioners of a program, by the names that pools have for them, and `installation`
/// tells this database from others.
pub(super) async fn fleets(
    config: &Config,
    secrets: &Secrets,
    catalogue: &Catalogue,
    own: &BTreeMap<Box<str>, Arc<dyn Provisioner>>,
    clock: &Arc<dyn Clock>,
    installation: &str,
) -> Result<Made, AppError> {
    let mut provisioners = own.clone();
    for provisioner in &config.provisioners {
        let secret = secrets.provisioners.get(&provisioner.name);
        let made = provisioner_of(config, provisioner, secret, clock, installation).await?;
        provisioners.entry(provisioner.name.as_str().into()).or_insert(made);
    }
    let intervals = config.provisioners.iter().map(|it| it.list_interval_ms);
    let mut made =
        Made { list_interval_ms: intervals.min().unwrap_or(LIST_INTERVAL_MS), ..Made::default() };
    for (pool, settings) in &config.pools {
        let Some(warm) = &settings.warm else { continue };
        let Some(provisioner) = provisioners.get(warm.provisioner.as_str()) else {
            let why = "there is no such provisioner".to_owned();
            return Err(AppError::Provisioner { name: warm.provisioner.as_str().into(), why });
        };
        let name: Box<str> = format!("pool {pool}").into();
        let settings = FleetSettings {
            pool_id: catalogue.pools[pool.as_str()],
            offers: warm.offers(),
            min_idle: warm.min_idle,
            min: 0,
            max: warm.max,
            idle_ttl_ms: warm.idle_ttl_ms,
            max_age_ms: warm.max_age_ms,
            start_timeout_ms: warm.start_timeout_ms,
            cost_micros_per_hour: settings.cost_micros_per_hour,
        };
        let setup = FleetSetup {
            provisioner: Arc::clone(provisioner),
            pool: pool.clone(),
            labels: warm.labels.clone(),
            slots: warm.slots,
            ephemeral: !warm.reusable,
            settings,
            executor: None,
        };
        made.setups.insert(name, setup);
    }
    for executor in &config.executors {
        let Some(process) = &executor.process else { continue };
        let key: Box<str> = executor.name.as_str().into();
        let name: Box<str> = format!("executor {key}").into();
        let pool = executor.pool.clone().unwrap_or_else(|| "default".to_owned());
        let pool_id = catalogue.pools[pool.as_str()];
        let local: Arc<dyn Provisioner> = Arc::new(process_provisioner(
            config,
            &name,
            process,
            &format!("executor-{key}"),
            None,
        )?);
        let settings = FleetSettings {
            pool_id,
            offers: RunnerCapabilities::of_executor(&key, executor.max_concurrent),
            min_idle: 0,
            min: 1,
            max: 1,
            idle_ttl_ms: i64::MAX,
            max_age_ms: None,
            start_timeout_ms: LOCAL_START_TIMEOUT_MS,
            cost_micros_per_hour: 0,
        };
        let setup = FleetSetup {
            provisioner: local,
            pool,
            labels: process.labels.clone(),
            slots: executor.max_concurrent,
            ephemeral: false,
            settings,
            executor: Some(key.clone()),
        };
        made.setups.insert(name, setup);
        made.executors.insert(key, pool_id);
    }
    Ok(made)
}

async fn provisioner_of(
    config: &Config,
    provisioner: &ProvisionerConfig,
    secret: Option<&Secret>,
    clock: &Arc<dyn Clock>,
    installation: &str,
) -> Result<Arc<dyn Provisioner>, AppError> {
    let name = provisioner.name.as_str();
    if let Some(process) = &provisioner.process {
        let server_url = provisioner.server_url.clone();
        return Ok(Arc::new(process_provisioner(config, name, process, name, server_url)?));
    }
    if let Some(http) = &provisioner.http {
        let made = http_provisioner(provisioner, http, secret, clock);
        let made = made.map_err(|why| AppError::Provisioner { name: name.into(), why })?;
        return Ok(Arc::new(made));
    }
    if let Some(container) = &provisioner.container {
        let url = provisioner.server_url.clone();
        let made = executors::container::provisioner(name, container, secret, installation, url);
        return made.map_err(|why| AppError::Provisioner { name: name.into(), why });
    }
    if let Some(table) = &provisioner.kubernetes {
        let made = super::kubernetes::provisioner(config, provisioner, table, installation).await;
        return made.map_err(|why| AppError::Provisioner { name: name.into(), why });
    }
    let why = "it says not what it is".to_owned();
    Err(AppError::Provisioner { name: name.into(), why })
}

fn http_provisioner(
    provisioner: &ProvisionerConfig,
    http: &HttpProvisionerConfig,
    secret: Option<&Secret>,
    clock: &Arc<dyn Clock>,
) -> Result<HttpProvisioner, String> {
    let (auth, headers) = executors::shows(http.auth.as_ref(), &http.headers, secret)?;
    let options = HttpProvisionerOptions {
        url: http.url.parse().map_err(|error| format!("its url: {error}"))?,
        auth,
        headers,
        server_url: provisioner.server_url.clone(),
        connect_timeout: millis(http.connect_timeout_ms),
        timeout: millis(http.timeout_ms),
        private_addresses: http.private_addresses,
        response_bytes_max: http.response_bytes_max as usize,
    };
    let made = HttpProvisioner::new(&*provisioner.name, options, Arc::clone(clock));
    made.map_err(|error| error.to_string())
}

fn process_provisioner(
    config: &Config,
    name: &str,
    process: &ProcessConfig,
    folder_name: &str,
    server_url: Option<String>,
) -> Result<ProcessProvisioner, AppError> {
    let refuse = |why: String| AppError::Provisioner { name: name.into(), why };
    let program = match &process.program {
        Some(program) => config.resolve(program),
        None => std::env::current_exe().map_err(|error| refuse(error.to_string()))?,
    };
    let folder = absolute(&config.data_dir()).map_err(|error| refuse(error.to_string()))?;
    let passed = process.pass_env.iter().chain(&process.secret_env).cloned();
    let missing = process.secret_env.iter().find(|name| std::env::var_os(name).is_none());
    if let Some(missing) = missing {
        return Err(refuse(format!(
            "secret_env: `{missing}` is not set in the server's environment"
        )));
    }
    Ok(ProcessProvisioner::new(
        name,
        ProcessOptions {
            program,
            folder: folder.join(RUNNERS).join(folder_name),
            environment: ProcessProvisioner::clean_environment(
                |name| std::env::var_os(name),
                passed,
            ),
            server_url,
            arguments: runner_arguments(process, &folder.join(WARM).join(folder_name)),
            stop_grace: millis(process.stop_grace_ms),
        },
    ))
}

/// A runner is started with absolute paths: it stays when the server's folder is another one.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

/// What a runner is told beside its order.
fn runner_arguments(process: &ProcessConfig, warm: &Path) -> Vec<String> {
    let mut all = Vec::new();
    let mut say = |flag: &str, value: String| all.extend([flag.to_owned(), value]);
    for (profile, command) in &process.agents {
        say("--agent", format!("{profile}={command}"));
    }
    if let Some(command) = &process.actions {
        say("--actions", command.clone());
    }
    for name in &process.secret_env {
        say("--secret-env", name.clone());
    }
    if !process.warm_workspaces.is_empty() {
        say("--warm-dir", warm.to_string_lossy().into_owned());
    }
    for resource in &process.warm_workspaces {
        say("--warm-workspace", resource.clone());
    }
    let limits = [
        ("--step-memory-mb-max", process.step_memory_mb_max),
        ("--step-cpu-s-max", process.step_cpu_s_max),
        ("--step-open-files-max", process.step_open_files_max),
        ("--step-file-mb-max", process.step_file_mb_max),
        ("--step-processes-max", process.step_processes_max),
    ];
    for (flag, max) in limits {
        if let Some(max) = max {
            say(flag, max.to_string());
        }
    }
    all
}
