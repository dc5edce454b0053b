//! Jobs posted to a URL: somebody there carries them out and answers with the end, or says that it will
//! call back.
//!
//! ```text
//! POST url  TaskReadyEvent + callback {url, token}
//!   200, 201, 204  the end: ExecutionResult as JSON; another body is a good end without outputs
//!   202            it goes on there, at its Location; the end, logs and signs of life come to the callback's URL
//!   429            no room: the job stays pending, for as long as Retry-After says, within bounds
//!   503            away: the job falls back, and nothing is sent for as long as Retry-After says
//!   other 5xx, 408, time-outs   perhaps: tried again with a backoff, then given back
//!   other 4xx, 3xx that are not followed   the work failed
//!   refused, reset, no such host     away, at once
//! DELETE Location  it is to stop: somebody asked for it, its time is over, or its lease is lost. An answer
//!                  that is under way then is waited for, for two seconds
//! ```
//!
//! Whoever answers late may have begun, so each request of an attempt carries the same `Idempotency-Key`.

mod auth;
mod provisioner;
mod sign;
mod verdict;

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, StatusCode, Url};

use super::context::TaskContext;
use super::event::{DispatchError, ExecutionResult, TaskReadyEvent};
use super::metrics::{ExecutorMetrics, Tally};
use super::outbound::{self, Answered, HttpSetupError, Pace, Reach, Rest, Tried, is_same_origin};
use super::task_executor::{Adopted, DurableExecutor};
use crate::clock::Clock;
use verdict::{Verdict, verdict};

pub use auth::HttpAuth;
pub use provisioner::{HttpProvisioner, HttpProvisionerOptions};
pub use sign::SigningSecret;

/// How long an answer to a cancel may take: whoever cancels waits for it.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer that is under way is waited for after a cancel: it may say where to delete what it began.
const ANSWER_GRACE: Duration = Duration::from_secs(2);
/// The name of an attempt that goes on there, at no place that can be told to stop.
const CALLS_BACK: &str = "calls-back";

/// What an executor of this kind is told.
#[derive(Clone)]
pub struct HttpOptions {
    /// Where jobs are posted to.
    pub url: Url,
    /// How requests show who sends them.
    pub auth: HttpAuth,
    /// Headers beside those.
    pub headers: HeaderMap,
    /// Whether the event has the job's whole context in it, so that nobody has to ask for it.
    pub inline_context: bool,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take: of whoever answers with the end, the longest work.
    pub timeout: Duration,
    /// Whether addresses of private networks, and this machine's, may be called.
    pub private_addresses: bool,
    /// How often a request is made for one attempt, where it may have been carried out.
    pub tries_max: u32,
    /// How long the first of these rests; doubled with each.
    pub backoff: Duration,
    /// The longest that a `Retry-After` is taken for.
    pub retry_after_max: Duration,
    /// The most that is read of an answer.
    pub response_bytes_max: usize,
    /// Of whoever calls back: how long it may be silent before the work counts as lost. `None`: as long
    /// as the job may run.
    pub heartbeat: Option<Duration>,
    /// How many jobs it has at once.
    pub max_concurrent: u64,
    /// Where this server is called back.
    pub callback_base: String,
}

/// Posts jobs to a URL.
pub struct HttpExecutor {
    name: String,
    options: HttpOptions,
    client: Client,
    tally: Tally,
    clock: Arc<dyn Clock>,
}

