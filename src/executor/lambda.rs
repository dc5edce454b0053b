//! Jobs as invocations of an AWS Lambda function, over its HTTP API.
//!
//! ```text
//! POST /2015-03-31/functions/NAME/invocations   TaskReadyEvent + callback, signed
//!   sync    200  what the function returned is the end; with X-Amz-Function-Error the work failed
//!   async   202  it is queued there; the end, logs and signs of life come to the callback's URL
//!   429          throttled: the job stays pending, for as long as Retry-After says, within bounds
//!   500, 408, .. of Lambda itself: the function did not run; asked again with a backoff, then away
//!   413, 415, .. the payload is at fault: the work failed
//!   404, 403, .. the function or our right to call it is: away, the job falls back
//!   no answer    it may run: nothing is begun beside it, see below
//! ```
//!
//! An invocation has no name by which it could be found, called off, or known when it is asked for twice. So
//! the time of a request is stored before it is sent, and what may have begun is not begun again while it
//! may still run: with `sync` until `function_timeout` is over, with `async` until the callback's silence
//! or the job's time is. That holds for a connection that breaks and for a server that ends.

mod credentials;
mod options;
mod sign;
mod verdict;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Url};

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::outbound::{self, Answered, HttpSetupError, Pace, Reach, Rest, Tried};
use super::task_executor::{Adopted, DurableExecutor};
use crate::clock::Clock;
use credentials::Keeper;
use options::{region, too_large, url};
use sign::Scope;
use verdict::{Verdict, verdict};

pub use credentials::LambdaCredentials;
pub use options::{Invocation, LambdaOptions};

/// The most that a function can answer, and what an error in an envelope may add.
const ANSWER_BYTES_MAX: usize = (6 << 20) + (1 << 10);

