//! Follows what was said and written with the checker's own tables.

use std::collections::BTreeSet;

use dispatchyard::dispatch::{Answer, Command, Durable, LeaseChange, Output, Poll, Reply};
use dispatchyard::model::{
    Change, JobId, JobState, JobStateKind, LeaseToken, Record, RecordName, RequeueReason, TenantId,
};

use super::World;
use super::leases::Due;
use crate::known::Health;
use crate::setup;

impl World {
    /// What the world itself knows after a command was accepted.
    pub(super) fn learn(&mut self, command: &Command, reply: &Reply, before: &Durable) {
        let now = self.now;
        match command {
            Command::Register(register) => {
                let Reply::Registered(id) = reply else { panic!("{reply:?}") };
                let Some(old) = before.runners.get(id) else { return };
                self.known.heard(*id, now);
                self.known.release_holds(*id);
                if old.boot_id != register.boot_id {
                    self.known.runners.get_mut(id).unwrap().foreign_jobs = 0;
                }
            }
            Command::Poll(poll) => self.learn_poll(poll, false, before),
            Command::Stream(poll) => self.learn_poll(poll, true, before),
            Command::PollGone(poll_id) => {
                let parked = self.known.runners.iter();
                let mut of = parked.filter(|(_, it)| it.is_parked(poll_id.0));
                if let Some(id) = of.next().map(|(id, _)| *id) {
                    self.known.unpark(id, now);
                }
            }
            Command::Heartbeat { runner_id, leases, current_jobs, .. } => {
                self.known.heard(*runner_id, now);
                self.learn_foreign(*runner_id, *current_jobs, leases.len(), before);
                if let Reply::Heartbeat { lost, .. } = reply {
                    self.due_when_renewed(leases, lost);
                }
            }
            Command::Start(lease)
            | Command::Complete { lease, .. }
            | Command::Release { lease, .. } => self.known.heard(lease.runner_id, now),
            Command::PatchRunner { runner_id, cordoned, draining, .. }
                if cordoned.is_some() || draining.is_some() =>
            {
                self.known.release_holds(*runner_id);
            }
            Command::PatchPool { pool_id, draining: Some(draining), .. } => {
                let changed = before.runners.values().filter(|row| row.pool_id == *pool_id);
                for row in changed.filter(|row| row.draining != *draining) {
                    self.known.release_holds(row.id);
                }
            }
            Command::Prioritise { job_id, .. } | Command::MoveToFront { job_id, .. } => {
                self.known.placed_again(*job_id);
            }
            _ => {}
        }
    }

    fn learn_poll(&mut self, poll: &Poll, streams: bool, before: &Durable) {
        let again = before.leases.iter().filter(|(token, (job, id))| {
            *id == poll.runner_id
                && !poll.known.contains(token)
                && before.jobs[job].kind() == JobStateKind::Claimed
        });
        let again: BTreeSet<JobId> = again.map(|(_, (job, _))| *job).collect();
        if !again.is_empty() {
            self.reached.mark("given again");
        }
        self.learn_foreign(poll.runner_id, poll.current_jobs, poll.known.len(), before);
        self.known.heard(poll.runner_id, self.now);
        if self.known.release_holds(poll.runner_id) > 0 {
            self.reached.mark("hold released by a poll");
        }
        let known = self.known.runners.get_mut(&poll.runner_id).expect("it is registered");
        if known.parked.is_some() {
            self.reached.mark("poll superseded");
        }
        let jobs_max = poll.jobs_max.filter(|_| !streams).unwrap_or(u32::MAX);
        known.parked = Some((poll.poll_id.0, jobs_max));
        (known.poll, known.streams) = (poll.poll_id.0, streams);
        known.given = again;
        known.missed = false;
    }

    fn learn_foreign(
        &mut self,
        id: dispatchyard::model::RunnerId,
        current_jobs: Option<u32>,
        named: usize,
        before: &Durable,
    ) {
        let Some(current) = current_jobs else { return };
        let leases = before.leases.values().filter(|(_, runner)| *runner == id).count();
        let ours = if named > 0 { named } else { leases } as u32;
        let known = self.known.runners.get_mut(&id).expect("it is registered");
        known.foreign_jobs = current.saturating_sub(ours);
    }

