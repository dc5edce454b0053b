//! `[server]`: where it listens, where its data is, how it treats connections.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::de::{Deserializer, Error};
use serde::{Deserialize, Serialize};

use super::number;
use super::section::Section;

/// The section `[server]`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServerConfig {
    /// `listen`: address and port; port 0 takes a free one. Default `127.0.0.1:7878`. On any
    /// address that is not loopback an admin token is required.
    #[serde(deserialize_with = "address")]
    pub listen: SocketAddr,
    /// `advertised_url`: where other instances of the same PostgreSQL reach this one, as
    /// `http://host:port`. Default: `listen`, unless that stands for all addresses of the machine.
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "base_url")]
    pub advertised_url: Option<String>,
    /// `name`: what people call this instance. Default: host and port of `advertised_url`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `data_dir`: the folder of the database, the bodies and the logs, where these are files;
    /// made when missing.
    /// Default `dispatchyard-data`.
    pub data_dir: PathBuf,
    /// `workflows_dir`: the folder of the workflow files. Default `workflows`.
    pub workflows_dir: PathBuf,
    /// `header_read_timeout_ms`: a client that has not sent all headers by then is cut off.
    /// Default 10000.
    #[serde(deserialize_with = "number::millis")]
    pub header_read_timeout_ms: i64,
    /// `body_read_timeout_ms`: a client that has not sent its body by then is cut off. Default
    /// 30000: 25 MB at 7 Mbit/s.
    #[serde(deserialize_with = "number::millis")]
    pub body_read_timeout_ms: i64,
    /// `graceful_shutdown_timeout_ms`: how long a stopping server waits for work that its own
    /// process carries, before it stops it by force. Default 300000.
    #[serde(deserialize_with = "number::millis_or_zero")]
    pub graceful_shutdown_timeout_ms: i64,
    /// `connections_max`: open connections; further ones wait to be accepted. Default 20000.
    #[serde(deserialize_with = "number::count")]
    pub connections_max: usize,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 7878)),
            advertised_url: None,
            name: None,
            data_dir: "dispatchyard-data".into(),
            workflows_dir: "workflows".into(),
            header_read_timeout_ms: 10_000,
            body_read_timeout_ms: 30_000,
            graceful_shutdown_timeout_ms: 300_000,
            connections_max: 20_000,
        }
    }
}

impl Section for ServerConfig {
    const NAME: &'static str = "server";
}

/// The beginning of an address, without a `/` at its end.
fn base_url<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    let text = String::deserialize(from)?;
    let base = text.strip_suffix('/').unwrap_or(&text);
    let rest = ["http://", "https://"].iter().find_map(|scheme| base.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() && !rest.contains(['/', '?', '#', '@', ' ']) => {
            Ok(Some(base.to_owned()))
        }
        _ => Err(D::Error::custom(format!(
            "`{text}` is not an address that others can call, such as http://10.0.0.7:7878"
        ))),
    }
}

fn address<'de, D: Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let text = String::deserialize(from)?;
    text.parse().map_err(|_| {
        D::Error::custom(format!(
            "`{text}` is not a numeric address with a port, such as 127.0.0.1:7878 or [::]:80"
        ))
    })
}
