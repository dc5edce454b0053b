//! What is said in chats: signed as the providers sign it, from the message to a real agent's standard input.

mod answers;
mod hostile;

use dispatchyard::api::wire::{DeliveryView, List, SessionView};
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::model::{SessionId, SessionState};
use dispatchyard::webhook::{Scheme, Secret, SignatureRule, signed_headers};
use reqwest::{Method, RequestBuilder};
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use serde_json::{Value, json};

use crate::sessions::{echo, is, replies, session};
use crate::support::home::HOOK_SECRET;
use crate::support::hook::answer;
use crate::support::{Server, Setup, on_both, until};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const SOURCES: &str = r#"
[[source]]
name = "slack"
kind = "slack"
secrets = [{ file = "chat-secret" }]
[[source]]
name = "telegram"
kind = "telegram"
secrets = [{ file = "chat-secret" }]
[[source]]
name = "mattermost"
kind = "mattermost"
secrets = [{ file = "chat-secret" }]
[[source]]
name = "discord"
kind = "discord"
secrets = [{ file = "chat-key" }]
[[source]]
name = "other"
kind = "hmac"
secrets = [{ file = "chat-secret" }]
[source.map]
kind = "/what"
delivery_id = "/id"
actor_id = "/by"
body = "/text"
channel = "/room"
thread = "/thread"
"#;

/// The two who may call, and the one who may answer.
const TEAM: &str = r#"
[[trigger]]
name = "team"
source = "slack"
on = ["app_mention", "message", "slash_command"]
agent = { profile = "echo", prompt = "You help.", runs_on = ["x"], session = "subject", command = "/agent", follow = true }
allow = { actors = ["id:U061F7AUR", "id:U2"], approvers = ["id:U0BOSS"] }
"#;

/// Whatever anybody says is told to the agent.
const EVERYBODY: &str = r#"
[[trigger]]
name = "everybody"
on = ["app_mention", "message", "slash_command", "application_command", "said"]
agent = { profile = "echo", prompt = "You help.", runs_on = ["x"], session = "subject" }
"#;

struct Chats {
    server: Server,
}

impl Chats {
    async fn start(setup: &Setup, triggers: &str) -> Self {
        Self::of(setup, &format!("{SOURCES}{triggers}")).await
    }

    /// With sources of the test's own.
    async fn of(setup: &Setup, rules: &str) -> Self {
        let home = setup.clone().patient().rules(rules).build();
        std::fs::write(home.path().join("chat-secret"), HOOK_SECRET).unwrap();
        std::fs::write(home.path().join("chat-key"), hex::encode(pair().public_key())).unwrap();
        Self { server: Server::again(home).await }
    }

    /// A request as the provider of that source sends it.
    fn signed(&self, source: &str, content_type: &str, body: &str) -> RequestBuilder {
        let scheme = match source {
            "slack" => Scheme::SlackV0,
            "telegram" => Scheme::TelegramToken,
            "mattermost" => Scheme::MattermostToken,
            "discord" => Scheme::DiscordEd25519,
            _ => Scheme::RawHmacSha256,
        };
        let (at, secret) = (SystemClock::new().now().wall_ms / 1_000, HOOK_SECRET.as_bytes());
        let (rule, secret) = (SignatureRule::from(scheme), Secret::new(secret).unwrap());
        let made = signed_headers(&rule, &secret, "", at, body.as_bytes()).unwrap();
        let made = made.unwrap_or_else(|| {
            let code = hex::encode(pair().sign(format!("{at}{body}").as_bytes()));
            vec![
                ("x-signature-timestamp".into(), at.to_string()),
                ("x-signature-ed25519".into(), code),
            ]
        });
        let request = self.server.api.request(Method::POST, &format!("/hooks/{source}"));
        let request = request.header("content-type", content_type).body(body.to_owned());
        made.into_iter().fold(request, |request, (name, value)| request.header(name, value))
    }

    async fn send(&self, source: &str, content_type: &str, body: &str) {
        let told = answer(self.signed(source, content_type, body)).await;
        assert!(matches!(told.status, 200 | 202 | 204), "{told:?}");
    }

    /// The delivery that the provider knows by that id.
    async fn delivery(&self, external_id: &str) -> DeliveryView {
        let rows = self.server.api.deliveries().await;
        let found = rows.into_iter().find(|row| row.external_id.as_deref() == Some(external_id));
        found.unwrap_or_else(|| panic!("no delivery {external_id}"))
    }

