//! Who may start what, with stand-ins of the forges that say what somebody may do: faults of theirs, logins that are
//! somebody else's by now, and restarts in between.

use dispatchyard::api::wire::{DeliveryAccepted, DeliveryView, EvaluationView};
use dispatchyard::model::DeliveryId;
use reqwest::Method;

use crate::support::contents::{Contents, Fault, Kind};
use crate::support::hook::{changed, fixture, push_with};
use crate::support::server::ServerProcess;
use crate::support::{Api, Server, Setup, on_both, until};

const WRITERS: &str = "allow = { permission = 'write' }";

fn rules(forge: &Contents, allow: &str, more: &str) -> String {
    let url = format!("api_url = 'http://{}/api'", forge.address);
    format!(
        "[source.forge]\n{url}\n{more}\n\
         [[trigger]]\nname = 'guarded'\nsource = 'github'\nworkflow = 'ci'\non = ['push', 'issues']\n{allow}\n"
    )
}

async fn is(api: &Api, id: DeliveryId, state: &str) -> DeliveryView {
    until(&format!("delivery {id} is {state}"), async || {
        let answer = api.try_ask(Method::GET, &format!("/deliveries/{id}"), None).await?;
        let view: DeliveryView = (answer.status == 200).then(|| answer.json())?;
        (view.state == state).then_some(view)
    })
    .await
}

fn why(view: &DeliveryView) -> &str {
    let [verdict] = view.triggers.as_slice() else { panic!("{view:?}") };
    &verdict.why
}

/// Sends a push whose sender must be asked for.
async fn asked(server: &Server, id: &str, state: &str) -> DeliveryView {
    let accepted = server.hook().push(id).await;
    assert_eq!(accepted.state, "planning", "{accepted:?}");
    is(&server.api, accepted.delivery_id, state).await
}

#[tokio::test]
async fn who_may_write_at_the_forge_starts_it_and_who_may_not_does_not() {
    // Nothing is kept here: each delivery asks.
    let forge = Contents::start(Kind::Github).await;
    let setup = Setup::default().patient();
    let server =
        Server::start(&setup.rules(&rules(&forge, WRITERS, "permission_kept_ms = 1"))).await;
    for (at, (permission, role, state, told)) in [
        ("write", Some("write"), "dispatched", "has the permission write at the forge"),
        ("admin", Some("admin"), "dispatched", "has the permission admin at the forge"),
        // A role of one's own that is built on `write`.
        ("write", Some("security-lead"), "dispatched", "has the permission write"),
        ("write", Some("maintain"), "dispatched", "has the permission maintain"),
        (
            "read",
            Some("triage"),
            "ignored",
            "has the permission triage at the forge, `write` is needed",
        ),
        ("read", None, "ignored", "has the permission read"),
        ("none", Some(""), "ignored", "has the permission none"),
        ("root", Some("superuser"), "ignored", "has the permission none"),
    ]
    .into_iter()
    .enumerate()
    {
        forge.account("octo-dev", 1001, permission, role);
        let view = asked(&server, &format!("as-{at}"), state).await;
        assert!(why(&view).contains(told), "{permission}: {view:?}");
    }
    // Somebody else has that login by now, whatever that account may do.
    forge.account("octo-dev", 1002, "admin", Some("admin"));
    let view = asked(&server, "renamed", "ignored").await;
    let told = "\"octo-dev\" is the account 1002 now, and the event is of the account 1001";
    assert!(why(&view).contains(told), "{view:?}");
    // A login is one part of an address.
    for login in
        ["../../../repos/octo-org/other/collaborators/octo-dev", "--x", "a\r\nb", "${{ x }}"]
    {
        let body = push_with("/sender/login", login);
        let answer = server.hook().send("push", &format!("hostile-{}", login.len()), body).await;
        let id = answer.json::<DeliveryAccepted>().delivery_id;
        let view = is(&server.api, id, "ignored").await;
        assert!(why(&view).contains("is not known to have the permission write"), "{view:?}");
    }
    assert!(server.api.jobs().await.len() == 8, "two of each of the four");
    let dry = &server.api.deliveries().await[0].id;
    let dry: EvaluationView = server.api.get(&format!("/deliveries/{dry}/evaluation")).await;
    assert!(dry.left_out.is_some_and(|it| it.contains("were not looked at")));
}

