//! Runners of warm pools as pods.
//!
//! ```text
//! create   Secret NAME with the token -> pod NAME: `dispatchyard runner ... --ephemeral`, the token in its environment
//! destroy  the pod, then the Secret; neither being there is as good
//! list     the pods, and why those that have ended did
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{Container, EnvVar, EnvVarSource, Pod, Secret, SecretKeySelector};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::ResourceExt as _;

use super::super::provisioner::{
    ProvisionError, Provisioned, Provisioner, RunnerOrder, TOKEN_VARIABLE,
};
use super::client::{Cluster, Trouble};
use super::names::{self, Owner};
use super::seen::{Main, PodSeen};
use super::template::PodTemplate;
use super::{ClusterOptions, KubernetesSetupError};

/// The key of the token in its Secret.
const TOKEN_KEY: &str = "token";

/// What a provisioner of this kind is told.
#[derive(Clone, PartialEq, Debug)]
pub struct KubernetesProvisionerOptions {
    /// Where.
    pub cluster: ClusterOptions,
    /// What its pods look like. The first container has the program.
    pub template: PodTemplate,
    /// The program in that image, with what comes before a verb.
    pub command: Vec<String>,
    /// Where pods find the server, if not where others do.
    pub server_url: Option<String>,
}

/// Starts runners as pods.
pub struct KubernetesProvisioner {
    name: String,
    options: KubernetesProvisionerOptions,
    owner: Owner,
    cluster: Cluster,
    /// The container that has the program.
    container: Arc<str>,
}

impl KubernetesProvisioner {
    /// A provisioner that is called so in logs and labels. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`KubernetesSetupError`].
    pub async fn new(
        name: impl Into<String>,
        options: KubernetesProvisionerOptions,
    ) -> Result<Self, KubernetesSetupError> {
        let name = name.into();
        let owner = options.cluster.owner(names::PROVISIONER, &name)?;
        let cluster = options.cluster.connect().await?;
        let container = options.template.container().into();
        Ok(Self { name, options, owner, cluster, container })
    }

    fn secret(&self, order: &RunnerOrder) -> Secret {
        let token = ByteString(order.token.clone().into_bytes());
        Secret {
            metadata: ObjectMeta {
                name: Some(order.name.clone()),
                labels: Some(self.owner.labels()),
                ..Default::default()
            },
            immutable: Some(true),
            data: Some(BTreeMap::from([(TOKEN_KEY.to_owned(), token)])),
            ..Default::default()
        }
    }

    fn pod(&self, order: &RunnerOrder) -> Pod {
        let url = self.options.server_url.as_deref().unwrap_or(&order.server_url);
        let mut command = self.options.command.clone();
        command.extend(order.arguments(url));
        let token = EnvVar {
            name: TOKEN_VARIABLE.to_owned(),
            value_from: Some(EnvVarSource {
                secret_key_ref: Some(SecretKeySelector {
                    name: order.name.clone(),
                    key: TOKEN_KEY.to_owned(),
                    optional: None,
                }),
                ..Default::default()
            }),
            value: None,
        };
        let container =
            Container { command: Some(command), env: Some(vec![token]), ..Default::default() };
        self.options.template.pod(&order.name, &self.owner.labels(), container)
    }

    async fn start(&self, order: &RunnerOrder) -> Result<(), Trouble> {
        if self.cluster.create(&self.secret(order)).await?.is_none() {
            if self.cluster.get::<Pod>(&order.name).await?.is_some() {
                return Ok(());
            }
            // It was left by whoever died before the pod: its token may be another one.
            self.cluster.delete::<Secret>(&order.name).await?;
            if self.cluster.create(&self.secret(order)).await?.is_none() {
                let why = format!("the Secret {} is still being deleted", order.name);
                return Err(Trouble::Perhaps { why, retry_after: None });
            }
        }
        self.cluster.create(&self.pod(order)).await?;
        Ok(())
    }
}

