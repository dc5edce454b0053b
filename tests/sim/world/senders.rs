//! Senders: new workloads, jobs that join open ones, and the end of that.

use std::collections::BTreeSet;

use dispatchyard::dispatch::{Command, Ended, Refusal, Reply};
use dispatchyard::model::{Job, JobStateKind, PlannedJob, PlannedWorkload, TenantId, WorkloadId};

use super::World;
use crate::shapes::{self, Beside};

impl World {
    pub(super) fn submit(&mut self) {
        let live = self.rows.workloads.keys();
        let done = self.rows.done_workloads.keys().rev().take(3);
        let workloads: Vec<_> = live.chain(done).copied().collect();
        let beside = Beside {
            wall_ms: self.now.wall_ms,
            workloads: &workloads,
            names: Vec::new(),
            open: self.dice.once_in(5),
            matrix: self.dice.once_in(4).then(|| shapes::matrix(&mut self.dice)),
        };
        let mut workload = shapes::workload(&mut self.dice, beside);
        self.add_conditions(&mut workload.jobs);
        let tenant_id = workload.tenant_id;
        // Time may have ended some of them before the command is heard.
        self.idle_batch();
        let full = self.full(tenant_id, workload.jobs.len());
        match self.send_submission(&workload, self.dice.clone().once_in(2)) {
            Ok(reply) => {
                let Reply::Submitted { workload_id, .. } = reply else { panic!("{reply:?}") };
                assert_eq!(full, [false; 2], "taken over a limit");
                self.judge_rows(workload_id, &workload);
            }
            Err(Refusal::Invalid(text)) if text.contains("wait for each other") => {
                assert!(workload.open, "{text}");
                self.reached.mark("refused as a circle");
            }
            Err(refusal) => self.judge_refusal(refusal, full),
        }
    }

    /// The named circle of waits: one workload is in a group that the job of another needs, and the
    /// reverse.
    pub(crate) fn tangle(&mut self) {
        for workload in shapes::tangled() {
            let reply = self.send_submission(&workload, true).expect("there is room");
            let Reply::Submitted { workload_id, .. } = reply else { panic!("{reply:?}") };
            self.judge_rows(workload_id, &workload);
            self.check();
        }
    }

    /// Sends it, at first perhaps without saying how the workloads ended that it needs.
    fn send_submission(
        &mut self,
        workload: &PlannedWorkload,
        says: bool,
    ) -> Result<Reply, Refusal> {
        let submit = |ended: Ended| Command::Submit {
            workload: Box::new(workload.clone()),
            idempotency_key: None,
            ended,
        };
        if says {
            return self.send(submit(self.ended()));
        }
        let refusal = match self.send(submit(Vec::new())) {
            Err(Refusal::LookUp(ids)) => ids,
            other => return other,
        };
        let needed = workload.jobs.iter().flat_map(|job| &job.terms.needs_workloads);
        let ended = needed.filter(|id| !self.rows.workloads.contains_key(*id));
        let ended: BTreeSet<_> = ended.copied().collect();
        assert_eq!(refusal.into_iter().collect::<BTreeSet<_>>(), ended, "what was to be said");
        self.reached.mark("asked how a need ended");
        self.send(submit(self.ended()))
    }

