//! From the configuration to executors and provisioners of containers.

use std::sync::Arc;

use crate::app::millis;
use crate::clock::Clock;
use crate::config::{ContainerConfig, ExecutorConfig, PullConfig};
use crate::executor::{
    ContainerExecutor, ContainerOptions, ContainerProvisioner, ContainerTemplate, DurableExecutor,
    Mount, Provisioner, Pull, RegistryAuth,
};
use crate::webhook::Secret;

/// The executor that this one of the configuration is; `installation` tells its database from others.
pub(super) fn executor(
    executor: &ExecutorConfig,
    container: &ContainerConfig,
    secret: Option<&Secret>,
    installation: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    let options = options(container, secret, installation, executor.max_concurrent)?;
    let made = ContainerExecutor::new(&*executor.name, options, Arc::clone(clock));
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

/// The provisioner of that name; `server_url` is where its runners find the server, if not where the
/// order says.
pub(in crate::app) fn provisioner(
    name: &str,
    container: &ContainerConfig,
    secret: Option<&Secret>,
    installation: &str,
    server_url: Option<String>,
) -> Result<Arc<dyn Provisioner>, String> {
    let options = options(container, secret, installation, 0)?;
    let program = match container.program.is_empty() {
        true => vec!["dispatchyard".to_owned()],
        false => container.program.clone(),
    };
    let made = ContainerProvisioner::new(name, options, server_url, program);
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

fn options(
    container: &ContainerConfig,
    secret: Option<&Secret>,
    installation: &str,
    max_concurrent: u32,
) -> Result<ContainerOptions, String> {
    let registry_auth = match &container.registry_auth {
        None => None,
        Some(auth) => {
            let bytes = secret.map(Secret::bytes).unwrap_or_default();
            let password = String::from_utf8(bytes.to_vec());
            let password = password.map_err(|_| "its password is no text".to_owned())?;
            Some(RegistryAuth { user: auth.user.clone(), password })
        }
    };
    let mounts = container.mounts.iter().map(|mount| Mount {
        source: mount.source.clone(),
        target: mount.target.clone(),
        read_only: mount.read_only,
    });
    Ok(ContainerOptions {
        daemon: container.socket.parse()?,
        timeout: millis(container.timeout_ms),
        template: ContainerTemplate {
            image: container.image.clone(),
            env: container.env.clone(),
            mounts: mounts.collect(),
            memory_mb: container.memory_mb,
            cpu_milli: container.cpu_milli,
            pids_max: container.pids_max,
            network: container.network.clone(),
            user: container.user.clone(),
        },
        pull: match container.pull {
            PullConfig::Missing => Pull::Missing,
            PullConfig::Always => Pull::Always,
            PullConfig::Never => Pull::Never,
        },
        pull_timeout: millis(container.pull_timeout_ms),
        registry_auth,
        owner: installation.to_owned(),
        name_prefix: container.name_prefix.clone(),
        stop_grace: millis(container.stop_grace_ms),
        keep_ended: container.keep_ended,
        agents: container.agents.clone(),
        max_concurrent: max_concurrent.into(),
    })
}
