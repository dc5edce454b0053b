//! Keeps fleets as large as the scheduler wants them.
//!
//! ```text
//! plan (asked of the scheduler) -> OrderRunner -> create ...... registers by itself
//!                               -> RetireRunner -> destroy -> RunnerGone
//! list (of each provisioner)    -> died: destroy, RetireRunner; nobody's: destroy
//! ```
//!
//! It lives in the server that leads, and decides nothing that matters: what is to be, and what may exist, is
//! in rows. A server that dies between two of these steps leaves a row whose runner is not there, which the next
//! one retires, or a runner that is to leave, which the next one takes down.

mod backend;
mod bounded;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::provisioner::{ProvisionError, Provisioned, Provisioner, RunnerOrder};
use super::supervisor::Server;
use crate::clock::{OsEntropy, secret_token, token_hash};
use crate::dispatch::{Absence, Command, ExecutorState, FleetsPlan, OrderedRunner, Reply};
use crate::driver::ServerState;
use crate::model::{Entropy as _, RunnerId};
use crate::runner::{FleetSettings, MemberState};

/// Runners that are ordered of one fleet at a time; the rest follows with the next look.
const ORDERS_AT_ONCE: u32 = 20;
/// The shortest time between two looks.
const LOOK_MIN: Duration = Duration::from_millis(50);
/// The longest: standby ends and runners age without anything happening.
const LOOK_MAX: Duration = Duration::from_secs(1);
/// How long a fleet is held back after its first failed start; doubled with each further one.
const HOLD_FIRST_MS: i64 = 1_000;
/// The longest.
const HOLD_MAX_MS: i64 = 300_000;

/// How the runners of a fleet are started.
#[derive(Clone)]
pub struct FleetSetup {
    /// By whom.
    pub provisioner: Arc<dyn Provisioner>,
    /// The name of the pool that they join.
    pub pool: String,
    /// What jobs can ask them for.
    pub labels: Vec<String>,
    /// How many jobs each has at once.
    pub slots: u32,
    /// Each takes one job and leaves.
    pub ephemeral: bool,
    /// How many there are to be, and how long each is kept: what the scheduler goes by.
    pub settings: FleetSettings,
    /// The executor that they are, if they are one.
    pub executor: Option<Box<str>>,
}

/// How a fleet fares, for people.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FleetStatus {
    /// Starts that failed in a row.
    pub failures: u32,
    /// What went wrong last.
    pub why: Option<String>,
    /// Until when nothing is started (wall milliseconds).
    pub held_until_ms: Option<i64>,
}

/// Keeps the fleets of a server.
pub struct Keeper {
    fleets: BTreeMap<Box<str>, FleetSetup>,
    server: Server,
    /// Where runners of this machine find the server.
    server_url: String,
    /// What names of this database's runners begin with.
    prefix: String,
    /// How often backends are asked what runs.
    list_interval_ms: i64,
    statuses: Mutex<BTreeMap<Box<str>, FleetStatus>>,
    stopping: CancellationToken,
}

/// What is under way in one epoch.
#[derive(Default)]
struct Work {
    tasks: JoinSet<Outcome>,
    /// Being started by this process.
    creating: BTreeSet<RunnerId>,
    /// Started by this process, and not seen to have registered yet.
    created: BTreeMap<RunnerId, Box<str>>,
    /// Being taken down, by name.
    destroying: BTreeSet<Box<str>>,
    /// Not to be taken down again before that (mono).
    spared: BTreeMap<Box<str>, i64>,
    listing: BTreeSet<Box<str>>,
    next_list: BTreeMap<Box<str>, i64>,
    /// What was last said of each executor.
    standings: BTreeMap<Box<str>, bool>,
}

/// What came of something that took its time.
enum Outcome {
    Created(RunnerId, Box<str>, Result<(), ProvisionError>),
    Destroyed(Box<str>, Option<Death>, Result<(), ProvisionError>),
    /// With those that were being started when it was asked.
    Listed(Box<str>, BTreeSet<RunnerId>, Result<Vec<Provisioned>, ProvisionError>),
}

/// A runner that ended by itself.
struct Death {
    id: RunnerId,
    why: String,
}

impl Keeper {
    /// Of these fleets, of a database whose installation is called so.
    pub fn new(
        fleets: BTreeMap<Box<str>, FleetSetup>,
        server: Server,
        server_url: String,
        installation: &str,
        list_interval_ms: i64,
    ) -> Self {
        Self {
            fleets,
            server,
            server_url,
            prefix: format!("warm-{installation}-"),
            list_interval_ms,
            statuses: Mutex::default(),
            stopping: CancellationToken::new(),
        }
    }

