//! Runners that the server has started: ordered, retired, gone.
//!
//! ```text
//! OrderRunner -> the row -> (a provisioner starts it) -> Register -> ... -> RetireRunner | it leaves by itself
//!             -> the row says so -> (the provisioner takes it down) -> RunnerGone -> no row
//! ```
//!
//! The row is there before the runner and after it, so whoever leads next knows each that may exist. How many
//! there are to be is decided in [`crate::runner::plan_fleets`]; here is what it sees, and what is done about it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::command::{Refusal, Reply};
use super::executors::Absence;
use super::reason::Reason;
use super::registration::runner_record;
use super::scheduler::Scheduler;
use crate::model::{
    Change, ClassId, JobPriority, Now, PauseScope, Record, RecordName, RequeueReason, Runner,
    RunnerCapabilities, RunnerId, RunnerRequirements, StartOrder, TenantId,
};
use crate::queue::Demand;
use crate::runner::{
    FleetDemand, FleetMember, FleetPlan, FleetSettings, FleetSight, LiveRunner, MemberState,
    RunnerSlot, plan_fleets,
};

/// Why fleets start nothing for a while. Soft, and not kept over a load.
pub(super) type FleetTrouble = BTreeMap<Box<str>, Absence>;

/// What is to be done about all fleets, and what whoever does it has to know.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct FleetsPlan {
    /// Of each fleet.
    pub fleets: BTreeMap<Box<str>, FleetPlan>,
    /// Runners of fleets that are not configured any more, and have no jobs.
    pub strays: Vec<RunnerId>,
    /// All runners that were ordered.
    pub ordered: Vec<OrderedRunner>,
}

/// A runner that was ordered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OrderedRunner {
    /// Its number.
    pub id: RunnerId,
    /// What its provisioner calls it.
    pub name: Box<str>,
    /// Its fleet.
    pub fleet: Box<str>,
    /// When it was ordered (wall milliseconds).
    pub ordered_at_ms: i64,
    /// Where it stands.
    pub state: MemberState,
    /// Whether it has registered.
    pub registered: bool,
}

impl Scheduler {
    /// Writes down a runner that is to be started.
    pub(super) fn order_runner(
        &mut self,
        now: Now,
        fleet: &str,
        token_hash: Box<str>,
    ) -> Result<Reply, Refusal> {
        let Some(settings) = self.settings.fleets.get(fleet).cloned() else {
            return Err(Refusal::Invalid(format!("there is no fleet `{fleet}`").into()));
        };
        let there = self.members(fleet).filter(|runner| runner.row.leaving().is_none()).count();
        if there >= settings.max as usize {
            let max = settings.max as usize;
            return Err(Refusal::TooMany { what: "the fleet is complete", limit: "max", max });
        }
        let id = self.next_runner()?;
        let name: Box<str> = format!("warm-{}-{id}", self.settings.installation).into();
        let order = StartOrder {
            fleet: fleet.into(),
            token_hash: token_hash.clone(),
            ordered_at_ms: now.wall_ms,
            registered: false,
            leaving: None,
        };
        let row = Runner {
            id,
            // No runner can call itself so: its name has no control characters.
            instance_id: format!("{name}\u{1f}").into(),
            name,
            boot_id: "".into(),
            pool_id: settings.pool_id,
            token_hash: "".into(),
            capabilities: self.offers_of(fleet, &settings).clone().normalised(),
            cordoned: None,
            draining: false,
            version: "".into(),
            registered_at_ms: now.wall_ms,
            order: Some(Box::new(order)),
        };
        let slot = self.runners.insert(row.clone(), now.mono_ms, false);
        self.runners.update(slot, |runner| runner.offline = true);
        self.index.set_runner(slot, &row);
        self.out.invitations.push((id, Some(token_hash)));
        let name = row.name.clone();
        self.out.changes.push(Change::RunnerInserted(row));
        Ok(Reply::Ordered { runner_id: id, name })
    }

    /// After a load: who was ordered may still register, and is not there before.
    pub(super) fn invite_again(&mut self, slot: RunnerSlot, row: &Runner) {
        let Some(order) = &row.order else { return };
        if order.leaving.is_none() {
            self.out.invitations.push((row.id, Some(order.token_hash.clone())));
        }
        if row.is_starting() {
            self.runners.update(slot, |runner| runner.offline = true);
        }
    }

