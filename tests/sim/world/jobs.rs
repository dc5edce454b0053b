//! Whoever asks for something about a job or a workload that there is.

use dispatchyard::dispatch::Command;
use dispatchyard::model::{JobId, JobPriority, JobStateKind, WorkloadId};

use super::World;

impl World {
    pub(super) fn some_job(&mut self) -> Option<JobId> {
        let jobs: Vec<_> = self.rows.jobs.keys().copied().collect();
        (!jobs.is_empty()).then(|| self.dice.pick(&jobs))
    }

    pub(super) fn cancel(&mut self) {
        let Some(mut job_id) = self.some_job() else { return };
        let runs = self.rows.jobs.values().find(|job| job.kind() == JobStateKind::Running);
        if let Some(job) = runs.filter(|_| self.dice.once_in(3)) {
            job_id = job.id;
        }
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
            let command = Command::Requeue { job_id, avoid_runner, author, reason };
            if self.send(command).is_ok() {
                self.reached.mark("requeued from a runner");
            }
            return;
        }
        let done: Vec<WorkloadId> = self.rows.done_workloads.keys().copied().collect();
        if done.is_empty() {
            return;
        }
        let workload_id = self.dice.pick(&done);
        let archived = self.rows.archived(workload_id).map(Box::new);
        let ended = self.ended();
        if self.send(Command::Retry { workload_id, archived, ended, author }).is_ok() {
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
