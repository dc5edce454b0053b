//! `[executor.lambda]`: jobs are invocations of an AWS Lambda function.

use serde::{Deserialize, Serialize};

use super::{half_a_second, one_minute, three, two_seconds};
use crate::config::number;
use crate::config::secret::SecretRef;

/// `[executor.lambda]`: jobs are invocations of an AWS Lambda function.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LambdaExecutorConfig {
    /// `function`: its name or ARN. No default.
    pub function: String,
    /// `region`: where it lives. Default: what its ARN, `AWS_REGION` or `AWS_DEFAULT_REGION` says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// `qualifier`: a version or an alias of it. Default: the one that has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub qualifier: Option<String>,
    /// `invocation`: `sync`, where what the function returns is the end, or `async`, where it calls back.
    /// Default `sync`.
    #[serde(default)]
    pub invocation: LambdaInvocation,
    /// `endpoint`: where Lambda is called. Default: what `AWS_ENDPOINT_URL_LAMBDA` or `AWS_ENDPOINT_URL`
    /// says, else the region's own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// `credentials`: `auto`, `environment`, `web_identity`, `container`, `instance`, or `{ keys = { id =
    /// "ID", secret = REF } }`, where REF is as for all secrets. Default `auto`: the first of the four that
    /// the environment speaks of.
    #[serde(default)]
    pub credentials: LambdaCredentialsConfig,
    /// `inline_context`: whether payloads have the job's whole context in them. Default false.
    #[serde(default)]
    pub inline_context: bool,
    /// `private_addresses`: whether addresses of private networks, and this machine's, may be called.
    /// Default false.
    #[serde(default)]
    pub private_addresses: bool,
    /// `connect_timeout_ms`: how long a connection may take. Default 2000.
    #[serde(default = "two_seconds", deserialize_with = "number::millis")]
    pub connect_timeout_ms: i64,
    /// `function_timeout_ms`: the function's own timeout. So long, and 20 seconds more, `sync` waits for an
    /// answer, and for the end of a function of which nobody hears any more. Default 900000, the longest.
    #[serde(default = "quarter_of_an_hour", deserialize_with = "number::millis")]
    pub function_timeout_ms: i64,
    /// `tries_max`: how often a request is made for one attempt, where the function did not run. Default 3.
    #[serde(default = "three", deserialize_with = "number::units")]
    pub tries_max: u32,
    /// `backoff_ms`: how long at most between the first two of them; doubled with each. Default 500.
    #[serde(default = "half_a_second", deserialize_with = "number::millis")]
    pub backoff_ms: i64,
    /// `retry_after_max_ms`: the longest that a `Retry-After` is taken for. Default 60000.
    #[serde(default = "one_minute", deserialize_with = "number::millis")]
    pub retry_after_max_ms: i64,
    /// `heartbeat_ms`: how long a function that calls back may be silent before the work counts as lost, from
    /// the moment at which it was accepted. Default: as long as the job may run.
    #[serde(
        default,
        deserialize_with = "number::optional_millis",
        skip_serializing_if = "Option::is_none"
    )]
    pub heartbeat_ms: Option<i64>,
}

fn quarter_of_an_hour() -> i64 {
    900_000
}

/// How a function is called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LambdaInvocation {
    /// What it returns is the end.
    #[default]
    Sync,
    /// It calls back.
    Async,
}

/// Where the keys come from that requests are signed with.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LambdaCredentialsConfig {
    /// From the first of the others that the environment speaks of.
    #[default]
    Auto,
    /// From the variables of the environment.
    Environment,
    /// From STS, for the token of an identity.
    WebIdentity,
    /// From the container's agent.
    Container,
    /// From the metadata service of the machine.
    Instance,
    /// They are these.
    Keys {
        /// The key's name.
        id: String,
        /// The key.
        secret: SecretRef,
    },
}

impl LambdaExecutorConfig {
    /// Where its secret is, if it has one.
    pub(super) fn secret(&self) -> Option<&SecretRef> {
        match &self.credentials {
            LambdaCredentialsConfig::Keys { secret, .. } => Some(secret),
            _ => None,
        }
    }

    /// What is wrong with it: a key, a message, a hint.
    pub(super) fn faults(&self) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        if !is_name(&self.function, 256) {
            let message =
                format!("`{}` is no name of a function, and no ARN of one", self.function);
            faults.push(("lambda.function", message, "write `my-function`, or its ARN"));
        }
        if let Some(qualifier) = self.qualifier.as_deref().filter(|it| !is_name(it, 128)) {
            let message = format!("`{qualifier}` is no version and no alias");
            faults.push(("lambda.qualifier", message, "write a number, `$LATEST`, or an alias"));
        }
        let is_region = |it: &str| it.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if let Some(region) = self.region.as_deref().filter(|it| it.is_empty() || !is_region(it)) {
            let message = format!("`{region}` is no region");
            faults.push(("lambda.region", message, "write `eu-west-1`"));
        }
        if let Some(endpoint) = self.endpoint.as_deref().filter(|it| !super::is_url_of_http(it)) {
            let message = format!("`{}` is no URL", super::shown(endpoint));
            faults.push(("lambda.endpoint", message, "write `https://HOST`"));
        }
        faults
    }
}

/// What can stand in the path of a request.
fn is_name(text: &str, chars_max: usize) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:$".contains(c);
    (1..=chars_max).contains(&text.len()) && text.chars().all(is_plain)
}
