//! Jobs as containers of a Docker or Podman daemon, over the Docker Engine API.
//!
//! ```text
//! create NAME (409: it is there) -> put the bundle -> start -> wait, logs -> report -> end stored -> remove
//!    404: pull                                          ^        |
//!                                          adopt: look -+--------+ broken: look again
//! ```
//!
//! The name follows from the attempt, so whoever asks twice has one container; one that was never started
//! runs nothing. Which daemon has it is stored with the name: where the configuration says otherwise since, it is looked
//! for there. Until a container is started, trouble says that nothing began. From then on only what the
//! daemon says of it counts, and a daemon that cannot be reached is waited for.

mod attempt;
mod daemon;
mod images;
mod logs;
mod pack;
mod place;
mod provisioner;
mod removals;
mod site;
mod spec;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use super::begun::Begun;
use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::task_executor::{Adopted, DurableExecutor};
use crate::clock::Clock;
use attempt::{Abandoned, Run, Stop};
use images::Images;
use place::Place;
use site::{Found, Site, Sites};
use state::Listed;

pub use daemon::{DaemonAddress, RegistryAuth};
pub use images::Pull;
pub use provisioner::ContainerProvisioner;
pub use spec::{ContainerTemplate, Mount};

/// How often leftovers are looked for, where the daemon does not answer.
const TIDY_TRIES: u32 = 20;
/// How long to rest between two of them.
const TIDY_REST: Duration = Duration::from_secs(15);

/// What an executor or a provisioner of this kind is told.
#[derive(Clone)]
pub struct ContainerOptions {
    /// Where the daemon is.
    pub daemon: DaemonAddress,
    /// How long an answer may take, but for pulls and waits.
    pub timeout: Duration,
    /// What containers are made of.
    pub template: ContainerTemplate,
    /// When the image is pulled.
    pub pull: Pull,
    /// How long that may take.
    pub pull_timeout: Duration,
    /// By whose right.
    pub registry_auth: Option<RegistryAuth>,
    /// Whose containers they are, in a label: no other server that uses the daemon has the same.
    pub owner: String,
    /// What the names of containers begin with.
    pub name_prefix: String,
    /// How long work may take to stop before it is killed.
    pub stop_grace: Duration,
    /// Whether a container stays after its end, for people to look at.
    pub keep_ended: bool,
    /// Command lines of agents, by their profiles.
    pub agents: BTreeMap<String, String>,
    /// How many jobs it has at once.
    pub max_concurrent: u64,
}

