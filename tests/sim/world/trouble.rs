//! Time, and everything that goes wrong with the store: commits that fail, that fail in name only,
//! and restarts.

use dispatchyard::dispatch::Command;
use dispatchyard::model::{Job, Snapshot};

use super::{World, leases};
use crate::faulty::Fault;
use crate::known::Known;

impl World {
    pub(super) fn pass(&mut self, ms: i64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms;
        self.idle_batch();
    }

    /// A few milliseconds, exactly to the next thing that is due, or a long night.
    pub(super) fn time_passes(&mut self) {
        let ms = match self.dice.roll(8) {
            0..=3 => self.dice.roll(12) as i64,
            4..=6 => match self.scheduler.next_tick_in_ms(self.now) {
                Some(ms) => {
                    self.check_nothing_is_due_before(ms);
                    ms
                }
                None => return,
            },
            _ => self.dice.pick(&[30, 70, 60_000]),
        };
        self.pass(ms);
    }

    /// The wall clock is set; the other goes on.
    pub(super) fn clocks_part(&mut self) {
        self.now.mono_ms += self.dice.roll(4) as i64;
        self.now.wall_ms += self.dice.pick(&[-150, -20, 20, 150]);
        self.reached.mark("wall clock went back");
        self.idle_batch();
    }

    pub(super) fn trouble(&mut self) {
        match self.dice.roll(4) {
            0 | 1 => {
                self.reached.mark("restart");
                self.load(self.rows.snapshot(self.rows.epoch + 1));
            }
            2 => {
                // Decided, not committed: nobody heard of it, and the rows are as they were.
                self.decide_something();
                let output = self.scheduler.take_output();
                if self.scheduler.has(Fault::SpeaksTooSoon) {
                    self.deliver(output.answers);
                }
                self.reached.mark("commit failed");
                self.load(self.rows.snapshot(self.rows.epoch + 1));
            }
            _ => {
                // Committed, but everyone was told that it failed: answers are lost.
                self.decide_something();
                let output = self.scheduler.take_output();
                let early = self.rows.snapshot(self.rows.epoch + 1);
                self.observe(&output);
                let before = self.rows.apply(output.changes, output.marks);
                self.follow(&before);
                self.reached.mark("commit ambiguous");
                let late = self.rows.snapshot(self.rows.epoch + 1);
                let forgets = self.scheduler.has(Fault::AmbiguousForgotten);
                self.load(if forgets { early } else { late });
            }
        }
    }

    /// A batch whose end nobody hears of.
    fn decide_something(&mut self) {
        self.scheduler.tick(self.now, &mut self.entropy);
        if let Some(job_id) = self.some_job() {
            let command = Command::CancelJob { job_id, author: "op".into(), reason: "sim".into() };
            let _ = self.scheduler.apply(self.now, command, &mut self.entropy);
        }
        let process = self.dice.roll(self.processes.len() as u64) as usize;
        if let Some(poll) = self.poll_of(process) {
            self.polls.insert(poll.poll_id, (process, poll.runner_id));
            let poll = Command::Poll(Box::new(poll));
            let _ = self.scheduler.apply(self.now, poll, &mut self.entropy);
        }
        self.scheduler.settle(self.now, &mut self.entropy);
    }

    fn load(&mut self, snapshot: Snapshot) {
        self.rows.epoch = snapshot.epoch;
        self.scheduler.load_again(snapshot, self.settings.clone(), self.now);
        let loaded = self.scheduler.take_output();
        self.hear_loaded(&loaded);
        self.polls.clear();
        self.dues = leases::loaded(&self.settings, &self.rows, self.now);
        self.closed.clear();
        self.known = Known::loaded(&self.rows, self.now);
        self.known.told = self.told();
        self.known.sync(&self.rows, &self.settings, self.now);
        let running = self.rows.jobs.values().filter(|job| job.lease().is_some());
        let charge = |job: &Job| self.known.expected_ms(job, &self.settings) as u64;
        self.charges = running.map(|job| (job.id, charge(job))).collect();
        let usage = self.scheduler.share_usage();
        self.used_ms = usage.iter().map(|share| (share.tenant_id, share.used_ms)).collect();
    }
}