    /// Sends an event of Slack, and says what became of it: its state, and what the trigger says.
    async fn slack(&self, id: &str, event: Value) -> (String, String) {
        self.send("slack", JSON, &slack(id, event)).await;
        let row = self.delivery(id).await;
        let why = row.triggers.iter().find(|it| it.trigger == "team").map(|it| it.why.clone());
        (row.state, why.unwrap_or_default())
    }

    /// All sessions, the oldest first.
    async fn sessions(&self) -> Vec<SessionView> {
        let list: List<SessionView> = self.server.api.get("/sessions").await;
        let mut items = list.items;
        items.sort_by_key(|it| it.id);
        items
    }

    /// What was said in a session, by anybody.
    async fn said(&self, id: SessionId) -> Vec<String> {
        let detail = session(&self.server.api, id).await;
        detail.messages.into_iter().map(|it| it.text).collect()
    }
}

fn pair() -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap()
}

/// An event of Slack by somebody of the team.
fn slack(id: &str, more: Value) -> String {
    let mut body: Value = serde_json::from_str(&fixture("slack/message")).unwrap();
    body["event_id"] = id.into();
    body["event"] = with(body["event"].take(), more);
    body.to_string()
}

fn fixture(name: &str) -> String {
    let path = format!("{}/fixtures/{name}.json", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn mention(ts: &str, text: &str) -> Value {
    json!({ "type": "app_mention", "text": format!("<@U0LAN0Z89> {text}"), "ts": ts })
}

fn reply(ts: &str, thread: &str, text: &str) -> Value {
    json!({ "ts": ts, "thread_ts": thread, "text": text })
}

fn with(mut event: Value, more: Value) -> Value {
    if let (Value::Object(all), Value::Object(more)) = (&mut event, more) {
        all.extend(more);
    }
    event
}

async fn a_thread_is_a_session_that_its_messages_join(setup: Setup) {
    let chats = Chats::start(&setup, TEAM).await;
    let (state, why) = chats.slack("e1", mention("100.1", "fix it")).await;
    assert_eq!(state, "dispatched", "{why}");
    // The message in which the mention stands comes as one too.
    let twice = with(mention("100.1", "fix it"), json!({ "type": "message" }));
    let (state, why) = chats.slack("e2", twice).await;
    assert!(state == "ignored" && why.contains("comes as `app_mention` too"), "{why}");
    assert_eq!(chats.slack("e3", reply("100.2", "100.1", "and this")).await.0, "dispatched");
    // Slack repeats what it takes to be lost.
    let again = chats.signed("slack", JSON, &slack("e3", reply("100.2", "100.1", "and this")));
    let again =
        again.header("x-slack-retry-num", "1").header("x-slack-retry-reason", "http_timeout");
    let told = answer(again).await;
    assert!(told.status == 200 && told.json::<Value>()["duplicate"] == true, "{told:?}");
    let asked = chats.sessions().await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].key, "slack:T061EG9R6/C123ABC456/100.1");
    assert_eq!(asked[0].origin["chat"]["thread"], "100.1");
    for (id, event, why) in [
        ("n1", reply("100.4", "100.9", "elsewhere"), "no session is live there to join"),
        ("n2", json!({ "subtype": "message_changed", "thread_ts": "100.1" }), "newly said"),
        ("n3", json!({ "subtype": "message_deleted", "thread_ts": "100.1" }), "newly said"),
        ("n4", json!({ "subtype": "channel_join", "thread_ts": "100.1" }), "newly said"),
        ("n5", with(reply("100.5", "100.1", "done"), json!({ "bot_id": "B1" })), "bots start no"),
        ("n6", with(mention("100.6", "x"), json!({ "user": "U0STRANGER" })), "may not start it"),
        ("n7", with(reply("100.7", "100.1", "x"), json!({ "user": "U9" })), "may not start it"),
    ] {
        let (state, told) = chats.slack(id, event).await;
        assert!(state == "ignored" && told.contains(why), "{id}: {state} {told}");
    }
    assert_eq!(chats.said(asked[0].id).await, ["You help.", "fix it", "and this"]);
    assert_eq!(chats.slack("e4", mention("200.1", "another")).await.0, "dispatched");
    let command = "command=%2Fagent&text=third&team_id=T061EG9R6&channel_id=C123ABC456\
                   &user_id=U2&user_name=ada&trigger_id=1.1";
    chats.send("slack", FORM, command).await;
    let keys: Vec<String> = chats.sessions().await.into_iter().map(|it| it.key).collect();
    let at = "slack:T061EG9R6/C123ABC456";
    assert_eq!(keys, [format!("{at}/100.1"), format!("{at}/200.1"), format!("{at}/")]);
}