/// Why there can be no such executor.
#[derive(Debug, thiserror::Error)]
pub enum ContainerSetupError {
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// Carries jobs out in containers.
pub struct ContainerExecutor {
    name: String,
    options: ContainerOptions,
    images: Images,
    sites: Sites,
    /// Attempts that this process has, and where their containers are.
    begun: Begun<At>,
    /// Attempts of which people were told that nobody can say what became of them.
    doubted: Begun<()>,
    tally: Tally,
}

/// A container.
#[derive(Clone)]
struct At {
    site: Arc<Site>,
    name: String,
}

impl ContainerExecutor {
    /// An executor that is called so.
    ///
    /// # Errors
    ///
    /// [`ContainerSetupError`].
    pub fn new(
        name: impl Into<String>,
        options: ContainerOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, ContainerSetupError> {
        let images = Images::new(&options)?;
        let sites = Sites::new(&options, images.daemon());
        Ok(Self {
            name: name.into(),
            options,
            images,
            sites,
            begun: Begun::default(),
            doubted: Begun::default(),
            tally: Tally::new(clock),
        })
    }

    fn name_of(&self, event: &TaskReadyEvent) -> String {
        spec::name_of(&self.options.name_prefix, event)
    }

    /// Where an attempt's container is, or is to be made.
    fn at(&self, event: &TaskReadyEvent) -> At {
        self.begun.get(&event.attempt_key).unwrap_or_else(|| At {
            site: Arc::clone(self.sites.home()),
            name: self.name_of(event),
        })
    }

    /// Tells people, once, of an attempt of which nobody can say what became of it, and what they can do.
    async fn doubt(&self, place: &Place, why: &str, ctx: &TaskContext) {
        let place = place.told();
        if !self.doubted.insert(ctx, ()) {
            tracing::debug!(place, why, "still cannot look at a container");
            return;
        }
        let (job_id, home) = (ctx.event().job_id, &self.sites.home().address);
        tracing::warn!(
            %job_id, place, configured = home, why,
            "cannot look at a container that was begun there: nothing is begun beside it until that is \
             possible; make the daemon reachable again, or stop the container there and cancel the job"
        );
        ctx.tried(format!(
            "{place} cannot be looked at ({why}): nothing is begun beside it until that is possible, the \
             job is cancelled, or its time is over"
        ))
        .await;
    }

    /// Takes away what is nobody's of these containers, which are its owner's.
    fn remove_leftovers(&self, all: Vec<Listed>, live: &BTreeSet<String>) {
        let is_live = |key: &String| live.contains(key) || self.begun.contains(key);
        for container in all {
            let key = container.labels.as_ref().and_then(|labels| labels.get(spec::ATTEMPT));
            let is_kept = self.options.keep_ended && container.has_ended();
            if !key.is_some_and(is_live) && !is_kept {
                tracing::info!(id = container.id, attempt = key, "a leftover container is removed");
                self.sites.home().removals.add(&container.id);
            }
        }
    }
}

#[async_trait]
impl DurableExecutor for ContainerExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(self.options.max_concurrent)
    }

    async fn probe(&self) -> Result<(), DispatchError> {
        let pinged = self.sites.home().daemon.ping().await;
        pinged.map_err(|trouble| DispatchError::unavailable(trouble.to_string()))
    }

    /// Nothing is begun yet: an image may have to be pulled, and a job whose time is over must be able to
    /// stop that.
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
        let At { site, name } = self.at(event);
        self.begun.insert(ctx, At { site: Arc::clone(&site), name: name.clone() });
        let run = Run { site, name, event, ctx };
        let abandoned = Abandoned { run: &run };
        let ended = self.carry_out(&run, !external_ref.is_empty()).await;
        // It is not: its end will be stored, and the container is not wanted after that.
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
        let known = external_ref.map(Place::read);
        let place = known.unwrap_or_else(|| Place::somewhere(self.name_of(event)));
        let site = match self.sites.find(&place, event).await {
            Found::Here(site) => site,
            Found::Nowhere => return Adopted::Gone,
            Found::Unknown(why) => {
                self.doubt(&place, &why, ctx).await;
                return Adopted::Unknown;
            }
        };
        self.doubted.take(&event.attempt_key);
        // For whoever comes next: as it is found now.
        let now = site.place(&place.container).await;
        // A daemon that does not say just now on which machine it is has not moved.
        let host = now.host.or(place.host.filter(|_| place.daemon == now.daemon));
        let place = Place { host, ..now };
        if external_ref != Some(&*place.to_string()) && !ctx.may_be_called(&place.to_string()).await
        {
            return Adopted::Unknown;
        }
        self.begun.insert(ctx, At { site, name: place.container });
        Adopted::Running
    }

    async fn settled(&self, event: &TaskReadyEvent) {
        let At { site, name } = self.at(event);
        self.begun.take(&event.attempt_key);
        if !self.options.keep_ended {
            site.removals.add(&name);
        }
    }

    async fn tidy(&self, live: &BTreeSet<String>) {
        let labels = [(spec::OWNER, self.options.owner.as_str()), (spec::EXECUTOR, &self.name)];
        for _ in 0..TIDY_TRIES {
            match self.sites.home().daemon.list(&labels).await {
                Ok(all) => return self.remove_leftovers(all, live),
                Err(trouble) => {
                    tracing::warn!(executor = self.name, %trouble, "cannot look for leftovers");
                }
            }
            tokio::time::sleep(TIDY_REST).await;
        }
    }
}
