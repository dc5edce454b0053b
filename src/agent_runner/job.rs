//! One attempt, from its assignment to the answer to its end, as small steps over one struct.
//!
//! ```text
//! start ──> prepare ──> work ∥ ship the log ──> sweep ──> complete | release | nothing
//! ```
//!
//! Orders reach it at every point where it waits. What has not been answered is repeated until it
//! is, unless the lease is lost or the runner is forced to leave.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, watch};

use crate::api::wire::{Assignment, CompleteRequest, HeldLease, JobContext};
use crate::clock::lease_proof;
use crate::model::{AttemptOutcome, JobResult, RequeueReason, TrustLevel};

use super::attempt_folder::{AttemptFolder, MARKER};
use super::environment;
use super::event_files::{self, PrepareError};
use super::http::CallError;
use super::leftovers;
use super::logship::{self, Shipped};
use super::outputs;
use super::secrets::Secrets;
use super::shared::Shared;
use super::spool::Spool;
use super::steps::{Setting, Steps, Work, WorkEnd, millis, outputs_to_send};
use super::table::{Membership, Order, ordered};
use super::workspace_lock::WorkspaceLock;

/// The attempt and its place in the table, which it leaves last of all.
pub(super) struct Attempt {
    shared: Arc<Shared>,
    job: Assignment,
    held: HeldLease,
    /// What this job must not show: the runner's secrets, and those that it names itself.
    secrets: Arc<Secrets>,
    orders: watch::Receiver<Order>,
    _place: Membership,
}

/// What is to be said to the server.
#[derive(Debug)]
enum End {
    Finished(JobResult),
    GiveBack(RequeueReason),
    Forget,
}

impl Attempt {
    pub(super) fn new(
        shared: Arc<Shared>,
        job: Assignment,
        orders: watch::Receiver<Order>,
        place: Membership,
    ) -> Self {
        let held = HeldLease { lease: job.lease, nonce: job.nonce };
        let secrets = Secrets::under(&shared.secrets);
        Self { shared, job, held, secrets, orders, _place: place }
    }

    /// Carries the attempt out.
    pub(super) async fn run(mut self) {
        let end = match self.slot().await {
            Ok(_held) => match self.start().await {
                Ok(context) => self.carry_out(&context).await,
                Err(end) => end,
            },
            Err(end) => end,
        };
        // The slot is free by now: a stream gives it away before the answer to this is here.
        self.conclude(end).await;
    }

    /// Waits for a slot. There is one, unless the server has ended a lease whose work is still being
    /// stopped here.
    async fn slot(&mut self) -> Result<OwnedSemaphorePermit, End> {
        let patience = millis(self.job.ack_window_ms / 2);
        let order = tokio::select! {
            slot = Arc::clone(&self.shared.slots).acquire_owned() => match slot {
                Ok(slot) => return Ok(slot),
                // Nobody closes it.
                Err(_) => Order::GiveBack,
            },
            order = ordered(&mut self.orders, Order::GiveBack) => order,
            () = tokio::time::sleep(patience) => {
                tracing::warn!(job_id = %self.job.job_id, "no room for this job: it is given back");
                Order::GiveBack
            }
        };
        Err(stopped(order, cancelled()))
    }

    /// Asks what to do. A lease that waited too long is told so by the server.
    async fn start(&mut self) -> Result<JobContext, End> {
        let order = tokio::select! {
            answer = self.shared.client.start(&self.held) => {
                return answer.map_err(|error| self.cannot_start(&error));
            }
            order = ordered(&mut self.orders, Order::GiveBack) => order,
        };
        Err(stopped(order, cancelled()))
    }

    fn cannot_start(&self, error: &CallError) -> End {
        tracing::warn!(job_id = %self.job.job_id, attempt = self.job.attempt, %error,
            "cannot start a job");
        match error {
            CallError::LeaseLost => End::Forget,
            _ => End::GiveBack(RequeueReason::ExecutorUnavailable),
        }
    }