#[tokio::test]
async fn what_a_forge_will_never_answer_lets_in_nobody() {
    let forge = Contents::start(Kind::Github).await;
    forge.account("octo-dev", 1001, "admin", None);
    let setup = Setup::default().patient();
    let server = Server::start(&setup.rules(&rules(&forge, WRITERS, ""))).await;
    for status in [401, 403, 404, 302, 410, 422] {
        forge.faults([Fault::Status(status, vec![])]);
        let view = asked(&server, &format!("never-{status}"), "ignored").await;
        assert!(why(&view).contains(&format!("it answered {status}")), "{view:?}");
    }
    assert_eq!(server.api.jobs().await.len(), 0);
    // An error is not kept.
    asked(&server, "then", "dispatched").await;
}

#[tokio::test]
async fn what_passes_is_waited_for_and_an_answer_is_kept_for_a_while() {
    let forge = Contents::start(Kind::Github).await;
    forge.account("octo-dev", 1001, "write", None);
    let more = "timeout_ms = 400\npermission_kept_ms = 1";
    let setup = Setup::default().patient();
    let server = Server::start(&setup.clone().rules(&rules(&forge, WRITERS, more))).await;
    let retry = vec![("retry-after", "1".to_owned())];
    for (at, fault) in [
        Fault::Status(500, vec![]),
        Fault::Status(503, vec![]),
        Fault::Status(429, retry),
        Fault::Cut,
        Fault::Silent,
        Fault::Html,
    ]
    .into_iter()
    .enumerate()
    {
        forge.faults([fault]);
        let view = asked(&server, &format!("later-{at}"), "dispatched").await;
        assert!(why(&view).contains("has the permission write"), "{view:?}");
        assert_eq!(forge.faulty(), at + 1);
    }
    let server = Server::start(&setup.rules(&rules(&forge, WRITERS, ""))).await;
    let before = forge.asked("/permission");
    for id in ["one", "two", "three"] {
        asked(&server, id, "dispatched").await;
    }
    assert_eq!(forge.asked("/permission"), before + 1);
}

async fn a_delivery_waits_for_a_forge_that_is_down_over_a_kill(setup: Setup) {
    let forge = Contents::down(Kind::Github);
    forge.account("octo-dev", 1001, "write", None);
    let home = setup.patient().rules(&rules(&forge, WRITERS, "")).build();
    let mut server = ServerProcess::start(&home).await;
    // On a busy machine it may be stored before anybody decides.
    let accepted = server.hook().push("one").await;
    let told = until("it is told what is waited for", async || {
        let reason = server.api.delivery(accepted.delivery_id).await.reason?;
        reason.contains("next try at").then_some(reason)
    })
    .await;
    assert!(
        told.contains("the permission of \"octo-dev\" (1001) for \"octo-org/example\""),
        "{told}"
    );
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    assert_eq!(server.api.jobs().await.len(), 0, "nobody is let in meanwhile");
    forge.up().await;
    let view = is(&server.api, accepted.delivery_id, "dispatched").await;
    assert!(why(&view).contains("has the permission write"), "{view:?}");
    assert_eq!(server.api.jobs().await.len(), 2);
}

on_both!(
    a_delivery_waits_for_a_forge_that_is_down_over_a_kill,
    a_trigger_that_starts_too_much_is_stopped_loudly,
);

