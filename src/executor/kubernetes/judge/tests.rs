//! States of Jobs and pods, as the API tells them, and what they come to.

#![expect(clippy::needless_pass_by_value, reason = "what was just made is handed over")]

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::super::seen::JobSeen;
use super::*;

fn pod(phase: &str, more: Value) -> Pod {
    let mut status = json!({ "phase": phase });
    status.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod_with(json!({}), status)
}

fn pod_with(metadata: Value, status: Value) -> Pod {
    let mut all = json!({ "name": "p" });
    all.as_object_mut().unwrap().extend(metadata.as_object().unwrap().clone());
    let pod = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": all, "status": status });
    serde_json::from_value(pod).unwrap()
}

fn container(state: Value) -> Value {
    let one = json!({
        "name": "job", "image": "img", "imageID": "", "ready": false, "restartCount": 0,
        "state": state,
    });
    json!([one])
}

fn ended(code: i32, reason: &str) -> Value {
    let state = json!({ "terminated": { "exitCode": code, "reason": reason, "message": "r" } });
    container(state)
}

fn waiting(reason: &str) -> Value {
    container(json!({ "waiting": { "reason": reason, "message": "no such image" } }))
}

fn job(conditions: Value) -> Option<JobSeen> {
    let job: Job = serde_json::from_value(json!({
        "apiVersion": "batch/v1", "kind": "Job",
        "metadata": { "name": "j", "uid": "u" }, "status": { "conditions": conditions },
    }))
    .unwrap();
    Some(JobSeen::of(&job))
}

fn failed(reason: &str) -> Option<JobSeen> {
    let failed = json!({ "type": "Failed", "status": "True", "reason": reason, "message": "m" });
    job(json!([failed]))
}

fn told(job: Option<JobSeen>, pods: &[Pod]) -> String {
    let pods = pods.iter().map(|pod| PodSeen::of(pod, "job"));
    let pods = pods.enumerate().map(|(at, pod)| (at.to_string(), pod)).collect();
    format!("{:?}", judge(&Seen { job, pods, has_begun: false }))
}

