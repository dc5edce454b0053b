//! Whoever decides about jobs when everything that they need has ended: some steps later, now and then
//! about one that does not wait for it. By dice of its own, so that worlds without conditions stay as they
//! are.

use std::collections::BTreeSet;

use dispatchyard::dispatch::{Command, Output, Refusal};
use dispatchyard::model::{
    Change, Decision, EndReason, Job, JobId, JobStateKind, PlannedJob, RunIf,
};

use super::World;
use crate::dice::Dice;
use crate::gates;
use crate::shapes::{self, Beside};

/// Conditions of a world.
pub(crate) struct Conditions {
    dice: Dice,
    /// Jobs that were told as undecided, as long as they are.
    told: BTreeSet<JobId>,
}

impl Conditions {
    pub(crate) fn new(seed: u64) -> Self {
        Self { dice: Dice(seed.rotate_left(17) ^ 0x636f_6e64), told: BTreeSet::new() }
    }
}

impl World {
    /// Some of the jobs that are sent have conditions, or may fail.
    pub(super) fn add_conditions(&mut self, jobs: &mut [PlannedJob]) {
        let Some(Conditions { dice, .. }) = &mut self.conditions else { return };
        for job in jobs {
            if dice.once_in(3) {
                job.terms.run_if =
                    dice.pick(&[RunIf::Decide, RunIf::Decide, RunIf::Decide, RunIf::Never]);
            }
            job.terms.allow_failure = dice.once_in(5);
        }
    }

    /// Jobs that wait for nothing but a decision, by the rows.
    fn due(&self) -> BTreeSet<JobId> {
        let waits = |job: &&Job| {
            job.kind() == JobStateKind::Blocked
                && job.run_if() == RunIf::Decide
                && gates::needs(&self.rows, job).all_ended()
        };
        self.rows.jobs.values().filter(waits).map(|job| job.id).collect()
    }

    /// What was told is remembered; nothing is told twice while it is so.
    pub(super) fn hear_undecided(&mut self, output: &Output) {
        let Some(conditions) = &mut self.conditions else {
            assert_eq!(output.undecided, [], "nobody has a condition");
            return;
        };
        for id in &output.undecided {
            assert!(conditions.told.insert(*id), "job {id} was told twice");
        }
        for change in &output.changes {
            if let Change::JobReplanned { job, .. } = change {
                self.known.came_anew(job.id);
            }
        }
    }

    /// After a load all that are due are told again.
    pub(super) fn hear_loaded(&mut self, output: &Output) {
        if let Some(conditions) = &mut self.conditions {
            conditions.told.clear();
        }
        self.hear_undecided(output);
        self.follow_undecided();
    }

    /// Everybody who is due was told, by the rows after a commit.
    pub(super) fn follow_undecided(&mut self) {
        let due = self.due();
        let Some(conditions) = &mut self.conditions else { return };
        conditions.told.retain(|id| due.contains(id));
        assert_eq!(conditions.told, due, "who is due (right) was not told");
    }

    /// Somebody decides.
    pub(super) fn conditions_go_on(&mut self) {
        let Some(Conditions { dice, told }) = &mut self.conditions else { return };
        if !dice.once_in(3) {
            return;
        }
        let told: Vec<_> = told.iter().copied().collect();
        if told.is_empty() || dice.once_in(9) {
            return self.decide_too_late();
        }
        let id = dice.pick(&told);
        let decision = self.some_decision(id);
        self.decide(id, decision);
    }

    /// About a job that waits for no decision, or of a run that is over.
    fn decide_too_late(&mut self) {
        self.idle_batch();
        let due = self.due();
        let Some(conditions) = &mut self.conditions else { return };
        let ids: Vec<_> = self.rows.jobs.keys().copied().collect();
        if ids.is_empty() {
            return;
        }
        let job_id = conditions.dice.pick(&ids);
        let run = self.rows.workloads[&self.rows.jobs[&job_id].workload_id].run;
        let run = if due.contains(&job_id) { run + 1 } else { run };
        let reply = self.send(Command::Decide { job_id, run, decision: Decision::Run });
        assert_eq!(reply, Err(Refusal::Superseded(job_id)));
        self.reached.mark("decided too late");
    }

