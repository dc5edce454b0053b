//! `[executor.container]`, `[provisioner.container]`: containers of a Docker or Podman daemon.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::super::number;
use super::super::secret::SecretRef;

/// What containers are made of, and by whom.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ContainerConfig {
    /// `socket`: the daemon's socket, a path or `http://HOST:PORT`. Default `/var/run/docker.sock`.
    #[serde(default = "docker_socket")]
    pub socket: String,
    /// `image`: with its tag. For jobs any image with a POSIX `sh`, `cat`, `env`, `head`, `mkdir`, `sleep`
    /// and `wc`; for runners one with this program in it. No default.
    pub image: String,
    /// `pull`: `missing`, `always` or `never`. Default `missing`.
    #[serde(default)]
    pub pull: PullConfig,
    /// `pull_timeout_ms`: how long that may take. Default 600000.
    #[serde(default = "ten_minutes", deserialize_with = "number::millis")]
    pub pull_timeout_ms: i64,
    /// `registry_auth`: by whose right images are pulled: `{ user = "U", password = REF }`. Default none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry_auth: Option<RegistryAuthConfig>,
    /// `env`: variables beside the image's own; no secrets. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub env: BTreeMap<String, String>,
    /// `mounts`: folders of the daemon's machine, or volumes: `{ source, target, read_only }`. Default none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mounts: Vec<MountConfig>,
    /// `memory_mb`: the most memory, in MiB, swap included. Default none.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub memory_mb: Option<u32>,
    /// `cpu_milli`: the most processor time, in thousandths of one processor. Default none.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub cpu_milli: Option<u32>,
    /// `pids_max`: the most processes and threads. Default none.
    #[serde(
        default,
        deserialize_with = "number::optional_units",
        skip_serializing_if = "Option::is_none"
    )]
    pub pids_max: Option<u32>,
    /// `network`: a network's name, or `none`, `host`, `bridge`. Default: the daemon's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// `user`: who it runs as, `USER` or `UID:GID`. Default: the image's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// `timeout_ms`: how long an answer of the daemon may take, but for pulls. Default 30000.
    #[serde(default = "half_a_minute", deserialize_with = "number::millis")]
    pub timeout_ms: i64,
    /// `name_prefix`: what the names of containers begin with. Default `dispatchyard-`.
    #[serde(default = "prefix")]
    pub name_prefix: String,
    /// `stop_grace_ms`: how long work may take to stop before it is killed; of an executor. Default 10000.
    #[serde(default = "ten_seconds", deserialize_with = "number::millis")]
    pub stop_grace_ms: i64,
    /// `keep_ended`: whether a container stays after its end, to be looked at; of an executor. Default false.
    #[serde(default)]
    pub keep_ended: bool,
    /// `agents`: the command line of each agent profile, with the prompt on its standard input; of an
    /// executor. Default none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, String>,
    /// `program`: the program in the image and its first arguments; of a provisioner. Default
    /// `["dispatchyard"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub program: Vec<String>,
}

/// When an image is pulled.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PullConfig {
    /// When it is not there.
    #[default]
    Missing,
    /// Before each container.
    Always,
    /// Never.
    Never,
}

/// By whose right images are pulled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryAuthConfig {
    /// `user`: who.
    pub user: String,
    /// `password`: the password, or a token.
    pub password: SecretRef,
}

/// A folder of the machine, or a volume, in a container.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MountConfig {
    /// `source`: a whole path on the daemon's machine, or a volume's name.
    pub source: String,
    /// `target`: a whole path in the container.
    pub target: String,
    /// `read_only`: whether it can only be read. Default false.
    #[serde(default)]
    pub read_only: bool,
}

fn docker_socket() -> String {
    "/var/run/docker.sock".to_owned()
}
fn prefix() -> String {
    "dispatchyard-".to_owned()
}
fn ten_minutes() -> i64 {
    600_000
}
fn half_a_minute() -> i64 {
    30_000
}
fn ten_seconds() -> i64 {
    10_000
}

/// Daemons refuse less.
const MEMORY_MB_MIN: u32 = 6;

