//! What a Job looks like: a file of the user's, or a small form of it; and the Job of one attempt. Pure.
//!
//! The first container does the work: its command is the attempt's, and the files for that are in a Secret that
//! the Job owns. What must be so for an attempt to be one is set here, and a template that wants it otherwise
//! is refused.

use std::collections::BTreeMap;
use std::time::Duration;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{
    Container, EmptyDirVolumeSource, Pod, PodSpec, PodTemplateSpec, ResourceRequirements, Secret,
    SecretVolumeSource, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference};
use k8s_openapi::{ByteString, DeepMerge as _};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::super::event::TaskReadyEvent;
use super::names::{self, Labels, Owner};

/// Where a container finds the files of its attempt.
pub(super) const FILES: &str = "/dispatchyard";
/// Where it may write.
pub(super) const WORK: &str = "/dispatchyard-work";
/// What its end and its outputs are written to.
pub(super) const REPORT: &str = "/dev/termination-log";
/// So much of that is kept by the cluster.
pub(super) const REPORT_BYTES_MAX: u32 = 4_096;
/// So much goes into a Secret.
pub(super) const FILES_BYTES_MAX: usize = 1 << 20;
const FILES_VOLUME: &str = "dispatchyard";
const WORK_VOLUME: &str = "dispatchyard-work";
/// How long a container may take to stop, where no template says otherwise.
const STOP_SECONDS: i64 = 10;
/// The cluster ends a Job by itself so long after the server would have: when there is no server.
const LATE_SECONDS: i64 = 60;

/// Why a template cannot be one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the template: {0}")]
pub struct TemplateError(String);

/// A pod, where no template says more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PodForm {
    /// What its container is made of.
    pub image: String,
    /// As which account of the cluster it runs; without one it has no right there.
    pub service_account: Option<String>,
    /// How many thousandths of a core it asks for.
    pub cpu_milli: Option<u64>,
    /// How much memory it has at most, in MiB.
    pub memory_mb: Option<u64>,
}

/// What all Jobs of an executor look like.
#[derive(Clone, PartialEq, Debug)]
pub struct JobTemplate(Job);

/// What all pods of a provisioner look like.
#[derive(Clone, PartialEq, Debug)]
pub struct PodTemplate(Pod);

impl PodForm {
    fn spec(&self, container: &str) -> PodSpec {
        let mut amounts = BTreeMap::new();
        if let Some(milli) = self.cpu_milli {
            amounts.insert("cpu".to_owned(), Quantity(format!("{milli}m")));
        }
        if let Some(mb) = self.memory_mb {
            amounts.insert("memory".to_owned(), Quantity(format!("{mb}Mi")));
        }
        // Cores are shared, memory is not.
        let limits = amounts.clone().into_iter().filter(|(name, _)| name == "memory").collect();
        let resources = ResourceRequirements {
            requests: Some(amounts.clone()),
            limits: Some(limits),
            ..Default::default()
        };
        PodSpec {
            containers: vec![Container {
                name: container.to_owned(),
                image: Some(self.image.clone()),
                resources: (!amounts.is_empty()).then_some(resources),
                ..Default::default()
            }],
            service_account_name: self.service_account.clone(),
            automount_service_account_token: self.service_account.is_none().then_some(false),
            enable_service_links: Some(false),
            termination_grace_period_seconds: Some(STOP_SECONDS),
            ..Default::default()
        }
    }
}

/// Reads a thing from YAML. What the API has no field for is refused: it would be dropped in silence.
fn read<T: Serialize + DeserializeOwned>(text: &str) -> Result<T, TemplateError> {
    let refuse = |why: String| TemplateError(why);
    let written: Value = serde_saphyr::from_str(text).map_err(|error| refuse(error.to_string()))?;
    let thing: T =
        serde_json::from_value(written.clone()).map_err(|error| refuse(error.to_string()))?;
    let known = serde_json::to_value(&thing).map_err(|error| refuse(error.to_string()))?;
    match unknown(&written, &known) {
        Some(path) => Err(refuse(format!("there is no field `{path}`"))),
        None => Ok(thing),
    }
}

