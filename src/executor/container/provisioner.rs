//! Runners as containers, for pools that are kept warm.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

use super::super::provisioner::{
    CALL_MAX, ProvisionError, Provisioned, Provisioner, RunnerOrder, TOKEN_VARIABLE,
};
use super::daemon::Trouble;
use super::images::Images;
use super::spec::{EXECUTOR, OWNER, Own, RUNNER, safe};
use super::state::Phase;
use super::{ContainerOptions, ContainerSetupError};

/// Starts runners as containers of an image that has the program in it.
pub struct ContainerProvisioner {
    name: String,
    options: ContainerOptions,
    images: Images,
    /// Where runners find the server, if not where it says itself.
    server_url: Option<String>,
    /// The program in the image, and what comes before a runner's own arguments.
    program: Vec<String>,
}

impl ContainerProvisioner {
    /// A provisioner that is called so.
    ///
    /// # Errors
    ///
    /// [`ContainerSetupError`].
    pub fn new(
        name: impl Into<String>,
        options: ContainerOptions,
        server_url: Option<String>,
        program: Vec<String>,
    ) -> Result<Self, ContainerSetupError> {
        let (name, images) = (name.into(), Images::new(&options)?);
        Ok(Self { name, options, images, server_url, program })
    }

    fn container(&self, runner: &str) -> String {
        safe(&format!("{}{runner}", self.options.name_prefix))
    }

    fn kind(&self) -> String {
        format!("provisioner/{}", self.name)
    }

    fn labels(&self, runner: &str) -> BTreeMap<&'static str, String> {
        let owner = self.options.owner.clone();
        [(OWNER, owner), (EXECUTOR, self.kind()), (RUNNER, runner.to_owned())].into()
    }
}

impl From<Trouble> for ProvisionError {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.to_string())
    }
}

#[async_trait]
impl Provisioner for ContainerProvisioner {
    fn name(&self) -> &str {
        &self.name
    }

    /// An image may have to be pulled, of a second platform too, between some calls.
    fn call_max(&self) -> Duration {
        (2 * self.options.pull_timeout + 10 * self.options.timeout).max(CALL_MAX)
    }

    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError> {
        let daemon = self.images.daemon();
        let name = self.container(&order.name);
        let url = self.server_url.as_deref().unwrap_or(&order.server_url);
        let own = Own {
            entrypoint: &self.program,
            arguments: &order.arguments(url),
            env: vec![(TOKEN_VARIABLE.to_owned(), order.token.clone())],
            labels: self.labels(&order.name),
        };
        let is_new = self.images.create(&name, &self.options.template.body(&own)).await?;
        if !is_new {
            // Made before, perhaps by a server that came no further.
            match daemon.inspect(&name).await? {
                None => return Err(ProvisionError(format!("{name} was removed meanwhile"))),
                Some(seen) if !seen.config.has(OWNER, &self.options.owner) => {
                    return Err(ProvisionError(format!("the container {name} is somebody else's")));
                }
                Some(seen) if seen.state.phase() != Phase::Created => return Ok(()),
                Some(_) => {}
            }
        }
        Ok(daemon.start(&name).await?)
    }

    async fn destroy(&self, name: &str) -> Result<(), ProvisionError> {
        let (daemon, container) = (self.images.daemon(), self.container(name));
        match daemon.inspect(&container).await? {
            Some(seen) if seen.config.has(OWNER, &self.options.owner) => {}
            // Nothing of ours.
            _ => return Ok(()),
        }
        match daemon.remove(&container).await? {
            true => Ok(()),
            false => Err(ProvisionError(format!("{container} is being removed"))),
        }
    }

    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
        let kind = self.kind();
        let labels = [(OWNER, self.options.owner.as_str()), (EXECUTOR, &kind)];
        let all = self.images.daemon().list(&labels).await?;
        let all = all.into_iter().filter_map(|it| {
            let name = it.labels.as_ref()?.get(RUNNER)?.clone();
            Some(Provisioned { name, ended: it.has_ended().then_some(it.status) })
        });
        Ok(all.collect())
    }
}