    /// The fleet of a pool that is kept warm: how its runners are started, and how it fares.
    pub fn pool(&self, pool: &str) -> Option<(&FleetSetup, FleetStatus)> {
        let (name, setup) = self.fleet_of(pool)?;
        Some((setup, self.status(name)))
    }

    fn fleet_of(&self, pool: &str) -> Option<(&str, &FleetSetup)> {
        let is_it = |setup: &FleetSetup| setup.executor.is_none() && setup.pool == *pool;
        let (name, setup) = self.fleets.iter().find(|(_, setup)| is_it(setup))?;
        Some((name, setup))
    }

    /// Executors that are one runner, each with its fleet.
    pub fn executors(&self) -> impl Iterator<Item = (&str, &str, &FleetSetup)> {
        self.fleets
            .iter()
            .filter_map(|(fleet, setup)| Some((setup.executor.as_deref()?, &**fleet, setup)))
    }

    /// Lets a fleet start runners again before its time.
    pub async fn reset(&self, fleet: &str) {
        self.went_well(fleet).await;
    }

    /// The same for a pool; `false` when no fleet is its.
    pub async fn reset_pool(&self, pool: &str) -> bool {
        let Some((fleet, _)) = self.fleet_of(pool) else { return false };
        self.reset(fleet).await;
        true
    }

    /// How a fleet fares.
    pub fn status(&self, fleet: &str) -> FleetStatus {
        self.statuses().get(fleet).cloned().unwrap_or_default()
    }

    /// Starts and takes down nothing any more. Runners stay as they are.
    pub fn stop(&self) {
        self.stopping.cancel();
    }

