//! What a program gives its server beside the configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::executors::OwnExecutor;
use crate::api::state::EvaluateProbe;
use crate::clock::{Clock, SystemClock};
use crate::driver::Probe;
use crate::executor::Provisioner;
use crate::executor::router::RoutingConfig;
use crate::planning::Decide;
use crate::queue::SchedulingPolicies;
use crate::runner::SelectionPolicies;
use crate::store::Planted;

/// What a server is made of beside its configuration.
///
/// A program of one's own can bring policies of its own. A configuration file names those of the
/// house only, because it is checked without the program, so such a program sets the keys itself:
///
/// ```no_run
/// use std::path::Path;
///
/// use dispatchyard::app::{App, AppOptions};
/// use dispatchyard::config::Config;
/// use dispatchyard::queue::{LaneHead, Rank, SchedulingPolicy};
///
/// /// By level, then by age, whoever had how much.
/// #[derive(Debug)]
/// struct Plain;
///
/// impl SchedulingPolicy for Plain {
///     fn rank(&self, head: &LaneHead) -> Rank {
///         [head.level as u64, 0, 0]
///     }
/// }
///
/// # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
/// let mut config = Config::load(Path::new("dispatchyard.toml"), std::env::vars())?;
/// config.scheduler.scheduling_policy = "plain".to_owned();
/// let secrets = config.load_secrets(|name| std::env::var(name).ok())?;
/// let mut options = AppOptions::default();
/// options.scheduling_policies.register("plain", Plain);
/// let app = App::start(config, secrets, options).await?;
/// # app.stop().await;
/// # Ok(())
/// # }
/// ```
///
/// One pool alone gets it by `config.pools`. Policies of both kinds, with what is asked of them, are in
/// `examples/scheduling_policy.rs` and `examples/selection_policy.rs`.
#[derive(Clone)]
pub struct AppOptions {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// What pools may have for a `scheduling_policy`: at first those of the house.
    pub scheduling_policies: SchedulingPolicies,
    /// What pools may have for a `selection_policy`: at first those of the house.
    pub selection_policies: SelectionPolicies,
    /// Executors of the program's own, by the names that routes have for them.
    pub executors: BTreeMap<Box<str>, OwnExecutor>,
    /// Provisioners of the program's own, by the names that pools have for them.
    pub provisioners: BTreeMap<Box<str>, Arc<dyn Provisioner>>,
    /// Routes in the place of those of the configuration, which is checked without the program and so
    /// cannot name its executors.
    pub routing: Option<RoutingConfig>,
    /// What decides about jobs of workflow files when all that they need has ended, instead of the house.
    pub decide: Option<Decide>,
    /// A fault to plant in evaluation, in tests.
    pub evaluate_probe: Option<EvaluateProbe>,
    /// A fault to plant in the scheduler, in tests.
    pub apply_probe: Option<Probe>,
    /// Faults to plant in the store, in tests.
    #[doc(hidden)]
    pub planted: Planted,
}

impl Default for AppOptions {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock::new()),
            scheduling_policies: SchedulingPolicies::standard(),
            selection_policies: SelectionPolicies::standard(),
            executors: BTreeMap::new(),
            provisioners: BTreeMap::new(),
            routing: None,
            decide: None,
            evaluate_probe: None,
            apply_probe: None,
            planted: Planted::default(),
        }
    }
}