fn told(trouble: &Trouble) -> ProvisionError {
    ProvisionError(trouble.to_string())
}

/// Why a runner's pod runs no more. One that is to go may still end its job: a drained node gives it time.
fn ended(pod: &PodSeen) -> Option<String> {
    let why = |reason: &str, message: &str| match message.is_empty() {
        true => reason.to_owned(),
        false => format!("{reason}: {message}"),
    };
    let is_over = ["Succeeded", "Failed"].contains(&pod.phase.as_str());
    match &pod.main {
        _ if is_over && !pod.reason.is_empty() => Some(why(&pod.reason, &pod.message)),
        _ if is_over && pod.disruption.is_some() => pod.disruption.clone(),
        Main::Ended { code, reason, report } => {
            let reason = if reason.is_empty() { "it ended" } else { reason };
            Some(format!("{} (exit code {code})", why(reason, report.trim())))
        }
        _ if is_over => Some(pod.failed_before.clone().unwrap_or_else(|| pod.phase.clone())),
        _ => None,
    }
}

#[async_trait]
impl Provisioner for KubernetesProvisioner {
    fn name(&self) -> &str {
        &self.name
    }

    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError> {
        self.start(order).await.map_err(|trouble| told(&trouble))
    }

    async fn destroy(&self, name: &str) -> Result<(), ProvisionError> {
        self.cluster.delete::<Pod>(name).await.map_err(|trouble| told(&trouble))?;
        self.cluster.delete::<Secret>(name).await.map_err(|trouble| told(&trouble))?;
        // Until it is gone it may work on.
        match self.cluster.get::<Pod>(name).await.map_err(|trouble| told(&trouble))? {
            None => Ok(()),
            Some(_) => Err(ProvisionError(format!("the pod {name} is still being deleted"))),
        }
    }

    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
        let listed = self.cluster.list::<Pod>(&self.owner.selector(), None).await;
        let (pods, _) = listed.map_err(|trouble| told(&trouble))?;
        let all = pods.iter().map(|pod| Provisioned {
            name: pod.name_any(),
            ended: ended(&PodSeen::of(pod, &self.container)),
        });
        Ok(all.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(phase: &str, change: impl FnOnce(&mut PodSeen)) -> Option<String> {
        let mut pod = PodSeen { phase: phase.to_owned(), ..Default::default() };
        change(&mut pod);
        ended(&pod)
    }

    #[test]
    fn a_runner_that_runs_no_more_says_why() {
        let exit = |code, reason: &str, report: &str| Main::Ended {
            code,
            reason: reason.to_owned(),
            report: report.to_owned(),
        };
        assert_eq!(told("Pending", |_| ()), None);
        assert_eq!(told("Running", |pod| pod.main = Main::Running), None);
        let all = [
            told("Succeeded", |pod| pod.main = exit(0, "Completed", "")),
            told("Failed", |pod| pod.main = exit(137, "OOMKilled", "")),
            told("Failed", |pod| pod.main = exit(1, "Error", "no such server\n")),
            told("Failed", |pod| {
                (pod.reason, pod.message) = ("Evicted".to_owned(), "low on disk".to_owned());
            }),
            told("Failed", |pod| pod.disruption = Some("PreemptionByScheduler".to_owned())),
            told("Failed", |_| ()),
        ];
        let all: Vec<_> = all.into_iter().map(Option::unwrap).collect();
        let wanted = [
            "Completed (exit code 0)",
            "OOMKilled (exit code 137)",
            "Error: no such server (exit code 1)",
            "Evicted: low on disk",
            "PreemptionByScheduler",
            "Failed",
        ];
        assert_eq!(all, wanted);
        // It may still end its job.
        let to_go = |pod: &mut PodSeen| {
            (pod.is_deleted, pod.disruption) = (true, Some("DeletionByTaintManager".to_owned()));
        };
        assert_eq!(told("Running", to_go), None);
    }
}
