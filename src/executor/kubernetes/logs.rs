//! A container's output, from its beginning to its end, into the job's log.
//!
//! Whoever goes on with an attempt sends its log from the beginning, and what is kept already is skipped there. A
//! stream that breaks is opened again, and what was passed on is skipped here. Values that the work names by
//! `::add-mask::` are masked.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::super::context::TaskContext;
use super::client::{Cluster, Trouble};
use crate::agent_runner::{LogMask, Secrets};

/// How long to wait after the first trouble; doubled with each.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(10);
/// How long the rest of a log may take to come, once its container has ended.
const REST_OF_LOG: Duration = Duration::from_secs(15);

/// Passes one container's output on.
pub(super) struct LogPump {
    /// The pod that it is of.
    pub(super) pod: String,
    /// The container has ended.
    is_over: watch::Sender<bool>,
    task: AbortOnDropHandle<()>,
}

impl LogPump {
    /// Begins.
    pub(super) fn start(
        cluster: &Cluster,
        pod: &str,
        container: &str,
        secrets: &Arc<Secrets>,
        ctx: &TaskContext,
    ) -> Self {
        let (is_over, over) = watch::channel(false);
        let (cluster, ctx) = (cluster.clone(), ctx.clone());
        let (pod, container) = (pod.to_owned(), container.to_owned());
        let mut mask = LogMask::new(Arc::clone(secrets));
        let task = tokio::spawn({
            let pod = pod.clone();
            async move {
                pump(&cluster, &pod, &container, &mut mask, &ctx, over).await;
                let mut rest = Vec::new();
                mask.finish(&mut rest);
                ctx.log(rest).await;
            }
        });
        Self { pod, is_over, task: AbortOnDropHandle::new(task) }
    }

    /// The container has ended: waits for what is left of its output.
    pub(super) async fn finish(self, ctx: &TaskContext) {
        self.is_over.send_replace(true);
        if tokio::time::timeout(REST_OF_LOG, self.task).await.is_err() {
            ctx.log("##[warning] the rest of the log cannot be read\n").await;
        }
    }
}

async fn pump(
    cluster: &Cluster,
    pod: &str,
    container: &str,
    mask: &mut LogMask,
    ctx: &TaskContext,
    mut over: watch::Receiver<bool>,
) {
    let (mut passed, mut rest) = (0, REST_MIN);
    loop {
        let is_last = *over.borrow_and_update();
        let trouble = match cluster.logs(pod, container).await {
            Ok(stream) => {
                let mut stream = pin!(stream);
                let mut skipped = 0;
                loop {
                    match stream.next().await {
                        Some(Ok(mut piece)) => {
                            let old = piece.len().min(passed - skipped);
                            skipped += old;
                            let new = piece.split_off(old);
                            if !new.is_empty() {
                                (passed, skipped) = (passed + new.len(), skipped + new.len());
                                let mut masked = Vec::with_capacity(new.len());
                                mask.push(&new, &mut masked);
                                ctx.log(masked).await;
                                rest = REST_MIN;
                            }
                        }
                        Some(Err(trouble)) => break trouble,
                        // A stream ends when its container does.
                        None => return,
                    }
                }
            }
            Err(trouble) => trouble,
        };
        tracing::debug!(pod, %trouble, "a log is not read on");
        let is_gone = trouble.is(404) || (is_last && matches!(trouble, Trouble::Refused { .. }));
        if is_gone && !trouble.is(429) {
            ctx.log(format!("##[warning] the rest of the log cannot be read: {trouble}\n")).await;
            return;
        }
        let wait = trouble.retry_after().unwrap_or(rest).min(REST_MAX);
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            Ok(()) = over.changed() => {}
        }
        rest = (rest * 2).min(REST_MAX);
    }
}
