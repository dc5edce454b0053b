//! Containers are made from an image, which may have to be pulled first.

use std::time::Duration;

use serde_json::Value;

use super::daemon::{Created, Daemon, RegistryAuth, Trouble};
use super::{ContainerOptions, ContainerSetupError};

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Pull {
    /// When it is not there.
    #[default]
    Missing,
    /// Before each container.
    Always,
    /// Never: somebody else sees to it.
    Never,
}

/// A daemon and the image of the containers that it is to make.
pub(super) struct Images {
    daemon: Daemon,
    image: String,
    pull: Pull,
    pull_timeout: Duration,
    auth: Option<RegistryAuth>,
    /// Held while one is pulled, so that many who miss it pull it once.
    pulling: tokio::sync::Mutex<()>,
}

impl Images {
    pub(super) fn new(options: &ContainerOptions) -> Result<Self, ContainerSetupError> {
        Ok(Self {
            daemon: Daemon::new(&options.daemon, options.timeout)?,
            image: options.template.image.clone(),
            pull: options.pull,
            pull_timeout: options.pull_timeout,
            auth: options.registry_auth.clone(),
            pulling: tokio::sync::Mutex::default(),
        })
    }

    pub(super) fn daemon(&self) -> &Daemon {
        &self.daemon
    }

    /// Makes a container, with its image; `false` when one of that name is there already.
    pub(super) async fn create(&self, name: &str, body: &Value) -> Result<bool, Trouble> {
        if self.pull == Pull::Always {
            self.pull().await?;
        }
        let why = match self.daemon.create(name, body).await? {
            Created::New => return Ok(true),
            Created::Exists => return Ok(false),
            Created::NoImage(why) => why,
        };
        let refused = |why| Err(Trouble::Refused(reqwest::StatusCode::NOT_FOUND, why));
        if self.pull != Pull::Missing {
            return refused(why);
        }
        let _held = self.pulling.lock().await;
        // Somebody may have pulled it while this waited.
        let again = self.daemon.create(name, body).await?;
        let last = match again {
            Created::NoImage(_) => {
                self.pull().await?;
                self.daemon.create(name, body).await?
            }
            made => made,
        };
        match last {
            Created::New => Ok(true),
            Created::Exists => Ok(false),
            Created::NoImage(why) => refused(why),
        }
    }

    async fn pull(&self) -> Result<(), Trouble> {
        let pulled = self.daemon.pull(&self.image, self.auth.as_ref(), self.pull_timeout).await;
        pulled.map_err(|trouble| {
            let why = format!("the image {} cannot be pulled: {trouble}", self.image);
            match trouble {
                Trouble::NotThere(_) => Trouble::NotThere(why),
                Trouble::Broken(_) => Trouble::Broken(why),
                // Whatever the registry says: without its image there is no container.
                Trouble::Refused(..) => Trouble::Refused(reqwest::StatusCode::NOT_FOUND, why),
            }
        })
    }
}
