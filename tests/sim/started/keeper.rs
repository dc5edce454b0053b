//! Whoever starts runners, and the machines on which they run.

use std::collections::BTreeMap;

use dispatchyard::dispatch::{Absence, Command, Register, Reply};
use dispatchyard::model::{AssignedJob, PoolId, RunnerCapabilities, RunnerId};
use dispatchyard::runner::MemberState;

use super::faults::Fault;
use super::{FLEET, World, lease};

/// What a keeper knows that dies with it, and what does not.
#[derive(Default)]
pub(super) struct Keeper {
    /// Asked for by this process, without an answer so far.
    creating: Vec<(RunnerId, Box<str>)>,
    /// Asked for by a process that is gone: it may still come to something.
    adrift: Vec<(RunnerId, Box<str>)>,
    /// What runs, by name.
    machines: BTreeMap<Box<str>, Machine>,
}

/// A runner as its machine has it.
struct Machine {
    /// What its token stands for.
    id: RunnerId,
    registered: bool,
    ended: bool,
    held: Vec<AssignedJob>,
}

impl Keeper {
    pub(super) fn restart(&mut self, doubled: bool) {
        self.adrift.append(&mut self.creating);
        if doubled {
            self.creating = self.adrift.clone();
        }
    }
}

impl World {
    pub(super) fn keeper_looks(&mut self) {
        let plan = self.plan();
        let fleet = &plan.fleets[FLEET];
        for (runner_id, why) in &fleet.retire {
            if self.retire(*runner_id, why, false) {
                self.mark("retired");
            }
        }
        for _ in 0..fleet.order {
            let ordered = Command::OrderRunner { fleet: FLEET.into(), token_hash: "hash".into() };
            if let Ok(Reply::Ordered { runner_id, name }) = self.send(ordered) {
                self.mark("ordered");
                self.keeper.creating.push((runner_id, name));
            }
        }
        let leaving = plan.ordered.iter().filter(|it| it.state == MemberState::Leaving);
        for runner in leaving {
            let is_asked_for = self.keeper.creating.iter().any(|(id, _)| *id == runner.id);
            if !is_asked_for && !self.fails(4) {
                if !self.has(Fault::RowForgotten) {
                    self.destroy(&runner.name);
                }
                if !self.has(Fault::RowKept) {
                    self.send(Command::RunnerGone(runner.id)).expect("it is to leave");
                }
            }
        }
    }

    fn retire(&mut self, runner_id: RunnerId, why: &str, dead: bool) -> bool {
        self.send(Command::RetireRunner { runner_id, why: why.into(), dead }).is_ok()
    }

    /// Takes a machine down, on which nothing may be that somebody still has a right to.
    fn destroy(&mut self, name: &str) {
        let Some(machine) = self.keeper.machines.remove(name) else { return };
        let has_work = !machine.ended && machine.held.iter().any(|job| self.is_valid(job));
        assert!(!has_work, "{name} is taken down in the middle of its work");
    }

    /// One of the starts that were asked for comes to something.
    pub(super) fn backend_answers(&mut self) {
        if !self.keeper.adrift.is_empty() && (self.calm || self.dice.once_in(2)) {
            let (id, name) = self.keeper.adrift.remove(0);
            if !self.fails(2) {
                self.mark("start outlived its server");
                self.boot(id, name);
            }
            return;
        }
        if self.keeper.creating.is_empty() {
            return;
        }
        let (id, name) = self.keeper.creating.remove(0);
        if self.fails(4) {
            self.mark("start failed");
            let until_ms = self.now.wall_ms + 30;
            let trouble = Some(Absence { until_ms, why: "no such image".into() });
            self.send(Command::FleetStands { fleet: FLEET.into(), trouble }).unwrap();
            self.retire(id, "it was not started", false);
            // Its backend may have done it all the same.
            if self.dice.once_in(2) {
                self.boot(id, name);
            }
            return;
        }
        self.boot(id, name);
        self.send(Command::FleetStands { fleet: FLEET.into(), trouble: None }).unwrap();
    }

    fn boot(&mut self, id: RunnerId, name: Box<str>) {
        let machine = Machine { id, registered: false, ended: false, held: Vec::new() };
        let before = self.keeper.machines.insert(name, machine);
        assert!(before.is_none(), "a runner is started twice");
    }