    /// Lets a runner go that was ordered: it gets nothing new, and is taken down. One that has jobs stays,
    /// unless it is `dead`, which its provisioner alone can know.
    pub(super) fn retire_runner(
        &mut self,
        now: Now,
        id: RunnerId,
        why: &str,
        dead: bool,
    ) -> Result<Reply, Refusal> {
        let runner = self.runners.get(id).ok_or(Refusal::UnknownRunner(id))?;
        if runner.row.order.is_none() {
            return Err(Refusal::WrongState(format!("runner {id} came by itself").into()));
        }
        if dead {
            self.lose_all(now, id, RequeueReason::RunnerLost, true, why);
        } else if !runner.leases.is_empty() {
            return Err(Refusal::WrongState(format!("runner {id} has jobs").into()));
        }
        self.leave(now, id, why);
        if dead {
            self.silence(now, id);
        }
        Ok(Reply::Done)
    }

    /// A runner that was to leave is not there any more.
    pub(super) fn runner_gone(&mut self, now: Now, id: RunnerId) -> Result<Reply, Refusal> {
        let Some(runner) = self.runners.get(id) else { return Ok(Reply::Done) };
        if runner.row.leaving().is_none() || !runner.leases.is_empty() {
            return Err(Refusal::WrongState(format!("runner {id} is not to leave").into()));
        }
        self.forget_runner(now, id);
        Ok(Reply::Done)
    }

    /// Starts of a fleet failed, or (`None`) went well again.
    pub(super) fn fleet_stands(
        &mut self,
        now: Now,
        fleet: &str,
        trouble: Option<Absence>,
    ) -> Reply {
        let was = match trouble.clone() {
            Some(trouble) => self.fleet_trouble.insert(fleet.into(), trouble),
            None => self.fleet_trouble.remove(fleet),
        };
        let is_news = was.as_ref().map(|it| &it.why) != trouble.as_ref().map(|it| &it.why);
        if is_news {
            let detail = match trouble {
                Some(trouble) => format!("{fleet} starts no runner: {}", trouble.why),
                None => format!("{fleet} starts runners"),
            };
            let record = Record::new(RecordName::ExecutorChanged, now.wall_ms);
            self.record(Record { detail: detail.into(), ..record });
        }
        Reply::Done
    }

    /// Notes that a runner gets nothing new and is to be taken down.
    pub(super) fn leave(&mut self, now: Now, id: RunnerId, why: &str) {
        let Some(slot) = self.runners.slot(id) else { return };
        self.release_holds(now, id);
        let row = self.runners.update(slot, |runner| {
            let row = Arc::make_mut(&mut runner.row);
            row.draining = true;
            if let Some(order) = &mut row.order {
                order.leaving.get_or_insert_with(|| why.into());
            }
            row.clone()
        });
        let Some(row) = row else { return };
        self.to_answer.insert(slot);
        self.look_everywhere = true;
        let detail = format!("{}: to be taken down, {why}", row.name);
        let record = runner_record(now, RecordName::RunnerChanged, &row);
        self.record(Record { detail: detail.into(), ..record });
        self.out.invitations.push((id, None));
        self.out.changes.push(Change::RunnerUpdated(row));
    }

    /// A runner has left, or is dead: what it has open is ended, and its token opens nothing.
    pub(super) fn silence(&mut self, now: Now, id: RunnerId) {
        let Some(slot) = self.runners.slot(id) else { return };
        self.end_poll(now, slot);
        self.to_answer.remove(&slot);
        self.runners.update(slot, |runner| runner.offline = true);
        self.out.credentials.push((id, None));
    }

    /// What a runner of a fleet offers: as the last one said that registered, or else as far as is configured.
    fn offers_of<'a>(&'a self, fleet: &str, settings: &'a FleetSettings) -> &'a RunnerCapabilities {
        self.fleet_offers.get(fleet).unwrap_or(&settings.offers)
    }

    fn members(&self, fleet: &str) -> impl Iterator<Item = &LiveRunner> {
        let of = move |runner: &&LiveRunner| {
            runner.row.order.as_ref().is_some_and(|order| *order.fleet == *fleet)
        };
        self.runners.iter().map(|(_, runner)| runner).filter(of)
    }

    /// What is to be done about fleets now.
    pub fn plan_fleets(&self, now: Now) -> FleetsPlan {
        let mut members: BTreeMap<&str, Vec<FleetMember>> = BTreeMap::new();
        let (mut ordered, mut strays) = (Vec::new(), Vec::new());
        for (_, runner) in self.runners.iter() {
            let Some(order) = &runner.row.order else { continue };
            let (id, state) = (runner.row.id, member_state(runner, now));
            if self.settings.fleets.contains_key(&order.fleet) {
                let member = FleetMember { id, ordered_at_ms: order.ordered_at_ms, state };
                members.entry(&*order.fleet).or_default().push(member);
            } else if !matches!(state, MemberState::Busy | MemberState::Leaving) {
                strays.push(id);
            }
            ordered.push(OrderedRunner {
                id,
                name: runner.row.name.clone(),
                fleet: order.fleet.clone(),
                ordered_at_ms: order.ordered_at_ms,
                state,
                registered: order.registered,
            });
        }
        let held = |name: &str| {
            self.fleet_trouble.get(name).is_some_and(|trouble| now.wall_ms < trouble.until_ms)
        };
        let sights: Vec<_> = self
            .settings
            .fleets
            .iter()
            .map(|(name, settings)| FleetSight {
                name,
                settings,
                members: members.remove(&**name).unwrap_or_default(),
                // Whoever cordons and drains a pool wants to empty it.
                held: held(name)
                    || self.pool_is_paused(settings.pool_id)
                    || self.pool_is_full(settings.pool_id),
                offers: self.offers_of(name, settings),
            })
            .collect();
        let plans = plan_fleets(&sights, &self.fleet_demand(now), now.wall_ms);
        let names = self.settings.fleets.keys().cloned();
        FleetsPlan { fleets: names.zip(plans).collect(), strays, ordered }
    }

