//! `[[provisioner]]`: who starts runners, for pools that are kept warm.

mod http;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::executor::ContainerConfig;
use super::kubernetes::KubernetesConfig;
use super::secret::SecretRef;
use super::section::Reading;
use super::{ConfigError, number};

pub use http::HttpProvisionerConfig;

/// One provisioner. Pools name it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProvisionerConfig {
    /// `name`: what pools call it; unique.
    pub name: String,
    /// `server_url`: where its runners find this server. Default: `advertised_url`, or else the address on
    /// which it listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server_url: Option<String>,
    /// `list_interval_ms`: how often it is asked what runs. Default 5000.
    #[serde(default = "five_seconds", deserialize_with = "number::millis")]
    pub list_interval_ms: i64,
    /// `process`: runners are processes of this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessConfig>,
    /// `http`: runners are made by somebody who is told so over HTTP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpProvisionerConfig>,
    /// `container`: runners are containers of a Docker or Podman daemon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<ContainerConfig>,
    /// `kubernetes`: runners are pods of a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<KubernetesConfig>,
}

fn five_seconds() -> i64 {
    5_000
}

/// `[provisioner.process]`, `[executor.process]`: runners as processes of this machine, which outlive the
/// server.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProcessConfig {
    /// `labels`: what jobs can ask its runners for, beside `self-hosted`, the system and the architecture;
    /// of an executor. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// `program`: the program of the runner. Default: the server's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<PathBuf>,
    /// `pass_env`: variables of the server's own environment that its runners get; beside these only PATH,
    /// HOME, LANG, TMPDIR, SSL_CERT_FILE, SSL_CERT_DIR and RUST_LOG. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pass_env: Vec<String>,
    /// `secret_env`: those of them that steps of trusted jobs get, and that are masked in all that is sent.
    /// Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secret_env: Vec<String>,
    /// `agents`: the command line of each agent profile, with the prompt on its standard input. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, String>,
    /// `actions`: the command line that carries out steps with `uses`; such a runner has the label `actions`.
    /// Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actions: Option<String>,
    /// `warm_workspaces`: resources each unit of which has a workspace that is kept: a job that holds the unit
    /// runs there, and finds what the last one left. Default none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warm_workspaces: Vec<String>,
    /// `step_memory_mb_max`: the most address space of a process of a step, in MiB. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub step_memory_mb_max: Option<u64>,
    /// `step_cpu_s_max`: the most processor time of one, in seconds. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub step_cpu_s_max: Option<u64>,
    /// `step_open_files_max`: the most files that one has open. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub step_open_files_max: Option<u64>,
    /// `step_file_mb_max`: the longest file that one can write, in MiB. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub step_file_mb_max: Option<u64>,
    /// `step_processes_max`: the most processes of the runner's user. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub step_processes_max: Option<u64>,
    /// `stop_grace_ms`: how long a runner may take to leave, and then to leave at once. Default 5000.
    #[serde(deserialize_with = "number::millis")]
    pub stop_grace_ms: i64,
}

impl Default for ProcessConfig {
    fn default() -> Self {
        Self {
            labels: Vec::new(),
            program: None,
            pass_env: Vec::new(),
            secret_env: Vec::new(),
            agents: BTreeMap::new(),
            actions: None,
            warm_workspaces: Vec::new(),
            step_memory_mb_max: None,
            step_cpu_s_max: None,
            step_open_files_max: None,
            step_file_mb_max: None,
            step_processes_max: None,
            stop_grace_ms: 5_000,
        }
    }
}

impl ProvisionerConfig {
    /// How many kinds of backend its table says.
    fn kinds(&self) -> usize {
        let all = [
            self.process.is_some(),
            self.http.is_some(),
            self.container.is_some(),
            self.kubernetes.is_some(),
        ];
        all.into_iter().filter(|there| *there).count()
    }

    /// Where its secret is, if it has one.
    pub(super) fn secret(&self) -> Option<&SecretRef> {
        let of_http = || Some(self.http.as_ref()?.auth.as_ref()?.secret());
        of_http().or_else(|| self.container.as_ref()?.secret())
    }
}

/// Reports provisioners that cannot be one.
pub(super) fn check(provisioners: &[Spanned<ProvisionerConfig>], reading: &mut Reading<'_>) {
    let mut known = BTreeSet::new();
    for table in provisioners {
        let (place, provisioner) = (reading.file.place(table.span().start), table.get_ref());
        let name = &provisioner.name;
        let mut report = |key: &str, message: String, hint: Option<&str>| {
            let mut error = ConfigError::at(place.clone(), format!("provisioner.{key}"), message);
            error.hint = hint.map(str::to_owned);
            reading.errors.push(error);
        };
        if let Err(message) = super::name::plain(name) {
            report("name", message, None);
        }
        if !known.insert(name) {
            report("name", format!("a second provisioner has the name `{name}`"), None);
        }
        if provisioner.kinds() != 1 {
            let hint = "write one of `[provisioner.process]`, `[provisioner.http]`, \
                        `[provisioner.container]`, `[provisioner.kubernetes]` below it";
            report("name", format!("the provisioner `{name}` says not what it is"), Some(hint));
        }
        if let Some(http) = &provisioner.http
            && !super::executor::is_url_of_http(&http.url)
        {
            let message = format!("`{}` is no URL", super::executor::shown(&http.url));
            report("http.url", message, Some("write `https://HOST/PATH`"));
        }
        for (key, message, hint) in provisioner.container.iter().flat_map(|it| it.faults(false)) {
            report(key, message, Some(hint));
        }
        for (key, fault, hint) in provisioner.kubernetes.iter().flat_map(KubernetesConfig::faults) {
            report(&format!("kubernetes.{key}"), fault, hint);
        }
        if let Some(url) = &provisioner.server_url
            && !super::executor::is_url_of_http(url)
        {
            report("server_url", format!("`{url}` is no URL"), Some("write `https://HOST`"));
        }
    }
}
