//! Jobs as Jobs of a Kubernetes cluster, one for each attempt; and runners of warm pools as pods.
//!
//! ```text
//! start   Job OWNER-JOB-ATTEMPT-HASH (once, whoever asks again) -> Secret with its files, owned by the Job
//! watch   two streams of changes for all -> Seen -> judge -> the end; logs follow the pod
//! adopt   asked for by name: it goes on, has ended, is gone, or nobody can say
//! cancel  the Job is deleted, and with it its pods and its Secret; the end is said when they are gone
//! after   the end is stored -> the Job is deleted; what a server leaves behind is deleted by the next one, or goes
//!         by its deadline and its ttl
//! ```
//!
//! A pod cannot begin before its Secret is there. So while that was not asked for, the work has certainly not
//! begun.

mod attempt;
mod attending;
mod client;
mod judge;
mod logs;
mod names;
mod observer;
mod provisioner;
mod removal;
mod seen;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::task_executor::{Adopted, DurableExecutor};
use crate::clock::Clock;
use client::Cluster;
use judge::{Verdict, judge};
use names::Owner;
use observer::Observer;
use removal::Removals;

pub use client::ClusterError;
pub use provisioner::{KubernetesProvisioner, KubernetesProvisionerOptions};
pub use template::{JobTemplate, PodForm, PodTemplate, TemplateError};

/// How often a cluster is asked what is left over there, and how long after the last time.
const TIDY_TRIES_MAX: u32 = 60;
const TIDY_AGAIN: Duration = Duration::from_secs(10);

/// Which cluster, and whose things are whose there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ClusterOptions {
    /// The file that says where it is and who asks; without one this process is a pod of it.
    pub kubeconfig: Option<PathBuf>,
    /// Which context of that file, if not the current one.
    pub context: Option<String>,
    /// The namespace, if not that of the context or of this pod.
    pub namespace: Option<String>,
    /// In whose name, for people: at most 20 of `a-z0-9-`, the first a letter.
    pub owner: String,
    /// What tells the server's database from others; at most 63 of `A-Za-z0-9-`.
    pub installation: String,
}

/// What an executor of this kind is told.
#[derive(Clone, PartialEq, Debug)]
pub struct KubernetesOptions {
    /// Where.
    pub cluster: ClusterOptions,
    /// What its Jobs look like.
    pub template: JobTemplate,
    /// The command lines of agents, by their profiles.
    pub agents: BTreeMap<String, String>,
    /// How long an image that cannot be pulled, or a container that cannot be made, is waited for.
    pub image_pull_patience: Duration,
    /// How long a pod may wait for a place; `None` for as long as the job may run.
    pub pending_patience: Option<Duration>,
    /// How long the cluster keeps what has ended, if no server has seen to it before.
    pub ttl_after_finished: Duration,
    /// How many jobs it has at once.
    pub max_concurrent: u64,
}

/// Why there can be no such executor, or provisioner.
#[derive(Debug, thiserror::Error)]
pub enum KubernetesSetupError {
    /// The owner's name cannot be part of the name of a Job.
    #[error(
        "`{0}` is no `owner`: it has at most 20 of `a-z0-9-`, the first a letter, the last no `-`"
    )]
    Owner(String),
    /// There is no way to the cluster.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

/// Carries jobs out as Jobs of a cluster.
pub struct KubernetesExecutor {
    name: String,
    options: KubernetesOptions,
    owner: Owner,
    cluster: Cluster,
    /// The container that does the work.
    container: Arc<str>,
    /// Begun with the first attempt: a server that does not lead looks at nothing.
    tasks: OnceLock<Tasks>,
    /// Jobs that this process has to do with.
    begun: Mutex<BTreeSet<String>>,
    /// Jobs that may have been made or not, or may have no Secret yet.
    unsure: Mutex<BTreeSet<String>>,
    tally: Tally,
    clock: Arc<dyn Clock>,
}

/// What goes on beside the attempts.
struct Tasks {
    observer: Observer,
    removals: Removals,
}