impl ContainerConfig {
    /// Where its secret is, if it has one.
    pub(in crate::config) fn secret(&self) -> Option<&SecretRef> {
        Some(&self.registry_auth.as_ref()?.password)
    }

    /// What is wrong with it, as key below its table, message and hint.
    pub(in crate::config) fn faults(
        &self,
        of_executor: bool,
    ) -> Vec<(&'static str, String, &'static str)> {
        let mut faults = Vec::new();
        let mut fault = |key, message: String, hint| faults.push((key, message, hint));
        let is_path = |text: &str| text.starts_with('/');
        let rest = self.socket.strip_prefix("http://");
        let is_address = rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'));
        if !is_address && !is_path(self.socket.strip_prefix("unix://").unwrap_or(&self.socket)) {
            let hint = "write a whole path, or `http://HOST:PORT`";
            fault("container.socket", format!("`{}` is no socket", self.socket), hint);
        }
        if self.image.is_empty() || self.image.contains(char::is_whitespace) {
            let hint = "write `NAME:TAG`";
            fault("container.image", format!("`{}` is no image", self.image), hint);
        }
        for mount in &self.mounts {
            let MountConfig { source, target, .. } = mount;
            if source.is_empty() || (source.contains('/') && !is_path(source)) {
                let hint = "write a whole path, or a volume's name";
                fault("container.mounts", format!("`{source}` cannot be mounted"), hint);
            }
            if !is_path(target) || target == "/" || target.starts_with("/dispatchyard") {
                let hint = "write a whole path, not `/` and not below `/dispatchyard`";
                fault("container.mounts", format!("nothing can be mounted at `{target}`"), hint);
            }
        }
        if let Some(mb) = self.memory_mb.filter(|mb| *mb < MEMORY_MB_MIN) {
            let message = format!("{mb} MiB are less than {MEMORY_MB_MIN}");
            fault("container.memory_mb", message, "it is counted in MiB");
        }
        let is_good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let first = self.name_prefix.chars().next();
        if !self.name_prefix.chars().all(is_good)
            || !first.is_some_and(|c| c.is_ascii_alphanumeric())
        {
            let message = format!("`{}` is no beginning of a container's name", self.name_prefix);
            fault("container.name_prefix", message, "write letters, digits, `_`, `.` and `-`");
        }
        for name in self.env.keys().filter(|name| name.is_empty() || name.contains(['=', '\0'])) {
            fault("container.env", format!("`{name}` is no name of a variable"), "leave out `=`");
        }
        let misplaced = match of_executor {
            true => [("container.program", !self.program.is_empty()), ("", false)],
            false => [
                ("container.agents", !self.agents.is_empty()),
                ("container.keep_ended", self.keep_ended),
            ],
        };
        let whose = if of_executor { "a provisioner" } else { "an executor" };
        for (key, _) in misplaced.into_iter().filter(|(_, is_there)| *is_there) {
            fault(key, format!("only {whose} has this key"), "leave it out");
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<&'static str> {
        let config: ContainerConfig = toml::from_str(text).unwrap();
        config.faults(true).into_iter().map(|(key, ..)| key).collect()
    }

    #[test]
    fn what_no_daemon_would_take_is_told() {
        assert!(faults("image = \"alpine:3\"").is_empty());
        let good = "image = \"a\"\nsocket = \"http://127.0.0.1:2375\"\nmemory_mb = 64\n\
                    mounts = [{ source = \"/srv\", target = \"/srv\" }, { source = \"v\", target = \"/v\" }]";
        assert!(faults(good).is_empty(), "{:?}", faults(good));
        let bad = "image = \"a b\"\nsocket = \"docker.sock\"\nmemory_mb = 1\nname_prefix = \"-\"\n\
                   env = { \"A=B\" = \"1\" }\nprogram = [\"x\"]\n\
                   mounts = [{ source = \"a/b\", target = \"/\" }]";
        let expected = [
            "container.socket",
            "container.image",
            "container.mounts",
            "container.mounts",
            "container.memory_mb",
            "container.name_prefix",
            "container.env",
            "container.program",
        ];
        assert_eq!(faults(bad), expected);
        assert!(toml::from_str::<ContainerConfig>("image = \"a\"\nprivileged = true").is_err());
    }
}
