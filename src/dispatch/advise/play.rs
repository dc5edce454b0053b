//! A copy played forward: every runner that is there asks whenever it has room, starts at once what
//! it is given, and ends it after the time that is expected.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use super::HORIZON_MS;
use super::change::Suggestion;
use super::excerpt::Rows;

use crate::dispatch::command::{Command, Poll, Verdict};
use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    AssignedJob, ClassId, Entropy, JobId, JobResult, JobState, LeaseRef, Now, RunnerId, TenantId,
};
use crate::runner::PollId;

/// A time that does not come in a play.
const NEVER_MS: i64 = i64::MAX / 4;

/// What the jobs that were asked about waited.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Waits {
    /// Together; one that does not start counts as the horizon.
    pub(super) total_ms: i64,
    /// How many there are.
    pub(super) jobs: u64,
    /// How many did not start.
    pub(super) stuck: u64,
}

/// Nonces that nobody has to guess.
struct Counter(u64);

impl Entropy for Counter {
    fn next_u64(&mut self) -> u64 {
        self.0 += 1;
        self.0
    }
}

struct Copy {
    scheduler: Scheduler,
    began: Now,
    now: Now,
    entropy: Counter,
    /// Ends to come: when (mono), of which job, by whose right as a place in `leases`.
    ends: BinaryHeap<Reverse<(i64, JobId, usize)>>,
    leases: Vec<LeaseRef>,
    polls: u64,
    /// Runners that ask next.
    to_poll: BTreeSet<RunnerId>,
}

impl Rows {
    /// Plays with a change until all jobs that are asked about have started, or the horizon is
    /// reached.
    pub(super) fn play(&self, tenant: Option<TenantId>, change: Option<&Suggestion>) -> Waits {
        let mut asked: BTreeSet<JobId> = self.asked(tenant).map(|job| job.id).collect();
        let jobs = asked.len() as u64;
        let mut copy = self.copy(change);
        let began_ms = self.now.wall_ms;
        let mut total_ms = 0;
        // Each round starts or ends a job, or lets a time come.
        while !asked.is_empty() {
            for id in copy.round() {
                if asked.remove(&id) {
                    total_ms += copy.now.wall_ms - began_ms;
                }
            }
            let Some(next_ms) = copy.next_ms() else { break };
            if next_ms > HORIZON_MS || asked.is_empty() {
                break;
            }
            copy.now.mono_ms = self.now.mono_ms + next_ms;
            copy.now.wall_ms = self.now.wall_ms + next_ms;
        }
        let stuck = asked.len() as u64;
        Waits { total_ms: total_ms + HORIZON_MS * asked.len() as i64, jobs, stuck }
    }

    /// A scheduler with these rows and no other, in which nobody falls silent.
    fn copy(&self, change: Option<&Suggestion>) -> Copy {
        let (mut snapshot, mut settings) = (self.snapshot.clone(), self.settings.clone());
        // Tokens of its own: those that runners have are of an earlier epoch.
        snapshot.epoch += 1;
        if let Some(change) = change {
            change.apply(&mut snapshot, &mut settings);
        }
        settings.learning = false;
        settings.heartbeat_timeout_ms = NEVER_MS;
        settings.lease_ms = NEVER_MS;
        settings.ack_window_ms = NEVER_MS;
        settings.timeout_grace_ms = NEVER_MS;
        settings.poll_wait_max_ms = NEVER_MS;
        settings.unschedulable_after_ms = NEVER_MS;
        settings.soft_flush_ms = 0;
        let mut scheduler = Scheduler::load(snapshot, settings, self.now);
        scheduler.run_times = self.run_times.clone();
        for (id, jobs) in &self.foreign {
            if let Some(slot) = scheduler.runners.slot(*id) {
                scheduler.runners.update(slot, |runner| runner.foreign_jobs = *jobs);
            }
        }
        for id in &self.offline {
            if let Some(slot) = scheduler.runners.slot(*id) {
                scheduler.runners.update(slot, |runner| runner.offline = true);
            }
        }
        // Where a limit was raised there is room that no end will tell of.
        let groups: Vec<_> = scheduler.groups.keys().cloned().collect();
        groups.iter().for_each(|key| scheduler.fill_group(self.now, key));
        scheduler.drain(self.now);
        drop(scheduler.take_output());
        let runners = scheduler.runners.iter().filter(|(_, runner)| !runner.offline);
        let to_poll = runners.map(|(_, runner)| runner.row.id).collect();
        let mut copy = Copy {
            scheduler,
            began: self.now,
            now: self.now,
            entropy: Counter(0),
            ends: BinaryHeap::new(),
            leases: Vec::new(),
            polls: 0,
            to_poll,
        };
        copy.carry_on();
        copy
    }
}

