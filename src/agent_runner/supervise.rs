//! The life of a runner: take the folder, clean up after a predecessor, register, work, leave.

use std::os::unix::ffi::OsStrExt as _;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use tokio::sync::{Semaphore, watch};

use crate::api::wire::RegisterRequest;
use crate::clock::{Clock, OsEntropy, SystemClock, secret_token};

use super::client::Client;
use super::environment::Variables;
use super::http::Transport;
use super::register::Registration;
use super::secret_forms::{SECRET_BYTES_MIN, is_too_short};
use super::secrets::Secrets;
use super::shared::Shared;
use super::shell::Shell;
use super::table::{LeaseTable, Order};
use super::work_folder::WorkFolder;
use super::{RunnerError, RunnerOptions, RunnerStop};
use super::{capabilities, environment, heartbeat, leftovers, poll};

/// Runs a runner until `stop` or the server asks it to leave and its work has ended.
///
/// Survives everything the server does: it reconnects, keeps its leases and its running jobs, and
/// sends what it owes. Dropping the future kills the jobs' processes; their leases then expire.
/// In a container the runner should not be process 1: it does not reap what jobs leave behind.
///
/// # Errors
/// Only before it is registered: options that cannot work, a work folder that cannot be used or
/// is another runner's, a token file that cannot be read, or a server that refuses the runner.
pub async fn run(options: RunnerOptions, stop: RunnerStop) -> Result<(), RunnerError> {
    options.check()?;
    if options.sends_tokens_in_the_clear() {
        tracing::warn!(server = options.server, "tokens are sent unencrypted: use https://");
    }
    let secret_variables =
        environment::secrets(&options.secret_env, |name| std::env::var_os(name))?;
    warn_of_short(&secret_variables);
    let values = secret_variables.values().map(|value| value.as_bytes());
    let secrets = Secrets::under(&Secrets::new(values));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let folder = Arc::new(WorkFolder::open(&options.work_dir)?);
    let instance_id = folder.instance_id(clock.now(), &mut OsEntropy)?;
    leftovers::clean(&folder.jobs(), options.keep_workspaces).await;

    let timeout = Duration::from_millis(options.request_timeout_ms);
    let transport = Arc::new(Transport::new(&options.server, timeout)?);
    let request = RegisterRequest {
        name: options.name.clone(),
        instance_id: instance_id.clone(),
        boot_id: secret_token("boot", &mut OsEntropy),
        pool: options.pool.clone(),
        capabilities: capabilities::detect(&options),
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    let (first_folder, credentials) = (Arc::clone(&folder), Arc::clone(&secrets));
    let first = Arc::clone(&transport);
    let first = Registration::first(&options, first, first_folder, request, credentials);
    let stop = stop.child();
    let registration = tokio::select! {
        registered = first => registered?,
        () = stop.draining() => return Ok(()),
    };
    let shared = Arc::new(Shared {
        client: Client::new(transport, registration),
        clock,
        table: LeaseTable::new(),
        slots: Arc::new(Semaphore::new(options.slots as usize)),
        taken: AtomicU32::new(0),
        streaming: watch::Sender::new(false),
        stop,
        folder,
        shell: Shell::find(std::env::var_os("PATH").as_deref()),
        secret_variables,
        secrets,
        instance_id,
        options,
    });
    tokio::select! {
        () = poll::run(&shared) => {}
        () = heartbeat::run(&shared) => {}
        () = force_in_the_end(&shared) => {}
        () = shared.client.refused() => return Err(RunnerError::Refused(NOT_WANTED.to_owned())),
    }
    leave(&shared).await;
    Ok(())
}

/// What is told of a runner whose one registration the server has ended.
const NOT_WANTED: &str = "it is not wanted any more";

/// An operator may take what cannot be masked for a secret.
fn warn_of_short(secrets: &Variables) {
    for (name, value) in secrets {
        if is_too_short(value.as_bytes()) {
            let bytes_min = SECRET_BYTES_MIN;
            tracing::warn!(name, bytes_min, "a secret is too short to be masked in logs");
        }
    }
}

/// Turns a force, or a drain that takes too long, into orders. Never returns: the work's end does.
async fn force_in_the_end(shared: &Shared) {
    shared.stop.told_to_leave().await;
    tracing::info!(jobs = shared.table.len(), "draining: nothing new is taken");
    let limit = Duration::from_millis(shared.options.drain_timeout_ms);
    if tokio::time::timeout(limit, shared.stop.forced()).await.is_err() {
        tracing::warn!(drain_timeout_ms = shared.options.drain_timeout_ms, "drain took too long");
    }
    shared.table.order_all(Order::GiveBack);
    std::future::pending::<()>().await;
}

/// An ephemeral runner is not coming back: the server need not remember it.
async fn leave(shared: &Shared) {
    if shared.options.ephemeral {
        let wait = Duration::from_millis(shared.options.release_wait_ms);
        match tokio::time::timeout(wait, shared.client.deregister()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "cannot deregister"),
            Err(_) => tracing::warn!("cannot deregister: the server does not answer"),
        }
    }
    tracing::info!("runner left");
}