    /// Jobs that wait for nothing but a runner, class by class: as many of them as their tenants, and the
    /// whole server, may have running beside what runs.
    pub(super) fn fleet_demand(&self, now: Now) -> Vec<FleetDemand<'_>> {
        if self.pauses.contains_key(&PauseScope::Everything) {
            return Vec::new();
        }
        let mut waiting: BTreeMap<(ClassId, TenantId), u64> = BTreeMap::new();
        for (class, level, tenant, jobs, _) in self.queue.lanes() {
            if self.lane_is_open(now, class, tenant, level) {
                *waiting.entry((class, tenant)).or_default() += jobs as u64;
            }
        }
        let running = self.leases.len() as u64;
        let mut room = self.settings.max_global_concurrency.saturating_sub(running);
        let mut rooms: BTreeMap<TenantId, u64> = BTreeMap::new();
        let mut demands: BTreeMap<ClassId, u64> = BTreeMap::new();
        for ((class, tenant), jobs) in waiting {
            let own = rooms.entry(tenant).or_insert_with(|| {
                let max = self.settings.tenants.get(&tenant).and_then(|it| it.running_max);
                max.map_or(u64::MAX, |max| max.saturating_sub(self.quota.running(tenant)))
            });
            let counted = jobs.min(*own).min(room);
            *own -= counted;
            room -= counted;
            *demands.entry(class).or_default() += counted;
        }
        let demand =
            |(class, jobs)| Some(FleetDemand { needs: self.index.requirements(class)?, jobs });
        demands.into_iter().filter(|(_, jobs)| *jobs > 0).filter_map(demand).collect()
    }

    /// Whether the jobs of a lane would be given out to a runner that is there.
    fn lane_is_open(&self, now: Now, class: ClassId, tenant: TenantId, level: JobPriority) -> bool {
        let Some(needs) = self.index.requirements(class) else { return false };
        let open = |pool| !self.pool_is_paused(pool) && !self.pool_is_full(pool);
        needs.pools().any(open)
            && !self.pauses.contains_key(&PauseScope::Tenant(tenant))
            && self.quota.closed(tenant, Demand::of(needs), level, now.mono_ms).is_none()
            && self.resources.has_free(&needs.resources)
    }

    /// Of a waiting job: what is started for it, or why nothing is.
    pub(super) fn explain_fleets(
        &self,
        needs: &RunnerRequirements,
        limited_to: Option<TenantId>,
        starting: usize,
        reasons: &mut Vec<Reason>,
    ) {
        let fits = |fleet: &str| {
            let settings = self.settings.fleets.get(fleet);
            settings.is_some_and(|it| {
                // What goes wrong with machines that all tenants share is for none of them.
                let is_own =
                    limited_to.is_none() || self.pool_settings(it.pool_id).tenant_id == limited_to;
                is_own && self.offers_of(fleet, it).satisfies(it.pool_id, needs)
            })
        };
        let trouble = self.fleet_trouble.iter().find(|(fleet, _)| fits(fleet));
        if starting > 0 || trouble.is_some() {
            let trouble = trouble.map(|(fleet, it)| (fleet.clone(), it.why.clone()));
            reasons.push(Reason::WarmingUp { runners: starting, trouble });
        }
    }
}

fn member_state(runner: &LiveRunner, now: Now) -> MemberState {
    match () {
        () if runner.row.leaving().is_some() => MemberState::Leaving,
        () if runner.row.is_starting() => MemberState::Starting,
        // An operator who cordons a runner wants to look at it.
        () if runner.used() > 0 || runner.row.cordoned.is_some() => MemberState::Busy,
        () if runner.offline || runner.row.draining || runner.unhealthy => MemberState::Away,
        () => {
            let for_ms = now.mono_ms - runner.busy.changed_at_ms();
            MemberState::Idle { for_ms, asks: runner.parked.is_some() }
        }
    }
}
