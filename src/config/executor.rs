//! `[[executor]]`: backends that jobs are pushed to.

mod container;
mod lambda;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::kubernetes::KubernetesConfig;
use super::provisioner::ProcessConfig;
use super::references::Names;
use super::secret::SecretRef;
use super::section::Reading;
use super::{ConfigError, Origin, number};
use crate::model::{RunnerCapabilities, RunnerRequirements};

pub use container::{ContainerConfig, MountConfig, PullConfig, RegistryAuthConfig};
pub use lambda::{LambdaCredentialsConfig, LambdaExecutorConfig, LambdaInvocation};

/// One executor. Routes name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExecutorConfig {
    /// `name`: what routes call it; unique.
    pub name: String,
    /// `max_concurrent`: how many jobs it has at once, 1 to 1000. Default 10.
    #[serde(default = "ten", deserialize_with = "number::units")]
    pub max_concurrent: u32,
    /// `pool`: whose limits, pauses and policies hold for it. Default `default`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// `http`: jobs are posted to a URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpExecutorConfig>,
    /// `kubernetes`: each is a Job of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesConfig>,
    /// `process`: a runner of this machine takes them, which outlives the server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessConfig>,
    /// `lambda`: jobs are invocations of an AWS Lambda function.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lambda: Option<LambdaExecutorConfig>,
    /// `container`: jobs are containers of a Docker or Podman daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerConfig>,
    /// `breaker`: when it is left alone.
    #[serde(default)]
    pub breaker: BreakerConfig,
}

/// `[executor.breaker]`: when an executor is left alone, and for how long.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerConfig {
    /// `failures_max`: so many attempts in a row that what carried them failed make it count as away: time-outs,
    /// answers of 500 and above. One that certainly did not begin does so at once. Default 5.
    #[serde(deserialize_with = "number::units")]
    pub failures_max: u32,
    /// `open_ms`: for how long at first; then it is tried with one job. Doubled each time that this fails.
    /// Default 1000.
    #[serde(deserialize_with = "number::millis")]
    pub open_ms: i64,
    /// `open_ms_max`: for how long at most, also when a `Retry-After` asks for more. Default 60000.
    #[serde(deserialize_with = "number::millis")]
    pub open_ms_max: i64,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self { failures_max: 5, open_ms: 1_000, open_ms_max: 60_000 }
    }
}

fn ten() -> u32 {
    10
}

/// `[executor.http]`: jobs are posted to a URL.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpExecutorConfig {
    /// `url`: where to. No default.
    pub url: String,
    /// `auth`: how requests show who sends them: `{ bearer = REF }`, `{ basic = { user = "U", password = REF
    /// } }`, `{ api_key = { header = "H", key = REF } }`, `{ standard_webhooks = REF }`, where REF is as
    /// for all secrets. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuthConfig>,
    /// `headers`: more of them; no secrets. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `inline_context`: whether requests have the job's whole context in them. Default false.
    #[serde(default)]
    pub inline_context: bool,
    /// `private_addresses`: whether addresses of private networks, and this machine's, may be called.
    /// Default false.
    #[serde(default)]
    pub private_addresses: bool,
    /// `connect_timeout_ms`: how long a connection may take. Default 2000.
    #[serde(default = "two_seconds", deserialize_with = "number::millis")]
    pub connect_timeout_ms: i64,
    /// `timeout_ms`: how long an answer may take; of whoever answers with the end, the longest work.
    /// Default 600000.
    #[serde(default = "ten_minutes", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `tries_max`: how often a request is made for one attempt, where it may have been carried out. Default
    /// 3.
    #[serde(default = "three", deserialize_with = "number::units")]
    pub tries_max: u32,
    /// `backoff_ms`: how long at most between the first two of them; doubled with each. Default 500.
    #[serde(default = "half_a_second", deserialize_with = "number::millis")]
    pub backoff_ms: i64,
    /// `retry_after_max_ms`: the longest that a `Retry-After` is taken for. Default 60000.
    #[serde(default = "one_minute", deserialize_with = "number::millis")]
    pub retry_after_max_ms: i64,
    /// `response_bytes_max`: the most that is read of an answer. Default 1048576.
    #[serde(default = "one_mib", deserialize_with = "number::units")]
    pub response_bytes_max: u32,
    /// `heartbeat_ms`: how long whoever calls back may be silent before the work counts as lost. Default:
    /// as long as the job may run.
    #[serde(
        default,
        deserialize_with = "number::optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_ms: Option<i64>,
}

fn two_seconds() -> i64 {
    2_000
}
fn ten_minutes() -> i64 {
    600_000
}
fn half_a_second() -> i64 {
    500
}
fn one_minute() -> i64 {
    60_000
}
fn three() -> u32 {
    3
}
fn one_mib() -> u32 {
    1 << 20
}

