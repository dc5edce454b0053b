//! What is told to metrics of attempts as they come and go.

use super::scheduler::Scheduler;
use crate::model::{AssignmentOutcome, JobId, Measure, PoolId, RequeueReason, RunnerId};

impl Scheduler {
    /// A job was given to a runner of the pool after this wait.
    pub(super) fn count_given(&mut self, id: JobId, pool_id: PoolId, wait_ms: i64) {
        self.waits.assigned_after(pool_id, wait_ms);
        let (priority, wait_ms) = (self.jobs[&id].row.priority, wait_ms.unsigned_abs());
        self.out.measures.push(Measure::Given { pool_id, priority, wait_ms });
    }

    /// A runner started what it was given.
    pub(super) fn count_started(&mut self, runner_id: RunnerId) {
        let (pool_id, outcome) = (self.pool_of(runner_id), AssignmentOutcome::Started);
        self.out.measures.push(Measure::Became { pool_id, outcome });
    }

    /// An attempt ended, `ran_ms` after its start if it had started. Returns the runner's pool.
    pub(super) fn count_ended(
        &mut self,
        runner_id: RunnerId,
        ran_ms: Option<i64>,
        reason: Option<RequeueReason>,
    ) -> PoolId {
        let pool_id = self.pool_of(runner_id);
        self.out.measures.push(match ran_ms {
            // A clock that was set back makes no negative time.
            Some(ms) => Measure::Ran { pool_id, run_ms: ms.max(0).unsigned_abs() },
            None => Measure::Became { pool_id, outcome: AssignmentOutcome::of_unstarted(reason) },
        });
        pool_id
    }

    /// The pool of a runner that has a job.
    fn pool_of(&self, id: RunnerId) -> PoolId {
        self.runners.get(id).map_or(PoolId::DEFAULT, |runner| runner.row.pool_id)
    }
}
