//! What counts of a Job and of its pods, out of all that the API tells: pure.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ContainerState, ContainerStatus, Pod};

use super::names;

/// A Job and its pods, as far as they were seen.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Seen {
    pub(super) job: Option<JobSeen>,
    /// By their names.
    pub(super) pods: BTreeMap<String, PodSeen>,
    /// The work was seen to have begun, in a pod that may be gone by now.
    pub(super) has_begun: bool,
}

/// A Job.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct JobSeen {
    pub(super) uid: String,
    /// Somebody is deleting it.
    pub(super) is_deleted: bool,
    pub(super) end: Option<JobEnd>,
}

/// How the cluster says that a Job has ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum JobEnd {
    Complete,
    Failed { reason: String, message: String },
}

/// A pod.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct PodSeen {
    pub(super) name: String,
    /// `Pending`, `Running`, `Succeeded`, `Failed`, `Unknown`.
    pub(super) phase: String,
    /// Why it is in that phase: `Evicted`, `NodeLost`, ...
    pub(super) reason: String,
    pub(super) message: String,
    /// Somebody is deleting it.
    pub(super) is_deleted: bool,
    /// The cluster ends it for reasons of its own: why.
    pub(super) disruption: Option<String>,
    /// There is no place for it: why.
    pub(super) unschedulable: Option<String>,
    /// A container of it cannot be made: the reason, and what is said of it.
    pub(super) blocked: Option<(String, String)>,
    /// A container before the one that does the work has failed.
    pub(super) failed_before: Option<String>,
    pub(super) main: Main,
}

/// The container that does the work.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) enum Main {
    /// It was not begun.
    #[default]
    Waiting,
    Running,
    Ended {
        code: i32,
        reason: String,
        /// What it left as its termination message.
        report: String,
    },
}

/// Reasons for which a container that waits will not begin by itself soon.
const BLOCKED: &[&str] = &[
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "ImageInspectError",
    "InvalidImageName",
    "RegistryUnavailable",
    "SignatureValidationFailed",
    "CreateContainerConfigError",
    "CreateContainerError",
    "CreatePodSandboxError",
];

impl JobSeen {
    pub(super) fn of(job: &Job) -> Self {
        let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
        let mut end = None;
        for condition in conditions.filter(|it| it.status == "True") {
            match condition.type_.as_str() {
                "Complete" | "SuccessCriteriaMet" => end = Some(JobEnd::Complete),
                "Failed" | "FailureTarget" => {
                    let reason = condition.reason.clone().unwrap_or_default();
                    let message = condition.message.clone().unwrap_or_default();
                    end = Some(JobEnd::Failed { reason, message });
                }
                _ => {}
            }
        }
        Self {
            uid: job.metadata.uid.clone().unwrap_or_default(),
            is_deleted: job.metadata.deletion_timestamp.is_some(),
            end,
        }
    }
}

impl PodSeen {
    /// The container of that name does the work.
    pub(super) fn of(pod: &Pod, container: &str) -> Self {
        let status = pod.status.clone().unwrap_or_default();
        let condition = |name: &str, wanted: &str| {
            let found = status.conditions.iter().flatten();
            found.into_iter().find(|it| it.type_ == name && it.status == wanted).cloned()
        };
        let told = |reason: Option<String>, message: Option<String>| {
            let all = [reason, message].into_iter().flatten().filter(|it| !it.is_empty());
            all.collect::<Vec<_>>().join(": ")
        };
        let disruption =
            condition("DisruptionTarget", "True").map(|it| told(it.reason, it.message));
        let unschedulable = condition("PodScheduled", "False")
            .filter(|it| it.reason.as_deref() == Some("Unschedulable"))
            .map(|it| it.message.unwrap_or_default());
        let before: Vec<&ContainerStatus> =
            status.init_container_statuses.iter().flatten().collect();
        let beside: Vec<&ContainerStatus> = status.container_statuses.iter().flatten().collect();
        let blocked = before.iter().chain(&beside).find_map(|it| {
            let waiting = it.state.as_ref()?.waiting.as_ref()?;
            let reason = waiting.reason.as_deref().filter(|it| BLOCKED.contains(it))?;
            let message = waiting.message.clone().unwrap_or_default();
            Some((reason.to_owned(), format!("{}: {message}", it.image)))
        });
        let failed_before = before.iter().find_map(|it| {
            let ended = it.state.as_ref()?.terminated.as_ref().filter(|it| it.exit_code != 0)?;
            Some(format!("container {} before it ended with code {}", it.name, ended.exit_code))
        });
        let main = beside.iter().find(|it| it.name == container);
        Self {
            name: pod.metadata.name.clone().unwrap_or_default(),
            phase: status.phase.clone().unwrap_or_default(),
            reason: status.reason.clone().unwrap_or_default(),
            message: status.message.clone().unwrap_or_default(),
            is_deleted: pod.metadata.deletion_timestamp.is_some(),
            disruption,
            unschedulable,
            blocked,
            failed_before,
            main: main.and_then(|it| it.state.as_ref()).map(Main::of).unwrap_or_default(),
        }
    }
}

impl Main {
    fn of(state: &ContainerState) -> Self {
        match (&state.terminated, &state.running) {
            (Some(ended), _) => Self::Ended {
                code: ended.exit_code,
                reason: ended.reason.clone().unwrap_or_default(),
                report: ended.message.clone().unwrap_or_default(),
            },
            (None, Some(_)) => Self::Running,
            (None, None) => Self::Waiting,
        }
    }
}

/// The Job that something belongs to, by its label.
pub(super) fn run_of(labels: Option<&names::Labels>) -> Option<&str> {
    labels?.get(names::RUN).map(String::as_str)
}