#[test]
fn a_container_that_ended_by_itself_says_how() {
    let running = || job(json!([]));
    let statuses = |code, reason: &str| json!({ "containerStatuses": ended(code, reason) });
    let exited = |code: i32| format!(r#"Ended(Exited {{ pod: "p", code: {code}, report: "r" }})"#);
    assert_eq!(told(running(), &[pod("Succeeded", statuses(0, "Completed"))]), exited(0));
    assert_eq!(told(running(), &[pod("Failed", statuses(3, "Error"))]), exited(3));
    assert_eq!(told(running(), &[pod("Failed", statuses(137, "Error"))]), exited(137));
    // Others of its pod go on: it is over all the same, and why is said a little later.
    assert_eq!(told(running(), &[pod("Running", statuses(0, "Completed"))]), exited(0));
    let beside = told(running(), &[pod("Running", statuses(3, "Error"))]);
    assert_eq!(beside, exited(3).replace("Ended(", "Unsettled("));
    // What is done is done, whatever is said of it.
    let late = told(failed("DeadlineExceeded"), &[pod("Succeeded", statuses(0, "Completed"))]);
    assert_eq!(late, exited(0));
    let evicted = json!({ "reason": "Evicted", "containerStatuses": ended(0, "Completed") });
    assert_eq!(told(running(), &[pod("Failed", evicted)]), exited(0));
}

#[test]
fn what_the_cluster_ends_is_told_from_what_ends_by_itself() {
    let running = || job(json!([]));
    let case = |status: Value| told(running(), &[pod("Failed", status)]);
    let message = "The node was low on resource: memory.";
    let evicted = case(json!({ "reason": "Evicted", "message": message }));
    let disrupted = |reason: &str| {
        let condition = json!({
            "type": "DisruptionTarget", "status": "True", "reason": reason, "message": "so it is",
        });
        case(json!({ "conditions": [condition], "containerStatuses": ended(143, "Error") }))
    };
    let all = [
        evicted,
        case(json!({ "reason": "Evicted", "containerStatuses": ended(137, "Error") })),
        case(json!({ "reason": "NodeLost", "message": "node n is unresponsive" })),
        case(json!({ "reason": "Terminated", "message": "imminent node shutdown" })),
        case(json!({ "reason": "OutOfmemory", "message": "Node didn't have enough" })),
        disrupted("PreemptionByScheduler"),
        disrupted("DeletionByTaintManager"),
        disrupted("EvictionByEvictionAPI"),
        disrupted("DeletionByPodGC"),
        case(json!({ "containerStatuses": ended(137, "ContainerStatusUnknown") })),
        case(json!({ "containerStatuses": ended(137, "OOMKilled") })),
        case(json!({ "reason": "DeadlineExceeded", "message": "active on the node too long" })),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: Evicted: The node was low on resource: memory." })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: Evicted" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: NodeLost: node n is unresponsive" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: Terminated: imminent node shutdown" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: OutOfmemory: Node didn't have enough" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: PreemptionByScheduler: so it is" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: DeletionByTaintManager: so it is" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: EvictionByEvictionAPI: so it is" })
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: DeletionByPodGC: so it is" })
    Ended(Lost { pod: Some("p"), why: "the pod p was lost with its node" })
    Ended(OutOfMemory { pod: "p", code: 137 })
    Ended(Late("active on the node too long"))
    "#);
}

#[test]
fn the_job_says_what_its_pods_cannot() {
    let deleted = |code| {
        let metadata = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" });
        pod_with(metadata, json!({ "phase": "Failed", "containerStatuses": ended(code, "Error") }))
    };
    let running =
        pod("Running", json!({ "containerStatuses": container(json!({ "running": {} })) }));
    let complete = job(json!([{ "type": "Complete", "status": "True" }]));
    let all = [
        // Whoever deleted it: the end is told by the Job.
        told(job(json!([])), &[deleted(137)]),
        told(failed("BackoffLimitExceeded"), &[deleted(143)]),
        told(failed("DeadlineExceeded"), &[deleted(137)]),
        told(failed("DeadlineExceeded"), &[]),
        told(job(json!([])), &[deleted(1)]),
        // One side is ahead of the other.
        told(failed("BackoffLimitExceeded"), &[]),
        told(failed("BackoffLimitExceeded"), std::slice::from_ref(&running)),
        told(complete.clone(), &[]),
        told(complete, &[running]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    Unsettled(Lost { pod: Some("p"), why: "the pod p was deleted" })
    Ended(Lost { pod: Some("p"), why: "the pod p was deleted" })
    Ended(Late("m"))
    Ended(Late("m"))
    Ended(Exited { pod: "p", code: 1, report: "r" })
    Unsettled(Lost { pod: None, why: "its pod is gone: BackoffLimitExceeded: m" })
    Unsettled(Lost { pod: Some("p"), why: "the pod p did not say how it ended" })
    Unsettled(Unread)
    Unsettled(Unread)
    "#);
}

#[test]
fn what_has_not_begun_goes_on_or_is_stuck() {
    let new = || job(json!([]));
    let statuses = |statuses: Value| json!({ "containerStatuses": statuses });
    let unschedulable = json!({ "conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable",
        "message": "0/3 nodes are available",
    }] });
    let before = json!([{
        "name": "fetch", "image": "img", "imageID": "", "ready": false, "restartCount": 0,
        "state": { "terminated": { "exitCode": 7 } },
    }]);
    let gating = json!({ "deletionTimestamp": "2026-01-01T00:00:00Z" });
    let all = [
        told(None, &[]),
        told(new(), &[]),
        told(new(), &[pod("Pending", json!({}))]),
        told(new(), &[pod("Pending", statuses(waiting("ContainerCreating")))]),
        told(new(), &[pod("Running", statuses(container(json!({ "running": {} }))))]),
        told(new(), &[pod("Pending", statuses(waiting("ImagePullBackOff")))]),
        told(new(), &[pod("Pending", statuses(waiting("ErrImagePull")))]),
        told(new(), &[pod("Pending", statuses(waiting("InvalidImageName")))]),
        told(new(), &[pod("Pending", statuses(waiting("CreateContainerConfigError")))]),
        told(new(), &[pod("Pending", unschedulable)]),
        told(new(), &[pod("Failed", json!({ "initContainerStatuses": before }))]),
        told(new(), &[pod_with(gating, json!({ "phase": "Pending" }))]),
    ];
    insta::assert_snapshot!(all.join("\n"), @r#"
    Goes { pod: None }
    Stuck(Place("there is no pod yet"))
    Goes { pod: None }
    Goes { pod: None }
    Goes { pod: Some("p") }
    Stuck(Container("ImagePullBackOff: img: no such image"))
    Stuck(Container("ErrImagePull: img: no such image"))
    Stuck(Container("InvalidImageName: img: no such image"))
    Stuck(Container("CreateContainerConfigError: img: no such image"))
    Stuck(Place("0/3 nodes are available"))
    Ended(Lost { pod: Some("p"), why: "the pod p was ended: container fetch before it ended with code 7" })
    Goes { pod: None }
    "#);
}

#[test]
fn of_two_pods_the_one_that_did_the_work_counts() {
    let ended = |code| pod("Failed", json!({ "containerStatuses": ended(code, "Error") }));
    let new = pod("Pending", json!({}));
    let told = told(job(json!([])), &[ended(1), new, ended(0)]);
    assert!(told.contains("code: 0"), "{told}");
}