/// The first key of one value that another one has not.
fn unknown(written: &Value, known: &Value) -> Option<String> {
    match (written, known) {
        (Value::Object(written), Value::Object(known)) => {
            written.iter().filter(|(_, value)| !is_nothing(value)).find_map(|(key, value)| {
                let Some(known) = known.get(key) else { return Some(key.clone()) };
                Some(format!("{key}.{}", unknown(value, known)?))
            })
        }
        (Value::Array(written), Value::Array(known)) => {
            let mut pairs = written.iter().zip(known).enumerate();
            pairs.find_map(|(at, (written, known))| {
                Some(format!("{at}.{}", unknown(written, known)?))
            })
        }
        _ => None,
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(map) => map.is_empty(),
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

/// Refuses what is set otherwise than it must be.
fn must_be<T: PartialEq + std::fmt::Debug>(
    field: &str,
    is: Option<T>,
    wanted: &T,
) -> Result<(), TemplateError> {
    match is {
        Some(is) if is != *wanted => {
            Err(TemplateError(format!("`{field}` must be {wanted:?} or absent, not {is:?}")))
        }
        _ => Ok(()),
    }
}

fn must_not_be(field: &str, is_there: bool, why: &str) -> Result<(), TemplateError> {
    match is_there {
        true => Err(TemplateError(format!("`{field}` must be absent: {why}"))),
        false => Ok(()),
    }
}

/// Checks what is the same of Jobs and of pods.
fn check_pod(spec: &PodSpec, restart: &str) -> Result<(), TemplateError> {
    must_be("restartPolicy", spec.restart_policy.as_deref(), &restart)?;
    let Some(main) = spec.containers.first() else {
        return Err(TemplateError("there are no `containers`".to_owned()));
    };
    if main.image.as_deref().is_none_or(str::is_empty) {
        return Err(TemplateError(format!("container `{}` has no `image`", main.name)));
    }
    let ours = "the first container is given its own";
    must_not_be("command", main.command.is_some(), ours)?;
    must_not_be("args", main.args.is_some(), ours)?;
    let volumes = spec.volumes.iter().flatten();
    let is_taken = |name: &str| [FILES_VOLUME, WORK_VOLUME].contains(&name);
    match volumes.map(|volume| &volume.name).find(|name| is_taken(name)) {
        Some(name) => Err(TemplateError(format!("a volume must not be called `{name}`"))),
        None => Ok(()),
    }
}

/// The namespace and the name are not a template's to give.
fn check_metadata(metadata: &ObjectMeta) -> Result<(), TemplateError> {
    must_not_be("metadata.name", metadata.name.is_some(), "each has its own")?;
    must_not_be("metadata.generateName", metadata.generate_name.is_some(), "each has its own")?;
    must_not_be("metadata.namespace", metadata.namespace.is_some(), "set `namespace` beside it")
}

impl JobTemplate {
    /// Reads a Job in YAML.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let job: Job = read(text)?;
        check_metadata(&job.metadata)?;
        let Some(spec) = &job.spec else {
            return Err(TemplateError("there is no `spec`".to_owned()));
        };
        let Some(pod) = &spec.template.spec else {
            return Err(TemplateError("there is no `spec.template.spec`".to_owned()));
        };
        check_pod(pod, "Never")?;
        must_be("spec.completions", spec.completions, &1)?;
        must_be("spec.parallelism", spec.parallelism, &1)?;
        must_be("spec.backoffLimit", spec.backoff_limit, &0)?;
        must_be("spec.completionMode", spec.completion_mode.as_deref(), &"NonIndexed")?;
        must_be("spec.podReplacementPolicy", spec.pod_replacement_policy.as_deref(), &"Failed")?;
        let policy = pod.containers.first().and_then(|it| it.termination_message_policy.as_deref());
        must_be("terminationMessagePolicy", policy, &"File")?;
        let path = pod.containers.first().and_then(|it| it.termination_message_path.as_deref());
        must_be("terminationMessagePath", path, &REPORT)?;
        Ok(Self(job))
    }

    /// Makes one of little.
    pub fn of(form: &PodForm) -> Self {
        let template = PodTemplateSpec { spec: Some(form.spec("job")), metadata: None };
        let spec = JobSpec { template, ..Default::default() };
        Self(Job { spec: Some(spec), ..Default::default() })
    }

    /// The container that does the work.
    pub(super) fn container(&self) -> &str {
        let spec = self.0.spec.as_ref().and_then(|spec| spec.template.spec.as_ref());
        spec.and_then(|spec| spec.containers.first()).map_or("", |it| it.name.as_str())
    }

    /// The Job of an attempt that runs this command.
    pub(super) fn job(
        &self,
        owner: &Owner,
        event: &TaskReadyEvent,
        command: &[String],
        ttl: Duration,
    ) -> Job {
        let mut job = self.0.clone();
        let (run, labels) = (owner.run(event), owner.labels_of(event));
        let about = BTreeMap::from([(names::NAMESPACE.to_owned(), event.namespace.clone())]);
        let mark = |metadata: &mut ObjectMeta| {
            metadata.labels.get_or_insert_default().extend(labels.clone());
            metadata.annotations.get_or_insert_default().extend(about.clone());
        };
        job.metadata.name = Some(run.clone());
        mark(&mut job.metadata);
        let spec = job.spec.get_or_insert_default();
        mark(spec.template.metadata.get_or_insert_default());
        let timeout_s = i64::try_from(event.timeout().as_millis().div_ceil(1_000));
        let timeout_s = timeout_s.unwrap_or(i64::MAX).saturating_add(LATE_SECONDS);
        let own = spec.active_deadline_seconds.unwrap_or(i64::MAX);
        spec.active_deadline_seconds = Some(own.min(timeout_s));
        spec.ttl_seconds_after_finished.get_or_insert(seconds(ttl));
        spec.backoff_limit = Some(0);
        spec.completions = Some(1);
        spec.parallelism = Some(1);
        spec.pod_replacement_policy = Some("Failed".to_owned());
        let pod = spec.template.spec.get_or_insert_default();
        pod.restart_policy = Some("Never".to_owned());
        let volume = |name: &str| Volume { name: name.to_owned(), ..Default::default() };
        let secret = SecretVolumeSource { secret_name: Some(run), ..Default::default() };
        let room = EmptyDirVolumeSource::default();
        pod.volumes.get_or_insert_default().extend([
            Volume { secret: Some(secret), ..volume(FILES_VOLUME) },
            Volume { empty_dir: Some(room), ..volume(WORK_VOLUME) },
        ]);
        if let Some(main) = pod.containers.first_mut() {
            let mount = |name: &str, path: &str, read_only| VolumeMount {
                name: name.to_owned(),
                mount_path: path.to_owned(),
                read_only: Some(read_only),
                ..Default::default()
            };
            main.command = Some(command.to_vec());
            main.termination_message_path = Some(REPORT.to_owned());
            main.termination_message_policy = Some("File".to_owned());
            main.volume_mounts
                .get_or_insert_default()
                .extend([mount(FILES_VOLUME, FILES, true), mount(WORK_VOLUME, WORK, false)]);
        }
        job
    }
}

impl PodTemplate {
    /// Reads a pod in YAML.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let pod: Pod = read(text)?;
        check_metadata(&pod.metadata)?;
        let Some(spec) = &pod.spec else {
            return Err(TemplateError("there is no `spec`".to_owned()));
        };
        check_pod(spec, "Never")?;
        Ok(Self(pod))
    }

    /// Makes one of little.
    pub fn of(form: &PodForm) -> Self {
        Self(Pod { spec: Some(form.spec("runner")), ..Default::default() })
    }

    /// The container that has the program.
    pub(super) fn container(&self) -> &str {
        let spec = self.0.spec.as_ref();
        spec.and_then(|spec| spec.containers.first()).map_or("", |it| it.name.as_str())
    }

    /// The pod of that name, whose container has more in it.
    pub(super) fn pod(&self, name: &str, labels: &Labels, container: Container) -> Pod {
        let mut pod = self.0.clone();
        pod.metadata.name = Some(name.to_owned());
        pod.metadata.labels.get_or_insert_default().extend(labels.clone());
        let spec = pod.spec.get_or_insert_default();
        spec.restart_policy = Some("Never".to_owned());
        if let Some(main) = spec.containers.first_mut() {
            let name = main.name.clone();
            main.merge_from(container);
            main.name = name;
        }
        pod
    }
}

/// The Secret with an attempt's files, which goes when its Job does.
pub(super) fn secret(job: &Job, files: BTreeMap<String, Vec<u8>>) -> Secret {
    let metadata = &job.metadata;
    let owner = OwnerReference {
        api_version: "batch/v1".to_owned(),
        kind: "Job".to_owned(),
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        ..Default::default()
    };
    Secret {
        metadata: ObjectMeta {
            name: metadata.name.clone(),
            labels: metadata.labels.clone(),
            owner_references: Some(vec![owner]),
            ..Default::default()
        },
        immutable: Some(true),
        data: Some(files.into_iter().map(|(name, file)| (name, ByteString(file))).collect()),
        ..Default::default()
    }
}

fn seconds(time: Duration) -> i32 {
    i32::try_from(time.as_secs()).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests;