async fn two_messages_at_the_same_instant_make_one_session(setup: Setup) {
    let chats = Chats::start(&setup, TEAM).await;
    let in_thread = |ts, text| with(mention(ts, text), json!({ "thread_ts": "300.1" }));
    let (one, two) =
        (slack("e1", in_thread("300.2", "one")), slack("e2", in_thread("300.3", "two")));
    let (first, second) = tokio::join!(
        answer(chats.signed("slack", JSON, &one)),
        answer(chats.signed("slack", JSON, &two)),
    );
    assert_eq!((first.status, second.status), (202, 202), "{first:?} {second:?}");
    let made = chats.sessions().await;
    assert_eq!(made.len(), 1, "{made:?}");
    let mut said = chats.said(made[0].id).await;
    said[1..].sort_unstable();
    assert_eq!(said, ["You help.", "one", "two"]);
}

async fn words_of_those_who_may_answer_the_agent_and_stop_it(setup: Setup) {
    let chats = Chats::start(&setup, TEAM).await;
    let api = &chats.server.api;
    let kept = chats.server.home.file("kept");
    let _runner = echo("one", &kept).start(&chats.server.home, api).await;
    let called = |ts: &str, text: &str| with(mention(ts, text), json!({ "thread_ts": "1.0" }));
    let boss = |ts: &str, text: &str| with(called(ts, text), json!({ "user": "U0BOSS" }));
    assert_eq!(chats.slack("a1", called("1.1", "ask")).await.0, "dispatched");
    let id = chats.sessions().await[0].id;
    let waiting = is(api, id, SessionState::WaitingApproval).await;
    let request = waiting.session.approvals[0];
    for (name, event, why) in [
        ("b1", called("1.2", &format!("approve {request}")), "do not name `U061F7AUR`"),
        ("b2", boss("1.3", "approve 99"), "has no request 99"),
        ("b3", boss("1.4", "hello"), "may not start it"),
    ] {
        let (state, told) = chats.slack(name, event).await;
        assert!(state == "ignored" && told.contains(why), "{name}: {state} {told}");
    }
    assert_eq!(session(api, id).await.session.approvals, [request]);
    // What is said without calling is no order.
    let heard = reply("1.5", "1.0", "reject");
    assert_eq!(chats.slack("c1", heard).await.0, "dispatched");
    let (state, why) = chats.slack("c2", boss("1.6", &format!("approve {request}"))).await;
    assert_eq!(state, "dispatched", "{why}");
    let answered = until("the answer", async || {
        let detail = session(api, id).await;
        replies(&detail).contains(&"answer r1 True").then_some(detail)
    })
    .await;
    assert!(answered.session.approvals.is_empty());
    let (state, why) = chats.slack("c3", boss("1.7", "approve")).await;
    assert!(state == "ignored" && why.contains("no request that waits"), "{why}");
    assert_eq!(chats.slack("d1", called("1.8", "stop")).await.0, "dispatched");
    let ended = is(api, id, SessionState::Ended).await;
    assert_eq!(ended.session.end_reason.as_deref(), Some("ended by U061F7AUR"));
    let (state, why) = chats.slack("d2", called("1.9", "stop")).await;
    assert!(state == "ignored" && why.contains("no session is live there to stop"), "{why}");
}

on_both!(
    a_thread_is_a_session_that_its_messages_join,
    two_messages_at_the_same_instant_make_one_session,
    words_of_those_who_may_answer_the_agent_and_stop_it,
);