/// Why there can be no such executor.
#[derive(Debug, thiserror::Error)]
pub enum LambdaSetupError {
    /// Nothing says where the function lives.
    #[error("nothing says where it lives: set `region`, or AWS_REGION")]
    NoRegion,
    /// The address of Lambda is none.
    #[error("its endpoint: {0}")]
    Endpoint(String),
    /// It cannot be called.
    #[error(transparent)]
    Http(#[from] HttpSetupError),
    /// Its credentials can be found nowhere.
    #[error("its credentials: {0}")]
    Credentials(String),
}

/// Invokes a function.
pub struct LambdaExecutor {
    name: String,
    options: LambdaOptions,
    url: Url,
    scope: Scope,
    client: Client,
    keeper: Keeper,
    tally: Tally,
    clock: Arc<dyn Clock>,
}

impl LambdaExecutor {
    /// An executor that is called so in logs.
    ///
    /// # Errors
    ///
    /// [`LambdaSetupError`].
    pub fn new(
        name: impl Into<String>,
        options: LambdaOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, LambdaSetupError> {
        let region = region(&options).ok_or(LambdaSetupError::NoRegion)?;
        let url = url(&options, &region).map_err(LambdaSetupError::Endpoint)?;
        let reach = Reach {
            connect_timeout: options.connect_timeout,
            timeout: options.function_timeout + options.margin,
            private_addresses: options.private_addresses,
        };
        let client = reach.client(&url)?;
        let keeper =
            Keeper::new(&options.credentials, &options.variables, &region, Arc::clone(&clock))
                .map_err(LambdaSetupError::Credentials)?;
        let tally = Tally::new(Arc::clone(&clock));
        let scope = Scope { region, service: "lambda" };
        Ok(Self { name: name.into(), options, url, scope, client, keeper, tally, clock })
    }

    fn wall_ms(&self) -> i64 {
        self.clock.now().wall_ms
    }

    /// One signed request and what came of it; `Err` when it cannot be signed.
    async fn post(&self, event: &TaskReadyEvent, body: Bytes) -> Result<Tried, String> {
        let credentials = self.keeper.get().await?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        let how = HeaderValue::from_static(self.options.invocation.as_header());
        headers.insert("x-amz-invocation-type", how);
        if self.options.invocation == Invocation::Sync {
            headers.insert("x-amz-log-type", HeaderValue::from_static("Tail"));
        }
        let signed =
            self.scope.sign(&credentials, self.wall_ms(), "POST", &self.url, &headers, &body);
        headers.extend(signed?);
        let request = self.client.post(self.url.clone()).headers(headers).body(body);
        let id = event.attempt_key.clone();
        let target = ("POST", &self.url);
        let mut tried = outbound::send(request, target, id, ANSWER_BYTES_MAX, &*self.clock).await;
        // By which it is found in the function's own log.
        if let Answered::Response(answer) = &tried.answered
            && let Some(id) = answer.header("x-amzn-requestid")
        {
            tried.request_id = format!("{}, {id}", tried.request_id);
        }
        Ok(tried)
    }

    /// Invokes until somebody says something that can be relied on.
    async fn invoke(&self, event: &TaskReadyEvent, ctx: &TaskContext) -> Outcome {
        let options = &self.options;
        let body = outbound::body(event, ctx, options.inline_context, &options.callback_base);
        let body = match body.await {
            Ok(body) => body,
            Err(error) => return Outcome::Error(error),
        };
        if let Some(why) = too_large(body.len(), options) {
            return Outcome::Error(DispatchError::ExecutionFailed(why));
        }
        // Before anything is stored: without them nothing is asked.
        if let Err(why) = self.keeper.get().await {
            return Outcome::Error(DispatchError::unavailable(why));
        }
        let pace = Pace {
            tries_max: options.tries_max,
            backoff: options.backoff,
            backoff_max: options.retry_after_max,
        };
        let mut tries = pace.tries();
        loop {
            let at_ms = self.wall_ms();
            if !ctx.may_be_called(&Asked::At(at_ms).to_string()).await {
                return Outcome::End(ExecutionResult::cancelled());
            }
            let tried = tokio::select! {
                tried = self.post(event, body.clone()) => tried,
                () = ctx.cancelled() => return Outcome::End(ExecutionResult::cancelled()),
            };
            let tried = match tried {
                Ok(tried) => tried,
                Err(why) => return Outcome::Error(DispatchError::unavailable(why)),
            };
            ctx.tried(tried.to_string()).await;
            if let Answered::Response(answer) = &tried.answered
                && let Some(tail) = answer.header("x-amz-log-result")
                && let Ok(tail) = STANDARD.decode(tail)
            {
                ctx.log(tail).await;
            }
            let why = match verdict(&tried.answered, options.invocation, options.retry_after_max) {
                Verdict::End(result) => return Outcome::End(result),
                Verdict::Accepted => return Outcome::Accepted,
                Verdict::Error(error) => return Outcome::Error(error),
                Verdict::MayRun(why) => return Outcome::MayRun { at_ms, why },
                Verdict::Again(why) => why,
                Verdict::OldKeys(why) => {
                    self.keeper.forget().await;
                    why
                }
            };
            match tries.rest(ctx.cancelled()).await {
                Rest::Over => {}
                Rest::NoMore => return Outcome::Error(DispatchError::unavailable(why)),
                Rest::Stopped => return Outcome::End(ExecutionResult::cancelled()),
            }
        }
    }

    /// Waits for the end of what may run, and of which nothing is heard but by a callback.
    async fn outlast(&self, at_ms: i64, why: String, ctx: &TaskContext) -> ExecutionResult {
        if self.options.invocation == Invocation::Async {
            return self.wait(ctx).await;
        }
        tokio::select! {
            end = ctx.called_back() => end.unwrap_or_else(ExecutionResult::cancelled),
            () = tokio::time::sleep(self.left(at_ms)) => ExecutionResult::retry(why),
        }
    }

    async fn wait(&self, ctx: &TaskContext) -> ExecutionResult {
        ctx.expect_progress(self.options.heartbeat);
        ctx.called_back().await.unwrap_or_else(ExecutionResult::cancelled)
    }

    /// How long a function may still run that was invoked at that time.
    fn left(&self, at_ms: i64) -> Duration {
        let most = self.options.function_timeout + self.options.margin;
        // A clock that was set back makes no wait longer than that.
        let passed_ms = u64::try_from(self.wall_ms() - at_ms).unwrap_or(0);
        most.saturating_sub(Duration::from_millis(passed_ms))
    }
}

/// What invoking came to.
enum Outcome {
    End(ExecutionResult),
    Accepted,
    Error(DispatchError),
    /// It was asked for at that time, and nobody can say what became of it.
    MayRun {
        at_ms: i64,
        why: String,
    },
}

/// What is stored of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Asked {
    /// It was asked for at that time (wall milliseconds), or was just about to be.
    At(i64),
    /// It was accepted, and the function calls back.
    Accepted,
}

/// The name of an attempt that calls back.
const CALLS_BACK: &str = "calls-back";
const ASKED_AT: &str = "asked-at-";

impl std::fmt::Display for Asked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::At(at_ms) => write!(f, "{ASKED_AT}{at_ms}"),
            Self::Accepted => f.write_str(CALLS_BACK),
        }
    }
}