    /// Does the work and ships its log, in a folder of its own.
    async fn carry_out(&mut self, context: &JobContext) -> End {
        tracing::info!(job_id = %self.job.job_id, attempt = self.job.attempt,
            name = self.job.name, "job started");
        let (jobs, options) = (self.shared.folder.jobs(), &self.shared.options);
        let (id, attempt) = (self.job.job_id, self.job.attempt);
        let key = format!("{}/{id}-{attempt}/{}", self.shared.instance_id, self.job.lease);
        // What a stranger left there would be carried out by the next job.
        let is_trusted = context.trust.level == TrustLevel::Trusted;
        let kept = is_trusted.then(|| self.shared.folder.kept_workspace(options, &self.job.units));
        let folder = match AttemptFolder::create(&jobs, id, attempt, key, kept.flatten()).await {
            Ok(folder) => folder,
            Err(error) => return self.cannot_prepare(&error.into()),
        };
        let (clock, secrets) = (Arc::clone(&self.shared.clock), Arc::clone(&self.secrets));
        let spool = Spool::create(folder.file("log"), clock, options.log_bytes_max, secrets).await;
        let end = match spool {
            Ok(spool) => self.work_and_ship(context, &folder, &Arc::new(spool)).await,
            Err(error) => self.cannot_prepare(&error.into()),
        };
        if let Err(error) = folder.close(options.keep_workspaces).await {
            tracing::warn!(job_id = %id, attempt, %error, "cannot remove an attempt's folder");
        }
        end
    }

    fn cannot_prepare(&self, error: &PrepareError) -> End {
        tracing::error!(job_id = %self.job.job_id, attempt = self.job.attempt, %error,
            "cannot prepare a job: it is given back");
        match error {
            PrepareError::Payload(CallError::LeaseLost) => End::Forget,
            _ => End::GiveBack(RequeueReason::ExecutorUnavailable),
        }
    }

    async fn work_and_ship(
        &self,
        context: &JobContext,
        folder: &AttemptFolder,
        spool: &Arc<Spool>,
    ) -> End {
        let work = async {
            let end = self.work(context, folder, spool).await;
            spool.close();
            end
        };
        let ship = async {
            let shipped = tokio::select! {
                shipped = logship::ship(&self.shared, &self.held, spool) => shipped,
                () = self.no_more_time(spool) => Shipped::Refused,
            };
            if shipped == Shipped::LeaseLost {
                self.shared.table.order(self.held.lease, Order::Forget);
            }
        };
        tokio::join!(work, ship).0
    }

    /// Prepares, runs the steps, kills what they left behind, collects their outputs.
    async fn work(&self, context: &JobContext, folder: &AttemptFolder, spool: &Arc<Spool>) -> End {
        let mut orders = self.orders.clone();
        let mut deadline = Box::pin(tokio::time::sleep(millis(self.job.timeout_ms)));
        let mut own = environment::job_values(&self.job, context, &self.shared.options.name);
        own.insert(MARKER.to_owned(), folder.key().into());
        let proof = lease_proof(self.job.lease, self.job.nonce);
        own.insert("DISPATCHYARD_CAUSE".to_owned(), proof.into());
        let work = Work { shared: &self.shared, job: &self.job, context, folder, spool };
        let prepare = async {
            let lock = self.take_workspace(folder, spool).await?;
            event_files::write(&self.shared, &self.held, context, folder, &mut own).await?;
            Ok((lock, Setting::prepare(work, own).await?))
        };
        let prepared = tokio::select! {
            prepared = prepare => prepared,
            order = ordered(&mut orders, Order::Cancel) => return stopped(order, cancelled()),
            () = &mut deadline => {
                let error = "the job's time was over before its first step".to_owned();
                return End::Finished(timed_out(error));
            }
        };
        // Until nothing of it runs any more.
        let (_workspace, setting) = match prepared {
            Ok(prepared) => prepared,
            Err(error) => return self.cannot_prepare(&error),
        };
        let mut steps = Steps::new(work, setting, orders, (deadline, self.job.timeout_ms));
        let end = steps.run().await;
        if let Some(record) = folder.record() {
            leftovers::kill(record).await;
        }
        for pump in steps.pumps.drain(..) {
            pump.end().await;
        }
        let (declared, end) = steps.declared(end).await;
        self.result(end, declared, folder, spool).await
    }

    /// Has a workspace that is kept to itself: an attempt whose lease was lost may still be stopping there.
    async fn take_workspace(
        &self,
        folder: &AttemptFolder,
        spool: &Spool,
    ) -> Result<Option<WorkspaceLock>, PrepareError> {
        let Some(path) = folder.workspace_lock() else { return Ok(None) };
        if let Some(lock) = WorkspaceLock::try_take(&path)? {
            return Ok(Some(lock));
        }
        spool.line("##[warning] another runner still uses this workspace: waiting for it").await;
        let wait_ms = self.shared.options.workspace_wait_ms;
        let taken = WorkspaceLock::take(&path);
        match tokio::time::timeout(Duration::from_millis(wait_ms), taken).await {
            Ok(lock) => Ok(Some(lock?)),
            Err(_) => Err(PrepareError::WorkspaceTaken { path: folder.workspace(), wait_ms }),
        }
    }

