//! Jobs as Jobs of a Kubernetes cluster, one for each attempt; and runners of warm pools as pods.
//!
//! ```text
//! begin   where it will be is stored -> Job OWNER-JOB-ATTEMPT-HASH (once, whoever asks again) -> Secret with its
//!         files, owned by the Job
//! watch   two streams of changes for all -> Seen -> judge -> the end; logs follow the pod
//! adopt   asked for by its name in the namespace that was stored: it is there, is gone, or nobody can say
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
mod lines;
mod logs;
mod names;
mod observer;
mod place;
mod provisioner;
mod removal;
mod seen;
mod site;
mod template;
mod trouble;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;

use super::begun::Begun;
use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::task_executor::{Adopted, DurableExecutor};
use crate::clock::Clock;
use attempt::{Abandoned, Run, Stop};
use client::Cluster;
use names::Owner;
use place::Place;
use site::{Site, Sites};

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
    sites: Sites,
    /// Attempts that this process has to do with, and their Jobs.
    begun: Begun<At>,
    /// Attempts of which people were told that nobody can say what became of them.
    doubted: Begun<()>,
    tally: Tally,
    clock: Arc<dyn Clock>,
}

/// A Job.
#[derive(Clone)]
struct At {
    site: Arc<Site>,
    job: String,
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
        let container: Arc<str> = options.template.container().into();
        Ok(Self {
            sites: Sites::new(&cluster, owner.selector(), &container, &clock),
            tally: Tally::new(Arc::clone(&clock)),
            begun: Begun::default(),
            doubted: Begun::default(),
            name,
            options,
            owner,
            cluster,
            container,
            clock,
        })
    }

    /// Where an attempt's Job is, or is to be made.
    fn at(&self, event: &TaskReadyEvent) -> At {
        let known = self.begun.get(&event.attempt_key);
        known.unwrap_or_else(|| At { site: self.sites.home(), job: self.owner.run(event) })
    }

    /// What is stored of that.
    fn place(&self, at: &At) -> Place {
        Place {
            job: at.job.clone(),
            namespace: Some(at.site.cluster.namespace.clone()),
            server: Some(self.cluster.server.clone()),
        }
    }

    /// Tells people, once, of an attempt of which nobody can say what became of it, and what they can do.
    async fn doubt(&self, place: &Place, why: &str, ctx: &TaskContext) {
        let place = place.told();
        if !self.doubted.insert(ctx, ()) {
            tracing::debug!(place, why, "still cannot look at a Job");
            return;
        }
        let (job_id, home) = (ctx.event().job_id, &self.cluster.server);
        tracing::warn!(
            %job_id, place, configured = home, why,
            "cannot look at a Job that was begun there: nothing is begun beside it until that is \
             possible; let the executor reach that cluster again, or delete the Job there and cancel the job"
        );
        ctx.tried(format!(
            "{place} cannot be looked at ({why}): nothing is begun beside it until that is possible, the \
             job is cancelled, or its time is over"
        ))
        .await;
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

    /// Nothing is begun yet: where the Job will be is stored first.
    async fn start(
        &self,
        _event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        Ok(String::new())
    }

    async fn watch(
        &self,
        external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let busy = self.tally.begin();
        let at = self.at(event);
        self.begun.insert(ctx, at.clone());
        let run = Run::new(at, event, ctx);
        let abandoned = Abandoned { run: &run };
        let ended = self.carry_out(&run, !external_ref.is_empty()).await;
        // It is not: its end will be stored, and the Job is not wanted after that.
        std::mem::forget(abandoned);
        match ended {
            Ok(result) | Err(Stop::End(result)) => {
                busy.ended(result.status);
                Ok(result)
            }
            Err(Stop::Error(error)) => Err(error),
        }
    }

    async fn adopt(
        &self,
        external_ref: Option<&str>,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Adopted {
        let known = external_ref.unwrap_or_default();
        let mut place = Place::read(known);
        if known.is_empty() {
            place.job = self.owner.run(event);
        }
        let namespace = place.namespace.as_ref().unwrap_or(&self.cluster.namespace);
        let at = At { site: self.sites.at(namespace), job: place.job.clone() };
        // Nothing else is called so in any cluster: where it is found it is the attempt's.
        match at.site.cluster.get::<Job>(&at.job).await {
            Ok(Some(_)) => {}
            Ok(None) if place.is_of(&self.cluster.server) => {
                // Whoever asked for it last may not have been heard yet.
                at.site.removals.keep_away(&at.job);
                return Adopted::Gone;
            }
            Ok(None) => {
                let why = format!("{} does not have it", self.cluster.server);
                self.doubt(&place, &why, ctx).await;
                return Adopted::Unknown;
            }
            Err(trouble) => {
                self.doubt(&place, &trouble.to_string(), ctx).await;
                return Adopted::Unknown;
            }
        }
        self.doubted.take(&event.attempt_key);
        // For whoever comes next: as it is found now.
        let found = self.place(&at).to_string();
        if known != found && !ctx.may_be_called(&found).await {
            return Adopted::Unknown;
        }
        self.begun.insert(ctx, at);
        Adopted::Running
    }

    async fn settled(&self, event: &TaskReadyEvent) {
        let At { site, job } = self.at(event);
        self.begun.take(&event.attempt_key);
        site.removals.remove(&job);
    }

    async fn tidy(&self, live: &BTreeSet<String>) {
        let (selector, removals) = (self.owner.selector(), &self.sites.home().removals);
        for _ in 0..TIDY_TRIES_MAX {
            match self.cluster.list::<Job>(&selector, None).await {
                Ok((jobs, _)) => {
                    let is_left = |job: &&Job| {
                        let key = names::attempt_key(job.labels());
                        key.is_some_and(|key| !live.contains(&key) && !self.begun.contains(&key))
                    };
                    for name in jobs.iter().filter(is_left).map(kube::ResourceExt::name_any) {
                        tracing::info!(job = name, "a Job that nobody has is deleted");
                        removals.remove(&name);
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