/// The other two forges, whose own senders and answers differ.
#[tokio::test]
async fn each_forge_is_asked_in_its_own_way() {
    for (kind, name, header, event, file, allowed, refused) in [
        (Kind::Gitea, "gitea", "x-gitea-event", "push", "gitea/push", "write", "read"),
        (Kind::Gitlab, "gitlab", "x-gitlab-event", "Push Hook", "gitlab/push", "30", "20"),
    ] {
        let forge = Contents::start(kind).await;
        let url = format!("api_url = 'http://{}/api'", forge.address);
        let rules = format!(
            "[[source]]\nname = '{name}'\nkind = '{name}'\ninsecure = true\n[source.forge]\n{url}\n\
             permission_kept_ms = 1\n\
             [[trigger]]\nname = 'guarded'\nsource = '{name}'\nworkflow = 'ci'\non = 'push'\n{WRITERS}\n"
        );
        let server = Server::start(&Setup::default().patient().rules(&rules)).await;
        let path = format!("{}/fixtures/{file}.json", env!("CARGO_MANIFEST_DIR"));
        let mut body: serde_json::Value =
            serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let full_name = match kind {
            Kind::Gitlab => "/project/path_with_namespace",
            _ => "/repository/full_name",
        };
        *body.pointer_mut(full_name).unwrap() = "octo-org/example".into();
        let sender = match kind {
            Kind::Gitlab => (body["user_username"].clone(), body["user_id"].clone()),
            _ => (body["sender"]["login"].clone(), body["sender"]["id"].clone()),
        };
        let (login, number) = (sender.0.as_str().unwrap(), sender.1.as_i64().unwrap());
        for (permission, number, state) in [
            (allowed, number, "dispatched"),
            (refused, number, "ignored"),
            (allowed, number + 1, "ignored"),
        ] {
            forge.account(login, number, permission, None);
            let request = server.api.request(Method::POST, &format!("/hooks/{name}"));
            let request = request.header("content-type", "application/json").header(header, event);
            let id = format!("{state}-{permission}-{number}");
            let request =
                request.header("x-gitea-delivery", &id).header("x-gitlab-event-uuid", &id);
            let answer = crate::support::hook::answer(request.body(body.to_string())).await;
            let accepted: DeliveryAccepted = answer.json();
            is(&server.api, accepted.delivery_id, state).await;
        }
    }
}

#[tokio::test]
async fn our_own_account_and_long_chains_start_nothing() {
    let rules = "own_identity = [1001]\n[[trigger]]\nname = 'all'\nworkflow = 'ci'\non = ['push', 'tick']\n";
    let setup = Setup::default().limit("causation_depth_max", 2);
    let server = Server::start(&setup.rules(rules)).await;
    let accepted = server.hook().push("own").await;
    assert_eq!(accepted.state, "ignored");
    let told = server.api.delivery(accepted.delivery_id).await.reason.unwrap();
    assert!(told.contains("`own_identity` of the source `github`"), "{told}");
    let other = push_with("/sender/id", 1002);
    assert_eq!(
        server.hook().send("push", "other", other).await.json::<DeliveryAccepted>().state,
        "dispatched"
    );

    let mut cause = None;
    for depth in 0..4 {
        let body = serde_json::json!({ "kind": "tick", "caused_by": cause });
        let accepted: DeliveryAccepted = server.api.done("/events", body).await;
        let view = server.api.delivery(accepted.delivery_id).await;
        if depth <= 2 {
            assert_eq!(view.state, "dispatched", "{depth}: {view:?}");
            cause = Some(accepted.workloads[0]);
        } else {
            assert_eq!(view.state, "ignored");
            let told = view.reason.unwrap();
            assert!(told.contains("`causation_depth_max` is 2"), "{told}");
        }
    }
}

/// What work caused is no more trusted than that work.
#[tokio::test]
async fn an_event_of_a_job_is_trusted_no_further_than_the_job() {
    let rules = "[[trigger]]\nname = 'all'\nworkflow = 'ci'\non = ['issues', 'tick']\n";
    let server = Server::start(&Setup::default().rules(rules)).await;
    let answer = server.hook().send("issues", "stranger", fixture("issues")).await;
    let cause = answer.json::<DeliveryAccepted>().workloads[0];
    let body = serde_json::json!({ "kind": "tick", "caused_by": cause });
    let accepted: DeliveryAccepted = server.api.done("/events", body).await;
    let view = server.api.delivery(accepted.delivery_id).await;
    assert_eq!(view.trust.level, dispatchyard::model::TrustLevel::Untrusted, "{view:?}");
    let body = serde_json::json!({ "kind": "tick", "caused_by": 99 });
    assert_eq!(server.api.post("/events", body).await.status, 404);
}

