//! In the place of executors and provisioners of a Kubernetes cluster, in a program that was built without.

use std::sync::Arc;

use crate::clock::Clock;
use crate::config::{Config, ExecutorConfig, KubernetesConfig, ProvisionerConfig};
use crate::executor::{DurableExecutor, Provisioner};

const WHY: &str = "this program was built without it: build it with the cargo feature `kubernetes`";

/// Says so.
pub(super) async fn executor(
    _: &Config,
    _: &ExecutorConfig,
    _: &KubernetesConfig,
    _: &str,
    _: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    Err(WHY.to_owned())
}

/// Says so.
pub(super) async fn provisioner(
    _: &Config,
    _: &ProvisionerConfig,
    _: &KubernetesConfig,
    _: &str,
) -> Result<Arc<dyn Provisioner>, String> {
    Err(WHY.to_owned())
}