    async fn result(
        &self,
        end: WorkEnd,
        declared: BTreeMap<String, String>,
        folder: &AttemptFolder,
        spool: &Spool,
    ) -> End {
        let file = folder.file("output");
        let secrets = Arc::clone(&self.secrets);
        let outputs = tokio::task::spawn_blocking(move || outputs::read(&file, &secrets)).await;
        let outputs = outputs_to_send(declared, outputs.unwrap_or_default());
        for complaint in &outputs.complaints {
            spool.line(&format!("##[warning] {complaint}")).await;
        }
        let result = match end {
            WorkEnd::Completed => JobResult::success(),
            WorkEnd::Failed(exit, error) => exit.of(JobResult::failed(error)),
            WorkEnd::TimedOut(exit, error) => exit.of(timed_out(error)),
            WorkEnd::Stopped(order, exit) => {
                // A cancel may have become more while the work was stopping.
                let order = order.max(*self.orders.borrow());
                let result = JobResult { outputs: outputs.values, ..exit.of(cancelled()) };
                return stopped(order, result);
            }
        };
        End::Finished(JobResult { outputs: outputs.values, ..result })
    }

    /// Tells the server, until it answers.
    async fn conclude(&self, end: End) {
        let (id, attempt) = (self.job.job_id, self.job.attempt);
        let answer = match end {
            End::Forget => {
                tracing::warn!(job_id = %id, attempt, "job forgotten: its lease is lost");
                return;
            }
            End::Finished(result) => {
                tracing::info!(job_id = %id, attempt, outcome = ?result.outcome, "job ended");
                let request = self.completion(result);
                tokio::select! {
                    answer = self.shared.client.complete(&self.held, &request) => answer.map(drop),
                    () = self.given_up() => return,
                }
            }
            End::GiveBack(reason) => {
                tracing::info!(job_id = %id, attempt, ?reason, "job given back");
                tokio::select! {
                    answer = self.shared.client.release(&self.held, reason) => answer,
                    () = self.given_up() => return,
                }
            }
        };
        if let Err(error) = answer {
            tracing::warn!(job_id = %id, attempt, %error, "the job's end was not accepted");
        }
    }

    /// The end as it is sent: outputs were masked where they were read.
    fn completion(&self, result: JobResult) -> CompleteRequest {
        let JobResult { outcome, exit_code, signal, error, outputs } = result;
        let error = error.map(|error| self.secrets.mask(&error));
        CompleteRequest { nonce: self.held.nonce, outcome, exit_code, signal, error, outputs }
    }

    /// The lease is lost, or the runner was forced to leave and has tried long enough.
    async fn given_up(&self) {
        let mut orders = self.orders.clone();
        if ordered(&mut orders, Order::GiveBack).await == Order::Forget {
            return;
        }
        tokio::select! {
            () = tokio::time::sleep(self.release_wait()) => {}
            _ = ordered(&mut orders, Order::Forget) => {}
        }
    }

    /// As [`Self::given_up`], but the time counts from the end of the work.
    async fn no_more_time(&self, spool: &Spool) {
        let (mut orders, mut states) = (self.orders.clone(), spool.subscribe());
        if ordered(&mut orders, Order::GiveBack).await == Order::Forget {
            return;
        }
        let tried_long_enough = async {
            let _ = states.wait_for(|state| state.closed).await;
            tokio::time::sleep(self.release_wait()).await;
        };
        tokio::select! {
            () = tried_long_enough => {}
            _ = ordered(&mut orders, Order::Forget) => {}
        }
    }

    fn release_wait(&self) -> Duration {
        Duration::from_millis(self.shared.options.release_wait_ms)
    }
}

fn timed_out(error: String) -> JobResult {
    JobResult { outcome: AttemptOutcome::TimedOut, ..JobResult::failed(error) }
}

fn cancelled() -> JobResult {
    JobResult { outcome: AttemptOutcome::Cancelled, ..JobResult::failed("cancelled") }
}

/// What an order makes of stopped work, which by itself ended with `result`.
fn stopped(order: Order, result: JobResult) -> End {
    match order {
        Order::Forget => End::Forget,
        Order::GiveBack => End::GiveBack(RequeueReason::Drained),
        Order::Work | Order::Cancel => End::Finished(result),
    }
}