#[tokio::test]
async fn a_fork_and_a_bot_are_let_in_only_by_name() {
    let rules = "[[trigger]]\nname = 'guarded'\nworkflow = 'ci'\non = ['pull_request', 'push']\nallow = {}\n";
    let server = Server::start(&Setup::default().rules(rules)).await;
    let state = async |event: &str, id: &str, body: Vec<u8>| {
        let accepted: DeliveryAccepted = server.hook().send(event, id, body).await.json();
        (accepted.state.clone(), why(&server.api.delivery(accepted.delivery_id).await).to_owned())
    };
    let (fork, told) = state("pull_request", "fork", fixture("pull_request_fork")).await;
    assert!(fork == "ignored" && told.contains("it comes from a fork"), "{told}");
    assert_eq!(state("pull_request", "own", fixture("pull_request")).await.0, "dispatched");
    let bot = changed("push", "/sender/type", "Bot");
    let (bot, told) = state("push", "bot", bot).await;
    assert!(bot == "ignored" && told.contains("`allow.bots` does not name the bot"), "{told}");
    assert_eq!(state("push", "person", fixture("push")).await.0, "dispatched");
}

async fn a_trigger_that_starts_too_much_is_stopped_loudly(setup: Setup) {
    let rules = "[[trigger]]\nname = 'ci'\nworkflow = 'ci'\non = 'push'\n\
                 rate = { per_subject = 2, window_ms = 3600000 }\nbreaker = { starts = 3, window_ms = 3600000 }\n";
    let server = Server::start(&setup.rules(rules)).await;
    let pushed = async |id: &str, branch: &str| {
        let body = push_with("/ref", format!("refs/heads/{branch}"));
        let answer = server.hook().send("push", id, body).await;
        let accepted: DeliveryAccepted = answer.json();
        server.api.delivery(accepted.delivery_id).await
    };
    assert_eq!(pushed("1", "a").await.state, "dispatched");
    assert_eq!(pushed("2", "a").await.state, "dispatched");
    let view = pushed("3", "a").await;
    assert_eq!(view.state, "ignored");
    assert!(view.reason.unwrap().contains("it has started 2 within 3600000 ms for the same"));
    assert_eq!(pushed("4", "b").await.state, "dispatched");
    let view = pushed("5", "c").await;
    assert!(view.reason.unwrap().contains("its breaker has stopped it: more than 3 starts"));
    let said = crate::support::command::cli(&server, "pauses").await;
    assert!(said.out.contains("trigger:ci") && said.out.contains("breaker"), "{said:?}");
    let metrics = server.api.request(Method::GET, "/metrics").send().await.unwrap();
    let metrics = metrics.text().await.unwrap();
    assert!(metrics.contains("dispatchyard_triggers_stopped_total 1"), "{metrics}");
    let server = Server::again(server.stop().await).await;
    let answer = server.hook().send("push", "6", push_with("/ref", "refs/heads/d")).await;
    assert_eq!(answer.json::<DeliveryAccepted>().state, "ignored", "over a restart, too");
    // A pause beside it is lifted by itself.
    let cli = async |line: &str| crate::support::command::cli(&server, line).await;
    assert_eq!(cli("pause trigger:ci --reason freeze").await.code(), 0);
    let shown = cli("pauses").await;
    assert!(shown.out.contains("freeze; its breaker stopped it too: more than 3"), "{shown:?}");
    let said = cli("resume trigger:ci").await;
    assert!(said.out.contains("its breaker stops it still"), "{said:?}");
    let answer = server.hook().send("push", "6b", push_with("/ref", "refs/heads/d")).await;
    assert_eq!(answer.json::<DeliveryAccepted>().state, "ignored");
    let said = cli("resume trigger:ci").await;
    assert_eq!(said.code(), 0, "{said:?}");
    let answer = server.hook().send("push", "7", push_with("/ref", "refs/heads/d")).await;
    assert_eq!(answer.json::<DeliveryAccepted>().state, "dispatched");
}
