//! After the last fault everything ends within a bound.

use dispatchyard::dispatch::Poll;
use dispatchyard::model::{AttemptOutcome, RunnerId};
use dispatchyard::runner::PollId;

use super::World;
use super::operators::patch;
use crate::{setup, shapes};

/// Rounds in which each runner polls once and finishes what it gets.
const ROUNDS_MAX: usize = 300;

impl World {
    /// Every pause is lifted, every runner is well and can do everything: all work ends.
    pub(crate) fn run_dry(&mut self) {
        self.resume_all();
        self.close_all();
        for process in 0..setup::PROCESSES {
            let all = shapes::capabilities(&mut self.dice, true);
            self.register_as(process, setup::home(process), all, false);
            let id = self.processes[process].id.expect("there is room");
            self.send(patch(id, Some(None), Some(false))).expect("it is registered");
        }
        let mut quiet_rounds = 0;
        for _ in 0..ROUNDS_MAX {
            if self.rows.workloads.is_empty() {
                return;
            }
            let before = self.tokens.len();
            for process in 0..setup::PROCESSES {
                let id = self.processes[process].id.expect("it stays");
                self.work(process, id);
            }
            quiet_rounds = if self.tokens.len() > before { 0 } else { quiet_rounds + 1 };
            let next_ms = self.scheduler.next_tick_in_ms(self.now).unwrap_or(1).max(1);
            // Only a rate makes jobs wait for longer than any lease, backoff or hold.
            self.pass(if quiet_rounds < 10 { next_ms } else { 60_000 });
            self.decide_all();
            self.check();
        }
        let waiting = self.rows.jobs.values().filter(|job| !job.kind().is_terminal());
        let why = waiting.map(|job| (job.id, job.kind(), self.scheduler.explain(self.now, job.id)));
        panic!("not everything ended: {:?}", why.collect::<Vec<_>>());
    }

    fn work(&mut self, process: usize, runner_id: RunnerId) {
        let held = &self.processes[process].held;
        let known: Vec<_> = held.iter().map(|job| job.lease.token).collect();
        let poll_id = PollId(self.next_poll);
        self.next_poll += 1;
        let poll = Poll {
            runner_id,
            poll_id,
            wait_ms: 1,
            jobs_max: None,
            current_jobs: Some(known.len() as u32),
            known,
            capabilities: None,
        };
        self.poll_with(process, poll);
        for job in self.processes[process].held.clone() {
            self.complete_with(process, &job, AttemptOutcome::Completed);
        }
    }
}
