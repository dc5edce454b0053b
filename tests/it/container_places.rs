//! Where a container is that an attempt was begun in: found again whatever the configuration says since, waited for
//! where it cannot be looked at, and ended at once when its attempt has lost the lease.

use dispatchyard::model::{JobId, JobStateKind};
use serde_json::json;

use crate::container::{WAIT, done, go, setup, start, submit};
use crate::support::daemon::{Daemon, Fault};
use crate::support::{Home, Server, Setup, until};

/// A job that waits in a container, and the home of its server, which has stopped.
async fn left(daemon: &Daemon) -> (JobId, String, Home) {
    let server = start(daemon, "").await;
    let id = submit(&server.api, &format!("echo one; {WAIT}; echo two")).await;
    let name = daemon.running().await;
    until("its log is read", async || server.api.log(id).await.contains("one").then_some(())).await;
    (id, name, server.stop().await)
}

#[tokio::test]
async fn a_container_is_found_where_it_was_made_whatever_the_configuration_says_since() {
    let (daemon, other) = (Daemon::start(), Daemon::start());
    other.is_on(Some("bin"));
    let (id, name, home) = left(&daemon).await;
    home.change("image =", "name_prefix = \"other-\"\nimage =");
    let server = Server::again(home).await;
    let second = done(&server.api, "true").await;
    assert_eq!(second.attempts.len(), 1);
    let home = server.stop().await;
    home.change(&daemon.socket(), &other.socket());
    let server = Server::again(home).await;
    let third = done(&server.api, "true").await;
    assert_eq!((daemon.started().len(), other.started().len()), (2, 1), "{third:?}");
    assert_eq!(daemon.names(), std::slice::from_ref(&name));
    go(&daemon, &name);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "{done:?}");
    assert_eq!(server.api.log(id).await, "##[step] say\none\ntwo\n");
    daemon.is_empty().await;
    other.is_empty().await;
}

#[tokio::test]
async fn a_daemon_that_is_reached_by_another_path_has_what_it_had() {
    let daemon = Daemon::start();
    let (id, name, home) = left(&daemon).await;
    let moved = home.file("moved.sock");
    home.change(&daemon.socket(), moved.to_str().unwrap());
    daemon.moves_to(&moved);
    let server = Server::again(home).await;
    until("it is looked for", async || (daemon.calls("inspect") > 1).then_some(())).await;
    go(&daemon, &name);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!((done.attempts.len(), daemon.started().len()), (1, 1), "{done:?}");
    daemon.is_empty().await;
}

#[tokio::test]
async fn nothing_is_begun_beside_a_container_that_cannot_be_looked_at() {
    let (daemon, other) = (Daemon::start(), Daemon::start());
    other.is_on(Some("bin"));
    let (id, name, home) = left(&daemon).await;
    home.change(&daemon.socket(), &other.socket());
    daemon.hides(true);
    let server = Server::again(home).await;
    let place = format!("the container {name} on unix://{} of the host box", daemon.socket());
    server.api.is_told(id, &place).await;
    server.api.job_is(id, JobStateKind::Running).await;
    daemon.hides(false);
    go(&daemon, &name);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "{done:?}");
    assert!(other.started().is_empty());
    drop(server);

    // The same address, and another machine: by a failover, say.
    let (id, name, home) = left(&daemon).await;
    daemon.is_on(Some("bin"));
    daemon.remove(&name);
    let server = Server::again(home).await;
    server.api.is_told(id, "another daemon, without it").await;
    server.api.job_is(id, JobStateKind::Running).await;
    // People may know better.
    server.api.post(&format!("/jobs/{id}/cancel"), json!({})).await;
    let ended = server.api.job_is(id, JobStateKind::Cancelled).await;
    assert_eq!(ended.attempts.len(), 1, "{ended:?}");
    drop(server);

    let (id, name, home) = left(&daemon).await;
    daemon.remove(&name);
    let server = Server::again(home).await;
    until("another attempt runs", async || (daemon.started().len() == 4).then_some(())).await;
    go(&daemon, &daemon.running().await);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 2, "what is certainly gone is begun again: {done:?}");
}

#[tokio::test]
async fn what_earlier_servers_stored_is_understood() {
    let daemon = Daemon::start();
    daemon.is_on(None);
    let server = start(&daemon, "").await;
    let id = submit(&server.api, WAIT).await;
    let name = daemon.running().await;
    let stored = server.held(id).await.external_ref.unwrap();
    assert_eq!(*stored, *format!("{name}@@unix://{}", daemon.socket()));
    server.refers(id, &name).await;
    let home = server.stop().await;
    home.change("image =", "name_prefix = \"other-\"\nimage =");
    let server = Server::again(home).await;
    until("where it is is stored", async || {
        (server.held(id).await.external_ref.as_ref() == Some(&stored)).then_some(())
    })
    .await;
    go(&daemon, &name);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 1, "{done:?}");
    daemon.is_empty().await;
}

#[tokio::test]
async fn work_whose_lease_is_lost_is_killed_at_once() {
    let daemon = Daemon::start();
    let more = Setup::default().scheduler("cancel_grace_ms", 60_000);
    let server = Server::start(&setup(more, &daemon, "stop_grace_ms = 60000")).await;
    let id = submit(&server.api, &format!("trap '' TERM; {WAIT}")).await;
    let first = daemon.running().await;
    server.loses(id).await;
    until("it is killed", async || (!daemon.names().contains(&first)).then_some(())).await;
    assert_eq!(daemon.signals().first().map(String::as_str), Some("SIGKILL"), "it is not asked");
    assert!(!daemon.signals().iter().any(|it| it == "SIGTERM"), "{:?}", daemon.signals());
    let second = daemon.running().await;
    go(&daemon, &second);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 2, "{done:?}");
    daemon.is_empty().await;
}

#[tokio::test]
async fn a_daemon_that_does_not_say_where_it_is_is_known_by_its_address() {
    let daemon = Daemon::start();
    daemon.fails("info", Fault::Refuse(500, "busy"));
    let (id, name, home) = left(&daemon).await;
    daemon.remove(&name);
    let server = Server::again(home).await;
    go(&daemon, &daemon.running().await);
    let done = server.api.job_is(id, JobStateKind::Completed).await;
    assert_eq!(done.attempts.len(), 2, "{done:?}");
}