impl Asked {
    /// By the stored name; `None` when nothing was asked.
    fn read(external_ref: &str) -> Option<Self> {
        match external_ref {
            CALLS_BACK => Some(Self::Accepted),
            _ => external_ref.strip_prefix(ASKED_AT)?.parse().ok().map(Self::At),
        }
    }
}

#[async_trait]
impl DurableExecutor for LambdaExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(self.options.max_concurrent)
    }

    /// What a function returns to this process is lost with it.
    fn is_waited_for(&self) -> bool {
        self.options.invocation == Invocation::Sync
    }

    /// Nothing is sent yet: the answer is the end.
    async fn start(
        &self,
        _event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        Ok(String::new())
    }

    async fn watch(
        &self,
        external_ref: &str,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let busy = self.tally.begin();
        let result = match Asked::read(external_ref) {
            Some(Asked::Accepted) => self.wait(ctx).await,
            Some(Asked::At(at_ms)) => {
                let why = "the server that waited for the function's answer has ended";
                self.outlast(at_ms, why.to_owned(), ctx).await
            }
            None => match self.invoke(event, ctx).await {
                Outcome::Error(error) => return Err(error),
                Outcome::End(result) => result,
                Outcome::Accepted => {
                    ctx.is_called(&Asked::Accepted.to_string()).await;
                    self.wait(ctx).await
                }
                Outcome::MayRun { at_ms, why } => self.outlast(at_ms, why, ctx).await,
            },
        };
        busy.ended(result.status);
        Ok(result)
    }

    /// What was asked for cannot be looked for. It is gone once the function's time is over; before that it
    /// may run, and is waited for. What was certainly not asked for yet is asked for.
    async fn adopt(
        &self,
        external_ref: Option<&str>,
        _event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Adopted {
        match external_ref.and_then(Asked::read) {
            Some(Asked::At(at_ms))
                if self.options.invocation == Invocation::Sync && self.left(at_ms).is_zero() =>
            {
                Adopted::Gone
            }
            _ => Adopted::Running,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::options::tests::options;
    use super::*;
    use crate::clock::ManualClock;
    use crate::model::Now;

    #[test]
    fn what_was_asked_for_is_read_back() {
        for asked in [Asked::At(1_700_000_000_000), Asked::Accepted] {
            assert_eq!(Asked::read(&asked.to_string()), Some(asked));
        }
        assert_eq!(Asked::read("job-7-attempt-1"), None, "nothing was asked for");
    }

    #[test]
    fn a_function_may_run_for_its_own_time_and_no_clock_makes_that_longer() {
        let clock = Arc::new(ManualClock::new(Now { mono_ms: 0, wall_ms: 1_000_000 }));
        let nowhere = LambdaExecutor::new("x", options("build", &[]), clock.clone());
        assert!(matches!(nowhere.err(), Some(LambdaSetupError::NoRegion)));
        let home = [("AWS_REGION", "eu-west-1")];
        let executor = LambdaExecutor::new("x", options("build", &home), clock.clone()).unwrap();
        assert_eq!(executor.left(1_000_000), Duration::from_secs(80));
        assert_eq!(executor.left(9_000_000), Duration::from_secs(80));
        clock.advance(79_999);
        assert_eq!(executor.left(1_000_000), Duration::from_millis(1));
        clock.advance(1);
        assert!(executor.left(1_000_000).is_zero());
    }
}
