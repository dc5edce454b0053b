//! From the configuration, and what a program brings with it, to the executors of a server.

pub(super) mod container;
mod lambda;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::AppError;
use super::millis;
use crate::clock::Clock;
use crate::config::{
    BreakerConfig, Config, ExecutorConfig, HttpAuthConfig, HttpExecutorConfig, Secrets,
};
use crate::executor::router::{Router, RoutingConfig};
use crate::executor::{
    BreakerSettings, DurableExecutor, ExecutorOptions, ExecutorSetup, HttpAuth, HttpExecutor,
    HttpOptions, SigningSecret,
};
use crate::model::{Catalogue, PoolId, RunnerCapabilities, RunnerRequirements};
use crate::webhook::Secret;

/// An executor that a program brings with it.
#[derive(Clone)]
pub struct OwnExecutor {
    /// Its code.
    pub executor: Arc<dyn DurableExecutor>,
    /// How many jobs it has at once, 1 to [`RunnerCapabilities::PARALLEL_JOBS_MAX`].
    pub max_concurrent: u32,
    /// Its pool; `None` for `default`.
    pub pool: Option<String>,
}

/// All executors, by the names that routes have for them.
pub(super) type Setups = BTreeMap<Box<str>, ExecutorSetup>;

/// What each executor is given.
pub(super) fn setups(
    config: &Config,
    catalogue: &Catalogue,
    configured: BTreeMap<Box<str>, OwnExecutor>,
    own: BTreeMap<Box<str>, OwnExecutor>,
) -> Result<Setups, AppError> {
    let scheduler = &config.scheduler;
    let options = |name: &str, own: &OwnExecutor| {
        let refuse = |why: String| AppError::Executor { name: name.into(), why };
        if name == RunnerRequirements::RUNNERS || name.is_empty() {
            return Err(refuse("this is the name of runners that poll".to_owned()));
        }
        let most = RunnerCapabilities::PARALLEL_JOBS_MAX;
        if !(1..=most).contains(&own.max_concurrent) {
            return Err(refuse(format!("max_concurrent is 1 to {most}")));
        }
        let pool_id = match own.pool.as_deref() {
            None => PoolId::DEFAULT,
            Some(pool) => *catalogue
                .pools
                .get(pool)
                .ok_or_else(|| refuse(format!("there is no pool `{pool}`")))?,
        };
        Ok(ExecutorOptions {
            pool_id,
            capabilities: RunnerCapabilities::of_executor(name, own.max_concurrent),
            breaker: breaker(config, name),
            stop_grace: millis(scheduler.cancel_grace_ms),
            heartbeat_interval: millis(scheduler.heartbeat_interval_ms),
        })
    };
    // A program's own outranks one of the file with the same name.
    let all: BTreeMap<_, _> = configured.into_iter().chain(own).collect();
    all.into_iter()
        .map(|(name, own)| {
            let options = options(&name, &own)?;
            Ok((name, ExecutorSetup { executor: own.executor, options }))
        })
        .collect()
}

/// The executors of the configuration; `address` is where this server listens, and `installation` tells its
/// database from others.
pub(super) async fn configured(
    config: &Config,
    secrets: &Secrets,
    address: SocketAddr,
    installation: &str,
    clock: &Arc<dyn Clock>,
) -> Result<BTreeMap<Box<str>, OwnExecutor>, AppError> {
    let base = base_url(config, address);
    let mut all = BTreeMap::new();
    for executor in &config.executors {
        let secret = secrets.executors.get(&executor.name);
        let made = if let Some(http) = &executor.http {
            self::http(executor, http, secret, &base, clock)
        } else if let Some(lambda) = &executor.lambda {
            lambda::executor(executor, lambda, secret, &base, clock)
        } else if let Some(container) = &executor.container {
            container::executor(executor, container, secret, installation, clock)
        } else if let Some(table) = &executor.kubernetes {
            super::kubernetes::executor(config, executor, table, installation, clock).await
        } else {
            // A runner of this machine is no executor to push to.
            continue;
        };
        let name: Box<str> = executor.name.as_str().into();
        let made = made.map_err(|why| AppError::Executor { name: name.clone(), why })?;
        let (max_concurrent, pool) = (executor.max_concurrent, executor.pool.clone());
        all.insert(name, OwnExecutor { executor: made, max_concurrent, pool });
    }
    Ok(all)
}

/// Where this server is called.
pub(super) fn base_url(config: &Config, address: SocketAddr) -> String {
    let base = config.server.advertised_url.as_deref().map(|url| url.trim_end_matches('/'));
    base.map_or_else(|| format!("http://{address}"), str::to_owned)
}