    /// Compares what runs with the rows.
    pub(super) fn keeper_compares(&mut self) {
        let found: Vec<(Box<str>, bool)> =
            self.keeper.machines.iter().map(|(name, it)| (name.clone(), it.ended)).collect();
        let plan = self.plan();
        let row = |name: &str| plan.ordered.iter().find(|it| *it.name == *name).cloned();
        for (name, ended) in &found {
            let Some(runner) = row(name) else {
                if self.has(Fault::LeftoverKept) {
                    continue;
                }
                self.mark("leftover taken down");
                self.destroy(name);
                continue;
            };
            if *ended && runner.state != MemberState::Leaving {
                self.mark("died and was noticed");
                self.destroy(name);
                self.retire(runner.id, "its process has ended", true);
            }
        }
        for runner in plan.ordered.iter().filter(|it| it.state == MemberState::Starting) {
            let is_asked_for = self.keeper.creating.iter().any(|(id, _)| *id == runner.id);
            if !is_asked_for && !found.iter().any(|(name, _)| *name == runner.name) {
                self.retire(runner.id, "nobody started it", false);
            }
        }
    }

    fn some_machine(&mut self, pick: impl Fn(&Machine) -> bool) -> Option<Box<str>> {
        let fitting = self.keeper.machines.iter().filter(|(_, it)| pick(it));
        let names: Vec<_> = fitting.map(|(name, _)| name.clone()).collect();
        (!names.is_empty()).then(|| self.dice.pick(&names))
    }

    pub(super) fn instance_comes(&mut self) {
        let Some(name) = self.some_machine(|it| !it.registered && !it.ended) else { return };
        let id = self.keeper.machines[&name].id;
        let hello = Register {
            name: name.clone(),
            instance_id: name.clone(),
            boot_id: "boot".into(),
            pool_id: PoolId::DEFAULT,
            token_hash: name.clone(),
            capabilities: RunnerCapabilities::default(),
            version: "sim".into(),
            ordered: Some(id),
        };
        let answer = self.send(Command::Register(Box::new(hello)));
        let machine = self.keeper.machines.get_mut(&name).expect("it is there");
        match answer {
            Ok(_) => machine.registered = true,
            Err(_) => {
                // Nobody wants it: it ends by itself.
                machine.ended = true;
                self.mark("came too late");
            }
        }
    }

    /// A runner polls, starts what it got, and ends it; with its job it leaves now and then.
    pub(super) fn instance_works(&mut self) {
        let Some(name) = self.some_machine(|it| it.registered && !it.ended) else { return };
        let (id, held) = {
            let machine = &self.keeper.machines[&name];
            (machine.id, machine.held.clone())
        };
        if let Some(job) = held.first() {
            if self.dice.once_in(2) || self.calm {
                self.complete(job);
                self.keeper.machines.get_mut(&name).expect("it is there").held.clear();
                if self.dice.once_in(2) {
                    let _ = self.send(Command::Deregister(id));
                    self.keeper.machines.get_mut(&name).expect("it is there").ended = true;
                }
            } else {
                let leases = vec![dispatchyard::dispatch::HeldLease {
                    token: job.lease.token,
                    nonce: job.lease.nonce,
                }];
                let (capabilities, current_jobs) = (None, None);
                let beat = Command::Heartbeat { runner_id: id, leases, capabilities, current_jobs };
                let _ = self.send(beat);
            }
            return;
        }
        let Some(jobs) = self.poll(id, &[]) else {
            self.keeper.machines.get_mut(&name).expect("it is there").ended = true;
            return;
        };
        if self.scheduler.runner(self.now, id).is_some_and(|it| it.row.draining) {
            let _ = self.send(Command::Deregister(id));
            self.keeper.machines.get_mut(&name).expect("it is there").ended = true;
            return;
        }
        for job in jobs {
            if self.send(Command::Start(lease(&job))).is_ok() {
                self.keeper.machines.get_mut(&name).expect("it is there").held.push(job);
            }
        }
    }

    pub(super) fn instance_dies(&mut self) {
        if self.calm || !self.dice.once_in(2) {
            return;
        }
        let Some(name) = self.some_machine(|it| !it.ended) else { return };
        let machine = self.keeper.machines.get_mut(&name).expect("it is there");
        machine.ended = true;
        if !machine.held.is_empty() {
            self.mark("killed with a job");
        }
    }

    /// Whoever came is known for as long as it is there.
    pub(super) fn check_machines(&self) {
        for (name, machine) in self.keeper.machines.iter().filter(|(_, it)| it.registered) {
            let is_known = self.rows.runners.contains_key(&machine.id);
            assert!(is_known || machine.ended, "{name} is there, and its row is gone");
        }
    }

    /// Whether as many stand by as should, and nothing else is there.
    pub(super) fn is_at_rest(&self) -> bool {
        let rows: Vec<_> = self.rows.runners.values().filter(|row| row.order.is_some()).collect();
        let machines = &self.keeper.machines;
        let same = machines.len() == rows.len()
            && rows.iter().all(|row| machines.get(&row.name).is_some_and(|it| !it.ended));
        same && rows.len() == self.settings.fleets[FLEET].min_idle as usize
    }
}
