//! An executor that jobs are pushed to: its supervisor in the server, and what runs in its backend.

use std::collections::BTreeMap;

use dispatchyard::dispatch::{Absence, Command, ExecutorState, HeldLease, Register};
use dispatchyard::model::{AssignedJob, PoolId, RequeueReason, RunnerCapabilities, RunnerId};

use super::faults::Fault;
use super::{CLOUD, World, lease};

/// The supervisor, and the backend, which outlives it.
#[derive(Default)]
pub(super) struct Cloud {
    /// The runner that it is, once this process has said so.
    id: Option<RunnerId>,
    /// Attempts that this process looks after.
    watched: Vec<AssignedJob>,
    is_away: bool,
    /// What runs or ran in the backend, by the attempt's key.
    runs: BTreeMap<String, Run>,
}

struct Run {
    job: AssignedJob,
    ended: bool,
}

fn key(job: &AssignedJob) -> String {
    format!("job-{}-attempt-{}", job.job_id, job.attempt)
}

impl Cloud {
    pub(super) fn restart(&mut self) {
        self.id = None;
        self.watched.clear();
        self.is_away = false;
    }
}

impl World {
    /// One round of the supervisor: register and look after what is left, or ask for work, keep leases and tell
    /// the ends.
    pub(super) fn cloud_supervises(&mut self) {
        let Some(id) = self.cloud.id else {
            self.take_over();
            return;
        };
        self.tell_ends();
        let watched = self.cloud.watched.clone();
        let leases =
            watched.iter().map(|it| HeldLease { token: it.lease.token, nonce: it.lease.nonce });
        let beat = Command::Heartbeat {
            runner_id: id,
            leases: leases.collect(),
            capabilities: None,
            current_jobs: None,
        };
        let _ = self.send(beat);
        self.cloud.watched.retain(|job| {
            self.rows
                .find_job(job.job_id)
                .is_some_and(|row| row.lease().is_some_and(|lease| lease.token == job.lease.token))
        });
        if self.cloud.is_away {
            if self.calm || self.dice.once_in(3) {
                self.cloud.is_away = false;
                self.stands(ExecutorState::There);
            }
            return;
        }
        let watched = self.cloud.watched.clone();
        let Some(jobs) = self.poll(id, &watched) else {
            self.cloud.id = None;
            return;
        };
        for job in jobs {
            self.hand_over(job);
        }
    }

    fn stands(&mut self, state: ExecutorState) {
        self.send(Command::ExecutorStands { executor: CLOUD.into(), state }).unwrap();
    }

    fn take_over(&mut self) {
        let hello = Register {
            name: CLOUD.into(),
            instance_id: "\u{1f}executor:cloud".into(),
            boot_id: "executor".into(),
            pool_id: PoolId::DEFAULT,
            token_hash: "".into(),
            capabilities: RunnerCapabilities::of_executor(CLOUD, 3),
            version: "sim".into(),
            ordered: None,
        };
        let answer = self.send(Command::Register(Box::new(hello))).unwrap();
        let dispatchyard::dispatch::Reply::Registered(id) = answer else { panic!("{answer:?}") };
        self.cloud.id = Some(id);
        for held in self.scheduler.held_by(id) {
            if !held.is_running {
                continue;
            }
            let there = self.cloud.runs.contains_key(&key(&held.assigned));
            if there && self.has(Fault::BegunAgain) {
                self.hand_over(held.assigned);
            } else if there {
                self.mark("adopted");
                self.cloud.watched.push(held.assigned);
            } else {
                self.mark("gone before it was begun");
                self.give_back(&held.assigned, RequeueReason::RunnerLost);
            }
        }
    }

    fn give_back(&mut self, job: &AssignedJob, reason: RequeueReason) {
        let _ = self.send(Command::Release { lease: lease(job), reason, why: None });
    }

    /// Starts an attempt in the backend, in steps between which the server may end.
    fn hand_over(&mut self, job: AssignedJob) {
        if self.send(Command::Start(lease(&job))).is_err() {
            return;
        }
        if self.fails(12) {
            self.restart();
            return;
        }
        if self.fails(5) {
            self.cloud.is_away = true;
            let until_ms = self.now.wall_ms + 10;
            self.stands(ExecutorState::Away(Absence { until_ms, why: "refused".into() }));
            self.give_back(&job, RequeueReason::ExecutorUnavailable);
            self.mark("fell back");
            return;
        }
        let run = Run { job: job.clone(), ended: false };
        let before = self.cloud.runs.insert(key(&job), run);
        assert!(before.is_none(), "{} is run twice", key(&job));
        self.mark("pushed");
        if self.fails(12) {
            self.mark("answer of the cloud lost");
            self.restart();
            return;
        }
        let external_ref = key(&job).into();
        if self.send(Command::Refer { lease: lease(&job), external_ref }).is_ok() {
            self.cloud.watched.push(job);
        }
    }

    fn tell_ends(&mut self) {
        for job in self.cloud.watched.clone() {
            if self.cloud.runs[&key(&job)].ended {
                self.complete(&job);
                self.cloud.watched.retain(|it| it.lease.token != job.lease.token);
            }
        }
    }

    /// Something that runs in the backend ends.
    pub(super) fn cloud_works(&mut self) {
        let running = self.cloud.runs.iter().filter(|(_, run)| !run.ended);
        let keys: Vec<_> = running.map(|(key, _)| key.clone()).collect();
        let ending = match self.calm {
            true => keys,
            false if keys.is_empty() => return,
            false => vec![self.dice.pick(&keys)],
        };
        for key in ending {
            self.cloud.runs.get_mut(&key).expect("it is there").ended = true;
        }
    }

    /// A job that somebody works on is worked on by nobody else outside.
    pub(super) fn check_backends(&self) {
        let mut running: BTreeMap<_, u32> = BTreeMap::new();
        for run in self.cloud.runs.values().filter(|run| !run.ended && self.is_valid(&run.job)) {
            *running.entry(run.job.job_id).or_default() += 1;
        }
        let twice = running.iter().find(|(_, runs)| **runs > 1);
        assert!(twice.is_none(), "two runs of {twice:?} have a right to it");
    }
}
