//! The namespaces in which an executor has Jobs: the one that it is configured for, and those that it had before, as
//! long as attempts are there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::client::Cluster;
use super::observer::Observer;
use super::removal::Removals;
use crate::clock::Clock;

/// One namespace.
pub(super) struct Site {
    pub(super) cluster: Cluster,
    pub(super) removals: Removals,
    selector: String,
    container: Arc<str>,
    /// Begun with the first attempt: a server that does not lead looks at nothing.
    observer: OnceLock<Observer>,
}

impl Site {
    /// What is seen there.
    pub(super) fn observer(&self) -> &Observer {
        self.observer
            .get_or_init(|| Observer::start(&self.cluster, &self.selector, &self.container))
    }
}

/// All of them, by their names.
pub(super) struct Sites {
    cluster: Cluster,
    selector: String,
    container: Arc<str>,
    clock: Arc<dyn Clock>,
    all: Mutex<BTreeMap<String, Arc<Site>>>,
}

impl Sites {
    pub(super) fn new(
        cluster: &Cluster,
        selector: String,
        container: &Arc<str>,
        clock: &Arc<dyn Clock>,
    ) -> Self {
        let (cluster, container) = (cluster.clone(), Arc::clone(container));
        Self { cluster, selector, container, clock: Arc::clone(clock), all: Mutex::default() }
    }

    /// The one that is configured.
    pub(super) fn home(&self) -> Arc<Site> {
        self.at(&self.cluster.namespace)
    }

    /// The one of that name.
    pub(super) fn at(&self, namespace: &str) -> Arc<Site> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let site = all.entry(namespace.to_owned()).or_insert_with(|| {
            let cluster = self.cluster.at(namespace);
            Arc::new(Site {
                removals: Removals::start(&cluster, &self.clock),
                cluster,
                selector: self.selector.clone(),
                container: Arc::clone(&self.container),
                observer: OnceLock::new(),
            })
        });
        Arc::clone(site)
    }
}
