//! Soft state: what is worth keeping over a restart and does no harm when it is lost. Written with
//! the next batch when `soft_flush_ms` have passed, and a reason for a batch of its own only when the
//! server stops.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::forecast::PredictionScore;
use super::leases::Timer;
use super::scheduler::Scheduler;
use crate::model::{Change, Now, PoolId, RunnerCapabilities, RunnerId, SoftState};
use crate::runner::{HealthGate, RunTimes, RunTimesSettings, RunnerHealth, SavedHealth};

/// Virtual time and usage of tenants.
const SHARES: &str = "shares";
/// How long jobs run.
const RUN_TIMES: &str = "run_times";
/// How often what was said about jobs came true.
const PREDICTIONS: &str = "predictions";
/// How far runners are trusted.
const HEALTH: &str = "health";
/// What runners of fleets offered, beside what was configured then.
const FLEET_OFFERS: &str = "fleet_offers";

/// What the last runner of a fleet offered that registered.
#[derive(Serialize, Deserialize)]
struct FleetOffer {
    configured: RunnerCapabilities,
    seen: RunnerCapabilities,
}

impl Scheduler {
    /// Takes over what was kept. What cannot be read is as good as lost.
    pub(super) fn restore_soft(&mut self, now: Now, kept: &[SoftState]) {
        for soft in kept {
            match &*soft.key {
                SHARES => {
                    let _ = serde_json::from_str(&soft.value).map(|it| self.shares.restore(&it));
                }
                RUN_TIMES => {
                    let unknown_ms = self.settings.expected_run_ms;
                    let settings = RunTimesSettings { unknown_ms, ..RunTimesSettings::default() };
                    if let Ok(run_times) = RunTimes::from_json(&soft.value, settings) {
                        self.run_times_saved = run_times.observed();
                        self.run_times = run_times;
                    }
                }
                HEALTH => {
                    let _ = serde_json::from_str(&soft.value)
                        .map(|it: BTreeMap<i64, SavedHealth>| self.restore_health(now, &it));
                }
                FLEET_OFFERS => {
                    let _ = serde_json::from_str(&soft.value)
                        .map(|it: BTreeMap<Box<str>, FleetOffer>| self.restore_offers(it));
                }
                PREDICTIONS => {
                    self.score = serde_json::from_str(&soft.value).unwrap_or_default();
                }
                SoftState::PRUNED_UNTIL => {
                    self.forgotten.until_ms = soft.value.parse().unwrap_or(0);
                }
                _ => {}
            }
        }
    }

    /// Whatever a fleet was before: where something else is configured now, its next runner is another one.
    fn restore_offers(&mut self, kept: BTreeMap<Box<str>, FleetOffer>) {
        for (fleet, FleetOffer { configured, seen }) in kept {
            if self.settings.fleets.get(&fleet).is_some_and(|it| it.offers == configured) {
                self.fleet_offers.insert(fleet, seen);
            }
        }
    }

    fn restore_health(&mut self, now: Now, kept: &BTreeMap<i64, SavedHealth>) {
        for (&id, &saved) in kept {
            let Some(slot) = self.runners.slot(RunnerId(id)) else { continue };
            let pool_id = self.runners.at(slot).map_or(PoolId::DEFAULT, |it| it.row.pool_id);
            let settings = self.health_settings(pool_id);
            let health = RunnerHealth::restore(saved, now.mono_ms, &settings);
            self.runners.update(slot, |runner| runner.health = health);
            self.look_at_health(now, slot);
            if let HealthGate::Closed { until_ms } = health.gate(now.mono_ms) {
                self.leases.set_timer(until_ms, Timer::Health(RunnerId(id)));
            }
        }
    }

    /// Adds soft state to what the batch writes, when it is time for that.
    pub(super) fn flush_soft(&mut self, now: Now) {
        let due = self.settings.soft_flush_ms > 0
            && now.mono_ms.saturating_sub(self.soft_flushed_ms) >= self.settings.soft_flush_ms;
        if due && !self.out.changes.is_empty() {
            self.soft_flushed_ms = now.mono_ms;
            self.save_soft(now);
        }
    }

    /// Adds soft state to what the batch writes: before a hand-over.
    pub fn save_soft(&mut self, now: Now) {
        let mut kept = self.shares_and_health(now);
        let mut keep = |key: &str, value: String| {
            kept.push(SoftState { key: key.into(), value: value.into(), at_ms: now.wall_ms });
        };
        if self.score != PredictionScore::default()
            && let Ok(score) = serde_json::to_string(&self.score)
        {
            keep(PREDICTIONS, score);
        }
        let seen = self.fleet_offers.iter();
        let offers = seen.filter_map(|(fleet, seen)| {
            let configured = self.settings.fleets.get(fleet)?.offers.clone();
            Some((fleet.clone(), FleetOffer { configured, seen: seen.clone() }))
        });
        let offers: BTreeMap<_, _> = offers.collect();
        if !offers.is_empty()
            && let Ok(offers) = serde_json::to_string(&offers)
        {
            keep(FLEET_OFFERS, offers);
        }
        self.out.changes.extend(kept.into_iter().map(Change::SoftSaved));
        // The largest of them: only when something was learned.
        if self.run_times.observed() != self.run_times_saved {
            self.save_run_times(now);
        }
    }

    /// What decides who is next and who gets nothing, beside the rows.
    pub(super) fn shares_and_health(&self, now: Now) -> Vec<SoftState> {
        let mut kept = Vec::new();
        let mut keep = |key: &str, value: String| {
            kept.push(SoftState { key: key.into(), value: value.into(), at_ms: now.wall_ms });
        };
        if let Ok(shares) = serde_json::to_string(&self.shares.kept()) {
            keep(SHARES, shares);
        }
        let whole = RunnerHealth::default();
        let known = self.runners.iter().filter(|(_, runner)| runner.health != whole);
        let health: BTreeMap<_, _> =
            known.map(|(_, it)| (it.row.id.0, it.health.save(now.mono_ms))).collect();
        if let Ok(health) = serde_json::to_string(&health) {
            keep(HEALTH, health);
        }
        kept
    }

    /// Adds what was learned of run times to what the batch writes.
    pub(super) fn save_run_times(&mut self, now: Now) {
        self.run_times_saved = self.run_times.observed();
        let value = self.run_times.to_json().into();
        let soft = SoftState { key: RUN_TIMES.into(), value, at_ms: now.wall_ms };
        self.out.changes.push(Change::SoftSaved(soft));
    }
}
