//! What every handler can reach.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::access::AccessRules;
use super::forward::Forwarder;
use super::planning::{Desk, SourceForge, SourceRepositories};
use crate::backfill::Backfill;
use crate::clock::Clock;
use crate::config::{LimitsConfig, SchedulerConfig, SessionsConfig};
use crate::driver::Handle;
use crate::event::Event;
use crate::executor::router::Router;
use crate::executor::{Executors, Keeper};
use crate::intake::Rules;
use crate::log::JobLogs;
use crate::model::{Catalogue, PoolId, TenantId};
use crate::report::Connections;
use crate::retention::Pruner;
use crate::runner::PollId;
use crate::store::{Instance, Store};
use crate::telemetry::Metrics;
use crate::webhook::{Reader, SourceAuth};

/// A configured source, ready to check requests.
#[derive(Debug)]
pub struct Source {
    /// How its requests are checked.
    pub auth: SourceAuth,
    /// How their payloads are read.
    pub reader: Reader,
    /// Whose deliveries these are.
    pub tenant_id: TenantId,
}

/// Looks at each event before it is evaluated, inside the guard against panics: how tests plant a
/// fault there.
pub type EvaluateProbe = Arc<dyn Fn(&Event) + Send + Sync>;

/// What the configuration says of events and callers. It can change while the server runs.
pub struct Rulebook {
    /// Triggers and workflows.
    pub rules: Rules,
    /// Sources by name.
    pub sources: HashMap<String, Source>,
    /// How sources are asked for what never arrived, by their names.
    pub backfills: BTreeMap<String, Backfill>,
    /// How the workflow files of repositories are read, by the names of the sources.
    pub repositories: BTreeMap<String, SourceRepositories>,
    /// How others outside are told.
    pub reports: Arc<Connections>,
    /// How forges are asked what somebody may do, by the names of the sources.
    pub forges: BTreeMap<String, SourceForge>,
    /// Who may do what.
    pub access: AccessRules,
    /// The tenant of each trigger that names one.
    pub trigger_tenants: BTreeMap<String, TenantId>,
    /// What an operator should look at.
    pub warnings: Vec<String>,
}

/// Everything that handlers share.
pub struct Shared {
    /// The way to the driver.
    pub handle: Handle,
    /// Reads, and large bodies.
    pub store: Store,
    /// Job logs.
    pub logs: JobLogs,
    /// What the configuration says of events and callers: see [`Shared::rulebook`].
    pub rulebook: RwLock<Arc<Rulebook>>,
    /// Why a changed configuration was not taken over.
    pub reload_failed: Mutex<Option<String>>,
    /// What people call pools, skills and resources.
    pub catalogue: Arc<Catalogue>,
    /// How jobs are carried out, by their names.
    pub router: Router,
    /// The only tenant of each pool that there is or was; `None` where all share it.
    pub pool_tenants: BTreeMap<PoolId, Option<TenantId>>,
    /// Times that answers carry.
    pub scheduler: SchedulerConfig,
    /// Sizes that are refused.
    pub limits: LimitsConfig,
    /// Limits of sessions.
    pub sessions: SessionsConfig,
    /// Where several instances share the database: how calls are passed on.
    pub forwarder: Option<Forwarder>,
    /// Its name, where several instances share the database.
    pub instance: Option<Instance>,
    /// What sets this database's marks apart from those of another.
    pub installation: Box<str>,
    /// Where it listens.
    pub address: SocketAddr,
    /// After how long an instance is taken for gone.
    pub gone_after_ms: i64,
    /// How long the body of a request may take.
    pub body_read_timeout: Duration,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Counts.
    pub metrics: Arc<Metrics>,
    /// Whom the planning of deliveries waits for.
    pub planning: Arc<Desk>,
    /// Bytes of webhook bodies that may still come in.
    pub hook_bytes: Arc<Semaphore>,
    /// Executors that jobs are pushed to.
    pub executors: Arc<Executors>,
    /// Starts runners.
    pub keeper: Arc<Keeper>,
    /// Forgets what is old.
    pub pruner: Arc<Pruner>,
    /// Turns to make a report.
    pub reports: Semaphore,
    /// Held by the one request for advice that is worked on.
    pub advising: tokio::sync::Mutex<()>,
    /// Cancelled when long answers (streams) are to end.
    pub stopping: CancellationToken,
    /// A fault to plant, in tests.
    pub evaluate_probe: Option<EvaluateProbe>,
    /// The number of the next poll.
    pub next_poll: AtomicU64,
}

/// [`Shared`], cheap to clone.
#[derive(Clone)]
pub struct AppState(pub Arc<Shared>);

impl std::ops::Deref for AppState {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Shared {
    /// What holds now. Whoever decides something by it asks once.
    pub fn rulebook(&self) -> Arc<Rulebook> {
        Arc::clone(&self.rulebook.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this holds.
    pub fn replace_rulebook(&self, rulebook: Rulebook) {
        *self.rulebook.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(rulebook);
        self.planning.forget_troubles();
    }

    /// Notes why a changed configuration was not taken over, or that one was.
    pub fn reload_failed(&self, why: Option<String>) {
        *self.reload_failed.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// What an operator should look at in the configuration.
    pub fn config_warnings(&self) -> Vec<String> {
        let failed = self.reload_failed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        failed.into_iter().chain(self.rulebook().warnings.iter().cloned()).collect()
    }

    /// A name for the next poll.
    pub fn poll_id(&self) -> PollId {
        PollId(self.next_poll.fetch_add(1, Ordering::Relaxed))
    }

    /// How long new work waits for a store that is away.
    pub fn patience(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.scheduler.store_wait_ms).unwrap_or(0))
    }
}
