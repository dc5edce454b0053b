//! What a submission and a start by hand can ask of the scheduler, and what is shown of it.

use dispatchyard::api::wire::SubmitResponse;
use dispatchyard::model::RunIf;
use serde_json::{Value, json};

use crate::support::command::run;
use crate::support::fake_runner::{job, job_with};
use crate::support::{Server, Setup};

#[tokio::test]
async fn what_a_submission_asks_for_is_kept_and_shown() {
    let server = Server::start(&Setup::default()).await;
    let asks = json!({
        "needs": ["a"], "run_if": "always", "max_wait": "2m", "queue_timeout": "1h",
        "deadline": "2h", "affinity": "app", "anti_affinity": "db", "spread": "web",
        "region": ["eu", "us"], "preferred": [{ "label": "ssd", "weight": 50 }],
        "matrix": { "key": "m", "max_parallel": 2, "fail_fast": true },
        "group": { "key": "deploy", "limit": 2, "queue_max": 5 }, "priority": "low",
    });
    let body = json!({
        "name": "w", "group": "release", "max_parallel": 3, "fail_fast": true, "priority": "high",
        "jobs": [job("a"), job_with("b", asks)],
    });
    let made: SubmitResponse = server.api.done("/workloads", body).await;
    let workload = server.api.workload(made.workload_id).await;
    let terms = &workload.terms;
    assert_eq!(&*terms.group.as_ref().unwrap().key, "release");
    assert_eq!((terms.max_parallel, terms.fail_fast, workload.open), (Some(3), true, false));

    let b = server.api.job(workload.jobs[1].id).await;
    assert_eq!((b.terms.run_if, b.terms.max_wait_ms), (RunIf::Always, Some(120_000)));
    assert_eq!(b.terms.queue_timeout_ms, Some(3_600_000));
    assert!(b.terms.deadline_ms.unwrap() >= b.job.queued_at_ms + 7_100_000);
    assert_eq!(b.terms.group.as_ref().unwrap().limit, 2);
    assert_eq!(b.terms.matrix.as_ref().unwrap().max_parallel, Some(2));
    assert_eq!(b.requirements.required_regions, ["eu".into(), "us".into()]);
    assert_eq!(b.pools, ["default"]);
    let levels: Vec<_> = workload.jobs.iter().map(|job| job.priority.as_str()).collect();
    assert_eq!(levels, ["high", "low"], "the job's own word outranks the workload's");

    let id = b.job.id.to_string();
    let said = run(["--server", server.api.base(), "jobs", &id]).await;
    for line in ["runs if", "deploy, 2 at once, at most 5 wait", "2m", "near app; away from db"] {
        assert!(said.out.contains(line), "no `{line}` in {}", said.out);
    }
}

#[tokio::test]
async fn what_cannot_be_obeyed_is_refused_with_the_reason() {
    let server = Server::start(&Setup::default()).await;
    let refused = async |job: Value, why: &str| {
        let answer = server.api.post("/workloads", json!({ "name": "w", "jobs": [job] })).await;
        let (status, text) = (answer.problem().0, answer.json::<Value>().to_string());
        assert!(matches!(status, 400 | 422), "{status} {text}");
        assert!(text.contains(why), "no `{why}` in {text}");
    };
    for (asks, why) in [
        (json!({ "group": "" }), "job `a`: group: a group needs a key"),
        (json!({ "group": { "key": "g", "limit": 0 } }), "job `a`: group: the limit 0"),
        (json!({ "skills": "cobol" }), "job `a`: skills: no skill `cobol`"),
        (json!({ "pool": "fast" }), "job `a`: pool: no pool `fast`"),
        (json!({ "resources": "licence" }), "job `a`: resources: no resource `licence`"),
        (json!({ "deadline": "2001-01-01T00:00:00Z" }), "is not in the future"),
        (json!({ "max_wait": "0s" }), "job `a`: max_wait: 0 ms is less than 1 ms"),
        (json!({ "preferred": [{ "label": "x", "weight": -101 }] }), "weight -101"),
        (json!({ "requirements": { "labels": ["x", "!x"] } }), "`!x` forbids it"),
        (json!({ "max_parallel": 2 }), "max_parallel: belongs to the workload"),
        (json!({ "priority": "urgent" }), "unknown variant `urgent`"),
        (json!({ "colour": "red" }), "unknown field `colour`"),
        (json!({ "needs": ["z"] }), "needs `z`, which is not a job of this workload"),
    ] {
        refused(job_with("a", asks), why).await;
    }
    assert!(server.api.jobs().await.is_empty());
}

#[tokio::test]
async fn a_start_by_hand_outranks_what_the_workflow_says() {
    let server = Server::start(&Setup::default()).await;
    let start = ["--server", server.api.base(), "-o", "json", "run", "ci", "--dispatch"];
    let ours = ["max_wait=5m", "--dispatch", "group=by-hand", "--priority", "low"];
    let said = run(start.into_iter().chain(ours)).await;
    let id = serde_json::from_value(said.json()["workloads"][0].clone()).unwrap();
    let workload = server.api.workload(id).await;
    assert_eq!(&*workload.terms.group.unwrap().key, "by-hand");
    let first = server.api.job(workload.jobs[0].id).await;
    assert_eq!((first.job.priority.as_str(), first.terms.max_wait_ms), ("low", Some(300_000)));
    let wrong = run(start.into_iter().chain(["pool=nowhere"])).await;
    assert_ne!(wrong.code(), 0, "{wrong:?}");
}
