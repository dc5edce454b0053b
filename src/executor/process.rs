//! Runners as processes of this machine, which outlive the server: its next process finds them again.
//!
//! There is one implementation of running steps, the runner's, so what is local is a local runner.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;

use super::provisioner::{ProvisionError, Provisioned, Provisioner, RunnerOrder, TOKEN_VARIABLE};
use crate::agent_runner::DetachedRunner;

/// What such a provisioner is told.
#[derive(Clone, Debug)]
pub struct ProcessOptions {
    /// The program of the runner: this one, as a rule.
    pub program: PathBuf,
    /// Where each runner has a folder of its own.
    pub folder: PathBuf,
    /// The whole environment of a runner, beside its token.
    pub environment: BTreeMap<String, OsString>,
    /// Where its runners find the server, if not where the order says.
    pub server_url: Option<String>,
    /// Arguments beside those of the order.
    pub arguments: Vec<String>,
    /// How long a runner may take to leave, and then to leave at once.
    pub stop_grace: Duration,
}

/// Starts runners on this machine.
#[derive(Debug)]
pub struct ProcessProvisioner {
    name: String,
    options: ProcessOptions,
}

impl ProcessProvisioner {
    /// One that is called so.
    pub fn new(name: impl Into<String>, options: ProcessOptions) -> Self {
        Self { name: name.into(), options }
    }

    fn runner(&self, name: &str) -> DetachedRunner {
        DetachedRunner::at(self.options.folder.join(name))
    }

    /// The environment that a runner of this machine gets of the server's own: enough to find programs, and
    /// no secrets.
    pub fn clean_environment(
        own: impl Fn(&str) -> Option<OsString>,
        more: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, OsString> {
        let usual = ["PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "RUST_LOG"];
        let names = usual.map(str::to_owned).into_iter().chain(more);
        names
            .filter_map(|name| Some((own(&name)?, name)))
            .map(|(value, name)| (name, value))
            .collect()
    }
}

#[async_trait]
impl Provisioner for ProcessProvisioner {
    fn name(&self) -> &str {
        &self.name
    }

    /// Three graces, and what a large folder takes to be removed.
    fn call_max(&self) -> Duration {
        self.options.stop_grace.saturating_mul(3).saturating_add(Duration::from_secs(300))
    }

    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError> {
        let runner = self.runner(&order.name);
        let server_url = self.options.server_url.as_ref().unwrap_or(&order.server_url);
        let mut arguments = order.arguments(server_url);
        arguments
            .extend(["--work-dir".to_owned(), runner.work_dir().to_string_lossy().into_owned()]);
        arguments.extend(self.options.arguments.iter().cloned());
        let token = (TOKEN_VARIABLE.to_owned(), order.token.clone().into());
        let environment = self.options.environment.clone().into_iter().chain([token]);
        let program = &self.options.program;
        let started = runner.start(program, &arguments, environment).await;
        started.map_err(|error| ProvisionError(format!("{}: {error}", program.display())))
    }

    async fn destroy(&self, name: &str) -> Result<(), ProvisionError> {
        let ended = self.runner(name).end(self.options.stop_grace).await;
        ended.map_err(|error| ProvisionError(error.to_string()))
    }

    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
        let entries = match std::fs::read_dir(&self.options.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => {
                let folder = self.options.folder.display();
                return Err(ProvisionError(format!("{folder}: {error}")));
            }
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let found = names.filter(|name| !DetachedRunner::is_aside(name)).map(|name| {
            let runner = self.runner(&name);
            if let Err(error) = runner.bound_log() {
                tracing::warn!(%error, name, "a runner's log cannot be kept within bounds");
            }
            let ended = (!runner.is_alive()).then(|| {
                let words = runner.last_words().unwrap_or_default();
                format!("its process has ended: {words}")
            });
            Provisioned { name, ended }
        });
        Ok(found.collect())
    }
}