impl KubernetesExecutor {
    /// An executor that is called so in logs and labels. Nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`KubernetesSetupError`].
    pub async fn new(
        name: impl Into<String>,
        options: KubernetesOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KubernetesSetupError> {
        let name = name.into();
        let owner = options.cluster.owner(names::EXECUTOR, &name)?;
        let cluster = options.cluster.connect().await?;
        Ok(Self {
            container: options.template.container().into(),
            tally: Tally::new(Arc::clone(&clock)),
            begun: Mutex::default(),
            unsure: Mutex::default(),
            tasks: OnceLock::new(),
            name,
            options,
            owner,
            cluster,
            clock,
        })
    }

    fn tasks(&self) -> &Tasks {
        self.tasks.get_or_init(|| Tasks {
            observer: Observer::start(&self.cluster, &self.owner.selector(), &self.container),
            removals: Removals::start(&self.cluster, &self.clock),
        })
    }

    fn begun(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.begun.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    fn unsure(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.unsure.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    /// By what an attempt is found again: `NAMESPACE/NAME`.
    fn external_ref(&self, event: &TaskReadyEvent) -> String {
        format!("{}/{}", self.cluster.namespace, self.owner.run(event))
    }
}

impl ClusterOptions {
    fn owner(&self, part: &'static str, name: &str) -> Result<Owner, KubernetesSetupError> {
        if !names::is_label(&self.owner, names::OWNER_BYTES_MAX) {
            return Err(KubernetesSetupError::Owner(self.owner.clone()));
        }
        Ok(Owner {
            owner: self.owner.clone(),
            installation: names::label_value(&self.installation),
            part: (part, names::label_value(name)),
        })
    }

    async fn connect(&self) -> Result<Cluster, ClusterError> {
        let Self { kubeconfig, context, namespace, .. } = self;
        Cluster::new(kubeconfig.as_deref(), context.as_deref(), namespace.clone()).await
    }
}

/// The name of a Job out of what is stored of an attempt.
fn run_in(external_ref: &str) -> &str {
    external_ref.rsplit('/').next().unwrap_or_default()
}

#[async_trait]
impl DurableExecutor for KubernetesExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(self.options.max_concurrent)
    }

    async fn probe(&self) -> Result<(), DispatchError> {
        let asked = self.cluster.list::<Job>(&self.owner.selector(), Some(1)).await;
        asked.map(drop).map_err(|trouble| attempt::not_begun(&trouble))
    }

    async fn start(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        self.begin(event, ctx).await?;
        Ok(self.external_ref(event))
    }

    async fn watch(
        &self,
        external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let busy = self.tally.begin();
        let run = match external_ref.contains('/') {
            true => run_in(external_ref).to_owned(),
            // It was not stored: see `DurableExecutor::adopt`.
            false => self.owner.run(event),
        };
        let result = self.attend(&run, event, ctx).await?;
        busy.ended(result.status);
        Ok(result)
    }

    async fn adopt(
        &self,
        external_ref: Option<&str>,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Adopted {
        let known = external_ref.map_or_else(|| self.external_ref(event), str::to_owned);
        let run = run_in(&known);
        if let Some((namespace, _)) = known.split_once('/')
            && namespace != self.cluster.namespace
        {
            // The configuration names another one since: there it ends, and here it begins again.
            return match self.cluster.at(namespace).delete_whole::<Job>(run).await {
                Ok(false) => Adopted::Gone,
                Ok(true) | Err(_) => Adopted::Unknown,
            };
        }
        let seen = match self.look(run).await {
            Ok(Some(seen)) => seen,
            Ok(None) => {
                // Whoever asked for it last may not have been heard yet.
                self.tasks().removals.keep_away(run, self.clock.now().mono_ms);
                return Adopted::Gone;
            }
            Err(trouble) => {
                tracing::debug!(job = run, %trouble, "what became of a Job is not known");
                return Adopted::Unknown;
            }
        };
        match judge(&seen) {
            Verdict::Ended(_) => match self.watch(&known, event, ctx).await {
                Ok(result) => Adopted::Ended(result),
                Err(_) => Adopted::Unknown,
            },
            // The server may have died between the Job and its Secret.
            Verdict::Goes { pod: None } | Verdict::Stuck(_) => {
                self.unsure().insert(run.to_owned());
                Adopted::Running
            }
            _ => Adopted::Running,
        }
    }

    async fn settled(&self, event: &TaskReadyEvent) {
        let run = self.owner.run(event);
        self.unsure().remove(&run);
        self.begun().remove(&run);
        self.tasks().removals.remove(&run);
    }

    async fn tidy(&self, live: &BTreeSet<String>) {
        let selector = self.owner.selector();
        for _ in 0..TIDY_TRIES_MAX {
            match self.cluster.list::<Job>(&selector, None).await {
                Ok((jobs, _)) => {
                    let left = jobs.iter().filter(|job| {
                        let is_live =
                            names::attempt_key(job.labels()).is_none_or(|key| live.contains(&key));
                        !is_live && !self.begun().contains(&job.name_any())
                    });
                    for name in left.map(kube::ResourceExt::name_any) {
                        tracing::info!(job = name, "a Job that nobody has is deleted");
                        self.tasks().removals.remove(&name);
                    }
                    return;
                }
                Err(trouble) => {
                    tracing::debug!(%trouble, "what is left over is not known");
                    tokio::time::sleep(TIDY_AGAIN).await;
                }
            }
        }
    }
}
