//! Where a Job is that an attempt was begun as: found again whatever the configuration says since, waited for where
//! it cannot be looked at, and nothing left of it when its attempt is over in the middle of being made.

use dispatchyard::api::wire::JobDetail;
use dispatchyard::model::{JobId, JobStateKind, RequeueReason};
use serde_json::json;

use crate::kubernetes::{error, script, setup, start, submit};
use crate::support::cluster::{Cluster, Fault, Play};
use crate::support::{Home, Server, Setup, until};

/// A job `a` that waits in a pod until its gate is there, and the home of its server, which has stopped.
async fn left(cluster: &Cluster) -> (JobId, std::path::PathBuf, Home) {
    let server = start(cluster, "").await;
    let gate = server.home.file("gate");
    let run =
        format!("echo begun; until [ -e {} ]; do sleep 0.05; done; echo through", gate.display());
    let id = submit(&server.api, script("a", &run)).await;
    until("its log is read", async || server.api.log(id).await.contains("begun").then_some(()))
        .await;
    (id, gate, server.stop().await)
}

#[tokio::test]
async fn a_job_is_found_where_it_was_made_whatever_the_configuration_says_since() {
    let cluster = Cluster::start().await;
    let (id, gate, home) = left(&cluster).await;
    // Another name, another namespace, and another address of the same cluster.
    home.change("owner = \"yard\"", "owner = \"mill\"\nnamespace = \"elsewhere\"");
    let by_name = cluster.url().replace("127.0.0.1", "localhost");
    home.change(&cluster.kubeconfig(cluster.url()), &cluster.kubeconfig(&by_name));
    let server = Server::again(home).await;
    let place = format!("@{}", by_name.trim_end_matches('/'));
    let stored = until("where it is is stored", async || {
        let stored = server.held(id).await.external_ref?;
        stored.ends_with(&place).then_some(stored)
    })
    .await;
    assert!(stored.starts_with(&format!("ci/yard-{id}-1-")), "{stored}");
    std::fs::write(&gate, "").unwrap();
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "{done:?}");
    assert_eq!(server.api.log(id).await.matches("through\n").count(), 1);
    assert_eq!(cluster.made().len(), 1);
    cluster.is_empty().await;
}

#[tokio::test]
async fn nothing_is_begun_beside_a_job_that_cannot_be_looked_at() {
    let (cluster, other) = (Cluster::start().await, Cluster::start().await);
    let (id, gate, home) = left(&cluster).await;
    let [here, there] = [&cluster, &other].map(|it| it.kubeconfig(it.url()));
    home.change(&here, &there);
    let server = Server::again(home).await;
    let name = cluster.made().remove(0);
    let place = format!("the Job {name} in ci of {}", cluster.url().trim_end_matches('/'));
    server.api.is_told(id, &place).await;
    server.api.job_is(id, JobStateKind::Running).await;
    let home = server.stop().await;
    // Back again.
    home.change(&there, &here);
    let server = Server::again(home).await;
    std::fs::write(&gate, "").unwrap();
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), cluster.made().len()), (1, 1), "{done:?}");
    assert!(other.made().is_empty());
    drop(server);
    cluster.is_empty().await;

    // Nobody puts it back: people, or the job's time, end it.
    let (id, _, home) = left(&cluster).await;
    home.change(&here, &there);
    let server = Server::again(home).await;
    server.api.is_told(id, "nothing is begun beside it").await;
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    server.api.job_is(id, JobStateKind::Cancelled).await;
}

#[tokio::test]
async fn what_earlier_servers_stored_is_understood() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    cluster.plays("a", Play::Hold);
    let id = submit(&server.api, script("a", "true")).await;
    cluster.pod_is("a", "Running").await;
    let stored = server.held(id).await.external_ref.unwrap();
    let before = stored.split_once('@').unwrap().0;
    server.refers(id, before).await;
    let home = server.stop().await;
    home.change("owner = \"yard\"", "owner = \"mill\"");
    let server = Server::again(home).await;
    until("where it is is stored", async || {
        (server.held(id).await.external_ref.as_ref() == Some(&stored)).then_some(())
    })
    .await;
    // What is certainly gone is begun again.
    let home = server.stop().await;
    cluster.plays("a", Play::Run);
    cluster.deletes("a");
    until("it is gone", async || cluster.all("jobs").is_empty().then_some(())).await;
    let server = Server::again(home).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::RunnerLost), "{done:?}");
    assert_eq!((done.attempts.len(), cluster.made().len()), (2, 2), "{done:?}");
    cluster.is_empty().await;
}

