//! `[executor.kubernetes]`, `[provisioner.kubernetes]`: pods of a cluster.
//!
//! A program that was built without the cargo feature `kubernetes` reads these tables all the same, and says
//! at its start that it cannot do what they say.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::number;

/// Jobs as Jobs of a cluster, or runners as pods.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KubernetesConfig {
    /// `kubeconfig`: the file that says where the cluster is. Default: the server is a pod of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubeconfig: Option<PathBuf>,
    /// `context`: which context of that file. Default its current one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// `namespace`: where its things are. Default: that of the context, or of the server's pod.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// `owner`: in whose name, for people who look at the namespace: at most 20 of `a-z0-9-`, the first a
    /// letter. Servers with other databases are told apart anyway. Default `dispatchyard`.
    pub owner: String,
    /// `template`: a file with a Job (of a provisioner: a pod) as YAML, in the place of the next four keys; its
    /// first container does the work. Default none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub template: Option<PathBuf>,
    /// `image`: what its containers are made of; of a provisioner it has the program in it. No default
    /// without a `template`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// `service_account`: as which account pods run. Default the namespace's, without its token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// `cpu_milli`: thousandths of a core that a pod asks for. Default none.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub cpu_milli: Option<u64>,
    /// `memory_mb`: how much memory a pod has, in MiB. Default as much as there is.
    #[serde(deserialize_with = "number::optional_count", skip_serializing_if = "Option::is_none")]
    pub memory_mb: Option<u64>,
    /// `agents`: of an executor, the command line of each agent profile, with the prompt on its standard
    /// input. Default none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub agents: BTreeMap<String, String>,
    /// `image_pull_patience_ms`: of an executor, how long an image that cannot be pulled, or a container that
    /// cannot be made, is waited for before the job goes elsewhere. Default 120000.
    #[serde(deserialize_with = "number::millis")]
    pub image_pull_patience_ms: i64,
    /// `pending_patience_ms`: of an executor, how long a pod may wait for a place before the job is queued
    /// again. Default: as long as the job may run.
    #[serde(deserialize_with = "number::optional_millis", skip_serializing_if = "Option::is_none")]
    pub pending_patience_ms: Option<i64>,
    /// `ttl_seconds_after_finished`: of an executor, how long the cluster keeps a Job that has ended and that
    /// no server has deleted. Default 86400.
    #[serde(deserialize_with = "number::units")]
    pub ttl_seconds_after_finished: u32,
    /// `command`: of a provisioner, the program in its image. Default `["dispatchyard"]`.
    pub command: Vec<String>,
}

impl Default for KubernetesConfig {
    fn default() -> Self {
        Self {
            kubeconfig: None,
            context: None,
            namespace: None,
            owner: "dispatchyard".to_owned(),
            template: None,
            image: None,
            service_account: None,
            cpu_milli: None,
            memory_mb: None,
            agents: BTreeMap::new(),
            image_pull_patience_ms: 120_000,
            pending_patience_ms: None,
            ttl_seconds_after_finished: 86_400,
            command: vec!["dispatchyard".to_owned()],
        }
    }
}

/// A key, what is wrong with it, and what to write.
type Fault = (&'static str, String, Option<&'static str>);

impl KubernetesConfig {
    /// What is wrong with it by itself.
    pub(super) fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let form = [
            ("image", self.image.is_some()),
            ("service_account", self.service_account.is_some()),
            ("cpu_milli", self.cpu_milli.is_some()),
            ("memory_mb", self.memory_mb.is_some()),
        ];
        match &self.template {
            None if self.image.as_deref().is_none_or(str::is_empty) => {
                let hint = "write `image = \"REGISTRY/NAME:TAG\"`, or `template = \"FILE\"`";
                faults.push(("image", "there is none".to_owned(), Some(hint)));
            }
            None => {}
            Some(_) => faults.extend(form.iter().filter(|(_, there)| *there).map(|(key, _)| {
                (*key, "the template says that".to_owned(), Some("write it there"))
            })),
        }
        if self.context.is_some() && self.kubeconfig.is_none() {
            let hint = "write `kubeconfig = \"FILE\"`";
            faults.push(("context", "it is one of a kubeconfig".to_owned(), Some(hint)));
        }
        if self.command.is_empty() {
            faults.push(("command", "it is empty".to_owned(), None));
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::super::tenancy_tests::{read, refusal};

    #[test]
    fn a_table_is_read_and_can_be_read_again() {
        let text = "[[executor]]\nname = 'a'\n[executor.kubernetes]\nimage = 'busybox'\n\
                    kubeconfig = 'kube'\ncontext = 'c'\nmemory_mb = 64\nagents = { x = 'cat' }\n";
        let config = read(text).unwrap();
        let table = config.executors[0].kubernetes.as_ref().unwrap();
        assert_eq!((&*table.owner, table.memory_mb), ("dispatchyard", Some(64)));
        assert_eq!(read(&config.effective()).unwrap().executors, config.executors);
    }

    #[test]
    fn a_table_that_says_too_little_or_too_much_is_refused() {
        let text = "[[executor]]\nname = 'a'\n[executor.kubernetes]\ncontext = 'c'\n\
                    [[executor]]\nname = 'b'\n[executor.kubernetes]\ntemplate = 'x.yaml'\nimage = 'y'\n\
                    [executor.http]\nurl = 'https://x'\n";
        insta::assert_snapshot!(refusal(text), @r#"
        d.toml:1:1: `executor.kubernetes.image`: there is none
          hint: write `image = "REGISTRY/NAME:TAG"`, or `template = "FILE"`
        d.toml:1:1: `executor.kubernetes.context`: it is one of a kubeconfig
          hint: write `kubeconfig = "FILE"`
        d.toml:5:1: `executor.kubernetes`: the executor `b` is http and kubernetes
          hint: write two of them
        d.toml:5:1: `executor.kubernetes.image`: the template says that
          hint: write it there
        "#);
    }
}
