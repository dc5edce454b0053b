//! Sessions answer where they were started: in chats through a stand-in that answers wrongly, in comments, and to a URL.
//! Each text once where a repeat can be told, in order, and given up visibly.

use std::sync::Arc;

use dispatchyard::api::wire::{Assignment, List, OutboxView, SessionView};
use dispatchyard::dispatch::{Command, Reply, SessionCommand};
use dispatchyard::model::{
    ChatPlace, JobPriority, JobSpec, JobWork, OutboxTarget, PlannedJob, PlannedSession,
    PlannedWorkload, ReplyOn, ReplyTo, RetryPolicy, RunnerRequirements, SessionId, SessionWish,
    TenantId, Trust, Untrusted, WorkloadKind,
};
use serde_json::{Value, json};

use crate::support::chat::{ChatFault, Chats};
use crate::support::command::cli;
use crate::support::home::{ADMIN_TOKEN, RULES};
use crate::support::hook::fixture;
use crate::support::told::{Fault, Told};
use crate::support::{Api, FakeRunner, Server, ServerProcess, Setup, on_both, until};

/// Tries follow each other quickly.
const QUICK: &str = "[reports]\nbackoff_ms = 20\nbackoff_max_ms = 100\ntimeout_ms = 500\ntries_max = 1000\n\
                     callback_secret = { file = \"callback-secret\" }\nprivate_addresses = true\n";

/// A comment calls the agent.
const AGENT: &str = r#"
[[trigger]]
name = "agent"
source = "github"
on = "issue_comment"
agent = { profile = "fixer", prompt = "You help.", runs_on = ["self-hosted"], session = "subject", command = "/agent" }
"#;

/// Something that pings, marks up, ends texts and lines, and is no text.
const HOSTILE: &str =
    "@channel <!channel> <@U1> @all & <b>x</b>\n/close\n\u{0}\u{1b}[2J<!-- hidden -->";

async fn server(base: Setup, chats: &Chats, kind: &str, token: &str) -> Server {
    let source = chats.source(kind, token, "sessions = \"all\"");
    Server::start(&base.patient().rules(&format!("{source}{QUICK}"))).await
}

fn place(channel: &str, thread: Option<&str>) -> ChatPlace {
    ChatPlace { team: None, channel: channel.into(), thread: thread.map(Into::into) }
}

/// Starts a session that answers in that place, as an event from there would.
async fn start(server: &Server, source: &str, place: ChatPlace, units_max: u32) -> SessionId {
    let work = JobWork::Agent { profile: "fixer".into(), prompt: Untrusted::default() };
    let spec = JobSpec {
        work,
        env: Default::default(),
        trust: Trust::default(),
        traceparent: None,
        workflow: None,
    };
    let job = PlannedJob {
        name: "session".into(),
        needs: Vec::new(),
        requirements: RunnerRequirements::default(),
        priority: JobPriority::Normal,
        timeout_ms: 600_000,
        retry: RetryPolicy { max_retries: 0, backoff_ms: 0 },
        not_before_ms: 0,
        terms: Default::default(),
        spec: Arc::new(spec),
    };
    let target = OutboxTarget::Chat { source: source.into(), place };
    let session = PlannedSession {
        key: None,
        author: "ada".into(),
        opening: None,
        message: "hello".into(),
        wish: SessionWish::Talk,
        origin: "{}".into(),
        reply_to: Some(ReplyTo { target, on: ReplyOn::All, units_max }),
        limits: None,
    };
    let workload = PlannedWorkload {
        kind: WorkloadKind::Agent,
        name: "fixer".into(),
        trigger: String::new(),
        tenant_id: TenantId::DEFAULT,
        session: Some(Box::new(session)),
        terms: Default::default(),
        open: false,
        jobs: vec![job],
    };
    let command = SessionCommand::Open { workload: Box::new(workload), idempotency_key: None };
    match server.handle().send(Command::Session(command)).await.unwrap() {
        Reply::Session { session_id, .. } => session_id,
        other => panic!("{other:?}"),
    }
}

