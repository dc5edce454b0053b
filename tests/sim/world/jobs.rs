//! Senders and whoever asks for something about a job.

use dispatchyard::dispatch::{Command, Refusal};
use dispatchyard::model::{
    JobId, JobPriority, JobStateKind, PlannedWorkload, WorkloadId, WorkloadKind,
};

use super::World;
use crate::setup;

impl World {
    pub(super) fn submit(&mut self) {
        let jobs = 1 + self.dice.roll(4) as usize;
        let wall_ms = self.now.wall_ms;
        let tenant_id = self.dice.pick(&setup::TENANTS);
        let workload = PlannedWorkload {
            kind: WorkloadKind::Workflow,
            name: "w".into(),
            trigger: self.dice.pick(&setup::TRIGGERS).to_owned(),
            tenant_id,
            session_key: None,
            terms: Default::default(),
            open: false,
            jobs: (0..jobs).map(|at| setup::job(&mut self.dice, at, wall_ms)).collect(),
        };
        let waits = |job: &&dispatchyard::model::Job| {
            matches!(job.kind(), JobStateKind::Blocked | JobStateKind::Pending)
        };
        // Time may have ended some of them before the command is heard.
        self.idle_batch();
        let waiting: Vec<_> = self.rows.jobs.values().filter(waits).collect();
        let own = waiting.iter().filter(|job| job.tenant_id == tenant_id).count();
        let all_full = waiting.len() + jobs > self.settings.queue_jobs_max as usize;
        let queued_max = self.settings.tenants.get(&tenant_id).and_then(|it| it.queued_max);
        let own_full = queued_max.is_some_and(|max| own + jobs > max as usize);
        let command = Command::Submit {
            workload: Box::new(workload),
            idempotency_key: None,
            ended: Vec::new(),
        };
        match self.send(command) {
            Ok(_) => assert!(!all_full && !own_full, "taken over a limit"),
            Err(Refusal::TooMany { limit: "classes_max", .. }) => {}
            Err(Refusal::TooMany { limit, .. }) => {
                let full = if limit == "queued_max" { own_full } else { all_full };
                assert!(full, "refused under the limit {limit}");
                self.reached.mark("refused over a limit");
            }
            Err(other) => panic!("{other}"),
        }
    }

    pub(super) fn some_job(&mut self) -> Option<JobId> {
        let jobs: Vec<_> = self.rows.jobs.keys().copied().collect();
        (!jobs.is_empty()).then(|| self.dice.pick(&jobs))
    }

    pub(super) fn cancel(&mut self) {
        let Some(job_id) = self.some_job() else { return };
        let running = self.rows.jobs[&job_id].kind() == JobStateKind::Running;
        let (author, reason) = ("op".into(), "sim".into());
        let command = if self.dice.once_in(3) {
            let workload_id = self.rows.jobs[&job_id].workload_id;
            Command::CancelWorkload { workload_id, author, reason }
        } else {
            Command::CancelJob { job_id, author, reason }
        };
        if self.send(command).is_ok() && running {
            self.reached.mark("cancelled while running");
        }
    }

    pub(super) fn requeue_or_retry(&mut self) {
        let author: Box<str> = "op".into();
        if self.dice.once_in(2) {
            let Some(job_id) = self.some_job() else { return };
            let avoid_runner = self.dice.once_in(2);
            let reason = "sim".into();
            let _ = self.send(Command::Requeue { job_id, avoid_runner, author, reason });
            return;
        }
        let done: Vec<WorkloadId> = self.rows.done_workloads.keys().copied().collect();
        if done.is_empty() {
            return;
        }
        let workload_id = self.dice.pick(&done);
        let archived = self.rows.archived(workload_id).map(Box::new);
        if self.send(Command::Retry { workload_id, archived, ended: Vec::new(), author }).is_ok() {
            self.reached.mark("retried by hand");
        }
    }

    /// Somebody changes a priority or moves a job to the front.
    pub(super) fn reorder(&mut self) {
        let Some(job_id) = self.some_job() else { return };
        let author: Box<str> = "op".into();
        if self.dice.once_in(2) {
            let priority = self.dice.pick(&JobPriority::ALL);
            if self.send(Command::Prioritise { job_id, priority, author }).is_ok() {
                self.reached.mark("priority changed");
            }
        } else if self.send(Command::MoveToFront { job_id, author }).is_ok() {
            self.reached.mark("moved to the front");
        }
    }
}
