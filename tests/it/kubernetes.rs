//! Jobs as Jobs of a Kubernetes cluster, over real HTTP against a stand-in of its API server that runs what
//! pods are told to: one Job for each attempt, whatever happens to the cluster or to the server.

use dispatchyard::api::wire::{ExecutorView, JobDetail, List};
use dispatchyard::executor::{
    ClusterOptions, KubernetesProvisioner, KubernetesProvisionerOptions, PodForm, PodTemplate,
    Provisioner as _, RunnerOrder,
};
use dispatchyard::model::{AttemptOutcome, EndReason, JobId, JobStateKind, RequeueReason};
use serde_json::{Value, json};

use crate::support::cluster::{Cluster, Fault, Play};
use crate::support::fake_runner::{job, job_with};
use crate::support::proxy::{Proxy, Weather};
use crate::support::{Api, Server, ServerProcess, Setup, on_both, until};

/// An executor `cloud` that has all jobs.
pub(crate) fn setup(setup: Setup, kubeconfig: &str, more: &str) -> Setup {
    setup.patient().more(&format!(
        "[[executor]]\nname = \"cloud\"\nmax_concurrent = 8\n[executor.kubernetes]\n\
         kubeconfig = {kubeconfig:?}\nowner = \"yard\"\nimage = \"busybox\"\n{more}\n\
         [[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"cloud\"]\n"
    ))
}

pub(crate) async fn start(cluster: &Cluster, more: &str) -> Server {
    let kubeconfig = cluster.kubeconfig(cluster.url());
    Server::start(&setup(Setup::default(), &kubeconfig, more)).await
}

/// A job that runs a script.
pub(crate) fn script(name: &str, run: &str) -> Value {
    job_with(name, json!({ "work": { "steps": [{ "name": "it", "run": run }] } }))
}

pub(crate) async fn submit(api: &Api, job: Value) -> JobId {
    api.submit(json!([job])).await.1[0]
}

/// How each attempt ended.
fn ends(job: &JobDetail) -> Vec<(AttemptOutcome, Option<RequeueReason>)> {
    job.attempts.iter().map(|it| (it.outcome, it.requeue_reason)).collect()
}

pub(crate) fn error(job: &JobDetail) -> &str {
    job.attempts[0].error.as_deref().unwrap_or_default()
}

#[tokio::test]
async fn the_steps_run_in_a_pod_and_leave_their_log_their_outputs_and_their_code() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    let run = "echo one; echo ::add-mask::sesame; echo open sesame\n\
               echo \"url=https://x.example/1\" >> \"$DISPATCHYARD_OUTPUT\"";
    let id = submit(&server.api, script("a", run)).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.outputs["url"], "https://x.example/1");
    let log = server.api.log(id).await;
    assert!(
        log.contains("one\n") && log.contains("open ***\n") && !log.contains("sesame"),
        "{log}"
    );
    let id = submit(&server.api, script("b", "echo no; exit 3")).await;
    let failed = server.api.job_is(id, JobStateKind::Failed).await;
    assert_eq!(failed.attempts[0].exit_code, Some(3));
    assert!(error(&failed).contains("exit code 3"), "{failed:?}");
    let names = cluster.made();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(names[1].starts_with(&format!("yard-{id}-1-")), "{names:?}");
    // What has ended and is stored leaves nothing behind.
    cluster.is_empty().await;
}

