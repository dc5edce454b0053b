//! The daemons on which an executor has containers: the one that it is configured for, and those of addresses
//! that it had before, as long as attempts are there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::super::event::TaskReadyEvent;
use super::daemon::{Daemon, Trouble};
use super::place::Place;
use super::removals::Removals;
use super::{ContainerOptions, spec};

/// One daemon.
pub(super) struct Site {
    pub(super) address: String,
    pub(super) daemon: Daemon,
    pub(super) removals: Removals,
    /// What its machine is called, once it was asked.
    host: OnceCell<Option<String>>,
}

impl Site {
    fn new(address: String, daemon: Daemon) -> Self {
        let removals = Removals::new(daemon.clone());
        Self { address, daemon, removals, host: OnceCell::new() }
    }

    /// Where a container of that name is, for whoever looks for it later.
    pub(super) async fn place(&self, container: &str) -> Place {
        // Without an answer it is known by its address alone.
        let host = self.host.get_or_try_init(|| self.daemon.host()).await.cloned();
        Place {
            container: container.to_owned(),
            daemon: Some(self.address.clone()),
            host: host.unwrap_or_default(),
        }
    }
}

/// What became of a search.
pub(super) enum Found {
    /// It is there.
    Here(Arc<Site>),
    /// It is certainly not there any more.
    Nowhere,
    /// Nobody can say: why.
    Unknown(String),
}

/// All of them.
pub(super) struct Sites {
    options: ContainerOptions,
    home: Arc<Site>,
    others: Mutex<BTreeMap<String, Arc<Site>>>,
}

impl Sites {
    pub(super) fn new(options: &ContainerOptions, daemon: &Daemon) -> Self {
        let home = Site::new(options.daemon.to_string(), daemon.clone());
        Self { options: options.clone(), home: Arc::new(home), others: Mutex::default() }
    }

    /// The one that is configured.
    pub(super) fn home(&self) -> &Arc<Site> {
        &self.home
    }

    /// The one at that address.
    fn at(&self, address: &str) -> Result<Arc<Site>, String> {
        if address == self.home.address {
            return Ok(Arc::clone(&self.home));
        }
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(site) = others.get(address) {
            return Ok(Arc::clone(site));
        }
        let daemon = Daemon::new(&address.parse()?, self.options.timeout);
        let site = Site::new(address.to_owned(), daemon.map_err(|error| error.to_string())?);
        let site = Arc::new(site);
        others.insert(address.to_owned(), Arc::clone(&site));
        Ok(site)
    }

    /// Looks for an attempt's container where it was made, and where the executor is now: a daemon may be reached
    /// by another address since.
    pub(super) async fn find(&self, place: &Place, event: &TaskReadyEvent) -> Found {
        let mut why = Vec::new();
        let mut sites = Vec::new();
        match place.daemon.as_deref().map(|address| self.at(address)) {
            Some(Ok(site)) => sites.push(site),
            Some(Err(error)) => why.push(error),
            None => {}
        }
        if sites.iter().all(|site| site.address != self.home.address) {
            sites.push(Arc::clone(&self.home));
        }
        for site in sites {
            match self.look(&site, place, event).await {
                Ok(Some(true)) => return Found::Here(site),
                Ok(Some(false)) => return Found::Nowhere,
                Ok(None) => why.push(format!("{}: another daemon, without it", site.address)),
                Err(trouble) => why.push(format!("{}: {trouble}", site.address)),
            }
        }
        Found::Unknown(why.join("; "))
    }

    /// Whether it is there. `None`: it is not, and may be elsewhere.
    async fn look(
        &self,
        site: &Site,
        place: &Place,
        event: &TaskReadyEvent,
    ) -> Result<Option<bool>, Trouble> {
        if let Some(seen) = site.daemon.inspect(&place.container).await?
            && seen.config.has(spec::LEASE, &event.lease.to_string())
        {
            return Ok(Some(true));
        }
        // Asked now: what answers at an address is not always the same one.
        let host = match place.host {
            Some(_) => site.daemon.host().await?,
            None => None,
        };
        Ok(place.is_of(&site.address, host.as_deref()).then_some(false))
    }
}
