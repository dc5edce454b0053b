//! `[provisioner.http]`: runners are made by somebody who is told so over HTTP.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{HttpAuthConfig, number};

/// `[provisioner.http]`: `POST` of an order to the URL makes a runner, `DELETE` of its name below the URL
/// takes it down, `GET` lists all.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProvisionerConfig {
    /// `url`: where to. No default.
    pub url: String,
    /// `auth`: as of `[executor.http]`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub auth: Option<HttpAuthConfig>,
    /// `headers`: more of them; no secrets. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// `private_addresses`: whether addresses of private networks, and this machine's, may be called.
    /// Default false.
    #[serde(default)]
    pub private_addresses: bool,
    /// `connect_timeout_ms`: how long a connection may take. Default 2000.
    #[serde(default = "two_seconds", deserialize_with = "number::millis")]
    pub connect_timeout_ms: i64,
    /// `timeout_ms`: how long an answer may take. Default 30000.
    #[serde(default = "half_a_minute", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `response_bytes_max`: the most that is read of an answer. Default 1048576.
    #[serde(default = "one_mib", deserialize_with = "number::count")]
    pub response_bytes_max: u32,
}

fn two_seconds() -> i64 {
    2_000
}
fn half_a_minute() -> i64 {
    30_000
}
fn one_mib() -> u32 {
    1 << 20
}
