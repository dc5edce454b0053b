//! What a container is made of, and what it is called. Pure.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::super::event::TaskReadyEvent;

/// Whose container it is: a server's, by its database.
pub(super) const OWNER: &str = "dispatchyard.owner";
/// Of which executor, or `provisioner/NAME`.
pub(super) const EXECUTOR: &str = "dispatchyard.executor";
/// The attempt's key.
pub(super) const ATTEMPT: &str = "dispatchyard.attempt";
/// The lease of the attempt, which tells it from one of the same number in another database.
pub(super) const LEASE: &str = "dispatchyard.lease";
/// For people.
const JOB: &str = "dispatchyard.job";
/// What a runner is called.
pub(super) const RUNNER: &str = "dispatchyard.runner";

/// A folder of the machine in a container, or a volume with a name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mount {
    /// A whole path on the daemon's machine, or the name of a volume.
    pub source: String,
    /// A whole path in the container.
    pub target: String,
    /// Whether it can only be read.
    pub read_only: bool,
}

/// What all containers of an executor or a provisioner have in common.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ContainerTemplate {
    /// The image, with its tag.
    pub image: String,
    /// Variables beside the image's own.
    pub env: BTreeMap<String, String>,
    /// What is mounted.
    pub mounts: Vec<Mount>,
    /// The most memory, in MiB, swap included.
    pub memory_mb: Option<u32>,
    /// The most processor time, in thousandths of one.
    pub cpu_milli: Option<u32>,
    /// The most processes and threads.
    pub pids_max: Option<u32>,
    /// The network, by its name or mode.
    pub network: Option<String>,
    /// Who it runs as: `USER` or `UID:GID`.
    pub user: Option<String>,
}

/// What one container has of its own.
pub(super) struct Own<'a> {
    pub(super) entrypoint: &'a [String],
    pub(super) arguments: &'a [String],
    pub(super) env: Vec<(String, String)>,
    pub(super) labels: BTreeMap<&'static str, String>,
}

impl ContainerTemplate {
    /// The body of `POST /containers/create`.
    pub(super) fn body(&self, own: &Own<'_>) -> Value {
        let env = self.env.iter().map(|(name, value)| format!("{name}={value}"));
        let own_env = own.env.iter().map(|(name, value)| format!("{name}={value}"));
        let mounts = self.mounts.iter().map(|mount| {
            let kind = if mount.source.starts_with('/') { "bind" } else { "volume" };
            let (source, target) = (&mount.source, &mount.target);
            json!({ "Type": kind, "Source": source, "Target": target, "ReadOnly": mount.read_only })
        });
        let mut host =
            json!({ "Mounts": Value::from_iter(mounts), "RestartPolicy": { "Name": "no" } });
        if let Some(mb) = self.memory_mb {
            let bytes = u64::from(mb) << 20;
            host["Memory"] = bytes.into();
            host["MemorySwap"] = bytes.into();
        }
        if let Some(milli) = self.cpu_milli {
            host["NanoCpus"] = (u64::from(milli) * 1_000_000).into();
        }
        if let Some(pids) = self.pids_max {
            host["PidsLimit"] = pids.into();
        }
        if let Some(network) = &self.network {
            host["NetworkMode"] = network.as_str().into();
        }
        let mut body = json!({
            "Image": self.image,
            "Entrypoint": own.entrypoint,
            "Cmd": own.arguments,
            "Env": Vec::from_iter(env.chain(own_env)),
            "Labels": own.labels,
            "Tty": false,
            "OpenStdin": false,
            "HostConfig": host,
        });
        if let Some(user) = &self.user {
            body["User"] = user.as_str().into();
        }
        body
    }
}

/// What an attempt's container is called: the same whoever asks, and never the same for two attempts, of
/// whatever database.
pub(super) fn name_of(prefix: &str, event: &TaskReadyEvent) -> String {
    let hash = hex::encode(Sha256::digest(event.nonce.to_string()));
    safe(&format!("{prefix}{}-{}", event.attempt_key, &hash[..8]))
}

/// A name as daemons take it.
pub(super) fn safe(name: &str) -> String {
    let is_good = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    name.chars().map(|c| if is_good(c) { c } else { '-' }).collect()
}

/// How an attempt's container is found.
pub(super) fn labels_of(
    owner: &str,
    executor: &str,
    event: &TaskReadyEvent,
) -> BTreeMap<&'static str, String> {
    let job = format!("{} ({})", event.job_id, event.namespace);
    [
        (OWNER, owner.to_owned()),
        (EXECUTOR, executor.to_owned()),
        (ATTEMPT, event.attempt_key.clone()),
        (LEASE, event.lease.to_string()),
        (JOB, job),
    ]
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_made_as_its_template_says() {
        let mount = |source: &str, read_only| Mount {
            source: source.to_owned(),
            target: "/cache".to_owned(),
            read_only,
        };
        let template = ContainerTemplate {
            image: "alpine:3".to_owned(),
            env: [("A".to_owned(), "b c".to_owned())].into(),
            mounts: vec![mount("/srv/cache", true), mount("cache", false)],
            memory_mb: Some(64),
            cpu_milli: Some(1_500),
            pids_max: Some(100),
            network: Some("none".to_owned()),
            user: Some("1000:1000".to_owned()),
        };
        let own = Own {
            entrypoint: &["/bin/sh".to_owned()],
            arguments: &["x".to_owned()],
            env: vec![("T".to_owned(), "1".to_owned())],
            labels: [(OWNER, "me".to_owned())].into(),
        };
        let expected = json!({
            "Image": "alpine:3",
            "Entrypoint": ["/bin/sh"],
            "Cmd": ["x"],
            "Env": ["A=b c", "T=1"],
            "Labels": { "dispatchyard.owner": "me" },
            "Tty": false,
            "OpenStdin": false,
            "User": "1000:1000",
            "HostConfig": {
                "Mounts": [
                    { "Type": "bind", "Source": "/srv/cache", "Target": "/cache", "ReadOnly": true },
                    { "Type": "volume", "Source": "cache", "Target": "/cache", "ReadOnly": false },
                ],
                "RestartPolicy": { "Name": "no" },
                "Memory": 67_108_864,
                "MemorySwap": 67_108_864,
                "NanoCpus": 1_500_000_000_u64,
                "PidsLimit": 100,
                "NetworkMode": "none",
            },
        });
        assert_eq!(template.body(&own), expected);
        assert_eq!(safe("a b/c\u{e9}"), "a-b-c-");
    }
}
