//! A stream of server-sent events that survives broken connections and restarts of the server.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::Response;

use super::CliError;
use super::client::Client;
use crate::api::wire::sse::{SseEvent, SseParser};

/// How long to wait before a broken stream is asked for again, and when to give up.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// The first wait; it doubles with each failure in a row.
    pub first: Duration,
    /// The longest wait.
    pub longest: Duration,
    /// Failures in a row after which it is given up.
    pub failures_max: u32,
}

impl Default for Patience {
    /// About 40 s: longer than a restart of the server takes.
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(5),
            failures_max: 12,
        }
    }
}

impl Patience {
    /// The wait after that many failures in a row, from 1.
    fn wait(self, failures: u32) -> Duration {
        let doubled = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(doubled).min(self.longest)
    }
}

/// The events of one address, one after the other, resumed by their ids.
pub struct Follower<'a> {
    client: &'a Client,
    path: Vec<String>,
    query: Vec<(&'static str, String)>,
    patience: Patience,
    /// What to resume from.
    last_id: Option<String>,
    /// Whether there was ever a connection: until then a failure is told at once, because most
    /// likely the address is wrong.
    connected: bool,
    /// Connections in a row that brought nothing.
    failures: u32,
    /// The connection, while there is one.
    open: Option<(Response, SseParser)>,
    /// Events that came with the same chunk and are not taken yet.
    ready: VecDeque<SseEvent>,
}

impl<'a> Follower<'a> {
    /// Follows `GET /api/v1/{path}`; the first call of [`Follower::next`] connects.
    pub fn new(client: &'a Client, path: &[&str], query: Vec<(&'static str, String)>) -> Self {
        Self {
            client,
            path: path.iter().map(|&segment| segment.to_owned()).collect(),
            query,
            patience: Patience::default(),
            last_id: None,
            connected: false,
            failures: 0,
            open: None,
            ready: VecDeque::new(),
        }
    }

    /// Sets how long to try.
    #[must_use]
    pub fn patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The next event. Whoever drops the future loses none.
    ///
    /// # Errors
    /// The server refused, or was not to be reached for longer than patience lasts.
    pub async fn next(&mut self) -> Result<SseEvent, CliError> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                self.last_id.clone_from(&event.id);
                return Ok(event);
            }
            match self.read().await {
                Ok(true) => {}
                Ok(false) => self.pause(None).await?,
                Err(error) if self.connected && error.is_transient() => {
                    self.pause(Some(error)).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Connects now, so that nothing that happens from here on is missed.
    ///
    /// # Errors
    /// The server refused or is not to be reached.
    pub async fn connect(&mut self) -> Result<(), CliError> {
        if self.open.is_none() {
            let path: Vec<_> = self.path.iter().map(String::as_str).collect();
            let last_id = self.last_id.as_deref().filter(|id| !id.is_empty());
            let response = self.client.stream(&path, &self.query, last_id).await?;
            self.connected = true;
            self.open = Some((response, SseParser::new()));
        }
        Ok(())
    }

    /// Reads one chunk; false when the connection has ended.
    async fn read(&mut self) -> Result<bool, CliError> {
        self.connect().await?;
        let Some((response, parser)) = &mut self.open else { return Ok(false) };
        let Ok(Some(chunk)) = response.chunk().await else { return Ok(false) };
        self.failures = 0;
        let Ok(events) = parser.push(&chunk) else { return Ok(false) };
        self.ready.extend(events);
        Ok(true)
    }

    /// Waits before the next connection, or gives up.
    async fn pause(&mut self, error: Option<CliError>) -> Result<(), CliError> {
        self.open = None;
        self.failures += 1;
        if self.failures > self.patience.failures_max {
            let server = self.client.server();
            let lost = CliError::StreamLost { server, failures: self.failures };
            return Err(error.unwrap_or(lost));
        }
        tokio::time::sleep(self.patience.wait(self.failures)).await;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