    fn decide(&mut self, job_id: JobId, decision: Decision) {
        self.idle_batch();
        let Some(job) = self.rows.jobs.get(&job_id).filter(|_| self.due().contains(&job_id)) else {
            return;
        };
        let run = self.rows.workloads[&job.workload_id].run;
        let expands = matches!(decision, Decision::Expand { .. });
        let before = self.rows.marks.next_job;
        match self.send(Command::Decide { job_id, run, decision }) {
            Ok(_) => {}
            // The accepted has room in the queue; its new requirements may have to wait.
            Err(Refusal::TooMany { limit: "classes_max", .. }) => {
                assert!(self.due().contains(&job_id), "job {job_id} was not decided");
                return self.reached.mark("no room for a decision");
            }
            Err(other) => panic!("job {job_id} is due: {other}"),
        }
        let made = (before..self.rows.marks.next_job).map(JobId).collect();
        self.judge_place(job_id, &made);
        self.reached.mark(match self.rows.any_job(job_id).kind() {
            JobStateKind::Blocked => panic!("job {job_id} was decided and is blocked"),
            JobStateKind::Skipped => "condition false",
            JobStateKind::Completed if expands => "matrix expanded",
            JobStateKind::Failed if expands => "matrix refused",
            JobStateKind::Failed => "could not be planned",
            _ => "condition true",
        });
    }

    /// Those that stand in the place of a job need what it needed, and are needed by whoever needs it.
    fn judge_place(&self, place: JobId, made: &BTreeSet<JobId>) {
        let own: BTreeSet<_> = self.rows.needs_of(place).iter().copied().collect();
        for id in made {
            let needs: BTreeSet<_> = self.rows.needs_of(*id).iter().copied().collect();
            assert!(needs.is_superset(&own), "job {id} does not need what job {place} needed");
        }
        // One of them may name the job itself.
        let others = self.rows.needs.iter().filter(|(id, _)| !made.contains(*id));
        for (id, needs) in others.filter(|(_, needs)| needs.contains(&place)) {
            let needs: BTreeSet<_> = needs.iter().copied().collect();
            assert!(needs.is_superset(made), "job {id} needs job {place}, and not its matrix");
        }
    }

    fn some_decision(&mut self, id: JobId) -> Decision {
        let job = &self.rows.jobs[&id];
        let of = |it: &&Job| it.workload_id == job.workload_id;
        let known: Vec<_> = self.rows.jobs.values().filter(of).collect();
        let names: Vec<_> = known.iter().map(|job| job.name.to_string()).collect();
        let matrix = known.iter().find_map(|job| job.matrix().cloned());
        let wall_ms = self.now.wall_ms;
        let Some(Conditions { dice, .. }) = &mut self.conditions else { return Decision::Run };
        let beside = Beside { wall_ms, workloads: &[], names, open: false, matrix };
        match dice.roll(9) {
            0..=2 => Decision::Run,
            3 => Decision::Skip { why: "no".into() },
            4 => Decision::Fail { why: "no".into() },
            5 => {
                let mut job = shapes::jobs(dice, 1, 1, beside).remove(0);
                job.terms.run_if = RunIf::Decide;
                Decision::Replan { job: Box::new(job) }
            }
            _ => {
                let mut jobs = shapes::jobs(dice, 1, 3, beside);
                // Most name nobody: who needs the job would be a circle.
                if !dice.once_in(4) {
                    let own: BTreeSet<_> = jobs.iter().map(|job| job.name.clone()).collect();
                    jobs.iter_mut().for_each(|job| job.needs.retain(|name| own.contains(name)));
                }
                for job in &mut jobs {
                    job.terms.run_if = dice.pick(&[RunIf::Always, RunIf::Success, RunIf::Decide]);
                }
                Decision::Expand { jobs }
            }
        }
    }

    /// Everybody who waits for it may run.
    pub(super) fn decide_all(&mut self) {
        for id in self.due() {
            self.decide(id, Decision::Run);
        }
    }

    /// A job ended by what was decided, or because it never runs.
    pub(super) fn judge_decided(&mut self, old: Option<&Job>, job: &Job, reason: EndReason) {
        let id = job.id;
        let needs = gates::needs(&self.rows, job);
        let was_due = old.is_some_and(|old| old.run_if() == RunIf::Decide);
        assert!(needs.all_ended(), "job {id} was decided too soon");
        match reason {
            EndReason::ConditionFalse if job.run_if() == RunIf::Never => {
                self.reached.mark("never ran");
            }
            EndReason::ConditionFalse => assert!(was_due, "job {id} has no condition"),
            EndReason::Unplannable => assert!(was_due, "job {id} was planned"),
            _ => {
                // It may have run in a run before, as something else.
                assert!(was_due, "job {id} is no placeholder");
                let made = self.rows.jobs.keys().chain(self.rows.done_jobs.keys());
                assert!(made.max() > Some(&id), "nobody stands in the place of job {id}");
            }
        }
    }
}
