//! What the pods of jobs look like: as a template says, without secrets of operators, and not for ever without a
//! place.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dispatchyard::model::{JobStateKind, RequeueReason};
use serde_json::json;

use crate::kubernetes::{error, script, setup, start, submit};
use crate::support::cluster::{Cluster, Play};
use crate::support::home::{ADMIN_TOKEN, HOOK_SECRET, REGISTRATION_TOKEN};
use crate::support::{Server, Setup, until};

/// What a file of `deploy/kubernetes` is called.
fn deployed(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/kubernetes");
    folder.join(name).to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_pod_without_a_place_is_given_back_once_patience_is_over() {
    let cluster = Cluster::start().await;
    let server = start(&cluster, "pending_patience_ms = 200").await;
    cluster.plays("a", Play::NoPlace);
    let id = submit(&server.api, script("a", "true")).await;
    let job = until("it is given back", async || {
        let job: dispatchyard::api::wire::JobDetail = server.api.get(&format!("/jobs/{id}")).await;
        (!job.attempts.is_empty()).then_some(job)
    })
    .await;
    let reason = job.attempts[0].requeue_reason;
    assert_eq!(reason, Some(RequeueReason::ExecutorUnavailable), "{job:?}");
    assert!(error(&job).contains("no room"), "{job:?}");
    let told = job.records.iter().any(|it| it.detail.contains("0/3 nodes are available"));
    assert!(told, "{job:?}");
    cluster.is_empty().await;
    // It is no fault of the executor: the job waits for it.
    server.api.job_is(id, JobStateKind::Pending).await;
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
}

#[tokio::test]
async fn jobs_look_as_the_template_in_a_file_says() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let home = setup(Setup::default(), &kubeconfig, "").build();
    home.change("image = \"busybox\"", &format!("template = {:?}", deployed("job-template.yaml")));
    let server = Server::again(home).await;
    cluster.plays("held", Play::Hold);
    let held = submit(&server.api, script("held", "true")).await;
    cluster.pod_is("held", "Running").await;
    let job = cluster.all("jobs").remove(0);
    assert_eq!(job["metadata"]["labels"]["team"], "ci");
    let spec = &job["spec"]["template"]["spec"];
    assert_eq!(spec["securityContext"]["runAsNonRoot"], true);
    assert_eq!(spec["containers"][0]["resources"]["limits"]["memory"], "1Gi");
    assert_eq!(
        (&job["spec"]["backoffLimit"], &spec["restartPolicy"]),
        (&json!(0), &json!("Never"))
    );
    server.api.post(&format!("/jobs/{held}/cancel"), json!({})).await;
    server.api.job_is(held, JobStateKind::Cancelled).await;
    let run = "echo a=b >> \"$DISPATCHYARD_OUTPUT\"";
    let id = submit(&server.api, script("runs", run)).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.outputs["a"], "b");
    cluster.is_empty().await;
}

#[tokio::test]
async fn runners_look_as_the_template_in_a_file_says() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let more = format!(
        "[[provisioner]]\nname = \"pods\"\nlist_interval_ms = 100\n[provisioner.kubernetes]\n\
         kubeconfig = {kubeconfig:?}\ntemplate = \"runner.yaml\"\n\
         [agent_pools.warm.warm]\nprovisioner = \"pods\"\nlabels = [\"x\"]\nmin_idle = 1\nmax = 2\n\
         [[route]]\nname = \"all\"\nmatch = \"**\"\npools = [\"warm\"]\n"
    );
    let home = Setup::default().patient().rules(&more).build();
    let template = "apiVersion: v1\nkind: Pod\nmetadata: { labels: { team: ci } }\n\
                    spec:\n  nodeSelector: { disk: fast }\n  containers: [{ name: r, image: i }]\n";
    std::fs::write(home.file("runner.yaml"), template).unwrap();
    let server = Server::again(home).await;
    let id = submit(&server.api, script("a", "true")).await;
    server.api.job_is(id, JobStateKind::Completed).await;
    let pod = until("another one stands by", async || cluster.all("pods").pop()).await;
    assert_eq!(pod["metadata"]["labels"]["team"], "ci");
    assert_eq!(pod["spec"]["nodeSelector"]["disk"], "fast");
    let main = &pod["spec"]["containers"][0];
    assert_eq!((&main["name"], &main["image"]), (&json!("r"), &json!("i")));
}

#[tokio::test]
async fn a_job_in_a_pod_sees_no_secret_of_the_operator() {
    let cluster = Cluster::start().await;
    let kubeconfig = cluster.kubeconfig(cluster.url());
    let server = Server::start(&setup(Setup::default().tokens(), &kubeconfig, "")).await;
    let api = server.api.with_token(ADMIN_TOKEN);
    cluster.plays("a", Play::Hold);
    let id = submit(&api, script("a", "echo hello")).await;
    cluster.pod_is("a", "Running").await;
    let nonce = server.held(id).await.assigned.lease.nonce.to_string();
    let secret = until("its files are there", async || cluster.all("secrets").pop()).await;
    let files = secret["data"].as_object().unwrap().values();
    let files = files.flat_map(|it| STANDARD.decode(it.as_str().unwrap()).unwrap()).collect();
    let files = String::from_utf8(files).unwrap();
    assert!(files.contains("echo hello") && files.contains("DISPATCHYARD_ATTEMPT="), "{files}");
    let job = cluster.all("jobs").remove(0).to_string();
    for secret in [HOOK_SECRET, ADMIN_TOKEN, REGISTRATION_TOKEN, Cluster::TOKEN, &nonce] {
        assert!(!files.contains(secret) && !job.contains(secret), "{secret}");
    }
    let account = &cluster.all("pods")[0]["spec"]["automountServiceAccountToken"];
    assert_eq!(account, false, "nor a token of the cluster");
    api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    api.job_is(id, JobStateKind::Cancelled).await;
}

#[tokio::test]
async fn a_cluster_is_known_by_its_authority_and_asked_with_a_token_from_a_file() {
    let cluster = Cluster::start_with_tls().await;
    let (good, bad) = (cluster.kubeconfig_with_files(), cluster.kubeconfig(cluster.url()));
    let executor = |name: &str, kubeconfig: &str, more: &str| {
        format!(
            "[[executor]]\nname = \"{name}\"\n[executor.kubernetes]\nkubeconfig = {kubeconfig:?}\n\
             image = \"busybox\"\n{more}\n"
        )
    };
    let route = "[[route]]\nname = \"all\"\nmatch = \"**\"\nexecutors = [\"bad\", \"good\"]\n";
    let more = executor("bad", &bad, "") + &executor("good", &good, "context = \"it\"") + route;
    let server = Server::start(&Setup::default().patient().more(&more)).await;
    let id = submit(&server.api, script("a", "echo hello")).await;
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    // Nothing was said to a server that nobody vouches for.
    let why = "executor bad: the API server cannot be reached: invalid peer certificate";
    assert!(error(&done).contains(why), "{done:?}");
    assert_eq!((done.attempts.len(), cluster.made().len()), (2, 1), "{done:?}");
    assert!(server.api.log(id).await.contains("hello\n"));
    cluster.is_empty().await;
}