#[tokio::test]
async fn what_the_cluster_does_is_told_from_what_the_work_does() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    let api = &server.api;
    let ended = |code: i32, reason: &str| {
        json!([{ "name": "job", "image": "busybox", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "terminated": { "exitCode": code, "reason": reason } } }])
    };
    let evicted = json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" });
    let disrupted = json!({ "phase": "Failed", "containerStatuses": ended(143, "Error"),
        "conditions": [{ "type": "DisruptionTarget", "status": "True", "reason": "DeletionByTaintManager" }] });
    // What carried it failed: another attempt, at nobody's charge, and no two at once.
    for (name, status) in [("evicted", evicted), ("disrupted", disrupted)] {
        cluster.plays(name, Play::Hold);
        let id = submit(api, script(name, "echo again")).await;
        cluster.pod_is(name, "Running").await;
        cluster.plays(name, Play::Run);
        cluster.ends(name, &status, "BackoffLimitExceeded");
        let done = api.job_is(id, JobStateKind::Completed).await;
        let wanted = [
            (AttemptOutcome::Requeued, Some(RequeueReason::Evicted)),
            (AttemptOutcome::Completed, None),
        ];
        assert_eq!(ends(&done), wanted, "{done:?}");
    }
    cluster.plays("lost", Play::Hold);
    let id = submit(api, script("lost", "true")).await;
    cluster.pod_is("lost", "Running").await;
    cluster.plays("lost", Play::Run);
    cluster.loses("lost");
    let done = api.job_is(id, JobStateKind::Completed).await;
    assert!(error(&done).contains("its pod is gone"), "{done:?}");
    cluster.plays("deleted", Play::Hold);
    let id = submit(api, script("deleted", "true")).await;
    cluster.pod_is("deleted", "Running").await;
    cluster.plays("deleted", Play::Run);
    cluster.deletes("deleted");
    let done = api.job_is(id, JobStateKind::Completed).await;
    assert!(error(&done).contains("it was deleted"), "{done:?}");
    // The work failed.
    let oom = json!({ "phase": "Failed", "containerStatuses": ended(137, "OOMKilled") });
    let late = json!({ "phase": "Failed", "containerStatuses": ended(137, "Error") });
    for (name, status, reason, wanted) in [
        ("oom", oom, "BackoffLimitExceeded", "OOMKilled"),
        ("late", late, "DeadlineExceeded", "DeadlineExceeded"),
    ] {
        cluster.plays(name, Play::Hold);
        let id = submit(api, job(name)).await;
        cluster.pod_is(name, "Running").await;
        cluster.ends(name, &status, reason);
        let failed = api.job_is(id, JobStateKind::Failed).await;
        assert_eq!(failed.attempts.len(), 1, "{failed:?}");
        assert!(error(&failed).contains(wanted), "{failed:?}");
    }
    cluster.is_empty().await;
}

#[tokio::test]
async fn an_image_that_cannot_be_pulled_sends_the_job_elsewhere_once_patience_is_over() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "image_pull_patience_ms = 200").await;
    cluster.plays("a", Play::Blocked("ImagePullBackOff"));
    let id = submit(&server.api, script("a", "true")).await;
    let why = "ImagePullBackOff: busybox: Back-off pulling image";
    until("the executor says why", async || {
        let list: List<ExecutorView> = server.api.get("/executors").await;
        list.items[0].why.as_deref().is_some_and(|it| it.contains(why)).then_some(())
    })
    .await;
    cluster.plays("a", Play::Run);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    cluster.is_empty().await;
}

#[tokio::test]
async fn a_cancel_and_a_timeout_delete_the_job_and_wait_for_it() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    let id = submit(&server.api, script("a", "echo begun; sleep 60")).await;
    until("it has begun", async || server.api.log(id).await.contains("begun").then_some(())).await;
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    server.api.job_is(id, JobStateKind::Cancelled).await;
    cluster.is_empty().await;
    let late =
        job_with("b", json!({ "timeout_ms": 300, "work": { "steps": [{ "run": "sleep 60" }] } }));
    let id = submit(&server.api, late).await;
    let late = server.api.job_is(id, JobStateKind::Failed).await;
    assert_eq!(late.job.reason, Some(EndReason::TimedOut));
    cluster.is_empty().await;
}

#[tokio::test]
async fn an_answer_that_was_lost_leads_to_no_second_job() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    let api = &server.api;
    let faults = [
        ("POST jobs", Fault::Lost),
        ("POST secrets", Fault::Lost),
        ("POST jobs", Fault::Cut),
        ("POST jobs", Fault::Answer(500, None)),
        ("POST secrets", Fault::Answer(503, Some(1))),
    ];
    for (at, (what, fault)) in faults.into_iter().enumerate() {
        cluster.fails(what, fault);
        let id = submit(api, script(&format!("a{at}"), "true")).await;
        let done = api.job_is(id, JobStateKind::Completed).await;
        assert_eq!((done.attempts.len(), cluster.made().len()), (1, at + 1), "{fault:?} {done:?}");
        assert_eq!(cluster.faults_left(), 0, "{fault:?}");
    }
    // No room is no reason to go elsewhere, and a refusal is one.
    cluster.fails("POST jobs", Fault::Answer(429, Some(0)));
    let id = submit(api, script("b", "true")).await;
    let done = api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts[0].requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    assert!(error(&done).contains("no room"), "{done:?}");
    cluster.fails("POST jobs", Fault::Answer(403, None));
    let id = submit(api, script("c", "true")).await;
    let done = api.job_is(id, JobStateKind::Completed).await;
    assert!(error(&done).contains("answered 403: as it was told to"), "{done:?}");
    assert_eq!(cluster.made().len(), 7);
    cluster.is_empty().await;
}