    /// Whether so many jobs more of a tenant are too many for the queue, and for the tenant.
    fn full(&self, tenant_id: TenantId, jobs: usize) -> [bool; 2] {
        let waits =
            |job: &&Job| matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending);
        let waiting: Vec<_> = self.rows.jobs.values().filter(waits).collect();
        let own = waiting.iter().filter(|job| job.tenant_id == tenant_id).count();
        let queued_max = self.settings.tenants.get(&tenant_id).and_then(|it| it.queued_max);
        [
            waiting.len() + jobs > self.settings.queue_jobs_max as usize,
            queued_max.is_some_and(|max| own + jobs > max as usize),
        ]
    }

    fn judge_refusal(&mut self, refusal: Refusal, [all_full, own_full]: [bool; 2]) {
        match refusal {
            Refusal::TooMany { limit: "classes_max", .. } => {}
            Refusal::TooMany { limit, .. } => {
                let full = if limit == "queued_max" { own_full } else { all_full };
                assert!(full, "refused under the limit {limit}");
                self.reached.mark("refused over a limit");
            }
            other => panic!("{other}"),
        }
    }

    /// The rows of new jobs say what was asked for. A job that ended at once has its row too.
    fn judge_rows(&self, id: WorkloadId, planned: &PlannedWorkload) {
        let live = self.rows.workloads.get(&id);
        let row = live.or_else(|| self.rows.done_workloads.get(&id)).expect("it was accepted");
        assert_eq!(row.terms, planned.terms.clone().boxed(), "terms of workload {id}");
        let all = self.rows.jobs.values().chain(self.rows.done_jobs.values());
        let jobs: Vec<_> = all.filter(|job| job.workload_id == id).collect();
        self.judge_jobs(&jobs, &planned.jobs);
    }

    fn judge_jobs(&self, jobs: &[&Job], planned: &[PlannedJob]) {
        for plan in planned {
            let job = jobs.iter().find(|job| *job.name == *plan.name).expect("it was accepted");
            let needs = self.rows.needs_of(job.id).iter();
            let mut needs: BTreeSet<_> =
                needs.map(|need| String::from(&*self.rows.any_job(*need).name)).collect();
            needs.extend(job.late_needs().iter().map(|name| String::from(&**name)));
            assert_eq!(needs, plan.needs.iter().cloned().collect(), "needs of job {}", job.id);
            let said = (job.timeout_ms, job.max_retries, job.backoff_ms);
            let asked = (plan.timeout_ms, plan.retry.max_retries, plan.retry.backoff_ms);
            assert_eq!(said, asked, "what job {} asked for", job.id);
            assert_eq!(job.priority, plan.priority, "priority of job {}", job.id);
        }
    }

    /// How all workloads ended that have.
    pub(super) fn ended(&self) -> Ended {
        self.rows.done_workloads.values().map(|row| (row.id, row.state)).collect()
    }

    fn some_workload(&mut self, open: bool) -> Option<WorkloadId> {
        let rows = self.rows.workloads.values().filter(|row| row.open || !open);
        let ids: Vec<_> = rows.map(|row| row.id).collect();
        (!ids.is_empty()).then(|| self.dice.pick(&ids))
    }

    /// Jobs for an open workload; they may close a circle, or be too many.
    pub(super) fn join(&mut self) {
        let anything = self.dice.once_in(8);
        let Some(workload_id) = self.some_workload(!anything) else { return };
        let workloads: Vec<_> = self.rows.workloads.keys().copied().collect();
        let known = self.rows.jobs.values().filter(|job| job.workload_id == workload_id);
        let known: Vec<_> = known.collect();
        let beside = Beside {
            wall_ms: self.now.wall_ms,
            workloads: &workloads,
            names: known.iter().map(|job| job.name.to_string()).collect(),
            open: true,
            matrix: known.iter().find_map(|job| job.matrix().cloned()),
        };
        let mut jobs = shapes::jobs(&mut self.dice, 1, 2, beside);
        self.add_conditions(&mut jobs);
        self.idle_batch();
        let Some(row) = self.rows.workloads.get(&workload_id) else { return };
        let (open, tenant_id) = (row.open, row.tenant_id);
        let own = row.group().map(|group| group.key.clone());
        let in_own_group = own.is_some_and(|own| {
            let mut groups = jobs.iter().filter_map(|job| job.terms.group.as_ref());
            groups.any(|group| group.key == own)
        });
        let full = self.full(tenant_id, jobs.len());
        let ended = self.ended();
        match self.send(Command::Join {
            workload_id,
            jobs: jobs.clone(),
            idempotency_key: None,
            ended,
        }) {
            Ok(reply) => {
                let Reply::Joined { jobs: ids, .. } = reply else { panic!("{reply:?}") };
                assert!(open && full == [false; 2] && !in_own_group, "jobs joined all the same");
                let rows: Vec<_> = ids.iter().map(|id| self.rows.any_job(*id)).collect();
                self.judge_jobs(&rows, &jobs);
                self.reached.mark("joined");
            }
            Err(Refusal::WrongState(text)) if text.contains("share the fate") => {
                self.reached.mark("join refused after a failure");
            }
            Err(Refusal::WrongState(_)) => assert!(!open, "an open workload refused a job"),
            Err(Refusal::Invalid(text)) if text.contains("wait for each other") => {
                self.reached.mark("refused as a circle");
            }
            Err(Refusal::Invalid(text)) if text.contains("it would wait for its workload") => {
                assert!(in_own_group, "{text}");
                self.reached.mark("refused in its workload's group");
            }
            Err(Refusal::Invalid(text)) => assert!(text.contains("workload_jobs_max"), "{text}"),
            Err(refusal) => self.judge_refusal(refusal, full),
        }
    }

    pub(super) fn close(&mut self) {
        let Some(workload_id) = self.some_workload(true) else { return };
        self.close_it(workload_id);
    }

    fn close_it(&mut self, workload_id: WorkloadId) {
        let author = "op".into();
        // Time may have ended it just before.
        self.idle_batch();
        if self.rows.workloads.get(&workload_id).is_some_and(|row| row.open) {
            self.send(Command::Close { workload_id, author }).expect("it is open");
            self.reached.mark("closed");
        }
    }

    pub(super) fn close_all(&mut self) {
        let open = self.rows.workloads.values().filter(|row| row.open).map(|row| row.id);
        for id in open.collect::<Vec<_>>() {
            self.close_it(id);
        }
    }
}
