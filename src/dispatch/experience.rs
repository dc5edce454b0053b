//! What is learned from attempts that end: how long jobs run, and how far runners are trusted.

use super::command::Reply;
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

    /// Something says how far a runner can be trusted. An executor that jobs are pushed to has its breaker
    /// for that: what is lost with a server that ends is no fault of the backend.
    pub(super) fn note_health(&mut self, now: Now, id: RunnerId, event: HealthEvent) {
        if self.is_push(id) && self.runners.get(id).is_some_and(|it| it.row.order.is_none()) {
            return;
        }
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

    /// What was learned of run times, for people: of at most `limit` classes with an id below
    /// `before`, newest first, and at most as many runners.
    pub fn learned(&self, before: Option<ClassId>, limit: usize) -> LearnedSnapshot {
        let mut slowness = self.run_times.slowness_percent();
        slowness.sort_by_key(|(_, percent)| std::cmp::Reverse(*percent));
        slowness.truncate(limit);
        let classes = self.run_times.classes(before, limit).into_iter();
        LearnedSnapshot {
            runs: self.run_times.observed(),
            entries: self.run_times.entries(),
            slowness,
            classes: classes.map(|class| self.run_times.rows_of(class)).collect(),
        }
    }

    /// Learns run times anew, and writes them with this batch: whoever asked for it has it after a
    /// restart.
    pub(super) fn train_model(
        &mut self,
        now: Now,
        runs: Vec<FinishedRun>,
        author: Box<str>,
    ) -> Reply {
        let runs = self.run_times.train(runs);
        self.model_changed(now, format!("trained from {runs} runs"), author);
        Reply::Trained { runs }
    }

    /// Forgets run times, and what is kept of them.
    pub(super) fn reset_model(&mut self, now: Now, author: Box<str>) -> Reply {
        self.run_times.reset();
        self.model_changed(now, "reset".to_owned(), author);
        Reply::Trained { runs: 0 }
    }

    fn model_changed(&mut self, now: Now, what: String, author: Box<str>) {
        self.save_run_times(now);
        let record = Record {
            author: Some(author),
            ..Record::new(RecordName::ModelChanged, now.wall_ms).detail(what)
        };
        self.record(record);
    }
}

/// What was learned of run times, for people.
#[derive(Clone, PartialEq, Debug)]
pub struct LearnedSnapshot {
    /// Runs that it was learned from, since the last reset.
    pub runs: u64,
    /// Classes, runners and pairs of them that are remembered.
    pub entries: usize,
    /// How long runners take in percent of what is usual, the slowest first.
    pub slowness: Vec<(RunnerId, u32)>,
    /// Of each class it on all runners, and then it on each of its runners.
    pub classes: Vec<Vec<RunTimeRow>>,
}

fn look(now: Now, runner: &mut LiveRunner) {
    let gate = runner.health.gate(now.mono_ms);
    runner.unhealthy = matches!(gate, HealthGate::Closed { .. } | HealthGate::Probing);
    runner.on_probation = gate == HealthGate::Probe;
}
