//! SIGHUP: what a changed configuration says of events and callers is taken over whole, or not at all.

use std::path::Path;

use dispatchyard::api::wire::{DeliveryAccepted, StatusView};
use dispatchyard::webhook::{Secret, sign};
use rustix::process::Signal;

use crate::support::home::{ADMIN_TOKEN, HOOK_SECRET};
use crate::support::hook::{answer, fixture};
use crate::support::{Api, Home, ServerProcess, Setup, until};

fn edit(home: &Home, change: impl FnOnce(String) -> String) {
    let file = home.config_file();
    std::fs::write(&file, change(std::fs::read_to_string(&file).unwrap())).unwrap();
}

async fn push(server: &ServerProcess, id: &str, secret: &str) -> (u16, Option<DeliveryAccepted>) {
    let body = fixture("push");
    let signature = sign(&Secret::new(secret.as_bytes()).unwrap(), &body);
    let hook = server.hook();
    let said =
        answer(hook.unsigned("push", id, body).header("x-hub-signature-256", signature)).await;
    (said.status, (said.status == 202).then(|| said.json()))
}

async fn warnings(api: &Api) -> Vec<String> {
    api.get::<StatusView>("/status").await.warnings
}

/// What a changed configuration was not taken over for.
async fn refusal(server: &ServerProcess, api: &Api) -> String {
    server.signal(Signal::HUP);
    until("the status says it", async || {
        warnings(api).await.into_iter().find(|it| it.contains("not taken over"))
    })
    .await
}

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}

#[tokio::test]
async fn triggers_workflows_secrets_and_tokens_are_taken_over() {
    let home = Setup::default().tokens().build();
    let server = ServerProcess::start(&home).await;
    let (_, first) = push(&server, "d-1", HOOK_SECRET).await;
    assert_eq!(first.unwrap().triggers.len(), 1);

    // Another trigger with a workflow of its own; another secret and another token in the same files.
    write(
        &home.file("workflows/more.yml"),
        "jobs: { a: { runs-on: x, steps: [{ run: 'true' }] } }\n",
    );
    edit(&home, |text| {
        text + "\n[[trigger]]\nname = \"more\"\nworkflow = \"more\"\non = \"push\"\n"
    });
    write(&home.file("hook-secret"), "another secret");
    write(&home.file("admin-token"), "another-admin-token");
    server.signal(Signal::HUP);
    let api = server.api.with_token("another-admin-token");
    until("the new token opens", async || {
        let asked = api.request(reqwest::Method::GET, "/api/v1/status").send().await.unwrap();
        asked.status().is_success().then_some(())
    })
    .await;
    let old = server.api.with_token(ADMIN_TOKEN);
    assert_eq!(old.ask(reqwest::Method::GET, "/status", None).await.status, 401);
    assert_eq!(push(&server, "d-2", HOOK_SECRET).await.0, 401, "the old secret is no secret");
    let (_, second) = push(&server, "d-2", "another secret").await;
    let wanted: Vec<_> =
        second.unwrap().triggers.into_iter().filter(|it| it.matched).map(|it| it.trigger).collect();
    assert_eq!(wanted, ["ci-on-push", "more"]);
}

#[tokio::test]
async fn what_is_wrong_or_needs_a_restart_changes_nothing_and_is_told() {
    let home = Setup::default().build();
    let server = ServerProcess::start(&home).await;
    let good = std::fs::read_to_string(home.config_file()).unwrap();
    let api = &server.api;
    let more = "\n[[trigger]]\nname = \"more\"\nworkflow = \"ci\"\non = \"push\"\n";
    let wrong = [
        (
            format!("{good}\n[[trigger]]\nname = \"more\"\nworkflow = \"gone\"\non = \"push\"\n"),
            "gone",
        ),
        (format!("{good}{more}[servers]\n"), "unknown section"),
        (format!("{good}{more}[agent_pools.big]\n"), "[agent_pools] changed too"),
        (good.replace("hook-secret", "no-such-file"), "no-such-file"),
    ];
    for (at, (text, why)) in wrong.into_iter().enumerate() {
        edit(&home, |_| text);
        let said = refusal(&server, api).await;
        assert!(said.contains(why), "{said}");
        let (_, accepted) = push(&server, &format!("d-{at}"), HOOK_SECRET).await;
        assert_eq!(accepted.unwrap().triggers.len(), 1, "{why}");
        // Once it is mended nothing is said any more.
        edit(&home, |_| good.clone());
        server.signal(Signal::HUP);
        until("the warning is gone", async || {
            warnings(api).await.iter().all(|it| !it.contains("not taken over")).then_some(())
        })
        .await;
    }
}