#[tokio::test]
async fn a_watch_that_breaks_is_too_old_or_refused_is_begun_again() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    let api = &server.api;
    let troubles: [&dyn Fn(); 4] = [
        &|| cluster.break_watches(),
        &|| cluster.forget(),
        &|| {
            cluster.fails("WATCH jobs", Fault::Answer(429, Some(0)));
            cluster.fails("WATCH pods", Fault::Answer(410, None));
            cluster.break_watches();
        },
        &|| {
            cluster.fails("WATCH pods", Fault::Cut);
            cluster.fails("GET pods", Fault::Answer(500, None));
            cluster.forget();
        },
    ];
    for (at, trouble) in troubles.iter().enumerate() {
        let gate = server.home.file(&format!("gate-{at}"));
        let run = format!("until [ -e {} ]; do sleep 0.05; done; echo through", gate.display());
        let name = format!("a{at}");
        let id = submit(api, script(&name, &run)).await;
        cluster.pod_is(&name, "Running").await;
        trouble();
        std::fs::write(&gate, "").unwrap();
        let done = api.job_is(id, JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 1, "{done:?}");
        assert!(api.log(id).await.contains("through"));
    }
    assert_eq!(cluster.made().len(), troubles.len());
    cluster.is_empty().await;
}

#[tokio::test]
async fn a_cluster_that_is_away_is_waited_for_and_no_job_begins_there() {
    let cluster = Cluster::start().await;
    let proxy = Proxy::to(cluster.url()).await;
    let kubeconfig = cluster.kubeconfig(&proxy.url(cluster.url()));
    let server = Server::start(&setup(Setup::default(), &kubeconfig, "")).await;
    let api = &server.api;
    let gate = server.home.file("gate");
    let run = format!("until [ -e {} ]; do sleep 0.05; done", gate.display());
    let id = submit(api, script("a", &run)).await;
    cluster.pod_is("a", "Running").await;
    proxy.set(Weather::Cut);
    std::fs::write(&gate, "").unwrap();
    cluster.pod_is("a", "Succeeded").await;
    // Nobody can say whether this one begins.
    let later = submit(api, script("b", "true")).await;
    api.job_is(later, JobStateKind::Running).await;
    proxy.set(Weather::Fair);
    for id in [id, later] {
        let done = api.job_is(id, JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), 1, "{done:?}");
    }
    assert_eq!(cluster.made().len(), 2);
    cluster.is_empty().await;
}

#[tokio::test]
async fn a_cluster_that_refuses_connections_is_away_at_once() {
    let cluster = Cluster::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let [gone, there] = [format!("http://{nobody}/"), cluster.url().to_owned()];
    let executor = |name: &str, url: &str| {
        let kubeconfig = cluster.kubeconfig(url);
        format!(
            "[[executor]]\nname = \"{name}\"\n[executor.kubernetes]\nkubeconfig = {kubeconfig:?}\n\
             image = \"busybox\"\n"
        )
    };
    let route = "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"gone\", \"there\"]\n";
    let more = executor("gone", &gone) + &executor("there", &there) + route;
    let server = Server::start(&Setup::default().patient().more(&more)).await;
    let id = submit(&server.api, script("a", "true")).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    let first = &done.attempts[0];
    assert_eq!(first.requeue_reason, Some(RequeueReason::ExecutorUnavailable));
    assert!(error(&done).contains("executor gone: the API server cannot be reached"), "{done:?}");
    cluster.is_empty().await;
}

async fn a_server_that_was_killed_goes_on_with_what_it_has_begun(with: Setup) {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let home = setup(with, &kubeconfig, "").own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let gate = home.file("gate");
    let run =
        format!("echo begun; until [ -e {} ]; do sleep 0.05; done; echo through", gate.display());
    let mut ids = Vec::new();
    for name in ["ends-meanwhile", "goes-on", "is-gone"] {
        if name == "is-gone" {
            cluster.plays(name, Play::Hold);
        }
        ids.push(submit(&server.api, script(name, &run)).await);
        cluster.pod_is(name, "Running").await;
    }
    until("its log is here", async || server.api.log(ids[1]).await.contains("begun").then_some(()))
        .await;
    // One of which nobody knows whether it has begun: its Secret was not made.
    for _ in 0..3 {
        cluster.fails("POST secrets", Fault::Cut);
    }
    ids.push(submit(&server.api, script("half", "true")).await);
    cluster.pod_is("half", "Pending").await;
    server.kill().await;
    cluster.fails_no_more();
    cluster.leaves_over("goes-on");
    cluster.plays("is-gone", Play::Run);
    cluster.deletes("is-gone");
    std::fs::write(&gate, "").unwrap();
    cluster.pod_is("ends-meanwhile", "Succeeded").await;
    let server = ServerProcess::start(&home).await;
    for (id, attempts) in ids.iter().zip([1, 1, 2, 1]) {
        let done = server.api.job_is(*id, JobStateKind::Completed).await;
        assert_eq!(done.attempts.len(), attempts, "{done:?}");
    }
    assert_eq!(server.api.log(ids[1]).await.matches("begun\n").count(), 1, "its log is here once");
    assert!(server.api.log(ids[1]).await.contains("through\n"));
    assert_eq!(cluster.made().len(), 5);
    cluster.is_empty().await;
}

