//! Every kind of source as its provider uses it: a signed delivery comes in over HTTP, a job is
//! started, and both are shown. What is not signed as the kind demands leaves no row.

use dispatchyard::api::wire::{DeliveryAccepted, DeliveryView};
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::webhook::{Scheme, Secret, SignatureRule, signed_headers};
use reqwest::{Method, RequestBuilder};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::support::home::HOOK_SECRET;
use crate::support::hook::answer;
use crate::support::{Answer, FakeRunner, Server, Setup};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const REJECTED: &str = "the signature of this request is missing or wrong";

fn fixture(name: &str) -> String {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn now() -> i64 {
    SystemClock::new().now().wall_ms / 1_000
}

/// A server with one source `x`, and a trigger that starts work on one kind of event.
struct Source {
    server: Server,
    rule: SignatureRule,
    secret: String,
}

impl Source {
    async fn start(kind: &str, scheme: Scheme, more: &str, on: &str) -> Self {
        let secret = match scheme {
            Scheme::StandardWebhooks | Scheme::GitlabSigning => {
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned()
            }
            Scheme::DiscordEd25519 => hex::encode(pair().public_key()),
            _ => HOOK_SECRET.to_owned(),
        };
        let setup = Setup::default().patient().rules(&format!(
            "[[source]]\nname = \"x\"\nkind = \"{kind}\"\nsecrets = [{{ file = \"x-secret\" }}]\n\
             {more}\n[[trigger]]\nname = \"start\"\nsource = \"x\"\non = \"{on}\"\nworkflow = \"ci\"\n"
        ));
        let home = setup.build();
        std::fs::write(home.path().join("x-secret"), &secret).unwrap();
        Self { server: Server::again(home).await, rule: scheme.into(), secret }
    }

    /// A delivery without its proof.
    fn unsigned(&self, content_type: &str, headers: &[(&str, &str)], body: &str) -> RequestBuilder {
        let mut request = self.server.api.request(Method::POST, "/hooks/x");
        request = request.header("content-type", content_type);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned())
    }

    fn signed(&self, content_type: &str, headers: &[(&str, &str)], body: &str) -> RequestBuilder {
        let secret = Secret::new(self.secret.as_bytes()).unwrap();
        let at = now();
        let made = signed_headers(&self.rule, &secret, "msg_1", at, body.as_bytes()).unwrap();
        let made = made.unwrap_or_else(|| {
            let message = format!("{at}{body}");
            let signature = hex::encode(pair().sign(message.as_bytes()));
            vec![
                ("x-signature-timestamp".into(), at.to_string()),
                ("x-signature-ed25519".into(), signature),
            ]
        });
        let request = self.unsigned(content_type, headers, body);
        made.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    /// What is not signed gets the one answer and leaves no row; what is signed is accepted once
    /// and starts a job, whose event is given back.
    async fn accepts(
        &self,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (Answer, DeliveryView, Value) {
        let refused = answer(self.unsigned(content_type, headers, body)).await;
        self.is_refused(&refused).await;
        let first = answer(self.signed(content_type, headers, body)).await;
        assert!(matches!(first.status, 200 | 202 | 204), "{first:?}");
        let again = answer(self.signed(content_type, headers, body)).await;
        assert!(matches!(again.status, 200 | 204), "{again:?}");
        let mut rows = self.server.api.deliveries().await;
        assert_eq!(rows.len(), 1, "a repeated delivery leaves no second row: {rows:?}");
        let row = rows.remove(0);
        assert_eq!(row.state, "dispatched", "{row:?}");
        (first, row, self.job().await)
    }

    async fn is_refused(&self, refused: &Answer) {
        assert_eq!(refused.problem(), (401, "unauthorized".into()));
        assert!(refused.text.contains(REJECTED), "{refused:?}");
        assert!(self.server.api.deliveries().await.is_empty());
    }

    /// The event that the next job was started for.
    async fn job(&self) -> Value {
        let runner = FakeRunner::register(&self.server.api, "r", &["self-hosted"]).await;
        let job = runner.take().await;
        runner.start(&job).await.event.unwrap()
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

#[tokio::test]
async fn gitea_starts_work_and_signs_the_json_of_its_forms() {
    let source = Source::start("gitea", Scheme::Gitea, "", "push").await;
    let headers = [
        ("x-gitea-event", "push"),
        ("x-gitea-delivery", "d-1"),
        ("x-github-event", "push"),
        ("x-github-delivery", "d-1"),
    ];
    let body = fixture("gitea/push");
    let (_, row, event) = source.accepts(JSON, &headers, &body).await;
    assert_eq!((row.external_id.as_deref(), &*row.event), (Some("d-1"), "push"));
    assert_eq!(
        (&event["ref"], &event["trust"]["level"]),
        (&json!("refs/heads/main"), &json!("trusted"))
    );
    // The signature is over the JSON; the body is a form that carries it.
    let form: String =
        form_urlencoded::Serializer::new(String::new()).append_pair("payload", &body).finish();
    let headers = [("x-gitea-event", "push"), ("x-gitea-delivery", "d-2")];
    let signed = source.signed(FORM, &headers, &body).body(form);
    assert_eq!(answer(signed).await.status, 202);
}

#[tokio::test]
async fn forgejo_starts_work_and_is_told_from_gitea() {
    let mut source = Source::start("forgejo", Scheme::Gitea, "", "push").await;
    source.rule.header = reqwest::header::HeaderName::from_static("x-forgejo-signature");
    let gitea = [("x-gitea-event", "push"), ("x-gitea-delivery", "d-1")];
    let refused = answer(source.signed(JSON, &gitea, &fixture("gitea/push"))).await;
    assert_eq!(refused.problem().0, 400);
    assert!(refused.text.contains("looks like a delivery of `gitea`"), "{refused:?}");
    let headers = [("x-forgejo-event", "push"), ("x-forgejo-delivery", "d-1"), gitea[0]];
    source.accepts(JSON, &headers, &fixture("forgejo/push")).await;
}

#[tokio::test]
async fn gitlab_starts_work_by_its_token() {
    let source = Source::start("gitlab", Scheme::Gitlab, "", "pull_request").await;
    let headers = [("x-gitlab-event", "Merge Request Hook"), ("x-gitlab-event-uuid", "u-1")];
    let body = fixture("gitlab/merge_request");
    let wrong = source.unsigned(JSON, &headers, &body).header("x-gitlab-token", "it's a secret");
    source.is_refused(&answer(wrong).await).await;
    let (_, row, event) = source.accepts(JSON, &headers, &body).await;
    assert_eq!((&*row.event, row.action.as_deref()), ("merge_request", Some("opened")));
    assert!(row.external_id.unwrap().starts_with("u-1."));
    assert_eq!((&event["kind"], &event["subject"]["number"]), (&json!("pull_request"), &json!(7)));
}

#[tokio::test]
async fn gitlab_starts_work_by_its_signing_token() {
    let more = "scheme = \"gitlab_signing\"";
    let source = Source::start("gitlab", Scheme::GitlabSigning, more, "push").await;
    let headers = [("x-gitlab-event", "Push Hook")];
    let (_, row, event) = source.accepts(JSON, &headers, &fixture("gitlab/push")).await;
    assert_eq!(row.external_id.as_deref(), Some("msg_1"));
    assert_eq!(event["changes"]["files"], json!(["README.md", "src/limit.rs"]));
}

#[tokio::test]
async fn one_push_to_bitbucket_starts_work_for_each_ref() {
    let source = Source::start("bitbucket", Scheme::Bitbucket, "", "push").await;
    let headers = [("x-event-key", "repo:push"), ("x-request-uuid", "u-1")];
    let body = fixture("bitbucket/push");
    source.is_refused(&answer(source.unsigned(JSON, &headers, &body)).await).await;
    let first = answer(source.signed(JSON, &headers, &body)).await;
    assert_eq!(first.status, 202, "{first:?}");
    let accepted: DeliveryAccepted = first.json();
    let rows = source.server.api.deliveries().await;
    // The third ref was deleted: an event, of which the trigger says that it starts nothing.
    assert_eq!((rows.len(), accepted.workloads.len()), (3, 2), "{accepted:?}");
    assert!(rows.iter().all(|row| row.external_id.as_deref() == Some("u-1")), "{rows:?}");
    let again: DeliveryAccepted = answer(source.signed(JSON, &headers, &body)).await.json();
    assert!(again.duplicate && again.delivery_id == accepted.delivery_id, "{again:?}");
    assert_eq!(source.server.api.deliveries().await.len(), 3);
    assert_eq!(source.job().await["ref"], "refs/heads/main");
    let ping = [("x-event-key", "diagnostics:ping"), ("x-request-id", "p-1")];
    assert_eq!(answer(source.signed(JSON, &ping, r#"{"test":true}"#)).await.status, 200);
}

#[tokio::test]
async fn standard_webhooks_start_work_by_their_type() {
    let source =
        Source::start("standard_webhooks", Scheme::StandardWebhooks, "", "invoice.paid").await;
    let body = fixture("standard_webhooks/invoice_paid");
    let (_, row, event) = source.accepts(JSON, &[], &body).await;
    assert_eq!((row.external_id.as_deref(), &*row.event), (Some("msg_1"), "invoice.paid"));
    assert_eq!(event["inputs"]["amount"], 100);
}

#[tokio::test]
async fn anybody_who_signs_with_hmac_starts_work_by_a_mapping() {
    let more = "signature_header = \"X-Acme-Hmac\"\nsignature_encoding = \"base64\"\n\
        signature_prefix = \"v1:\"\n[source.map]\nkind = \"/what\"\ndelivery_id = \"/id\"\n\
        ref = \"/repo/branch\"\nrepository = \"/repo/name\"\ninputs = \"/more\"";
    let mut source = Source::start("hmac", Scheme::RawHmacSha256, more, "build.done").await;
    source.rule.header = reqwest::header::HeaderName::from_static("x-acme-hmac");
    source.rule.prefix = "v1:".into();
    source.rule.encoding = dispatchyard::webhook::Encoding::Base64;
    let (_, row, event) = source.accepts(JSON, &[], &fixture("hmac/build")).await;
    assert_eq!(row.external_id.as_deref(), Some("build-31"));
    assert_eq!(
        (&event["ref"], &event["inputs"]["result"]),
        (&json!("refs/heads/main"), &json!("passed"))
    );
}

#[tokio::test]
async fn slack_is_answered_its_challenge_and_starts_work() {
    let source = Source::start("slack", Scheme::SlackV0, "", "app_mention").await;
    let challenge = fixture("slack/url_verification");
    source.is_refused(&answer(source.unsigned(JSON, &[], &challenge)).await).await;
    let told = answer(source.signed(JSON, &[], &challenge)).await;
    assert_eq!(told.status, 200);
    assert_eq!(told.json::<Value>()["challenge"].as_str().map(str::len), Some(52), "{told:?}");
    assert!(source.server.api.deliveries().await.is_empty(), "a question is no delivery");
    let (_, row, event) = source.accepts(JSON, &[], &fixture("slack/app_mention")).await;
    assert_eq!(row.external_id.as_deref(), Some("Ev0PV52K21"));
    assert_eq!(event["inputs"]["channel"], "C123ABC456");
}

#[tokio::test]
async fn a_slash_command_of_slack_starts_work() {
    let source = Source::start("slack", Scheme::SlackV0, "", "slash_command").await;
    let body = "command=%2Fdeploy&text=staging&user_id=U1&trigger_id=1.2";
    let (told, row, event) = source.accepts(FORM, &[], body).await;
    assert_eq!((told.status, &told.json::<Value>()["response_type"]), (200, &json!("ephemeral")));
    assert_eq!(row.action.as_deref(), Some("/deploy"));
    assert_eq!(event["inputs"]["text"], "staging");
}

#[tokio::test]
async fn discord_is_answered_its_ping_and_starts_work() {
    let source = Source::start("discord", Scheme::DiscordEd25519, "", "application_command").await;
    let ping = fixture("discord/ping");
    source.is_refused(&answer(source.unsigned(JSON, &[], &ping)).await).await;
    let pong = answer(source.signed(JSON, &[], &ping)).await;
    assert_eq!((pong.status, pong.json::<Value>()), (200, json!({"type": 1})));
    let (told, row, _) = source.accepts(JSON, &[], &fixture("discord/command")).await;
    assert_eq!(told.json::<Value>()["type"], 4);
    assert_eq!(
        (row.external_id.as_deref(), row.action.as_deref()),
        (Some("1000000000000000002"), Some("deploy"))
    );
}

#[tokio::test]
async fn telegram_starts_work() {
    let source = Source::start("telegram", Scheme::TelegramToken, "", "message").await;
    let (_, row, event) = source.accepts(JSON, &[], &fixture("telegram/message")).await;
    assert_eq!(row.external_id.as_deref(), Some("10000"));
    assert_eq!(event["subject"]["body"], "/deploy staging");
}

#[tokio::test]
async fn mattermost_starts_work_by_the_token_in_its_body() {
    let source = Source::start("mattermost", Scheme::MattermostToken, "", "message").await;
    let body = fixture("mattermost/outgoing");
    let wrong = body.replace(HOOK_SECRET, "it's another secret");
    source.is_refused(&answer(source.unsigned(JSON, &[], &wrong)).await).await;
    let accepted = answer(source.unsigned(JSON, &[], &body)).await;
    assert_eq!(accepted.status, 202, "{accepted:?}");
    let rows = source.server.api.deliveries().await;
    assert_eq!((rows.len(), rows[0].external_id.as_deref()), (1, Some("post1")));
    assert_eq!(source.job().await["inputs"]["text"], "deploy staging");
    let by_header = source.signed(FORM, &[], "command=%2Fdeploy&text=a&trigger_id=t1");
    assert_eq!(answer(by_header).await.status, 200);
}

/// The clock of the server decides, so an old request is refused like one that nobody signed.
#[tokio::test]
async fn what_was_signed_long_ago_is_refused() {
    let source = Source::start("slack", Scheme::SlackV0, "", "app_mention").await;
    let (secret, body) = (Secret::new(HOOK_SECRET.as_bytes()).unwrap(), "{}");
    for away in [-400, 400] {
        let made = signed_headers(&source.rule, &secret, "", now() + away, body.as_bytes());
        let made = made.unwrap().unwrap();
        let request = made
            .into_iter()
            .fold(source.unsigned(JSON, &[], body), |it, (name, value)| it.header(name, value));
        source.is_refused(&answer(request).await).await;
    }
    let metrics = answer(source.server.api.request(Method::GET, "/metrics")).await.text;
    assert!(metrics.contains(r#"reason="stale""#), "the operator sees why: {metrics}");
}

/// A hook of the repository and one of an App tell the same event under two ids.
#[tokio::test]
async fn an_event_that_two_hooks_of_github_tell_starts_work_once() {
    let source = Source::start("github", Scheme::Github, "", "push").await;
    let body = fixture("github/push");
    let headers = |id, hook| {
        [("x-github-event", "push"), ("x-github-delivery", id), ("x-github-hook-id", hook)]
    };
    let first: DeliveryAccepted =
        answer(source.signed(JSON, &headers("d-1", "1"), &body)).await.json();
    let second: DeliveryAccepted =
        answer(source.signed(JSON, &headers("d-2", "2"), &body)).await.json();
    assert!(!first.duplicate && second.duplicate, "{second:?}");
    assert_eq!(second.workloads, first.workloads);
    let moved: Value = serde_json::from_str(&body).unwrap();
    let mut moved = moved;
    moved["repository"]["pushed_at"] = json!(1_700_000_000);
    let third: DeliveryAccepted =
        answer(source.signed(JSON, &headers("d-3", "1"), &moved.to_string())).await.json();
    assert!(!third.duplicate, "a later push of the same commits is another event");
}