/// The agent says these, from the `first` of its lease on.
async fn says(runner: &FakeRunner, job: &Assignment, first: i64, said: &[(&str, &str)]) {
    let messages = said.iter().map(|(kind, text)| json!({ "kind": kind, "text": text }));
    let messages: Vec<_> = messages.collect();
    let request = json!({ "nonce": job.nonce, "first": first, "messages": messages });
    let answer = runner.api.post(&format!("/leases/{}/messages", job.lease), request).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

async fn outbox(api: &Api) -> Vec<OutboxView> {
    let mut list: List<OutboxView> = api.get("/outbox").await;
    list.items.reverse();
    list.items
}

/// Waits until nothing waits, and gives all of it, oldest first.
async fn all_told(api: &Api) -> Vec<OutboxView> {
    until("nothing is left to be told", async || {
        let all = outbox(api).await;
        all.iter().all(|entry| entry.state != "waiting").then_some(all)
    })
    .await
}

fn all_sent(all: &[OutboxView]) {
    assert!(all.iter().all(|entry| entry.state == "sent"), "{all:?}");
    assert!(!format!("{all:?}").contains(ADMIN_TOKEN), "{all:?}");
}

async fn slack_hears_each_text_once_in_order_whatever_it_answers(base: Setup) {
    let chats = Chats::start().await;
    let server = server(base, &chats, "slack", "admin-token").await;
    chats.faults([
        ChatFault::Status(429, Some(("retry-after", "1")), json!({})),
        ChatFault::Lost,
        ChatFault::not_ok("internal_error"),
        ChatFault::Taken(502),
        ChatFault::Status(503, None, json!({})),
    ]);
    let id = start(&server, "slack", place("C1", Some("17.0001")), 3_500).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", "one"), ("progress", "thinking"), ("reply", HOSTILE)]).await;
    says(&runner, &job, 3 + 1, &[("approval_request", "may I?")]).await;
    let end = json!({ "reason": "enough" });
    server.api.done::<Value>(&format!("/sessions/{id}/cancel"), end).await;
    let all = all_told(&server.api).await;
    all_sent(&all);
    let kinds: Vec<_> = all.iter().map(|it| (&*it.what, it.session_id)).collect();
    let wanted = ["started", "reply", "approval_request", "ended"].map(|what| (what, Some(id)));
    assert_eq!(kinds, wanted);
    let messages = chats.messages();
    let texts: Vec<_> = chats.texts().into_iter().map(|it| it.replace('\u{fffd}', "")).collect();
    assert_eq!(texts.len(), 4, "{texts:?}");
    assert_eq!(texts[0], format!("The agent works on it (session {id})."));
    assert_eq!(
        texts[1],
        "one\n\n@channel &lt;!channel&gt; &lt;@U1&gt; @all &amp; &lt;b&gt;x&lt;/b&gt;\n/close\n[2J&lt;!-- hidden --&gt;"
    );
    assert!(texts[2].contains("may I?") && texts[2].contains("`approve "), "{texts:?}");
    assert!(texts[3].contains("is over: ended by ") && texts[3].ends_with(": enough"));
    for message in &messages {
        assert_eq!(message.place, "C1 17.0001");
        assert_eq!(message.headers["authorization"], format!("Bearer {ADMIN_TOKEN}"));
        assert_eq!(message.body["unfurl_links"], false);
    }
    let (refused, looked) = chats.refused_and_looked();
    assert_eq!(refused, 3, "the limit, the error, and the server that was busy");
    assert!(looked >= 2, "what may have been taken is looked for");
    let shown = cli(&server, "outbox").await;
    assert!(shown.out.contains(&format!("session {id}")), "{shown:?}");
    assert!(shown.out.contains("slack C1 17.0001"), "{shown:?}");
}

async fn a_wrong_token_is_given_up_visibly_and_told_when_it_is_mended(base: Setup) {
    let chats = Chats::start().await;
    let server = server(base, &chats, "slack", "admin-token").await;
    chats.faults([ChatFault::not_ok("invalid_auth")]);
    start(&server, "slack", place("C1", None), 3_500).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", "behind it")]).await;
    let all = all_told(&server.api).await;
    assert_eq!((&*all[0].state, &*all[1].state), ("dead", "sent"), "{all:?}");
    let note = all[0].note.as_deref().unwrap();
    assert!(note.contains("invalid_auth") && note.contains("token of the source"), "{note}");
    let again = cli(&server, &format!("outbox retry {}", all[0].id)).await;
    assert_eq!(again.code(), 0, "{again:?}");
    all_sent(&all_told(&server.api).await);
    assert_eq!(chats.texts().len(), 2);
}

async fn a_thread_whose_chat_is_away_holds_no_other_one_back(base: Setup) {
    let chats = Chats::start().await;
    chats.away(Some("C-away"));
    let server = server(base, &chats, "slack", "admin-token").await;
    let runner = FakeRunner::with_slots(&server.api, "r", &["x"], 2).await;
    start(&server, "slack", place("C-away", Some("1.1")), 3_500).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", "a1"), ("approval_request", "a2")]).await;
    start(&server, "slack", place("C-here", Some("1.1")), 3_500).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", "b1")]).await;
    let messages = chats.has(2).await;
    assert!(messages.iter().all(|it| it.place == "C-here 1.1"), "{messages:?}");
    assert_eq!(messages[1].text, "b1");
    chats.away(None);
    all_sent(&all_told(&server.api).await);
    let away: Vec<_> = chats.messages().into_iter().filter(|it| it.place == "C-away 1.1").collect();
    assert_eq!(away.len(), 3);
    assert!(away[1].text == "a1" && away[2].text.contains("a2"), "in order: {away:?}");
}

async fn a_comments_session_answers_there_once_though_the_server_is_killed(base: Setup) {
    let told = Told::start().await;
    let report = "token = { file = \"hook-secret\" }\nstatuses = false\n";
    let reports = "[reports]\nbackoff_ms = 20\ntimeout_ms = 2000\n";
    let rules = format!("{}{reports}{AGENT}", told.section(report));
    let home = base.patient().rules(&rules).build();
    let mut server = ServerProcess::start(&home).await;
    let mut body: Value = serde_json::from_slice(&fixture("issue_comment_on_pr")).unwrap();
    body["action"] = "created".into();
    body["comment"]["body"] = "/agent look at it".into();
    body["sender"]["type"] = "User".into();
    let sent = server.hook().send("issue_comment", "c1", body.to_string()).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    let runner = FakeRunner::register(&server.api, "r", &["self-hosted"]).await;
    let job = runner.begin().await;
    // It is written, and the server waits for an answer that never comes.
    told.faults([Fault::Lost]);
    says(&runner, &job, 1, &[("reply", HOSTILE)]).await;
    until("the comment is there", async || (told.comments().len() == 1).then_some(())).await;
    server.kill().await;
    let server = ServerProcess::start(&home).await;
    let all = all_told(&server.api).await;
    all_sent(&all);
    let comments = told.comments();
    assert_eq!(comments.len(), 1, "{comments:?}");
    let (mark, text) = comments[0].split_once("\n\n").unwrap();
    assert!(mark.starts_with("<!-- dispatchyard ") && mark.ends_with("-->"), "{mark}");
    assert_eq!(
        text.replace('\u{200b}', "|").replace('\u{fffd}', ""),
        "@|channel <!channel> <@|U1> @|all & <b>x</b>\n|/close\n[2J<|!-- hidden -->"
    );
}

async fn a_callers_url_hears_of_its_session_from_its_start_to_its_end(base: Setup) {
    let told = Told::start().await;
    told.faults([Fault::Status(503, vec![]), Fault::Done(500)]);
    let server = Server::start(&base.patient().rules(&format!("{QUICK}{RULES}"))).await;
    let url = format!("http://{}/callback", told.address);
    let request = json!({ "agent": "fixer", "message": "hi", "callback_url": url });
    let opened: Value = server.api.done("/sessions", request).await;
    let id = opened["session_id"].clone();
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", HOSTILE)]).await;
    says(&runner, &job, 2, &[("approval_request", "may I?")]).await;
    server.api.done::<Value>(&format!("/sessions/{id}/cancel"), json!({})).await;
    all_sent(&all_told(&server.api).await);
    let seen = told.seen("/callback");
    let mut types: Vec<_> = seen.iter().map(|it| it.body["type"].as_str().unwrap()).collect();
    // The one whose answer was an error came twice, under one id.
    types.dedup();
    let wanted =
        ["started", "reply", "approval_request", "ended"].map(|it| format!("session.{it}"));
    assert_eq!(types, wanted);
    let ids: std::collections::BTreeSet<_> =
        seen.iter().map(|it| it.header("webhook-id")).collect();
    assert_eq!(ids.len(), 4);
    let reply = seen.iter().find(|it| it.body["type"] == "session.reply").unwrap();
    assert_eq!(reply.body["data"]["session_id"], id);
    assert!(reply.body["data"]["text"].as_str().unwrap().starts_with("@channel <!channel>"));
    let refused = json!({ "agent": "fixer", "message": "hi", "callback_url": "ftp://x.test" });
    assert_eq!(server.api.post("/sessions", refused).await.status, 400);
    let sessions: List<SessionView> = server.api.get("/sessions").await;
    assert_eq!(sessions.items.len(), 1);
}

on_both!(
    slack_hears_each_text_once_in_order_whatever_it_answers,
    a_wrong_token_is_given_up_visibly_and_told_when_it_is_mended,
    a_thread_whose_chat_is_away_holds_no_other_one_back,
    a_comments_session_answers_there_once_though_the_server_is_killed,
    a_callers_url_hears_of_its_session_from_its_start_to_its_end,
);

/// One session that says three things while its chat answers wrongly.
async fn told_by(kind: &str, token: &str, place: ChatPlace, faults: &[ChatFault]) -> Chats {
    let chats = Chats::start().await;
    let server = server(Setup::default(), &chats, kind, token).await;
    chats.faults(faults.iter().cloned());
    start(&server, kind, place, 1_700).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    says(&runner, &job, 1, &[("reply", HOSTILE)]).await;
    says(&runner, &job, 2, &[("reply", "two")]).await;
    all_sent(&all_told(&server.api).await);
    chats
}

#[tokio::test]
async fn discord_knows_a_repeat_by_its_nonce_and_lets_nobody_be_called() {
    let limit = ChatFault::Status(429, None, json!({ "retry_after": 0.3 }));
    let faults = [ChatFault::Lost, limit, ChatFault::Taken(500)];
    let chats = told_by("discord", "admin-token", place("7", Some("8")), &faults).await;
    let messages = chats.messages();
    assert_eq!(messages.len(), 3, "{messages:?}");
    for message in &messages {
        assert_eq!(message.path, "/discord/channels/8/messages");
        assert_eq!(message.headers["authorization"], format!("Bot {ADMIN_TOKEN}"));
        assert_eq!(message.body["allowed_mentions"], json!({ "parse": [] }));
        assert!(message.body["nonce"].as_str().unwrap().len() <= 25);
    }
    assert!(messages[1].text.starts_with("@channel <!channel>"), "as it is");
}

#[tokio::test]
async fn telegram_is_left_alone_for_as_long_as_its_answer_says() {
    let body = json!({ "ok": false, "error_code": 429, "parameters": { "retry_after": 1 } });
    let faults = [ChatFault::Status(429, None, body), ChatFault::Status(500, None, json!({}))];
    let chats = told_by("telegram", "admin-token", place("-100123", Some("4")), &faults).await;
    let messages = chats.messages();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert_eq!(messages[0].path, format!("/telegram/bot{ADMIN_TOKEN}/sendMessage"));
    assert_eq!(messages[0].body["chat_id"], -100_123);
    assert_eq!(messages[0].body["message_thread_id"], 4);
    assert!(messages[1].body.get("parse_mode").is_none());
    assert!(messages[1].text.starts_with("@\u{200b}channel <!channel>"), "{messages:?}");
}

#[tokio::test]
async fn mattermost_is_asked_for_what_it_may_have_taken() {
    let faults = [ChatFault::Lost, ChatFault::Taken(502), ChatFault::Status(502, None, json!({}))];
    let chats = told_by("mattermost", "admin-token", place("ch", Some("root1")), &faults).await;
    let messages = chats.messages();
    assert_eq!(messages.len(), 3, "{messages:?}");
    assert_eq!(messages[0].body["root_id"], "root1");
    assert!(messages[1].text.starts_with("@\u{200b}channel"), "{messages:?}");
    assert!(chats.refused_and_looked().1 >= 3);
}

#[tokio::test]
async fn a_generic_chat_is_called_signed_under_one_id() {
    let faults = [ChatFault::Status(500, None, json!({}))];
    let chats = told_by("hmac", "callback-secret", place("room", None), &faults).await;
    let messages = chats.messages();
    let types: Vec<_> = messages.iter().map(|it| it.body["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["session.started", "session.reply", "session.reply"]);
    let data = &messages[1].body["data"];
    assert_eq!((&data["source"], &data["place"]), (&json!("hmac"), &json!({ "channel": "room" })));
    assert_eq!(data["text"], HOSTILE.replace('\0', "\u{fffd}"));
    for message in &messages {
        assert!(!message.bytes.is_empty());
        assert!(message.headers["webhook-signature"].to_str().unwrap().starts_with("v1,"));
    }
}

#[tokio::test]
async fn a_long_reply_is_cut_at_line_ends_into_numbered_messages_and_nothing_is_lost() {
    let chats = Chats::start().await;
    let server = server(Setup::default(), &chats, "discord", "admin-token").await;
    start(&server, "discord", place("7", None), 1_700).await;
    let runner = FakeRunner::register(&server.api, "r", &["x"]).await;
    let job = runner.begin().await;
    let lines: Vec<_> = (0..900).map(|at| format!("line {at} of it \u{1f600}")).collect();
    says(&runner, &job, 1, &[("reply", &lines.join("\n"))]).await;
    all_sent(&all_told(&server.api).await);
    let texts = chats.texts().split_off(1);
    assert!(texts.len() > 8, "{}", texts.len());
    let many = texts.len();
    let said = (1..).zip(&texts).map(|(at, text)| {
        assert!(text.encode_utf16().count() <= 2_000, "{text}");
        text.strip_prefix(&format!("({at}/{many}) ")).unwrap().to_owned()
    });
    assert_eq!(said.collect::<Vec<_>>().join("\n"), lines.join("\n"));
}
