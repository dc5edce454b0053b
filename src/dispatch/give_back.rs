//! A job that comes back from a runner without having been worked on to its end.

use super::command::{Refusal, Reply};
use super::scheduler::Scheduler;
use crate::model::{JobStateKind, LeaseRef, LeaseToken, Now, RequeueReason};

impl Scheduler {
    pub(super) fn release(
        &mut self,
        now: Now,
        lease: LeaseRef,
        reason: RequeueReason,
        why: Option<&str>,
    ) -> Result<Reply, Refusal> {
        if reason.charges_the_job()
            || matches!(reason, RequeueReason::Manual | RequeueReason::LeaseLost)
        {
            let text = format!(
                "`{}` is no reason to give a job back: drained, runner_lost, evicted, \
                 executor_unavailable or preempted",
                reason.as_str()
            );
            return Err(Refusal::Invalid(text.into()));
        }
        let job_id = self.checked(lease)?;
        self.touch(now, lease.runner_id);
        // An executor that is away is asked less and less often, so it needs no bound here; and work
        // that waits for it must not fail for that.
        let away = reason == RequeueReason::ExecutorUnavailable && self.is_push(lease.runner_id);
        let why = why.unwrap_or("given back by the runner");
        self.lose(now, job_id, reason, reason.is_infrastructure() && !away, why);
        Ok(Reply::Done)
    }

    pub(super) fn undelivered(
        &mut self,
        now: Now,
        tokens: &[LeaseToken],
    ) -> Result<Reply, Refusal> {
        for token in tokens {
            let Some(job_id) = self.leases.get(*token).map(|live| live.owner.job_id) else {
                continue;
            };
            // Started all the same: the runner heard of it by a repeated poll.
            if self.jobs[&job_id].row.kind() == JobStateKind::Claimed {
                let why = "the answer could not be delivered to the runner; it never started";
                self.lose(now, job_id, RequeueReason::RunnerLost, false, why);
            }
        }
        Ok(Reply::Done)
    }
}
