//! Which decision each command asks for.

use super::command::{Command, Refusal, Reply, Verdict};
use super::scheduler::Scheduler;
use crate::model::{Entropy, Now};

impl Scheduler {
    /// Decides one command.
    ///
    /// # Errors
    ///
    /// A [`Refusal`]; the command then changed nothing but what the runner is known to be alive.
    pub fn apply(
        &mut self,
        now: Now,
        command: Command,
        verdict: Verdict,
        entropy: &mut dyn Entropy,
    ) -> Result<Reply, Refusal> {
        let reply = match command {
            Command::Deliver(deliver) => self.deliver(now, *deliver, verdict),
            Command::Fire(fire) => self.fire(now, *fire, verdict),
            Command::ForgetSchedules(names) => Ok(self.forget_schedules(&names)),
            Command::Submit { workload, idempotency_key, ended } => {
                self.submit(now, *workload, idempotency_key, &ended, verdict)
            }
            Command::Join { workload_id, jobs, idempotency_key, ended } => {
                self.join(now, workload_id, jobs, idempotency_key, &ended, verdict)
            }
            Command::Close { workload_id, author } => self.close(now, workload_id, &author),
            Command::Register(register) => self.register(now, *register),
            Command::Poll(poll) => self.poll(now, *poll, false),
            Command::Stream(poll) => self.poll(now, *poll, true),
            Command::PollGone(poll_id) => self.poll_gone(now, poll_id),
            Command::Undelivered(tokens) => self.undelivered(now, &tokens),
            Command::Start(lease) => self.start(now, lease),
            Command::Heartbeat { runner_id, leases, capabilities, current_jobs } => {
                self.heartbeat(now, runner_id, &leases, capabilities, current_jobs)
            }
            Command::Complete { lease, result } => self.complete(now, lease, *result, entropy),
            Command::Refer { lease, external_ref } => self.refer(now, lease, external_ref),
            Command::Release { lease, reason, why } => {
                self.release(now, lease, reason, why.as_deref())
            }
            Command::Tried { lease, what } => self.tried(now, lease, &what),
            Command::OrderRunner { fleet, token_hash } => {
                self.order_runner(now, &fleet, token_hash)
            }
            Command::RetireRunner { runner_id, why, dead } => {
                self.retire_runner(now, runner_id, &why, dead)
            }
            Command::RunnerGone(runner_id) => self.runner_gone(now, runner_id),
            Command::FleetStands { fleet, trouble } => Ok(self.fleet_stands(now, &fleet, trouble)),
            Command::ExecutorStands { executor, state } => {
                self.executor_stands(now, &executor, state)
            }
            Command::PatchRunner { runner_id, capabilities, cordoned, draining, author } => {
                self.patch_runner(now, runner_id, capabilities, cordoned, draining, author)
            }
            Command::PatchPool { pool_id, cordoned, draining, author } => {
                self.patch_pool(now, pool_id, cordoned, draining, &author)
            }
            Command::Deregister(runner_id) => self.deregister(now, runner_id),
            Command::CancelJob { job_id, author, reason } => {
                self.cancel_job(now, job_id, &author, &reason)
            }
            Command::CancelWorkload { workload_id, author, reason } => {
                self.cancel_workload(now, workload_id, &author, &reason)
            }
            Command::Requeue { job_id, avoid_runner, author, reason } => {
                self.requeue(now, job_id, avoid_runner, &author, &reason)
            }
            Command::Retry { workload_id, archived, ended, author } => {
                self.retry(now, workload_id, archived, &ended, author)
            }
            Command::Prioritise { job_id, priority, author } => {
                self.prioritise(now, job_id, priority, author)
            }
            Command::MoveToFront { job_id, author } => self.move_to_front(now, job_id, author),
            Command::Pause(pause) => self.set_pause(now, pause),
            Command::Resume { scope, author } => self.lift_pause(now, scope, author),
            Command::TrainModel { runs, author } => Ok(self.train_model(now, runs, author)),
            Command::ResetModel { author } => Ok(self.reset_model(now, author)),
            Command::Prune(prune) => self.prune(now, *prune),
            Command::OutboxTold(told) => self.outbox_told(*told),
            Command::RetryOutbox(ids) => self.retry_outbox(now, ids),
            Command::AnswerHeld(answer) => self.answer_held(now, *answer),
            Command::Decide { job_id, run, decision } => self.decide(now, job_id, run, decision),
            Command::Session(command) => self.session_command(now, command, &verdict),
        };
        self.drain(now);
        reply
    }
}