on_both![a_server_that_was_killed_goes_on_with_what_it_has_begun];

#[tokio::test]
async fn an_orderly_stop_leaves_jobs_alone() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "").await;
    cluster.plays("a", Play::Hold);
    let id = submit(&server.api, script("a", "true")).await;
    let pod = cluster.pod_is("a", "Running").await;
    let home = server.stop().await;
    assert_eq!(cluster.pod_is("a", "Running").await, pod);
    let server = Server::again(home).await;
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    server.api.job_is(id, JobStateKind::Cancelled).await;
    cluster.is_empty().await;
}

#[tokio::test]
async fn runners_of_a_warm_pool_are_pods() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let more = format!(
        "[[provisioner]]\nname = \"pods\"\nlist_interval_ms = 100\n[provisioner.kubernetes]\n\
         kubeconfig = {kubeconfig:?}\nimage = \"dispatchyard\"\n\
         [agent_pools.warm.warm]\nprovisioner = \"pods\"\nlabels = [\"x\"]\nmin_idle = 1\nmax = 2\n\
         [[route]]\nname = \"all\"\nmatch = \"**\"\npools = [\"warm\"]\n"
    );
    let server = Server::start(&Setup::default().patient().rules(&more)).await;
    let running = |many: usize| {
        let cluster = &cluster;
        async move {
            until(&format!("{many} pods run"), async || {
                let pods = cluster.all("pods");
                let running = pods.iter().filter(|pod| pod["status"]["phase"] == "Running");
                (running.count() == many).then_some(pods)
            })
            .await
        }
    };
    let first = running(1).await.remove(0);
    let name = first["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("warm-"), "{name}");
    let command = first["spec"]["containers"][0]["command"].to_string();
    assert!(command.contains("--ephemeral") && !first.to_string().contains("token\":"), "{first}");
    let id = submit(&server.api, script("a", "echo by $DISPATCHYARD_RUNNER")).await;
    server.api.job_is(id, JobStateKind::Completed).await;
    let log = server.api.log(id).await;
    assert!(log.contains(&format!("by {name}\n")), "{name}: {log}");
    // It took its one job and is gone, with its token; another one stands by.
    until("it is replaced", async || {
        let pods = cluster.all("pods");
        let is_new = pods.len() == 1 && pods[0]["metadata"]["name"] != name;
        (is_new && cluster.all("secrets").len() == 1).then_some(())
    })
    .await;
    running(1).await;
}

#[tokio::test]
async fn a_pod_that_is_asked_for_again_is_there_once() {
    let cluster = Cluster::start().await;
    let form = PodForm {
        image: "dispatchyard".to_owned(),
        service_account: None,
        cpu_milli: None,
        memory_mb: None,
    };
    let options = KubernetesProvisionerOptions {
        cluster: ClusterOptions {
            kubeconfig: Some(cluster.kubeconfig(cluster.url()).into()),
            context: None,
            namespace: None,
            owner: "yard".to_owned(),
            installation: "0a1b2c3d".to_owned(),
        },
        template: PodTemplate::of(&form),
        command: vec!["dispatchyard".to_owned()],
        server_url: None,
    };
    let provisioner = KubernetesProvisioner::new("pods", options).await.unwrap();
    let order = |token: &str| RunnerOrder {
        name: "warm-1-default".to_owned(),
        server_url: "http://127.0.0.1:9".to_owned(),
        token: token.to_owned(),
        pool: "default".to_owned(),
        labels: Vec::new(),
        slots: 1,
        ephemeral: true,
    };
    let secret = || {
        let data = cluster.all("secrets").remove(0)["data"]["token"].clone();
        data.as_str().unwrap().to_owned()
    };
    // A Secret without a pod was left by whoever died in between: its token is old.
    cluster.fails("POST pods", Fault::Cut);
    assert!(provisioner.create(&order("first")).await.is_err());
    let old = secret();
    provisioner.create(&order("second")).await.unwrap();
    assert_ne!(secret(), old);
    let new = secret();
    provisioner.create(&order("third")).await.unwrap();
    assert_eq!((secret(), cluster.all("pods").len()), (new, 1), "what is there stays as it is");
    // Until it is gone it may work on.
    for _ in 0..2 {
        until("it is gone", async || provisioner.destroy("warm-1-default").await.ok()).await;
    }
    cluster.is_empty().await;
    assert!(provisioner.list().await.unwrap().is_empty());
}