#[tokio::test]
async fn an_attempt_that_is_over_while_it_is_made_leaves_nothing() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    for (name, what) in [("a", "POST jobs"), ("b", "POST secrets")] {
        cluster.fails(what, Fault::Silence);
        let id = submit(&server.api, script(name, "true")).await;
        until("it is asked for", async || (cluster.faults_left() == 0).then_some(())).await;
        server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
        server.api.job_is(id, JobStateKind::Cancelled).await;
        cluster.is_empty().await;
    }
    // Another server leads from now on, or this one again: what was on its way is nobody's secret.
    cluster.fails("POST secrets", Fault::Silence);
    let id = submit(&server.api, script("c", "true")).await;
    until("it is asked for", async || (cluster.faults_left() == 0).then_some(())).await;
    let server = Server::again(server.stop().await).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), cluster.made().len()), (1, 2), "{done:?}");
    cluster.is_empty().await;
}

#[tokio::test]
async fn a_job_that_is_refused_again_and_again_goes_elsewhere() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "image_pull_patience_ms = 300").await;
    // What is looked at in the beginning was looked at.
    let id = submit(&server.api, script("first", "true")).await;
    server.api.job_is(id, JobStateKind::Completed).await;
    for (name, refused) in [("job", "POST jobs"), ("secret", "POST secrets")] {
        cluster.is_empty().await;
        for _ in 0..3 {
            cluster.fails(refused, Fault::Cut);
        }
        // Whether it is there is not known.
        if name == "job" {
            cluster.fails("GET jobs", Fault::Answer(500, None));
        }
        for _ in 0..99 {
            cluster.fails(refused, Fault::Answer(403, None));
        }
        let id = submit(&server.api, script(name, "true")).await;
        let job = until("it is given back", async || {
            let job: JobDetail = server.api.get(&format!("/jobs/{id}")).await;
            (!job.attempts.is_empty()).then_some(job)
        })
        .await;
        cluster.fails_no_more();
        let first = job.attempts[0].requeue_reason;
        assert_eq!(first, Some(RequeueReason::ExecutorUnavailable), "{job:?}");
        assert!(error(&job).contains("answered 403: as it was told to"), "{job:?}");
        server.api.job_is(id, JobStateKind::Completed).await;
    }
    cluster.is_empty().await;
}

#[tokio::test]
async fn work_whose_lease_is_lost_has_a_second_to_stop() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let patient = Setup::default().scheduler("cancel_grace_ms", 60_000);
    let server = Server::start(&setup(patient, &kubeconfig, "")).await;
    let gate = server.home.file("gate");
    let run =
        format!("trap '' TERM; echo begun; until [ -e {} ]; do sleep 0.05; done", gate.display());
    let id = submit(&server.api, script("a", &run)).await;
    until("it is at work", async || server.api.log(id).await.contains("begun").then_some(())).await;
    let pod = cluster.pod_is("a", "Running").await;
    server.loses(id).await;
    until("another attempt runs", async || {
        let pods = cluster.all("pods");
        let is_other = pods.len() == 1 && pods[0]["metadata"]["name"] != *pod;
        (is_other && pods[0]["status"]["phase"] == "Running").then_some(())
    })
    .await;
    assert_eq!(cluster.graces(), [(pod, 1)]);
    std::fs::write(&gate, "").unwrap();
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), cluster.made().len()), (2, 2), "{done:?}");
    cluster.is_empty().await;
    assert_eq!(cluster.graces().len(), 1, "others have the time of their template");
}

#[tokio::test]
async fn a_log_that_is_cut_off_is_read_on_where_it_ended() {
    for no_times in [false, true] {
        let cluster = Cluster::start().await;
        if no_times {
            cluster.tells_no_times();
        }
        let server = start(&cluster, "").await;
        let [first, second] = ["first", "second"].map(|it| server.home.file(it));
        let run = format!(
            "echo ::add-mask::sesame; for i in 1 2 3 4 5 6; do echo line; echo $i; done\n\
             until [ -e {} ]; do sleep 0.05; done; for i in 7 8; do echo line; echo $i; done\n\
             until [ -e {} ]; do sleep 0.05; done; echo open sesame; printf end",
            first.display(),
            second.display(),
        );
        let id = submit(&server.api, script("a", &run)).await;
        let mut wanted = "##[step] it\n::add-mask::***\n".to_owned();
        for (gate, lines) in [(&first, 1..=6), (&second, 7..=8)] {
            wanted += &lines.map(|at| format!("line\n{at}\n")).collect::<String>();
            until("it is here", async || (server.api.log(id).await == wanted).then_some(())).await;
            cluster.ends_logs();
            std::fs::write(gate, "").unwrap();
        }
        server.api.job_is(id, JobStateKind::Completed).await;
        wanted += "open ***\nend";
        assert_eq!(server.api.log(id).await, wanted, "without times: {no_times}");
    }
}
