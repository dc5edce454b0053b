//! A container's output, from its beginning to its end, into the job's log.
//!
//! Whoever goes on with an attempt sends its log from the beginning, and what is kept already is skipped there. A
//! stream that breaks, or ends while its container goes on (API servers cut those that are open for long), is opened
//! again from the time of the last line, and what was passed on is left out. The log is whole when a stream came
//! to its end that was opened after the container's. Values that the work names by `::add-mask::` are masked.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

use super::super::context::TaskContext;
use super::client::{Cluster, Trouble};
use super::lines::Lines;
use crate::agent_runner::{LogMask, Secrets};

/// How long to wait after the first trouble; doubled with each.
const REST_MIN: Duration = Duration::from_millis(100);
const REST_MAX: Duration = Duration::from_secs(10);
/// When a stream ends its container mostly has too, which is heard of in a moment.
const END_HEARD: Duration = Duration::from_secs(1);
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
        let mut copying = Copying {
            lines: Lines::default(),
            mask: LogMask::new(Arc::clone(secrets)),
            is_read: false,
            ctx,
        };
        let task = tokio::spawn({
            let pod = pod.clone();
            async move {
                let why = copying.pump(&cluster, &pod, &container, over).await;
                copying.finish(why).await;
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

/// A log on its way.
struct Copying {
    lines: Lines,
    mask: LogMask,
    /// A stream came to its end.
    is_read: bool,
    ctx: TaskContext,
}

impl Copying {
    /// Copies until the log is whole, or cannot be read on: why.
    async fn pump(
        &mut self,
        cluster: &Cluster,
        pod: &str,
        container: &str,
        mut over: watch::Receiver<bool>,
    ) -> Option<Trouble> {
        let mut rest = REST_MIN;
        loop {
            let is_last = *over.borrow_and_update();
            let ended = match cluster.logs(pod, container, self.lines.since()).await {
                Ok(stream) => self.read(pin!(stream), &mut rest).await,
                Err(trouble) => Err(trouble),
            };
            let trouble = match ended {
                Ok(()) if is_last => return None,
                Ok(()) => {
                    self.is_read = true;
                    let _ = tokio::time::timeout(END_HEARD, over.wait_for(|it| *it)).await;
                    continue;
                }
                Err(trouble) => trouble,
            };
            tracing::debug!(pod, %trouble, "a log is not read on");
            let is_gone =
                trouble.is(404) || (is_last && matches!(trouble, Trouble::Refused { .. }));
            if is_gone && !trouble.is(429) {
                // What ended well before that was all, as far as anybody knows.
                return Some(trouble).filter(|_| !self.is_read);
            }
            let wait = trouble.retry_after().unwrap_or(rest).min(REST_MAX);
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(()) = over.changed() => {}
            }
            rest = (rest * 2).min(REST_MAX);
        }
    }

    /// Copies one stream to its end.
    async fn read(
        &mut self,
        mut stream: Pin<&mut impl Stream<Item = Result<Bytes, Trouble>>>,
        rest: &mut Duration,
    ) -> Result<(), Trouble> {
        self.lines.begin_again();
        while let Some(piece) = stream.next().await {
            let mut text = Vec::new();
            self.lines.push(&piece?, &mut text);
            if !text.is_empty() {
                (*rest, self.is_read) = (REST_MIN, false);
                let mut masked = Vec::with_capacity(text.len());
                self.mask.push(&text, &mut masked);
                self.ctx.log(masked).await;
            }
        }
        Ok(())
    }

    /// Tells what is held back, and what is missing.
    async fn finish(&mut self, why: Option<Trouble>) {
        let (mut text, mut masked) = (Vec::new(), Vec::new());
        self.lines.finish(&mut text);
        self.mask.push(&text, &mut masked);
        self.mask.finish(&mut masked);
        self.ctx.log(masked).await;
        if let Some(why) = why {
            let text = format!("##[warning] the rest of the log cannot be read: {why}\n");
            self.ctx.log(text).await;
        }
    }
}
