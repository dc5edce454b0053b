//! What an executor can reach while it carries a job out: the newest context, the job's log, and whether to
//! stop.

use std::future::Future as _;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Weak};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::event::{ExecutionResult, TaskReadyEvent};
use super::supervisor::{Server, say};
use crate::api::wire;
use crate::clock::Clock;
use crate::dispatch::{Command, SessionCommand};
use crate::driver::{CommandError, Handle};
use crate::event::github;
use crate::log::{JobLogs, LogError};
use crate::model::{
    AttemptOutcome, JobWork, LeaseRef, SessionMessage, Untrusted, github_of_run, needs_context,
};
use crate::store::{JobContext, Store, StoreError};

/// Why a job's context cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum ContextError {
    /// The database does not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The job is not there.
    #[error("there is no such job")]
    NotFound,
    /// The scheduler could not be told how much of a session it has.
    #[error(transparent)]
    Untold(#[from] CommandError),
    /// Its row is damaged.
    #[error("the event's row: {0}")]
    Corrupt(#[from] serde_json::Error),
}

/// What is to be done, as runners get it with their start.
pub(crate) fn wire_context(
    context: JobContext,
    run: u32,
    attempt: u32,
) -> Result<wire::JobContext, serde_json::Error> {
    let JobContext { job, workload, mut spec, event, body_bytes, needs, .. } = context;
    let JobContext { session, ended_needs, .. } = context;
    let session = session.map(|(session, messages)| wire::SessionContext {
        id: session.id,
        idle_ms: session.limits.idle_ms,
        silence_ms: None,
        end_grace_ms: None,
        delivered: session.delivered,
        messages: messages.into_iter().map(agent_message).collect(),
    });
    if let (JobWork::Agent { prompt, .. }, Some(session)) = (&mut spec.work, &session) {
        *prompt = prompt_of(&session.messages);
    }
    if let Some(known) = &mut spec.workflow {
        github::complete(known, event.as_deref(), &workload.name);
        let github = github_of_run(known.contexts.get("github"), &workload, run, &known.key);
        known.contexts.insert("github".into(), github.into());
        known.contexts.insert("needs".into(), needs_context(&ended_needs).into());
    }
    let event = event.map(|event| serde_json::from_str(&event)).transpose()?;
    Ok(wire::JobContext {
        job_id: job.id,
        attempt,
        idempotency_key: format!("job-{}-run-{run}", job.id),
        work: spec.work,
        env: spec.env,
        trust: spec.trust,
        event,
        has_payload: body_bytes.is_some_and(|bytes| bytes > 0),
        needs: needs.into_iter().map(|(name, outputs)| (name.into(), outputs)).collect(),
        traceparent: spec.traceparent,
        workflow: spec.workflow,
        session,
    })
}

/// Says up to where an attempt was given what was said in its session, where not all of it fitted: the rest stays
/// for the next turn. To be called before the attempt is given it.
///
/// # Errors
/// As every command.
pub(crate) async fn say_given(
    handle: &Handle,
    lease: LeaseRef,
    context: &JobContext,
) -> Result<(), CommandError> {
    let Some(up_to) = context.cut_at() else { return Ok(()) };
    handle.send(Command::Session(SessionCommand::Given { lease, up_to })).await.map(drop)
}

/// A message of a session, as its agent is told it.
pub(crate) fn agent_message(message: SessionMessage) -> wire::AgentMessage {
    wire::AgentMessage {
        seq: message.sequence,
        kind: message.kind,
        author: message.author.into(),
        text: message.text.as_data().to_owned(),
        reference: message.reference.map(Into::into),
    }
}

/// The same of several, for an agent that is asked once: a blank line parts them.
fn prompt_of(messages: &[wire::AgentMessage]) -> Untrusted {
    let texts: Vec<&str> = messages.iter().map(|message| message.text.as_str()).collect();
    Untrusted::new(texts.join("\n\n"))
}

/// One attempt's side of the server. A clone is of the same attempt.
#[derive(Clone)]
pub struct TaskContext(Arc<Inner>);

struct Inner {
    event: TaskReadyEvent,
    store: Store,
    logs: JobLogs,
    /// Where the next piece goes. Held while one is appended, so that they follow each other.
    log_offset: tokio::sync::Mutex<u64>,
    cancelled: CancellationToken,
    /// The lease is somebody else's by now, or nobody's.
    lost: CancellationToken,
    /// Somebody asked for the cancel.
    asked: AtomicBool,
    /// By whose right it speaks, and to whom.
    lease: LeaseRef,
    handle: Handle,
    clock: Arc<dyn Clock>,
    /// How long whoever carries it out may be silent, in milliseconds; 0 for ever.
    silence_ms_max: AtomicI64,
    /// When a sign of life came last (mono).
    heard_at_ms: AtomicI64,
    /// Whoever carries it out has taken it.
    taken: AtomicBool,
    /// Rung when that changes.
    changed: Arc<Notify>,
    /// The end that came by a callback.
    called_back: watch::Sender<Option<ExecutionResult>>,
}

impl TaskContext {
    pub(super) fn new(
        event: TaskReadyEvent,
        lease: LeaseRef,
        server: &Server,
        changed: Arc<Notify>,
    ) -> Self {
        let Server { handle, store, logs, clock } = server.clone();
        Self(Arc::new(Inner {
            event,
            store,
            logs,
            log_offset: tokio::sync::Mutex::default(),
            cancelled: CancellationToken::new(),
            lost: CancellationToken::new(),
            asked: AtomicBool::new(false),
            lease,
            handle,
            silence_ms_max: AtomicI64::new(0),
            heard_at_ms: AtomicI64::new(clock.now().mono_ms),
            clock,
            taken: AtomicBool::new(false),
            changed,
            called_back: watch::Sender::new(None),
        }))
    }

    /// What is to be done, with the outputs of what it needs: as it is now.
    ///
    /// # Errors
    ///
    /// [`ContextError`].
    pub async fn load(&self) -> Result<wire::JobContext, ContextError> {
        let TaskReadyEvent { job_id, run, attempt, .. } = self.0.event;
        let context = self.0.store.job_context(job_id).await?.ok_or(ContextError::NotFound)?;
        say_given(&self.0.handle, self.0.lease, &context).await?;
        Ok(wire_context(context, run, attempt)?)
    }

    /// The raw body of the delivery that started the work; `None` where there is none, or it was pruned.
    ///
    /// # Errors
    ///
    /// [`ContextError`].
    pub async fn payload(&self) -> Result<Option<Bytes>, ContextError> {
        let store = &self.0.store;
        let context =
            store.job_context(self.0.event.job_id).await?.ok_or(ContextError::NotFound)?;
        match context.workload.delivery_id {
            Some(delivery_id) => Ok(store.delivery_body(delivery_id).await?),
            None => Ok(None),
        }
    }

    /// Adds to the attempt's log. What cannot be kept is lost and told in the server's own log: a job
    /// does not fail for its log. Whoever goes on with an attempt that another process began sends its log
    /// from the beginning: what is there already is skipped.
    pub async fn log(&self, text: impl Into<Bytes>) {
        let TaskReadyEvent { job_id, attempt, .. } = self.0.event;
        let bytes = text.into();
        let mut offset = self.0.log_offset.lock().await;
        let end = *offset + bytes.len() as u64;
        match self.0.logs.append(job_id, attempt, *offset, bytes).await {
            Ok(_) => *offset = end,
            Err(error) => {
                if let LogError::Gap { next_offset, .. } = error {
                    *offset = next_offset;
                }
                tracing::warn!(%job_id, attempt, %error, "lost a piece of a log");
            }
        }
    }

    /// Resolves when the work is to be stopped: somebody asked for it, its time is over, or the lease was
    /// lost.
    pub async fn cancelled(&self) {
        self.0.cancelled.cancelled().await;
    }

    /// Whether the work is to be stopped.
    pub fn is_cancelled(&self) -> bool {
        self.0.cancelled.is_cancelled()
    }

    /// Resolves when the attempt has lost its lease: another one may begin at this moment, so the work is
    /// to be ended at once and not asked to stop. [`TaskContext::cancelled`] resolves with it.
    pub async fn lost(&self) {
        self.0.lost.cancelled().await;
    }

    /// Whether the work is to be stopped because the attempt has lost its lease.
    pub fn is_lost(&self) -> bool {
        // A poll's answer tells to stop what is lost as it tells to stop what is cancelled.
        let is_gone = || self.0.handle.views().lease(self.0.lease).is_none();
        self.0.lost.is_cancelled() || (self.is_cancelled() && is_gone())
    }

    /// Stores the name by which the backend finds the attempt again, for whoever goes on with it after this
    /// process.
    pub async fn is_called(&self, external_ref: &str) {
        self.is_taken();
        if !self.may_be_called(external_ref).await {
            tracing::warn!(job_id = %self.0.event.job_id, "a name of an attempt is not kept");
        }
    }

    /// Stores a name before the backend is asked, where it is not certain afterwards whether it was: for
    /// backends in which nothing can be found again. `false` when that was refused, because the attempt is
    /// over: then do not ask.
    pub async fn may_be_called(&self, external_ref: &str) -> bool {
        let (lease, external_ref) = (self.0.lease, external_ref.into());
        say(&self.0.handle, Command::Refer { lease, external_ref }).await.is_ok()
    }

    /// Whoever carries it out has taken it: it can be reached.
    pub(super) fn is_taken(&self) {
        self.0.taken.store(true, Ordering::Relaxed);
        self.0.changed.notify_one();
    }

    /// Whether whoever carries it out has taken it.
    pub(super) fn was_taken(&self) -> bool {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Keeps a line in the job's history: what was tried, and what came of it. Without secrets. It is on
    /// its way when this returns, before whatever is said of the attempt next, and nobody waits for its
    /// commit: a fallback would be later by that.
    pub async fn tried(&self, what: String) {
        let ctx = self.clone();
        let mut sending = Box::pin(async move {
            let command = Command::Tried { lease: ctx.0.lease, what: what.into() };
            if let Err(error) = ctx.0.handle.send(command).await {
                tracing::debug!(job_id = %ctx.0.event.job_id, %error, "a try is not kept");
            }
        });
        let sent = std::future::poll_fn(|cx| Poll::Ready(sending.as_mut().poll(cx))).await;
        if sent.is_pending() {
            tokio::spawn(sending);
        }
    }

    /// From now on whoever carries it out gives signs of life by callbacks, and the lease is not renewed
    /// when it is silent for that long; `None` for as long as the job may run.
    pub fn expect_progress(&self, silence_max: Option<Duration>) {
        let ms = silence_max.map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX));
        self.heard();
        self.0.silence_ms_max.store(ms, Ordering::Relaxed);
    }

    /// A sign of life came.
    pub(super) fn heard(&self) {
        self.0.heard_at_ms.store(self.0.clock.now().mono_ms, Ordering::Relaxed);
    }

    /// Whether the lease is to be renewed.
    pub(super) fn is_alive(&self, mono_ms: i64) -> bool {
        let silence_ms_max = self.0.silence_ms_max.load(Ordering::Relaxed);
        let silent_ms = mono_ms - self.0.heard_at_ms.load(Ordering::Relaxed);
        silence_ms_max == 0 || silent_ms <= silence_ms_max
    }

    /// The end that was said by a callback; `None` when the work is to be stopped first.
    pub async fn called_back(&self) -> Option<ExecutionResult> {
        let mut ends = self.0.called_back.subscribe();
        tokio::select! {
            end = ends.wait_for(Option::is_some) => end.ok().and_then(|end| end.clone()),
            () = self.cancelled() => None,
        }
    }

    /// Somebody called back with the end.
    pub(super) fn call_back(&self, result: ExecutionResult) {
        self.0.called_back.send_replace(Some(result));
    }

    pub(super) fn cancel(&self) {
        self.0.cancelled.cancel();
    }

    /// The lease is lost.
    pub(super) fn lose(&self) {
        self.0.lost.cancel();
        self.cancel();
    }

    /// Somebody asked for a cancel of the job.
    pub(super) fn cancel_as_asked(&self) {
        self.0.asked.store(true, Ordering::Relaxed);
        self.cancel();
    }

    /// Whether work that ended so did because it was told to stop, and nobody had asked for that.
    pub(super) fn was_interrupted(&self, outcome: AttemptOutcome) -> bool {
        let asked = self.0.asked.load(Ordering::Relaxed);
        outcome == AttemptOutcome::Cancelled && self.is_cancelled() && !asked
    }

    pub(super) fn event(&self) -> &TaskReadyEvent {
        &self.0.event
    }

    /// Tells whether anybody still has this.
    pub(super) fn watch(&self) -> ContextWatch {
        ContextWatch(Arc::downgrade(&self.0))
    }
}

/// An attempt that somebody in this process may look after.
pub(super) struct ContextWatch(Weak<Inner>);

impl ContextWatch {
    /// Whether anybody has its context.
    pub(super) fn is_held(&self) -> bool {
        self.0.strong_count() > 0
    }
}