    /// Follows leases, records and ends.
    pub(super) fn observe(&mut self, output: &Output) {
        self.hear_undecided(output);
        for change in &output.changes {
            if let Change::AttemptEnded(attempt) = change
                && self.dues[&attempt.job_id].stop_by_ms <= self.now.mono_ms
            {
                self.reached.mark("cancel fenced");
            }
            if let Change::AttemptEnded(attempt) = change
                && attempt.requeue_reason == Some(RequeueReason::LeaseLost)
            {
                self.lost.insert(attempt.job_id);
                let due = &self.dues[&attempt.job_id];
                let early = due.at_ms() > self.now.mono_ms;
                assert!(!early, "job {} was taken back too soon: {due:?}", attempt.job_id);
            }
        }
        for change in &output.changes {
            // What a stream gave was not begun: it is not trusted with more.
            if let Change::AttemptEnded(attempt) = change
                && attempt.requeue_reason == Some(RequeueReason::LeaseLost)
                && attempt.started_at_ms.is_none()
                && let Some(known) = self.known.runners.get(&attempt.runner_id)
                && known.parked.is_some()
                && known.streams
            {
                let ended = |it: &Answer| it.poll_id.0 == known.poll && it.ends;
                assert!(output.answers.iter().any(ended), "a deaf stream goes on");
            }
        }
        self.follow_health(output);
        for change in &output.leases {
            match change {
                LeaseChange::Began(token, owner) => {
                    assert!(self.tokens.insert(*token), "token {token} was used before");
                    let other = self.live.insert(owner.job_id, *token);
                    assert_eq!(other, None, "two live attempts of job {}", owner.job_id);
                    self.dues.insert(owner.job_id, Due::given(&self.settings, self.now));
                    let class_id = self.rows.jobs[&owner.job_id].class_id;
                    let expected = self.scheduler.expected_run_ms(class_id) as u64;
                    self.charges.insert(owner.job_id, expected);
                    *self.used_ms.entry(self.tenant_of(owner.job_id)).or_default() += expected;
                }
                LeaseChange::Ended(token, owner) => self.lease_ended(*token, owner.job_id),
            }
        }
        assert!(self.live.len() as u64 <= self.settings.max_global_concurrency);
        for record in &output.records {
            self.observe_record(record);
        }
        for change in &output.changes {
            if let Change::WorkloadReopened(_, jobs) = change {
                for id in jobs {
                    self.known.was_held.remove(id);
                }
            }
        }
    }

    /// What ended under a runner that was on trial says whether it is well again; where it says
    /// nothing, the next job is to show it.
    fn follow_health(&mut self, output: &Output) {
        for change in &output.changes {
            let Change::AttemptEnded(attempt) = change else { continue };
            let Some(known) = self.known.runners.get_mut(&attempt.runner_id) else { continue };
            if known.health == Health::Probing {
                known.health = Health::Probe;
                self.reached.mark("probe ended");
            }
        }
        let health = output.records.iter().filter(|it| it.name == RecordName::RunnerHealth);
        for record in health {
            let id = record.runner_id.expect("it is about a runner");
            let least = self.settings.pools[&setup::GENERAL].health_min_percent;
            assert!(least > 0, "nobody looks at health");
            let ms = record.detail.split_whitespace().find_map(|word| word.parse::<i64>().ok());
            let percent = ms.expect("the health in percent");
            let Some(known) = self.known.runners.get_mut(&id) else { continue };
            if record.detail.ends_with("gets jobs again") {
                assert_eq!(known.health, Health::Probe, "runner {id} was closed");
                known.health = Health::Open;
                self.reached.mark("runner well again");
                continue;
            }
            let rest = record.detail.split_once("for ").expect("for how long").1;
            let ms: i64 = rest.split_once(' ').expect("a unit").0.parse().expect("a number");
            let probe = known.health == Health::Probe;
            assert!(probe || percent < i64::from(least), "runner {id} is well: {percent} %");
            known.health = Health::Closed(self.now.mono_ms + ms);
            self.known.release_holds(id);
            self.reached.mark("runner unhealthy");
        }
    }

