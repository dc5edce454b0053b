//! What a job in a container is given and may leave: no secrets of operators, a bounded report, a container to be
//! looked at where that is wished, and an end when it does not stop.

use dispatchyard::model::{AttemptOutcome, JobStateKind};
use serde_json::{Value, json};

use crate::container::{WAIT, done, go, setup, start, submit};
use crate::support::daemon::{Daemon, Fault};
use crate::support::home::{ADMIN_TOKEN, HOOK_SECRET, REGISTRATION_TOKEN};
use crate::support::{Server, Setup, until};

#[tokio::test]
async fn a_container_that_has_ended_may_be_kept_until_somebody_removes_it() {
    let daemon = Daemon::start();
    let server = start(&daemon, "keep_ended = true").await;
    done(&server.api, "echo one").await;
    let names = daemon.names();
    assert_eq!(names.len(), 1);
    let lists = daemon.calls("list");
    let server = Server::again(server.stop().await).await;
    until("leftovers are looked for", async || (daemon.calls("list") > lists).then_some(())).await;
    done(&server.api, "echo two").await;
    assert_eq!(daemon.names().len(), 2);
    assert!(names.iter().all(|name| daemon.with(name, |it| it.status == "exited")));
    assert_eq!(daemon.calls("remove"), 0);
}

#[tokio::test]
async fn work_that_does_not_stop_in_its_time_is_killed() {
    let daemon = Daemon::start();
    let more = Setup::default().scheduler("cancel_grace_ms", 60_000);
    let server = Server::start(&setup(more, &daemon, "stop_grace_ms = 200")).await;
    let run = format!("trap '' TERM; echo ready; {WAIT}");
    let id = submit(&server.api, &run).await;
    until("it is at work", async || server.api.log(id).await.contains("ready").then_some(())).await;
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    let ended = server.api.job_is(id, JobStateKind::Cancelled).await;
    let attempt = &ended.attempts[0];
    assert_eq!((attempt.outcome, attempt.exit_code), (AttemptOutcome::Cancelled, Some(137)));
    assert_eq!(daemon.signals()[..2], ["SIGTERM", "SIGKILL"]);
    daemon.is_empty().await;
}

#[tokio::test]
async fn a_job_in_a_container_sees_no_secret_of_the_operator() {
    let daemon = Daemon::start();
    let auth = "registry_auth = { user = \"me\", password = { file = \"hook-secret\" } }";
    let server = Server::start(&setup(Setup::default().tokens(), &daemon, auth)).await;
    let api = server.api.with_token(ADMIN_TOKEN);
    let dump = "env; for file in ../../*; do [ -d \"$file\" ] || cat \"$file\"; done";
    let id = submit(&api, &format!("{dump}; {WAIT}")).await;
    let name = daemon.running().await;
    let nonce = server.held(id).await.assigned.lease.nonce.to_string();
    go(&daemon, &name);
    let body: Value = daemon.with(&name, |it| it.body.clone());
    api.job_is(id, JobStateKind::Completed).await;
    let log = api.log(id).await;
    assert!(log.contains("DISPATCHYARD_ATTEMPT=") && log.contains("mkdir -p"), "{log}");
    assert_eq!(body["Env"], json!([]), "what is its own lies in files");
    for secret in [HOOK_SECRET, ADMIN_TOKEN, REGISTRATION_TOKEN, &nonce] {
        assert!(!log.contains(secret) && !body.to_string().contains(secret), "{secret}: {log}");
    }
}

#[tokio::test]
async fn a_report_that_is_too_long_or_cannot_be_read_costs_outputs_and_not_the_end() {
    let daemon = Daemon::start();
    let server = start(&daemon, "").await;
    let big = "printf 'first=1\\nbig=%300000s\\n' x >> \"$DISPATCHYARD_OUTPUT\"";
    let long = done(&server.api, big).await;
    assert_eq!(long.outputs.keys().collect::<Vec<_>>(), ["first"]);
    let log = server.api.log(long.job.id).await;
    assert!(log.contains("##[warning] outputs beyond 261632 bytes are dropped\n"), "{log}");
    // As many as fit.
    let fits = "printf 'big=%261627s\\n' x >> \"$DISPATCHYARD_OUTPUT\"";
    let fits = done(&server.api, fits).await;
    assert_eq!(fits.outputs["big"].len(), 261_627);
    daemon.fails("download", Fault::Refuse(403, "not for you"));
    let unread = done(&server.api, "echo a=b >> \"$DISPATCHYARD_OUTPUT\"").await;
    assert!(unread.outputs.is_empty());
    let id = {
        daemon.fails("download", Fault::Refuse(403, "not for you"));
        submit(&server.api, "exit 7").await
    };
    let failed = server.api.job_is(id, JobStateKind::Failed).await;
    assert_eq!(failed.attempts[0].exit_code, Some(7));
    daemon.is_empty().await;
}
