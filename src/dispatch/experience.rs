//! What is learned from attempts that end: how long jobs run, and how far runners are trusted.

use super::leases::Timer;
use super::scheduler::Scheduler;
use crate::model::{AttemptOutcome, ClassId, Now, PoolId, Record, RecordName, RunnerId};
use crate::runner::{
    FinishedRun, HealthChange, HealthEvent, HealthGate, HealthSettings, LiveRunner, Prediction,
    RunTimeRow, RunnerSlot,
};

impl Scheduler {
    /// An attempt that was started ended.
    pub(super) fn learn(
        &mut self,
        class_id: ClassId,
        runner_id: RunnerId,
        outcome: AttemptOutcome,
        run_ms: i64,
    ) {
        if !self.settings.learning {
            return;
        }
        let failed = match outcome {
            AttemptOutcome::Completed => false,
            AttemptOutcome::Failed | AttemptOutcome::TimedOut => true,
            // It says nothing of how long the work takes.
            AttemptOutcome::Cancelled | AttemptOutcome::Requeued => return,
        };
        self.run_times.observe(FinishedRun { class_id, runner_id, run_ms, failed });
    }

    /// Something says how far a runner can be trusted.
    pub(super) fn note_health(&mut self, now: Now, id: RunnerId, event: HealthEvent) {
        let Some(slot) = self.runners.slot(id) else { return };
        let Some(pool_id) = self.runners.at(slot).map(|runner| runner.row.pool_id) else { return };
        let settings = self.health_settings(pool_id);
        if settings.min_percent == 0 {
            return;
        }
        let change = self.runners.update(slot, |runner| {
            let change = runner.health.note(now.mono_ms, event, &settings);
            look(now, runner);
            change
        });
        let Some(change) = change.flatten() else { return };
        if let HealthChange::Closed { until_ms } = change {
            self.leases.set_timer(until_ms, Timer::Health(id));
            self.release_holds(now, id);
        }
        let percent = self.runners.at(slot).map_or(0, |runner| runner.health.percent());
        let detail = match change {
            HealthChange::Closed { until_ms } => {
                let in_ms = until_ms - now.mono_ms;
                format!("{percent} %: gets nothing for {in_ms} ms, then a probe")
            }
            HealthChange::Opened => format!("{percent} %: gets jobs again"),
        };
        let record = Record {
            runner_id: Some(id),
            detail: detail.into(),
            ..Record::new(RecordName::RunnerHealth, now.wall_ms)
        };
        self.record(record);
        self.look_everywhere = true;
    }

    /// Takes over what a runner's health says now.
    pub(super) fn look_at_health(&mut self, now: Now, slot: RunnerSlot) {
        self.runners.update(slot, |runner| look(now, runner));
    }

    /// A runner's cool-off is over.
    pub(super) fn health_due(&mut self, now: Now, id: RunnerId) {
        if let Some(slot) = self.runners.slot(id) {
            self.look_at_health(now, slot);
            self.look_everywhere = true;
        }
    }

    pub(super) fn health_settings(&self, pool: PoolId) -> HealthSettings {
        let pool = self.pool_settings(pool);
        HealthSettings {
            min_percent: pool.health_min_percent,
            cool_off_ms: pool.health_cool_off_ms,
            ..HealthSettings::default()
        }
    }

    /// How long a class is expected to run.
    pub fn predicted_run(&self, class_id: ClassId) -> Prediction {
        self.run_times.class_expected_ms(class_id)
    }

    /// What was learned of run times, for people.
    pub fn learned(&self) -> Vec<RunTimeRow> {
        self.run_times.rows()
    }
}

fn look(now: Now, runner: &mut LiveRunner) {
    let gate = runner.health.gate(now.mono_ms);
    runner.unhealthy = matches!(gate, HealthGate::Closed { .. } | HealthGate::Probing);
    runner.on_probation = gate == HealthGate::Probe;
}
