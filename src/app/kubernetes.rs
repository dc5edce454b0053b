//! From the configuration to executors and provisioners of a Kubernetes cluster.

use std::path::Path;
use std::sync::Arc;

use super::millis;
use crate::clock::Clock;
use crate::config::{Config, ExecutorConfig, KubernetesConfig, ProvisionerConfig};
use crate::executor::{
    ClusterOptions, DurableExecutor, JobTemplate, KubernetesExecutor, KubernetesOptions,
    KubernetesProvisioner, KubernetesProvisionerOptions, PodForm, PodTemplate, Provisioner,
    TemplateError,
};

/// The executor of that name.
pub(super) async fn executor(
    config: &Config,
    executor: &ExecutorConfig,
    table: &KubernetesConfig,
    installation: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    let ttl = u64::from(table.ttl_seconds_after_finished);
    let options = KubernetesOptions {
        cluster: cluster(config, table, installation),
        template: template(config, table, JobTemplate::parse, JobTemplate::of)?,
        agents: table.agents.clone(),
        image_pull_patience: millis(table.image_pull_patience_ms),
        pending_patience: table.pending_patience_ms.map(millis),
        ttl_after_finished: std::time::Duration::from_secs(ttl),
        max_concurrent: executor.max_concurrent.into(),
    };
    let made = KubernetesExecutor::new(&executor.name, options, Arc::clone(clock)).await;
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

/// A provisioner.
pub(super) async fn provisioner(
    config: &Config,
    provisioner: &ProvisionerConfig,
    table: &KubernetesConfig,
    installation: &str,
) -> Result<Arc<dyn Provisioner>, String> {
    let options = KubernetesProvisionerOptions {
        cluster: cluster(config, table, installation),
        template: template(config, table, PodTemplate::parse, PodTemplate::of)?,
        command: table.command.clone(),
        server_url: provisioner.server_url.clone(),
    };
    let made = KubernetesProvisioner::new(&provisioner.name, options).await;
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

fn cluster(config: &Config, table: &KubernetesConfig, installation: &str) -> ClusterOptions {
    ClusterOptions {
        kubeconfig: table.kubeconfig.as_deref().map(|path| config.resolve(path)),
        context: table.context.clone(),
        namespace: table.namespace.clone(),
        owner: table.owner.clone(),
        installation: installation.to_owned(),
    }
}

fn template<T>(
    config: &Config,
    table: &KubernetesConfig,
    parse: fn(&str) -> Result<T, TemplateError>,
    of: fn(&PodForm) -> T,
) -> Result<T, String> {
    let Some(path) = &table.template else {
        return Ok(of(&PodForm {
            image: table.image.clone().unwrap_or_default(),
            service_account: table.service_account.clone(),
            cpu_milli: table.cpu_milli,
            memory_mb: table.memory_mb,
        }));
    };
    let path: &Path = &config.resolve(path);
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("the template {}: {error}", path.display()))?;
    parse(&text).map_err(|error| format!("{}: {error}", path.display()))
}