impl HttpExecutor {
    /// An executor that is called so in logs.
    ///
    /// # Errors
    ///
    /// [`HttpSetupError`].
    pub fn new(
        name: impl Into<String>,
        options: HttpOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpSetupError> {
        let reach = Reach {
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
            private_addresses: options.private_addresses,
        };
        let client = reach.client(&options.url)?;
        let tally = Tally::new(Arc::clone(&clock));
        Ok(Self { name: name.into(), options, client, tally, clock })
    }

    /// What a request with that id of its own is sent with.
    fn headers(&self, id: &str, body: &[u8]) -> HeaderMap {
        let mut headers = self.options.headers.clone();
        let key = HeaderValue::from_str(id).unwrap_or(HeaderValue::from_static("job"));
        headers.insert("content-type", HeaderValue::from_static("application/json"));
        headers.insert("idempotency-key", key.clone());
        headers.insert("x-request-id", key);
        let at_s = self.clock.now().wall_ms / 1_000;
        self.options.auth.show(&mut headers, id, at_s, body);
        headers
    }

    fn pace(&self) -> Pace {
        Pace {
            tries_max: self.options.tries_max,
            backoff: self.options.backoff,
            backoff_max: self.options.retry_after_max,
        }
    }

    async fn post(&self, event: &TaskReadyEvent, body: Bytes) -> Tried {
        let (url, id) = (&self.options.url, event.attempt_key.clone());
        let headers = self.headers(&id, &body);
        let request = self.client.post(url.clone()).headers(headers).body(body);
        let bytes_max = self.options.response_bytes_max;
        outbound::send(request, ("POST", url), id, bytes_max, &*self.clock).await
    }

    /// Posts until somebody says something that can be relied on.
    async fn hand_over(&self, event: &TaskReadyEvent, ctx: &TaskContext) -> Outcome {
        // Under one key it is one request, however often it is made.
        let options = &self.options;
        let body = outbound::body(event, ctx, options.inline_context, &options.callback_base);
        let body = match body.await {
            Ok(body) => body,
            Err(error) => return Outcome::Error(error),
        };
        let mut tries = self.pace().tries();
        let mut may_have_begun = false;
        loop {
            let mut posting = pin!(self.post(event, body.clone()));
            let tried = tokio::select! {
                tried = &mut posting => tried,
                () = ctx.cancelled() => return self.stopped_early(posting, ctx).await,
            };
            ctx.tried(tried.to_string()).await;
            let verdict = verdict(&tried.answered, &options.url, options.retry_after_max);
            match verdict.after(may_have_begun) {
                Verdict::End(result) => return Outcome::End(result),
                Verdict::Accepted(place) => return Outcome::Accepted(place),
                Verdict::Error(error) => return Outcome::Error(error),
                Verdict::Perhaps(why) => {
                    may_have_begun = true;
                    match tries.rest(ctx.cancelled()).await {
                        Rest::Over => {}
                        Rest::NoMore => return Outcome::End(ExecutionResult::retry(why)),
                        Rest::Stopped => return Outcome::End(ExecutionResult::cancelled()),
                    }
                }
            }
        }
    }

    /// It is to stop, and has not answered. Whoever accepts it in this moment is to be told so, and only the
    /// answer says where. Whoever answers with the end sees the connection close, when it is not there soon.
    async fn stopped_early(
        &self,
        posting: impl Future<Output = Tried>,
        ctx: &TaskContext,
    ) -> Outcome {
        let Ok(tried) = tokio::time::timeout(ANSWER_GRACE, posting).await else {
            return Outcome::End(ExecutionResult::cancelled());
        };
        ctx.tried(tried.to_string()).await;
        match verdict(&tried.answered, &self.options.url, self.options.retry_after_max) {
            Verdict::End(result) => Outcome::End(result),
            Verdict::Accepted(place) => Outcome::Accepted(place),
            Verdict::Error(_) | Verdict::Perhaps(_) => Outcome::End(ExecutionResult::cancelled()),
        }
    }

    /// Waits for the end of what was accepted, and tells its place when it is to stop.
    async fn wait(
        &self,
        place: Option<Url>,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> ExecutionResult {
        ctx.expect_progress(self.options.heartbeat);
        if let Some(end) = ctx.called_back().await {
            return end;
        }
        let told = match place {
            Some(place) => self.tell_to_stop(&place, event, ctx).await,
            None => Ok(()),
        };
        let error = told.err().map(|why| format!("it could not be told to stop: {why}"));
        ExecutionResult { error, ..ExecutionResult::cancelled() }
    }

    /// Deletes what goes on there.
    async fn tell_to_stop(
        &self,
        place: &Url,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<(), String> {
        let id = format!("{}-cancel", event.attempt_key);
        let mut tries = self.pace().tries();
        loop {
            let request = self.client.delete(place.clone()).headers(self.headers(&id, b""));
            let request = request.timeout(CANCEL_TIMEOUT);
            let bytes_max = self.options.response_bytes_max;
            let tried =
                outbound::send(request, ("DELETE", place), id.clone(), bytes_max, &*self.clock)
                    .await;
            ctx.tried(tried.to_string()).await;
            let why = match &tried.answered {
                Answered::Response(answer) => match answer.status {
                    it if it.is_success() => return Ok(()),
                    // It has ended already.
                    StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(()),
                    it if it.is_server_error()
                        || [StatusCode::TOO_MANY_REQUESTS, StatusCode::REQUEST_TIMEOUT]
                            .contains(&it) =>
                    {
                        format!("it answered {it}")
                    }
                    it => return Err(format!("it answered {it}")),
                },
                Answered::NotThere(why) | Answered::Broken(why) => why.clone(),
            };
            if tries.rest(std::future::pending()).await != Rest::Over {
                return Err(why);
            }
        }
    }
}

/// What handing over came to.
enum Outcome {
    End(ExecutionResult),
    Accepted(Option<Url>),
    Error(DispatchError),
}

#[async_trait]
impl DurableExecutor for HttpExecutor {
    fn name(&self) -> &str {
        &self.name
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(self.options.max_concurrent)
    }

    /// Nothing is sent yet: whoever answers with the end does so only when that is there.
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
        let result = match accepted(external_ref, &self.options.url) {
            Some(place) => self.wait(place, event, ctx).await,
            None => match self.hand_over(event, ctx).await {
                Outcome::Error(error) => return Err(error),
                Outcome::End(result) => result,
                Outcome::Accepted(place) => {
                    // A place with a name that is too long to be kept cannot be told to stop.
                    let place = place.filter(|place| place.as_str().len() <= PLACE_BYTES_MAX);
                    ctx.is_called(place.as_ref().map_or(CALLS_BACK, Url::as_str)).await;
                    self.wait(place, event, ctx).await
                }
            },
        };
        busy.ended(result.status);
        Ok(result)
    }

    /// Whoever was asked and had not answered is asked again with the same key: then it says what became of
    /// it, or begins. Whoever had accepted it calls back.
    async fn adopt(
        &self,
        _external_ref: Option<&str>,
        _event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Adopted {
        Adopted::Running
    }
}

/// The longest URL that is kept.
const PLACE_BYTES_MAX: usize = 1_000;

/// By the name of an attempt: whether it was accepted, and where it is. A place that is no longer of the
/// executor's origin is not called: the requests have its secrets.
fn accepted(external_ref: &str, url: &Url) -> Option<Option<Url>> {
    match external_ref {
        CALLS_BACK => Some(None),
        _ => {
            let place: Url = external_ref.parse().ok()?;
            Some(Some(place).filter(|place| is_same_origin(place, url)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_is_found_again_by_its_place_if_that_is_still_the_executors() {
        let url = "https://farm.example/run".parse().unwrap();
        let place = |name: &str| accepted(name, &url).map(|it| it.map(String::from));
        let at = "https://farm.example/runs/7";
        assert_eq!(place("calls-back"), Some(None));
        assert_eq!(place(at), Some(Some(at.to_owned())));
        assert_eq!(place("https://moved.example/runs/7"), Some(None));
        assert_eq!(place("job-7-attempt-1"), None, "it is asked again");
    }
}