#[tokio::test]
async fn every_chat_has_sessions_of_its_conversations() {
    let chats = Chats::start(&Setup::default(), EVERYBODY).await;
    let mattermost = fixture("mattermost/outgoing");
    let token = |body: &str| {
        let mut body: Value = serde_json::from_str(body).unwrap();
        body["token"] = HOOK_SECRET.into();
        body
    };
    let again = with(token(&mattermost), json!({ "post_id": "post2", "text": "deploy more" }));
    let telegram = fixture("telegram/message");
    let edited = telegram.replace("\"message\":", "\"edited_message\":").replace("10000", "10009");
    let more = telegram.replace("10000", "10001").replace("/deploy staging", "more");
    let discord = fixture("discord/command_with_options");
    let second = discord.replace("1000000000000000002", "1000000000000000003");
    let other = r#"{"what":"said","id":"m1","by":"ada","text":"hello","room":"r/1","thread":7}"#;
    let table = [
        ("telegram", telegram.as_str(), "telegram:/-100111/", "/deploy staging"),
        ("telegram", &edited, "", ""),
        ("telegram", &more, "telegram:/-100111/", "more"),
        ("mattermost", &token(&mattermost).to_string(), "mattermost:team1/chan1/", "staging"),
        ("mattermost", &again.to_string(), "mattermost:team1/chan1/", "more"),
        ("discord", &discord, "discord:290926798626357999/645027906669510667/", "fix the build"),
        ("discord", &second, "discord:290926798626357999/645027906669510667/", "fix the build"),
        ("other", other, "other:/r%2F1/7", "hello"),
        ("other", &other.replace("m1", "m2").replace("hello", "more"), "other:/r%2F1/7", "more"),
        ("other", &other.replace("m1", "m3").replace("r/1", ""), "", ""),
    ];
    for (source, body, key, text) in table {
        chats.send(source, JSON, body).await;
        if key.is_empty() {
            continue;
        }
        let all = chats.sessions().await;
        let found = all.iter().find(|it| it.key == key);
        let id = found.unwrap_or_else(|| panic!("{key}: {all:?}")).id;
        assert_eq!(chats.said(id).await.last().unwrap(), text, "{source}");
    }
    let all = chats.sessions().await;
    assert_eq!(all.len(), 4, "{all:?}");
    for view in &all[..3] {
        assert_eq!(chats.said(view.id).await.len(), 3, "prompt and two messages: {view:?}");
    }
}

#[tokio::test]
async fn without_allow_nobody_answers_what_an_agent_asks() {
    let chats = Chats::start(&Setup::default(), EVERYBODY).await;
    let kept = chats.server.home.file("kept");
    let api = &chats.server.api;
    let _runner = echo("one", &kept).start(&chats.server.home, api).await;
    chats.send("slack", JSON, &slack("e1", mention("1.0", "ask"))).await;
    let id = chats.sessions().await[0].id;
    is(api, id, SessionState::WaitingApproval).await;
    let event = with(mention("1.1", "approve"), json!({ "thread_ts": "1.0" }));
    chats.send("slack", JSON, &slack("e2", event)).await;
    let row = chats.delivery("e2").await;
    assert_eq!(row.state, "ignored");
    let why = &row.triggers.iter().find(|it| it.trigger == "everybody").unwrap().why;
    assert!(why.contains("nobody may answer what its agent asks"), "{why}");
    assert_eq!(session(api, id).await.session.state, SessionState::WaitingApproval);
}

#[tokio::test]
async fn comments_that_do_not_call_join_where_the_trigger_follows() {
    let rules = r#"
[[trigger]]
name = "agent"
on = "issue_comment"
agent = { profile = "echo", prompt = "You help.", runs_on = ["x"], session = "subject", command = "/agent", follow = true }
"#;
    let server = Server::start(&Setup::default().patient().rules(rules)).await;
    let body = |text: &str, id: i64| {
        let fixture = crate::support::hook::fixture("issue_comment_on_pr");
        let mut body: Value = serde_json::from_slice(&fixture).unwrap();
        body["comment"]["body"] = text.into();
        body["comment"]["id"] = id.into();
        body["sender"]["type"] = "User".into();
        body.to_string()
    };
    for (text, id) in [("too early", 1), ("/agent one", 2), ("and this", 3), ("approve 1", 4)] {
        let sent = server.hook().send("issue_comment", &format!("c{id}"), body(text, id)).await;
        assert_eq!(sent.status, 202, "{sent:?}");
    }
    let chats = Chats { server };
    let all = chats.sessions().await;
    assert_eq!(all.len(), 1, "{all:?}");
    assert_eq!(chats.said(all[0].id).await, ["You help.", "one", "and this", "approve 1"]);
    let early = chats.delivery("c1").await;
    assert_eq!(early.state, "ignored", "{early:?}");
}