/// How a request shows who sends it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum HttpAuthConfig {
    /// `Authorization: Bearer ...`
    Bearer(SecretRef),
    /// `Authorization: Basic ...`
    Basic {
        /// Who.
        user: String,
        /// The password.
        password: SecretRef,
    },
    /// A header of one's own.
    ApiKey {
        /// Which header.
        header: String,
        /// The key.
        key: SecretRef,
    },
    /// A signature over the body, with a secret `whsec_...`.
    StandardWebhooks(SecretRef),
}

impl HttpAuthConfig {
    /// Where its secret is.
    pub(super) fn secret(&self) -> &SecretRef {
        match self {
            Self::Bearer(secret) | Self::StandardWebhooks(secret) => secret,
            Self::Basic { password, .. } => password,
            Self::ApiKey { key, .. } => key,
        }
    }
}

impl ExecutorConfig {
    /// The kinds of backend that its table says.
    fn kinds(&self) -> Vec<&'static str> {
        let all = [
            ("http", self.http.is_some()),
            ("process", self.process.is_some()),
            ("lambda", self.lambda.is_some()),
            ("container", self.container.is_some()),
            ("kubernetes", self.kubernetes.is_some()),
        ];
        all.into_iter().filter(|(_, there)| *there).map(|(kind, _)| kind).collect()
    }

    /// Where its secret is, if it has one.
    pub(super) fn secret(&self) -> Option<&SecretRef> {
        let of_http = || Some(self.http.as_ref()?.auth.as_ref()?.secret());
        let of_lambda = || self.lambda.as_ref()?.secret();
        of_http().or_else(of_lambda).or_else(|| self.container.as_ref()?.secret())
    }
}

/// Reports executors that cannot be one.
pub(super) fn check(
    executors: &[Spanned<ExecutorConfig>],
    names: &Names<'_>,
    reading: &mut Reading<'_>,
) {
    let mut known = BTreeSet::new();
    for table in executors {
        let (place, executor) = (reading.file.place(table.span().start), table.get_ref());
        let name = &executor.name;
        let mut report = |key: &str, message: String, hint: Option<&str>| {
            let mut error = ConfigError::at(place.clone(), format!("executor.{key}"), message);
            error.hint = hint.map(str::to_owned);
            reading.errors.push(error);
        };
        if let Err(message) = super::name::plain(name) {
            report("name", message, None);
        }
        if *name == RunnerRequirements::RUNNERS {
            let hint = "choose another one: routes name runners that poll by it";
            report("name", format!("the name `{name}` is taken"), Some(hint));
        }
        if !known.insert(name) {
            report("name", format!("a second executor has the name `{name}`"), None);
        }
        let most = RunnerCapabilities::PARALLEL_JOBS_MAX;
        if executor.max_concurrent > most {
            let message = format!("{} is more than {most}", executor.max_concurrent);
            report("max_concurrent", message, None);
        }
        match executor.kinds()[..] {
            [_] => {}
            [] => {
                let hint = "write `[executor.http]` with a `url`, or another kind, below it";
                report("http", format!("the executor `{name}` says not what it is"), Some(hint));
            }
            [first, second, ..] => {
                let message = format!("the executor `{name}` is {first} and {second}");
                report(second, message, Some("write two of them"));
            }
        }
        if let Some(http) = &executor.http
            && !is_url_of_http(&http.url)
        {
            let hint = "write `https://HOST/PATH`";
            report("http.url", format!("`{}` is no URL", shown(&http.url)), Some(hint));
        }
        for (key, message, hint) in executor.lambda.iter().flat_map(LambdaExecutorConfig::faults) {
            report(key, message, Some(hint));
        }
        let BreakerConfig { open_ms, open_ms_max, .. } = executor.breaker;
        if open_ms > open_ms_max {
            let message = format!("{open_ms} is more than open_ms_max {open_ms_max}");
            report("breaker.open_ms", message, Some("raise open_ms_max, or lower this one"));
        }
        for (key, message, hint) in executor.container.iter().flat_map(|it| it.faults(true)) {
            report(key, message, Some(hint));
        }
        for (key, fault, hint) in executor.kubernetes.iter().flat_map(KubernetesConfig::faults) {
            report(&format!("kubernetes.{key}"), fault, hint);
        }
        if let Some(pool) = &executor.pool {
            let what = format!("the executor `{name}`");
            let origin = Origin::File(place.clone());
            reading.errors.extend(names.pool(pool, &what, origin, "executor.pool"));
        }
    }
}

pub(super) fn is_url_of_http(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(char::is_whitespace)
    })
}

/// What may be told of a URL: not what stands before an `@` or behind a `?`.
pub(super) fn shown(url: &str) -> &str {
    let end = url.find('?').unwrap_or(url.len());
    let begin = url[..end].rfind('@').map_or(0, |at| at + 1);
    &url[begin..end]
}
