//! Operators: what they do to runners and to the flow.

use dispatchyard::dispatch::Command;
use dispatchyard::model::{Pause, PauseScope, RunnerId};
use dispatchyard::runner::FinishedRun;

use super::World;
use crate::{setup, shapes};

impl World {
    pub(super) fn operate(&mut self, process: usize) {
        let Some(runner_id) = self.processes[process].id else { return };
        let command = match self.dice.roll(7) {
            0 => Command::Deregister(runner_id),
            1 => patch(runner_id, Some(Some("sim".into())), None),
            2 => patch(runner_id, None, Some(true)),
            3 => {
                let capabilities = shapes::capabilities(&mut self.dice, false);
                Command::PatchRunner {
                    runner_id,
                    capabilities: Some(Box::new(capabilities)),
                    cordoned: None,
                    draining: None,
                    author: "op".into(),
                }
            }
            _ => patch(runner_id, Some(None), Some(false)),
        };
        let about = command.clone();
        if self.send(command).is_err() {
            return;
        }
        match about {
            Command::Deregister(_) => {
                let it = &mut self.processes[process];
                it.id = None;
                let held = std::mem::take(&mut it.held);
                it.stale.extend(held);
            }
            Command::PatchRunner { cordoned: Some(Some(_)), .. } => {
                self.reached.mark("runner cordoned");
            }
            Command::PatchRunner { draining: Some(true), .. } => {
                self.reached.mark("runner drained");
            }
            _ => {}
        }
    }

    /// What was learned of run times is thrown away, or learned anew from something.
    pub(super) fn operate_model(&mut self, process: usize) {
        if !self.settings.learning {
            return;
        }
        let author = "op".into();
        if self.dice.once_in(3) {
            self.send(Command::ResetModel { author }).expect("it can always be reset");
            self.reached.mark("model reset");
            return;
        }
        let runner_id = self.processes[process].id.unwrap_or(RunnerId(1));
        let classes: Vec<_> = self.rows.classes.keys().copied().collect();
        let mut run = |class_id| FinishedRun {
            class_id,
            runner_id,
            run_ms: 1 + self.dice.roll(80) as i64,
            failed: self.dice.once_in(5),
        };
        let runs = classes.into_iter().map(&mut run).collect();
        self.send(Command::TrainModel { runs, author }).expect("it can always be trained");
        self.reached.mark("model trained");
    }

    /// A pool is cordoned or drained as a whole, or neither any more.
    fn operate_pool(&mut self) {
        let pool_id = self.dice.pick(&[setup::GENERAL, setup::TIGHT]);
        let (cordoned, draining) = match self.dice.roll(5) {
            0 => (Some(Some("sim".into())), None),
            1 => (None, Some(true)),
            2 => (Some(None), None),
            3 => (None, Some(false)),
            _ => (Some(None), Some(false)),
        };
        let cordons = matches!(cordoned, Some(Some(_)));
        let author = "op".into();
        let patch = Command::PatchPool { pool_id, cordoned, draining, author };
        self.send(patch).expect("every pool can be patched");
        let paused = self.rows.pauses.contains_key(&PauseScope::Pool(pool_id));
        let runners = self.rows.runners.values().filter(|row| row.pool_id == pool_id);
        let drains: Vec<_> = runners.map(|row| row.draining).collect();
        if cordons {
            assert!(paused, "pool {pool_id:?} is cordoned");
            self.reached.mark("pool cordoned");
        }
        if let Some(draining) = draining {
            assert!(drains.iter().all(|it| *it == draining), "all of pool {pool_id:?}");
            if draining && !drains.is_empty() {
                self.reached.mark("pool drained");
            }
        }
    }

    /// Something gives out no jobs, or does so again: pauses end sooner than they begin.
    pub(super) fn pause_or_resume(&mut self) {
        if self.dice.once_in(6) {
            self.operate_pool();
            return;
        }
        let author: Box<str> = "op".into();
        let paused: Vec<_> = self.rows.pauses.keys().cloned().collect();
        if !paused.is_empty() && !self.dice.once_in(4) {
            let scope = self.dice.pick(&paused);
            self.send(Command::Resume { scope, author }).expect("it is paused");
            return;
        }
        let scope = match self.dice.roll(4) {
            0 => PauseScope::Everything,
            1 => PauseScope::Pool(self.dice.pick(&[setup::GENERAL, setup::TIGHT])),
            2 => PauseScope::Tenant(self.dice.pick(&setup::TENANTS)),
            _ => PauseScope::Trigger(self.dice.pick(&setup::TRIGGERS).into()),
        };
        let pause =
            Pause { scope, author, reason: "sim".into(), at_ms: self.now.wall_ms, breaker: None };
        self.send(Command::Pause(pause)).expect("everything can be paused");
    }

    pub(super) fn resume_all(&mut self) {
        for scope in self.rows.pauses.keys().cloned().collect::<Vec<_>>() {
            let author = "op".into();
            self.send(Command::Resume { scope, author }).expect("it is paused");
        }
    }
}

pub(super) fn patch(
    runner_id: RunnerId,
    cordoned: Option<Option<Box<str>>>,
    draining: Option<bool>,
) -> Command {
    let author = "op".into();
    Command::PatchRunner { runner_id, capabilities: None, cordoned, draining, author }
}
