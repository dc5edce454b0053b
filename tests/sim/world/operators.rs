//! Operators: what they do to runners and to the flow.

use dispatchyard::dispatch::Command;
use dispatchyard::model::{Pause, PauseScope, RunnerId};

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

    /// Something gives out no jobs, or does so again: pauses end sooner than they begin.
    pub(super) fn pause_or_resume(&mut self) {
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
        let pause = Pause { scope, author, reason: "sim".into(), at_ms: self.now.wall_ms };
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
