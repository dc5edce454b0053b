//! Requests to backends: which addresses may be called, how often one is made, and what is kept of each.
//! Shared by everything here that speaks HTTP.

mod address;
mod answer;
mod order;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, RequestBuilder, StatusCode, Url, redirect};

use crate::clock::{Clock, OsEntropy};
use crate::model::Entropy as _;
use address::{Guarded, is_private};

pub(super) use answer::{Answer, Answered, Tried, excerpt, without_secrets};
pub(super) use order::body;

/// How often connections that are silent for long are looked after: a function may take minutes.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Why there can be no such executor or provisioner.
#[derive(Debug, thiserror::Error)]
pub enum HttpSetupError {
    /// It would call an address that it must not.
    #[error("{0} is a private address: set `private_addresses = true` to allow it")]
    Private(String),
    /// The client cannot be made.
    #[error(transparent)]
    Client(#[from] reqwest::Error),
}

/// Whom a client may call, and for how long.
pub struct Reach {
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// From the first byte sent to the last one read.
    pub timeout: Duration,
    /// Whether addresses of private networks, and this machine's, may be called.
    pub private_addresses: bool,
}

impl Reach {
    /// A client for that URL: follows redirects of the same request to the same origin alone (307, 308), and knows no proxy.
    ///
    /// # Errors
    /// [`HttpSetupError`]: an address in the URL must not be called.
    pub fn client(&self, url: &Url) -> Result<Client, HttpSetupError> {
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // A name is looked at when it is resolved; an address in the URL itself is not resolved.
        if !self.private_addresses
            && let Some(host) = url.host_str()
            && let Ok(address) = host.trim_matches(['[', ']']).parse()
            && is_private(address)
        {
            return Err(HttpSetupError::Private(host.to_owned()));
        }
        let same_host = redirect::Policy::custom(|attempt| {
            let first = attempt.previous().first();
            // The others would make a GET of it, without a body, and any page would be a good end.
            let keeps_request = [StatusCode::TEMPORARY_REDIRECT, StatusCode::PERMANENT_REDIRECT]
                .contains(&attempt.status());
            let is_same = first.is_some_and(|first| is_same_origin(first, attempt.url()));
            match is_same && keeps_request {
                true if attempt.previous().len() <= 5 => attempt.follow(),
                // The answer is the redirect itself, which is no end.
                _ => attempt.stop(),
            }
        });
        let client = Client::builder()
            .no_proxy()
            .redirect(same_host)
            .connect_timeout(self.connect_timeout)
            .timeout(self.timeout)
            .tcp_nodelay(true)
            .tcp_keepalive(KEEPALIVE)
            .user_agent(concat!("dispatchyard/", env!("CARGO_PKG_VERSION")))
            .dns_resolver(Arc::new(Guarded { private_addresses: self.private_addresses }))
            .build()?;
        Ok(client)
    }
}

/// Whether two URLs have the same scheme, host and port.
pub(super) fn is_same_origin(one: &Url, other: &Url) -> bool {
    let origin = |url: &Url| {
        (url.scheme().to_owned(), url.host_str().map(str::to_owned), url.port_or_known_default())
    };
    origin(one) == origin(other)
}

/// How often a request is made.
#[derive(Clone, Copy)]
pub(super) struct Pace {
    pub(super) tries_max: u32,
    /// How long the first rest is at most; doubled with each.
    pub(super) backoff: Duration,
    /// The longest of them.
    pub(super) backoff_max: Duration,
}

impl Pace {
    pub(super) fn tries(self) -> Tries {
        Tries { pace: self, made: 0, backoff: self.backoff }
    }
}

/// The tries of one request.
pub(super) struct Tries {
    pace: Pace,
    made: u32,
    backoff: Duration,
}

/// Whether there is another try.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(super) enum Rest {
    /// It is time for it.
    Over,
    /// There were enough.
    NoMore,
    /// Somebody came in between.
    Stopped,
}

impl Tries {
    /// A try came to nothing: rests before the next one, unless `stop` comes first.
    pub(super) async fn rest(&mut self, stop: impl Future<Output = ()>) -> Rest {
        self.made += 1;
        if self.made >= self.pace.tries_max {
            return Rest::NoMore;
        }
        let jitter = OsEntropy.below(self.backoff.as_millis() as u64 + 1);
        self.backoff = (self.backoff * 2).min(self.pace.backoff_max);
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(jitter)) => Rest::Over,
            () = stop => Rest::Stopped,
        }
    }
}

/// Makes a request, and reads as much of its answer as counts.
pub(super) async fn send(
    request: RequestBuilder,
    (method, url): (&'static str, &Url),
    request_id: String,
    bytes_max: usize,
    clock: &dyn Clock,
) -> Tried {
    let began = clock.seconds();
    let answered = match request.send().await {
        Ok(response) => Answered::read(response, bytes_max).await,
        Err(error) => Answered::failed(&error),
    };
    let took = Duration::from_secs_f64((clock.seconds() - began).max(0.0));
    Tried { method, url: without_secrets(url), request_id, took, answered }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_request_is_made_a_bounded_number_of_times_and_can_be_stopped_in_between() {
        let ms = Duration::from_millis;
        let mut tries = Pace { tries_max: 3, backoff: ms(1), backoff_max: ms(2) }.tries();
        assert_eq!(tries.rest(std::future::pending()).await, Rest::Over);
        assert_eq!(tries.rest(std::future::pending()).await, Rest::Over);
        assert_eq!(tries.rest(std::future::pending()).await, Rest::NoMore);
        let hour = Duration::from_secs(3_600);
        let mut tries = Pace { tries_max: 3, backoff: hour, backoff_max: hour }.tries();
        assert_eq!(tries.rest(std::future::ready(())).await, Rest::Stopped);
    }

    #[test]
    fn an_origin_is_scheme_host_and_port() {
        let same =
            |one: &str, other: &str| is_same_origin(&one.parse().unwrap(), &other.parse().unwrap());
        assert!(same("https://a.example/x", "https://a.example:443/y?z"));
        assert!(!same("https://a.example", "http://a.example"));
        assert!(!same("https://a.example", "https://b.example"));
        assert!(!same("https://a.example", "https://a.example:444"));
    }
}
