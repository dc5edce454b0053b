//! Who starts runners: processes, pods, containers, machines, for pools that are kept warm.
//!
//! A provisioner decides nothing: how many runners there are to be, and which of them goes, is decided in
//! the scheduler, and a runner is written down before it is started. So whatever a server dies of, the next
//! one knows each name that may exist, and asks for it again or takes it down.

use std::time::Duration;

use async_trait::async_trait;

/// How long a call may take, where a provisioner says nothing else: an image may have to be pulled.
pub(super) const CALL_MAX: Duration = Duration::from_secs(600);

/// The variable by which a runner is given its token: an argument could be read by every user of the machine.
pub const TOKEN_VARIABLE: &str = "DISPATCHYARD_TOKEN";

/// A runner that is to be started.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RunnerOrder {
    /// What it is called, here and in the backend: `warm-INSTALLATION-NUMBER`, at most 63 bytes of `a-z0-9-`. No other
    /// runner of this database was or will be called so.
    pub name: String,
    /// Where it finds the server, if the provisioner is not told otherwise.
    pub server_url: String,
    /// Registers this one runner, once.
    pub token: String,
    /// The pool that it joins.
    pub pool: String,
    /// What jobs can ask it for.
    pub labels: Vec<String>,
    /// How many jobs it has at once.
    pub slots: u32,
    /// It takes one job and leaves.
    pub ephemeral: bool,
}

impl RunnerOrder {
    /// What follows the program's name in the runner's command line. Its token is not among it: see
    /// [`TOKEN_VARIABLE`].
    pub fn arguments(&self, server_url: &str) -> Vec<String> {
        let mut all: Vec<String> = ["runner", "--server", server_url, "--name", &self.name]
            .into_iter()
            .chain(["--pool", &self.pool, "--slots", &self.slots.to_string()])
            .map(str::to_owned)
            .collect();
        if !self.labels.is_empty() {
            all.extend(["--labels".to_owned(), self.labels.join(",")]);
        }
        if self.ephemeral {
            all.extend(["--ephemeral", "--jobs-max", "1"].map(str::to_owned));
        }
        all
    }
}

/// A runner that a provisioner has started, as its backend shows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Provisioned {
    /// [`RunnerOrder::name`].
    pub name: String,
    /// Why it runs no more and will not again, for people; `None` while it runs or is about to.
    pub ended: Option<String>,
}

/// Why a runner was not started or taken down.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub struct ProvisionError(pub String);

/// Starts runners, and takes them down.
///
/// Calls are repeated, also by another process after this one has died, so each must bear that.
#[async_trait]
pub trait Provisioner: Send + Sync + 'static {
    /// What people call it.
    fn name(&self) -> &str;

    /// How long each of the calls below may take. One that takes longer is dropped in the middle and counts as
    /// failed, so that a backend which never answers stops nothing for ever. Ten minutes, unless it says
    /// something else.
    fn call_max(&self) -> Duration {
        CALL_MAX
    }

    /// Starts a runner and answers when the backend has accepted it; whether it comes up is seen when it
    /// registers. One of that name that is there already is left as it is, and that is no error. A call may be
    /// given up in the middle when its server ends: what comes of it is found by [`Provisioner::list`].
    ///
    /// # Errors
    ///
    /// [`ProvisionError`]: it is taken down, in case it was started all the same, and another one is ordered
    /// later, under another name.
    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError>;

    /// Takes a runner down, whatever it does. One that is not there is no error.
    ///
    /// # Errors
    ///
    /// [`ProvisionError`]: it is asked again later.
    async fn destroy(&self, name: &str) -> Result<(), ProvisionError>;

    /// All runners that it has started and that are not taken down, ended ones too.
    ///
    /// # Errors
    ///
    /// [`ProvisionError`]: nothing is concluded from that.
    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_not_in_the_arguments() {
        let order = RunnerOrder {
            name: "warm-7-linux".to_owned(),
            server_url: "http://yard:7878".to_owned(),
            token: "secret".to_owned(),
            pool: "linux".to_owned(),
            labels: vec!["a".to_owned(), "b".to_owned()],
            slots: 2,
            ephemeral: true,
        };
        let line = order.arguments(&order.server_url).join(" ");
        assert_eq!(
            line,
            "runner --server http://yard:7878 --name warm-7-linux --pool linux --slots 2 \
             --labels a,b --ephemeral --jobs-max 1"
        );
    }
}