/// When an executor of that name is left alone.
fn breaker(config: &Config, name: &str) -> BreakerSettings {
    let found = config.executors.iter().find(|it| it.name == name).map(|it| &it.breaker);
    found.map_or_else(BreakerSettings::default, |it| {
        let BreakerConfig { failures_max, open_ms, open_ms_max } = *it;
        BreakerSettings { failures_max, open_ms, open_ms_max }
    })
}

fn http(
    executor: &ExecutorConfig,
    http: &HttpExecutorConfig,
    secret: Option<&Secret>,
    base: &str,
    clock: &Arc<dyn Clock>,
) -> Result<Arc<dyn DurableExecutor>, String> {
    let options = http_options(http, secret, executor.max_concurrent, base)?;
    let made = HttpExecutor::new(&*executor.name, options, Arc::clone(clock));
    Ok(Arc::new(made.map_err(|error| error.to_string())?))
}

/// The text of a secret.
fn text(secret: Option<&Secret>) -> Result<String, String> {
    let bytes = secret.map(Secret::bytes).unwrap_or_default();
    String::from_utf8(bytes.to_vec()).map_err(|_| "its secret is no text".to_owned())
}

fn http_options(
    http: &HttpExecutorConfig,
    secret: Option<&Secret>,
    max_concurrent: u32,
    base: &str,
) -> Result<HttpOptions, String> {
    let (auth, headers) = shows(http.auth.as_ref(), &http.headers, secret)?;
    Ok(HttpOptions {
        url: http.url.parse().map_err(|error| format!("its url: {error}"))?,
        auth,
        headers,
        inline_context: http.inline_context,
        connect_timeout: millis(http.connect_timeout_ms),
        timeout: millis(http.timeout_ms),
        private_addresses: http.private_addresses,
        tries_max: http.tries_max.max(1),
        backoff: millis(http.backoff_ms),
        retry_after_max: millis(http.retry_after_max_ms),
        response_bytes_max: http.response_bytes_max as usize,
        heartbeat: http.heartbeat_ms.map(millis),
        max_concurrent: max_concurrent.into(),
        callback_base: base.to_owned(),
    })
}

/// How requests show who sends them, and the headers that they have besides.
pub(super) fn shows(
    auth: Option<&HttpAuthConfig>,
    more: &BTreeMap<String, String>,
    secret: Option<&Secret>,
) -> Result<(HttpAuth, HeaderMap), String> {
    let header = |name: &str| {
        let read = HeaderName::from_bytes(name.as_bytes());
        read.map_err(|_| format!("`{name}` is no name of a header"))
    };
    let auth = match auth {
        None => HttpAuth::None,
        Some(HttpAuthConfig::Bearer(_)) => HttpAuth::Bearer(text(secret)?),
        Some(HttpAuthConfig::Basic { user, .. }) => {
            HttpAuth::Basic { user: user.clone(), password: text(secret)? }
        }
        Some(HttpAuthConfig::ApiKey { header: name, .. }) => {
            let key = HeaderValue::from_str(&text(secret)?);
            let mut key = key.map_err(|_| "its key cannot stand in a header".to_owned())?;
            key.set_sensitive(true);
            HttpAuth::ApiKey { header: header(name)?, key }
        }
        Some(HttpAuthConfig::StandardWebhooks(_)) => {
            let secret = SigningSecret::parse(&text(secret)?);
            HttpAuth::Signature(secret.map_err(|why| format!("its secret: {why}"))?)
        }
    };
    let mut headers = HeaderMap::new();
    for (name, value) in more {
        let value = HeaderValue::from_str(value);
        let value = value.map_err(|_| format!("the header `{name}` cannot have that value"))?;
        headers.insert(header(name)?, value);
    }
    Ok((auth, headers))
}

/// The routes, each of whose executors is there.
pub(super) fn router(
    config: &Config,
    own: Option<RoutingConfig>,
    catalogue: &Catalogue,
    pools: BTreeMap<Box<str>, PoolId>,
) -> Result<Router, AppError> {
    let mut routes = own.unwrap_or_else(|| config.routing_config(catalogue));
    routes.pools = pools;
    let known: BTreeSet<&str> =
        routes.pools.keys().map(|name| &**name).chain([RunnerRequirements::RUNNERS]).collect();
    let named = routes.rules.iter().flat_map(|rule| &rule.executors).chain([&routes.default]);
    if let Some(name) = named.into_iter().find(|name| !known.contains(&***name)) {
        let why = format!("a route names it, and there are {}", Vec::from_iter(known).join(", "));
        return Err(AppError::Executor { name: name.clone(), why });
    }
    let names: Vec<_> = routes.rules.iter().map(|rule| rule.name.clone()).collect();
    routes.compile().map_err(|wrong| {
        let told = wrong.into_iter().map(|(at, fault)| format!("{}: {}", names[at], fault.message));
        AppError::Routes(told.collect::<Vec<_>>().join("; "))
    })
}