impl Copy {
    /// Arranges the ends of what runs.
    fn carry_on(&mut self) {
        let rows = self.scheduler.jobs.values().map(|live| &live.row);
        let mut running = Vec::new();
        for job in rows {
            let Some(lease) = job.lease() else { continue };
            let mean_ms = self.scheduler.run_times.mean_ms(job.class_id, lease.runner_id);
            let ran_ms = match job.state {
                JobState::Running { started_at_ms, .. } => self.now.wall_ms - started_at_ms,
                _ => 0,
            };
            let strays = self.scheduler.run_times.strays(job.class_id);
            let left_ms = match ran_ms < mean_ms {
                true => mean_ms - ran_ms,
                // Later than expected already.
                false => strays.usually_left_ms(mean_ms, ran_ms),
            };
            let lease =
                LeaseRef { token: lease.token, nonce: lease.nonce, runner_id: lease.runner_id };
            running.push((job.id, left_ms, lease));
        }
        running.sort_unstable_by_key(|(id, ..)| *id);
        for (id, left_ms, lease) in running {
            self.ends_in(left_ms, id, lease);
        }
    }

    fn ends_in(&mut self, ms: i64, id: JobId, lease: LeaseRef) {
        let at_ms = self.now.mono_ms.saturating_add(ms);
        self.ends.push(Reverse((at_ms, id, self.leases.len())));
        self.leases.push(lease);
    }

    /// Ends what is due, lets runners ask, and starts what they are given: the jobs that were.
    fn round(&mut self) -> Vec<JobId> {
        self.scheduler.tick(self.now, &mut self.entropy);
        while let Some(&Reverse((at_ms, _, of))) = self.ends.peek()
            && at_ms <= self.now.mono_ms
        {
            self.ends.pop();
            let (lease, result) = (self.leases[of], Box::new(JobResult::success()));
            self.apply(Command::Complete { lease, result });
            self.to_poll.insert(lease.runner_id);
        }
        let mut started = Vec::new();
        loop {
            for runner_id in std::mem::take(&mut self.to_poll) {
                self.polls += 1;
                let runner = self.scheduler.runners.get(runner_id);
                let known = runner.map_or_else(Vec::new, |runner| runner.leases.clone());
                self.apply(Command::Poll(Box::new(Poll {
                    runner_id,
                    poll_id: PollId(self.polls),
                    wait_ms: NEVER_MS,
                    jobs_max: None,
                    known,
                    capabilities: None,
                    current_jobs: None,
                })));
            }
            self.scheduler.settle(self.now, &mut self.entropy);
            let answers = self.scheduler.take_output().answers;
            let given: Vec<AssignedJob> = answers.into_iter().flat_map(|it| it.jobs).collect();
            if given.is_empty() {
                return started;
            }
            for job in given {
                self.begin(&job);
                started.push(job.job_id);
            }
        }
    }

    fn begin(&mut self, job: &AssignedJob) {
        let (token, nonce) = (job.lease.token, job.lease.nonce);
        let lease = LeaseRef { token, nonce, runner_id: job.lease.runner_id };
        self.apply(Command::Start(lease));
        let class = self.scheduler.job(job.job_id).map_or(ClassId(-1), |job| job.class_id);
        let run_ms = self.scheduler.run_times.mean_ms(class, lease.runner_id);
        self.ends_in(run_ms, job.job_id, lease);
        self.to_poll.insert(lease.runner_id);
    }

    /// A runner that left in between, or a job that was cancelled, refuses; that is no matter here.
    fn apply(&mut self, command: Command) {
        let _ = self.scheduler.apply(self.now, command, Verdict::New, &mut self.entropy);
    }

    /// When something happens next, from the beginning of the play.
    fn next_ms(&self) -> Option<i64> {
        let end = self.ends.peek().map(|Reverse((at_ms, ..))| at_ms - self.now.mono_ms);
        let due = self.scheduler.due_in_ms(self.now, i64::MAX);
        let in_ms = end.into_iter().chain(due).min()?;
        Some((self.now.mono_ms - self.began.mono_ms).saturating_add(in_ms.max(1)))
    }
}
