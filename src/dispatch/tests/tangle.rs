//! Groups, limits, conditions and open workloads all at once, at random: nobody is in too many,
//! memory follows from the rows (the yard looks after each batch), and nothing waits for ever.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::yard::{Yard, job, lease, slots, workload};
use crate::dispatch::{Command, Ended, Refusal};
use crate::model::{
    AssignedJob, Decision, GroupTerms, Job, JobId, JobPriority, JobResult, JobStateKind, JobTerms,
    MatrixTerms, PendingPolicy, PlannedJob, PlannedWorkload, RetryPolicy, RunIf, RunnerId,
    WorkloadId, WorkloadTerms,
};

type Op = (u8, u8, u8);

/// The most that may be in each group, whoever comes.
const LIMITS: [(&str, u32); 3] = [("g", 1), ("h", 1), ("two", 2)];

struct Tangle {
    yard: Yard,
    runner: RunnerId,
    held: Vec<AssignedJob>,
    names: u32,
}

fn group(mix: u8) -> Option<GroupTerms> {
    let (key, limit) = *LIMITS.get(usize::from(mix % 6))?;
    let pending = match mix / 6 % 3 {
        0 => PendingPolicy::Latest,
        1 => PendingPolicy::Queue { max: 2 },
        _ => PendingPolicy::default(),
    };
    Some(GroupTerms { key: key.into(), limit, cancel_in_progress: mix > 200, pending })
}

impl Tangle {
    fn new() -> Self {
        let mut yard = Yard::new();
        let runner = yard.register("r", slots(6));
        Self { yard, runner, held: Vec::new(), names: 0 }
    }

    fn ended(&self) -> Ended {
        self.yard.workloads.values().map(|row| (row.id, row.state)).collect()
    }

    fn any_workload(&self, at: u8) -> Option<WorkloadId> {
        let ids: Vec<_> = self.yard.workloads.keys().copied().collect();
        ids.get(usize::from(at) % ids.len().max(1)).copied()
    }

    /// New jobs; what they need may be there, may come later, or never comes.
    fn jobs(&mut self, a: u8, b: u8, known: &[String], open: bool) -> Vec<PlannedJob> {
        let mut all = known.to_vec();
        let mut jobs = Vec::new();
        for at in 0..1 + a % 3 {
            let mix = a.wrapping_mul(7).wrapping_add(b).wrapping_add(at.wrapping_mul(53));
            self.names += 1;
            let name = format!("j{}", self.names);
            let mut needs: Vec<_> = all
                .iter()
                .filter(|name| mix.wrapping_add(name.len() as u8).is_multiple_of(3))
                .cloned()
                .collect();
            if open && mix.is_multiple_of(5) {
                needs.push(format!("j{}", self.names + 3 + u32::from(mix % 4)));
            }
            let run_if = match mix % 13 {
                5 => RunIf::Never,
                7 | 9 => RunIf::Decide,
                _ => [RunIf::Success, RunIf::Failure, RunIf::Always][usize::from(mix % 3)],
            };
            let needed = self.any_workload(mix).filter(|_| mix % 4 == 1);
            let key = "m".into();
            let matrix = MatrixTerms { key, max_parallel: Some(1), fail_fast: a.is_multiple_of(2) };
            let terms = JobTerms {
                run_if,
                needs_workloads: needed.into_iter().collect(),
                group: group(mix),
                matrix: (mix % 3 == 1 && known.is_empty()).then_some(matrix),
                queue_timeout_ms: (mix % 11 == 3).then_some(2_000),
                allow_failure: mix % 9 == 4,
                ..JobTerms::default()
            };
            let delay = i64::from(mix % 7 == 2) * 700;
            jobs.push(PlannedJob {
                needs,
                terms,
                priority: JobPriority::ALL[usize::from(mix % 5)],
                retry: RetryPolicy { max_retries: u32::from(mix % 2), backoff_ms: 10 },
                not_before_ms: if delay > 0 { self.yard.now.wall_ms + delay } else { 0 },
                ..job(&name)
            });
            all.push(name);
        }
        jobs
    }

    fn step(&mut self, (kind, a, b): Op) {
        match kind % 21 {
            0..=3 => {
                let open = b.is_multiple_of(3);
                let terms = WorkloadTerms {
                    group: group(b),
                    max_parallel: b.is_multiple_of(4).then_some(2),
                    fail_fast: b.is_multiple_of(5),
                    title: None,
                    report: Vec::new(),
                    succession: None,
                };
                let jobs = self.jobs(a, b, &[], open);
                let planned = PlannedWorkload { open, terms, ..workload(jobs) };
                let (workload, ended) = (Box::new(planned), self.ended());
                let submit = Command::Submit { workload, idempotency_key: None, ended };
                // Refused when a job is to wait for its own workload.
                if let Err(refusal) = self.yard.apply(submit) {
                    assert!(matches!(refusal, Refusal::Invalid(_)), "{refusal}");
                }
            }
            4 | 5 => {
                let Some(workload_id) = self.any_workload(a) else { return };
                let known = self.yard.jobs.values().filter(|job| job.workload_id == workload_id);
                let known: Vec<_> = known.map(|job| job.name.to_string()).collect();
                let jobs = self.jobs(a, b, &known, true);
                // Refused when it is not open, and when it would close a circle.
                let ended = self.ended();
                let _ = self.yard.apply(Command::Join {
                    workload_id,
                    jobs,
                    idempotency_key: None,
                    ended,
                });
            }
            6 => drop(self.any_workload(a).map(|id| self.yard.close(id))),
            7..=9 => self.take(),
            10..=12 => self.complete(a, b),
            13 => {
                let live: Vec<_> = self.yard.scheduler.durable().jobs.into_keys().collect();
                let Some(id) = live.get(usize::from(a) % live.len().max(1)) else { return };
                let _ = self.yard.cancel(*id);
            }
            14 => {
                let Some(workload_id) = self.any_workload(a) else { return };
                let (author, reason) = ("ada".into(), "enough".into());
                let _ = self.yard.apply(Command::CancelWorkload { workload_id, author, reason });
            }
            15 => {
                let Some(id) = self.any_workload(a) else { return };
                if self.yard.workloads[&id].state.is_terminal() {
                    let _ = self.yard.retry(id);
                }
            }
            16 => self.yard.pass(500),
            17 => self.yard.restart(),
            _ => self.decide(a, b),
        }
        self.check();
    }

