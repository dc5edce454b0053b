//! What is allowed and still deserves a word, and what must not start.

use super::route::rules;
use super::{Config, ConfigError, ConfigErrors, Origin};
use crate::executor::router::{PatternError, Router, RoutingConfig};
use crate::model::Catalogue;

impl Config {
    /// What the routes say, with pools as the catalogue has them. Where a pattern is none there are no
    /// routes: see [`Config::check_routes`].
    pub fn routing(&self, catalogue: &Catalogue) -> Router {
        self.routing_config(catalogue).compile().unwrap_or_default()
    }

    /// The same, to add to it.
    pub fn routing_config(&self, catalogue: &Catalogue) -> RoutingConfig {
        rules(&self.routes, catalogue)
    }

    /// The patterns of routes that no file was read for: those of a program that embeds the server.
    ///
    /// # Errors
    /// Each pattern that is none, with what to write instead.
    pub fn check_routes(&self) -> Result<(), ConfigErrors> {
        let compiled = rules(&self.routes, &Catalogue::default()).compile();
        let wrong = compiled.err().unwrap_or_default();
        let told = |(at, fault): (usize, PatternError)| {
            let message = format!("the route `{}`: {}", self.routes[at].name, fault.message);
            let mut error = ConfigError::at(self.place(0), "route.match", message);
            error.hint = fault.hint;
            error
        };
        ConfigErrors::check(wrong.into_iter().map(told).collect())
    }

    fn shadowed_routes(&self) -> Vec<String> {
        let told = |(late, early): (usize, usize)| {
            let [late, early] = [late, early].map(|at| &self.routes[at]);
            format!(
                "the route `{}` never decides: `{}` before it matches all that `{}` does",
                late.name, early.name, late.pattern
            )
        };
        self.routing(&Catalogue::default()).shadowed().map(told).collect()
    }

    /// Settings that are valid and that an operator should look at.
    pub fn warnings(&self) -> Vec<String> {
        let (scheduler, limits) = (&self.scheduler, &self.limits);
        let lease_ms = scheduler.lease_length_ms();
        let mut found = Vec::new();
        let mut warn = |risky: bool, text: String| {
            if risky {
                found.push(text);
            }
        };
        let interval = scheduler.heartbeat_interval_ms;
        let timeout = scheduler.heartbeat_timeout_ms;
        warn(
            interval > timeout / 2,
            format!(
                "heartbeat_interval_ms {interval} is more than half of heartbeat_timeout_ms \
                 {timeout}: one lost heartbeat makes a runner offline"
            ),
        );
        warn(
            scheduler.lease_ms.is_some() && interval > lease_ms / 2,
            format!(
                "heartbeat_interval_ms {interval} is more than half of lease_ms {lease_ms}: one \
                 lost heartbeat takes a runner's jobs away"
            ),
        );
        warn(
            scheduler.ack_window_ms > lease_ms,
            format!(
                "ack_window_ms {} is longer than the lease of {lease_ms} ms: an unstarted job \
                 expires before its window ends",
                scheduler.ack_window_ms
            ),
        );
        warn(
            scheduler.backoff_ms > scheduler.backoff_max_ms,
            format!(
                "backoff_ms {} is more than backoff_max_ms {}, which wins",
                scheduler.backoff_ms, scheduler.backoff_max_ms
            ),
        );
        warn(
            scheduler.store_wait_ms > 9_000,
            format!(
                "store_wait_ms {} leaves no time to answer: GitHub gives up after 10 s",
                scheduler.store_wait_ms
            ),
        );
        warn(
            limits.hook_bytes_in_flight_max < limits.hook_body_bytes_max,
            format!(
                "hook_bytes_in_flight_max {} is less than hook_body_bytes_max {}: the largest \
                 deliveries are never accepted",
                limits.hook_bytes_in_flight_max, limits.hook_body_bytes_max
            ),
        );
        let most = scheduler.max_global_concurrency as u64;
        for (name, tenant) in &self.tenants {
            let running = tenant.running_max.unwrap_or(0);
            warn(
                running > most,
                format!(
                    "running_max {running} of the tenant `{name}` is more than \
                     max_global_concurrency {most}, which wins"
                ),
            );
            let queued = tenant.queued_max.unwrap_or(0);
            warn(
                queued > limits.queue_jobs_max,
                format!(
                    "queued_max {queued} of the tenant `{name}` is more than queue_jobs_max {}, \
                     which wins",
                    limits.queue_jobs_max
                ),
            );
        }
        for (name, pool) in &self.pools {
            let jobs = pool.jobs_max.unwrap_or(0);
            warn(
                jobs > most,
                format!(
                    "jobs_max {jobs} of the pool `{name}` is more than max_global_concurrency \
                     {most}, which wins"
                ),
            );
        }
        for source in self.sources.iter().filter(|source| source.insecure) {
            let name = &source.name;
            let text = format!("the source `{name}` is insecure: anybody can send it deliveries");
            warn(true, text);
            let text = format!(
                "the source `{name}` is insecure and has `workflows`: anybody who can send to it can name a repository \
                 whose files run here"
            );
            warn(source.workflows.is_some(), text);
        }
        found.extend(self.shadowed_routes());
        found.extend(self.unreachable_triggers());
        found
    }

    /// The rule of `serve`: nobody but this machine may call an API without tokens, or have files of any repository
    /// run.
    ///
    /// # Errors
    /// The address is not loopback, and no admin token is configured, or an insecure source has `workflows`.
    pub fn check_exposure(&self) -> Result<(), ConfigError> {
        let listen = self.server.listen;
        if listen.ip().to_canonical().is_loopback() {
            return Ok(());
        }
        let open = self.sources.iter().find_map(|source| {
            let is_open = source.insecure && source.secrets.is_empty();
            source.workflows.as_ref().filter(|_| is_open).map(|it| (&source.name, it.span().start))
        });
        if let Some((name, at)) = open {
            let message = format!(
                "{listen} can be reached from other machines and the source `{name}` is insecure: anybody could have \
                 files of any repository run"
            );
            let error = ConfigError::at(self.place(at), "source.workflows", message);
            return Err(error.hint("give the source `secrets`, or listen on 127.0.0.1"));
        }
        if !self.access.is_open() {
            return Ok(());
        }
        let origin = self.origins.get("server.listen").cloned();
        let origin = origin.unwrap_or_else(|| Origin::File(self.place(0)));
        let message = format!(
            "{listen} can be reached from other machines and `access.admin_tokens` is empty: \
             anybody could run jobs"
        );
        let hint = "write `[access]` and below it `admin_tokens = [{ env = \
                    \"DISPATCHYARD_ADMIN_TOKEN\" }]`, or listen on 127.0.0.1";
        Err(ConfigError::new(origin, "server.listen", message).hint(hint))
    }
}