    fn statuses(&self) -> std::sync::MutexGuard<'_, BTreeMap<Box<str>, FleetStatus>> {
        self.statuses.lock().unwrap_or_else(|broken| broken.into_inner())
    }

    /// Works until it is stopped, whenever its server leads.
    pub async fn run(self: Arc<Self>) {
        let views = Arc::clone(self.server.handle.views());
        let (mut state, mut bell) = (views.watch_state(), views.records.bell());
        while !self.stopping.is_cancelled() {
            tokio::select! {
                () = self.stopping.cancelled() => return,
                found = state.wait_for(|state| *state == ServerState::Running) => drop(found),
            }
            let (epoch, mut work) = (views.epoch(), Work::default());
            while *state.borrow_and_update() == ServerState::Running && views.epoch() == epoch {
                bell.borrow_and_update();
                self.round(&mut work).await;
                let happened = async {
                    tokio::time::sleep(LOOK_MIN).await;
                    tokio::select! {
                        // Without fleets there are at most runners of earlier ones to take down.
                        _ = bell.changed(), if !self.fleets.is_empty() => {}
                        () = tokio::time::sleep(LOOK_MAX) => {}
                    }
                };
                tokio::select! {
                    () = self.stopping.cancelled() => break,
                    _ = state.changed() => {}
                    () = happened => {}
                    Some(ended) = work.tasks.join_next() => self.conclude(&mut work, ended).await,
                }
            }
            // What was under way is found out by whoever leads next.
        }
    }

    fn mono_ms(&self) -> i64 {
        self.server.clock.now().mono_ms
    }

    async fn plan(&self) -> Option<FleetsPlan> {
        self.server.handle.ask(|scheduler, now| scheduler.plan_fleets(now)).await.ok()
    }

    async fn send(&self, command: Command) -> Option<Reply> {
        match self.server.handle.send(command).await {
            Ok(reply) => Some(reply),
            Err(error) => {
                tracing::debug!(%error, "a fleet's command");
                None
            }
        }
    }

    async fn round(&self, work: &mut Work) {
        let Some(plan) = self.plan().await else { return };
        for (fleet, plan) in &plan.fleets {
            for (runner_id, why) in &plan.retire {
                self.retire(*runner_id, why, false).await;
                // One that this process has started and that never came: so will the next.
                if work.created.remove(runner_id).is_some() {
                    self.failed(fleet, why).await;
                }
            }
            for _ in 0..plan.order.min(ORDERS_AT_ONCE) {
                self.order(work, fleet).await;
            }
        }
        for runner_id in &plan.strays {
            self.retire(*runner_id, "its pool or executor starts no runners any more", false).await;
        }
        for runner in &plan.ordered {
            // It may have come, and be done already.
            if runner.registered && work.created.remove(&runner.id).is_some() {
                self.came(&runner.fleet).await;
            }
            if runner.state == MemberState::Leaving {
                self.take_down(work, runner).await;
            }
        }
        self.tell_executors(work, &plan).await;
        self.list(work);
    }

    async fn retire(&self, runner_id: RunnerId, why: &str, dead: bool) {
        self.send(Command::RetireRunner { runner_id, why: why.into(), dead }).await;
    }

    async fn order(&self, work: &mut Work, fleet: &str) {
        let Some(setup) = self.fleets.get(fleet).cloned() else { return };
        let token = secret_token("dyo", &mut OsEntropy);
        let ordered =
            Command::OrderRunner { fleet: fleet.into(), token_hash: token_hash(&token).into() };
        let Some(Reply::Ordered { runner_id, name }) = self.send(ordered).await else { return };
        let order = RunnerOrder {
            name: name.into(),
            server_url: self.server_url.clone(),
            token,
            pool: setup.pool,
            labels: setup.labels,
            slots: setup.slots,
            ephemeral: setup.ephemeral,
        };
        work.creating.insert(runner_id);
        let fleet = Box::from(fleet);
        work.tasks.spawn(async move {
            let created = bounded::create(&*setup.provisioner, &order).await;
            Outcome::Created(runner_id, fleet, created)
        });
    }

    /// A start failed: nothing is started for a while, and longer with each failure in a row.
    async fn failed(&self, fleet: &str, why: &str) {
        let until_ms = self.hold(fleet, why);
        tracing::warn!(fleet, why, "a runner was not started");
        self.tell_trouble(fleet, until_ms, why).await;
    }

    /// Until when (wall) nothing is started. Several that were started together fail together, and count once.
    fn hold(&self, fleet: &str, why: &str) -> i64 {
        let wall_ms = self.server.clock.now().wall_ms;
        let mut statuses = self.statuses();
        let status = statuses.entry(fleet.into()).or_default();
        status.why = Some(why.to_owned());
        if let Some(until_ms) = status.held_until_ms.filter(|until_ms| wall_ms < *until_ms) {
            return until_ms;
        }
        let doublings = status.failures.min(20);
        status.failures += 1;
        let hold_ms = HOLD_FIRST_MS.saturating_mul(1 << doublings).min(HOLD_MAX_MS);
        let jitter = OsEntropy.below(hold_ms.unsigned_abs() / 4 + 1);
        let until_ms = wall_ms + hold_ms + i64::try_from(jitter).unwrap_or(0);
        status.held_until_ms = Some(until_ms);
        until_ms
    }

    async fn tell_trouble(&self, fleet: &str, until_ms: i64, why: &str) {
        let trouble = Some(Absence { until_ms, why: why.into() });
        self.send(Command::FleetStands { fleet: fleet.into(), trouble }).await;
    }

    /// A runner has come. One that was started before the last failure says nothing of what comes next.
    async fn came(&self, fleet: &str) {
        let wall_ms = self.server.clock.now().wall_ms;
        let is_held = self.status(fleet).held_until_ms.is_some_and(|until_ms| wall_ms < until_ms);
        if !is_held {
            self.went_well(fleet).await;
        }
    }

    async fn went_well(&self, fleet: &str) {
        let failed = self.statuses().remove(fleet).is_some();
        if failed {
            self.send(Command::FleetStands { fleet: fleet.into(), trouble: None }).await;
        }
    }

    /// Jobs of executors whose runner is not there go to the next one meanwhile.
    async fn tell_executors(&self, work: &mut Work, plan: &FleetsPlan) {
        for (fleet, setup) in &self.fleets {
            let Some(executor) = &setup.executor else { continue };
            let serves = |runner: &&OrderedRunner| {
                runner.fleet == *fleet
                    && matches!(runner.state, MemberState::Idle { .. } | MemberState::Busy)
            };
            let is_there = plan.ordered.iter().any(|runner| serves(&runner));
            if work.standings.get(executor) == Some(&is_there) {
                continue;
            }
            let state = match is_there {
                true => ExecutorState::There,
                false => {
                    let status = self.status(fleet);
                    let until_ms = status.held_until_ms.unwrap_or(self.server.clock.now().wall_ms);
                    let why =
                        status.why.unwrap_or_else(|| "its runner is being started".to_owned());
                    ExecutorState::Away(Absence { until_ms, why: why.into() })
                }
            };
            let told = Command::ExecutorStands { executor: executor.clone(), state };
            if self.send(told).await.is_some() {
                work.standings.insert(executor.clone(), is_there);
            }
        }
    }
}