    /// Somebody decides about a job that waits for it, or about one that does not.
    fn decide(&mut self, a: u8, b: u8) {
        let live = self.yard.scheduler.durable();
        let due: Vec<_> = live.undecided.into_iter().collect();
        let all: Vec<_> = live.jobs.into_keys().collect();
        let ids = if b.is_multiple_of(11) || due.is_empty() { &all } else { &due };
        let Some(&id) = ids.get(usize::from(a) % ids.len().max(1)) else { return };
        let mut jobs = self.jobs(a, b, &[], false);
        jobs.iter_mut().for_each(|job| job.terms.late_needs.clear());
        let decision = match b % 5 {
            0 => Decision::Skip { why: "".into() },
            1 => Decision::Expand { jobs },
            2 => Decision::Replan { job: Box::new(jobs.remove(0)) },
            3 if a.is_multiple_of(3) => Decision::Fail { why: "no".into() },
            _ => Decision::Run,
        };
        let reply = self.yard.decide(id, decision);
        assert_eq!(reply.is_ok(), due.contains(&id), "{reply:?}");
    }

    fn take(&mut self) {
        for job in self.yard.take(self.runner) {
            if !self.held.iter().any(|held| held.lease.token == job.lease.token) {
                self.yard.start(&job).expect("it was just given");
                self.held.push(job);
            }
        }
    }

    fn complete(&mut self, a: u8, b: u8) {
        if self.held.is_empty() {
            return;
        }
        let job = self.held.remove(usize::from(a) % self.held.len());
        let result =
            if b.is_multiple_of(3) { JobResult::failed("no") } else { JobResult::success() };
        let _ = self.yard.apply(Command::Complete { lease: lease(&job), result: Box::new(result) });
    }

    fn check(&self) {
        let live = self.yard.scheduler.durable();
        let mut inside: BTreeMap<&str, u32> = BTreeMap::new();
        let workloads = live.workloads.values().filter(|row| row.in_group);
        let jobs = live.jobs.values().filter(|job| job.in_group);
        let groups =
            workloads.filter_map(|row| row.group()).chain(jobs.filter_map(|job| job.group()));
        for group in groups {
            *inside.entry(&group.key).or_default() += 1;
        }
        for (key, limit) in LIMITS {
            assert!(inside.get(key).is_none_or(|count| *count <= limit), "{inside:?}");
        }
        for row in live.workloads.values() {
            let jobs = || live.jobs.values().filter(|job| job.workload_id == row.id);
            let taken = |job: &&Job| job.lease().is_some();
            let max = row.terms.as_deref().and_then(|terms| terms.max_parallel);
            assert!(max.is_none_or(|max| jobs().filter(taken).count() <= max as usize));
            assert!(jobs().filter(taken).filter(|job| job.matrix().is_some()).count() <= 1);
            let kept_back = row.waits_for_group();
            assert!(!kept_back || !jobs().any(|job| job.lease().is_some()), "{}", row.id);
        }
        let waits = |id: &JobId| {
            matches!(live.jobs[id].kind(), JobStateKind::Blocked | JobStateKind::Pending)
        };
        for id in live.jobs.keys().filter(|id| waits(id)) {
            assert_ne!(self.yard.said(*id), [""; 0], "job {id} waits unseen");
        }
    }

    /// Everybody works and people close what is open: all of it ends.
    fn finish(mut self) {
        for id in self.yard.scheduler.durable().workloads.into_keys() {
            let _ = self.yard.close(id);
        }
        for _ in 0..400 {
            if self.yard.scheduler.durable().workloads.is_empty() {
                return;
            }
            self.take();
            self.complete(0, 1);
            for id in self.yard.scheduler.durable().undecided {
                let _ = self.yard.decide(id, Decision::Run);
            }
            self.yard.pass(100);
            self.check();
        }
        panic!("{:#?} did not end", self.yard.scheduler.durable().jobs);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_tangle_keeps_its_limits_and_comes_apart(
        ops in prop::collection::vec(any::<Op>(), 1..50),
    ) {
        let mut tangle = Tangle::new();
        for op in ops {
            tangle.step(op);
        }
        tangle.finish();
    }
}