    fn tenant_of(&self, id: JobId) -> TenantId {
        self.rows.jobs[&id].tenant_id
    }

    /// The charge is corrected by the time that the attempt really took.
    fn lease_ended(&mut self, token: LeaseToken, id: JobId) {
        assert_eq!(self.live.remove(&id), Some(token));
        self.dues.remove(&id);
        for runner in self.known.runners.values_mut() {
            runner.given.remove(&id);
        }
        let job = &self.rows.jobs[&id];
        let ran_ms = match job.state {
            JobState::Running { started_at_ms, .. } => (self.now.wall_ms - started_at_ms).max(0),
            _ => 0,
        };
        let expected = self.charges.remove(&id).expect("it was charged");
        let used = self.used_ms.entry(job.tenant_id).or_default();
        *used = (*used + ran_ms as u64).saturating_sub(expected);
    }

    fn observe_record(&mut self, record: &Record) {
        let runner = || record.runner_id.expect("it is about a runner");
        match record.name {
            RecordName::RunnerRegistered => self.known.registered(runner(), self.now),
            RecordName::RunnerOffline => {
                self.known.runners.get_mut(&runner()).unwrap().offline = true;
                self.known.release_holds(runner());
                self.reached.mark("runner offline");
            }
            RecordName::RunnerOnline => {
                self.known.runners.get_mut(&runner()).unwrap().offline = false;
            }
            RecordName::RunnerDeregistered => self.known.left(runner()),
            RecordName::JobRequeued => match &*record.detail {
                "lease_lost" => self.reached.mark("lease expired"),
                "failed" | "timed_out" => self.reached.mark("retried by itself"),
                _ => {}
            },
            RecordName::JobStarted => self.due_when_started(record.job_id.unwrap()),
            RecordName::JobSkipped => self.reached.mark("skipped"),
            RecordName::JobCompleted => {
                // One that others stand in the place of was never tried.
                let (job, attempt) = (record.job_id.unwrap(), record.attempt.unwrap_or(0));
                assert!(self.ended.insert((job, attempt)), "job {job} completed twice");
            }
            RecordName::JobLate => match &*record.detail {
                "max_wait" => self.reached.mark("max_wait missed"),
                _ => self.reached.mark("deadline missed"),
            },
            _ => {}
        }
    }

    /// Polls are answered. What a runner hears of is in the rows by then.
    pub(super) fn deliver(&mut self, answers: Vec<Answer>) {
        for answer in answers {
            for job in &answer.jobs {
                let lease = self.rows.jobs.get(&job.job_id).and_then(|row| row.lease());
                let token = lease.map(|lease| lease.token);
                assert_eq!(token, Some(job.lease.token), "a runner hears of what is not written");
            }
            let Some(&(process, id)) = self.polls.get(&answer.poll_id) else { continue };
            if answer.ends {
                self.polls.remove(&answer.poll_id);
            }
            if let Some(known) = self.known.runners.get_mut(&id)
                && known.is_parked(answer.poll_id.0)
            {
                let told: BTreeSet<_> = answer.jobs.iter().map(|job| job.job_id).collect();
                assert_eq!(told, known.given, "runner {id} is told of (left) what it has");
                if answer.ends {
                    if known.streams {
                        self.reached.mark("stream ended");
                    }
                    self.known.unpark(id, self.now);
                } else {
                    assert!(known.streams, "a poll of runner {id} has two answers");
                    known.given.clear();
                    if let Some(parked) = known.parked.as_mut().filter(|_| !told.is_empty()) {
                        parked.0 = self.next_poll;
                        self.next_poll += 1;
                        self.reached.mark("stream told of jobs");
                    }
                }
            }
            for token in &answer.lost {
                assert!(!self.live.values().any(|live| live == token), "{token} was not lost");
            }
            for job in &answer.jobs {
                let held = &mut self.processes[process].held;
                if !held.iter().any(|other| other.lease.token == job.lease.token) {
                    held.push(job.clone());
                }
            }
        }
    }
}
