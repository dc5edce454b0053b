//! From what somebody says to what is answered there: Slack and an issue, with a real agent between them.

use dispatchyard::api::wire::{DeliveryView, List, OutboxView};
use dispatchyard::model::SessionState;
use serde_json::{Value, json};

use super::{Chats, TEAM, mention, reply, with};
use crate::sessions::{echo, is};
use crate::support::chat::Chats as Slack;
use crate::support::home::ADMIN_TOKEN;
use crate::support::hook::fixture;
use crate::support::told::Told;
use crate::support::{Api, Server, Setup, on_both, until};

/// A comment calls the agent.
const AGENT: &str = r#"
[[trigger]]
name = "agent"
source = "github"
on = "issue_comment"
agent = { profile = "echo", prompt = "You help.", runs_on = ["x"], session = "subject", command = "/agent" }
"#;

/// A source that is signed, and answers at the stand-in.
fn source(slack: &Slack) -> String {
    format!(
        "[[source]]\nname = \"slack\"\nkind = \"slack\"\nsecrets = [{{ file = \"chat-secret\" }}]\n\
         [source.chat]\napi_url = \"http://{}/slack\"\ntoken = {{ file = \"admin-token\" }}\n",
        slack.address
    )
}

/// Waits until these texts were told, however many of them came together.
async fn hears(look: impl Fn() -> Vec<String>, wanted: &[&str]) {
    let wanted = wanted.join("\n\n");
    until(&format!("it hears {wanted:?}"), async || (look().join("\n\n") == wanted).then_some(()))
        .await;
}

/// Waits until nothing is left to be told.
async fn all_is_told(api: &Api) {
    until("all is told", async || {
        let all: List<OutboxView> = api.get("/outbox").await;
        all.items.iter().all(|entry| entry.state == "sent").then_some(())
    })
    .await;
}

async fn a_mention_in_slack_is_answered_in_its_thread_until_it_is_over(setup: Setup) {
    let slack = Slack::start().await;
    let chats = Chats::of(&setup, &format!("{}{TEAM}", source(&slack))).await;
    let (api, home) = (&chats.server.api, &chats.server.home);
    let kept = home.file("kept");
    let _runner = echo("one", &kept).start(home, api).await;
    let called = |ts: &str, text: &str| with(mention(ts, text), json!({ "thread_ts": "100.1" }));
    let (state, why) = chats.slack("e1", mention("100.1", "fix it")).await;
    assert_eq!(state, "dispatched", "{why}");
    hears(|| slack.texts(), &["You help.", "fix it"]).await;
    let id = chats.sessions().await[0].id;
    // Slack tells an app of what it said itself.
    for (at, text) in slack.texts().iter().enumerate() {
        let own = reply(&format!("100.2{at}"), "100.1", text);
        let own = with(own, json!({ "bot_id": "B1" }));
        let (state, why) = chats.slack(&format!("b{at}"), own).await;
        assert!(state == "ignored" && why.contains("bots start no"), "{state} {why}");
    }
    let (state, why) = chats.slack("e2", called("100.3", "and this")).await;
    assert_eq!(state, "dispatched", "{why}");
    hears(|| slack.texts(), &["You help.", "fix it", "and this"]).await;
    assert_eq!(chats.sessions().await.len(), 1);
    let (state, why) = chats.slack("e3", called("100.4", "stop")).await;
    assert_eq!(state, "dispatched", "{why}");
    is(api, id, SessionState::Ended).await;
    let over = format!("Session {id} is over: ended by U061F7AUR");
    let wanted = ["You help.", "fix it", "and this", over.as_str()];
    hears(|| slack.texts(), &wanted).await;
    let (state, why) = chats.slack("e4", reply("100.5", "100.1", "still there?")).await;
    assert!(state == "ignored" && why.contains("no session is live there to join"), "{why}");
    all_is_told(api).await;
    assert_eq!(slack.texts().join("\n\n"), wanted.join("\n\n"), "each of them once");
    for message in slack.messages() {
        assert_eq!(message.path, "/slack/chat.postMessage");
        assert_eq!(message.body["channel"], "C123ABC456");
        assert_eq!(message.body["thread_ts"], "100.1");
        assert_eq!(message.headers["authorization"], format!("Bearer {ADMIN_TOKEN}"));
    }
    let heard = std::fs::read_to_string(&kept).unwrap();
    let heard = heard.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let heard: Vec<Value> = heard.filter(|line| line["type"] == "message").collect();
    let heard: Vec<&str> = heard.iter().filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(heard, ["You help.", "fix it", "and this"], "nothing of its own");
}

/// A comment of an issue, by an account of that type.
fn comment(text: &str, id: usize, account_type: &str) -> String {
    let mut body: Value = serde_json::from_slice(&fixture("issue_comment_on_pr")).unwrap();
    body["issue"].as_object_mut().unwrap().remove("pull_request");
    body["issue"]["html_url"] = "https://github.com/octo-org/example/issues/7".into();
    body["comment"]["id"] = id.into();
    body["comment"]["body"] = text.into();
    body["comment"]["user"]["type"] = account_type.into();
    body["sender"]["type"] = account_type.into();
    body.to_string()
}

/// Writes a comment, and says what became of it.
async fn writes(chats: &Chats, id: usize, text: &str, account_type: &str) -> DeliveryView {
    let name = format!("c{id}");
    let body = comment(text, id, account_type);
    let sent = chats.server.hook().send("issue_comment", &name, body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    chats.delivery(&name).await
}

/// What the comments say below their mark.
fn said(told: &Told) -> Vec<String> {
    let below = |text: String| text.split_once("\n\n").unwrap().1.to_owned();
    told.comments().into_iter().map(below).collect()
}

async fn a_comment_that_calls_is_answered_by_comments_of_its_issue(setup: Setup) {
    let told = Told::start().await;
    let report = told.section("token = { file = \"hook-secret\" }\nstatuses = false\n");
    let server = Server::start(&setup.patient().rules(&format!("{report}{AGENT}"))).await;
    let chats = Chats { server };
    let (api, home) = (&chats.server.api, &chats.server.home);
    let _runner = echo("one", &home.file("kept")).start(home, api).await;
    let called = writes(&chats, 1, "/agent fix it", "User").await;
    assert_eq!(called.state, "dispatched", "{called:?}");
    hears(|| said(&told), &["You help.", "fix it"]).await;
    let made = chats.sessions().await;
    assert_eq!(made.len(), 1, "{made:?}");
    assert_eq!(made[0].key, "github:github.com/octo-org/example#7");
    // What it wrote comes as an event too, and would call if people had written it.
    for (at, text) in told.comments().iter().enumerate() {
        let own = writes(&chats, 10 + at, &format!("{text}\n\n/agent again"), "Bot").await;
        let why = &own.triggers[0].why;
        assert!(own.state == "ignored" && why.contains("bots start no"), "{own:?}");
    }
    let called = writes(&chats, 2, "/agent and this", "User").await;
    assert_eq!(called.state, "dispatched", "{called:?}");
    hears(|| said(&told), &["You help.", "fix it", "and this"]).await;
    let called = writes(&chats, 3, "/agent stop", "User").await;
    assert_eq!(called.state, "dispatched", "{called:?}");
    is(api, made[0].id, SessionState::Ended).await;
    let over = format!("Session {} is over: ended by octo-dev", made[0].id);
    let wanted = ["You help.", "fix it", "and this", over.as_str()];
    hears(|| said(&told), &wanted).await;
    all_is_told(api).await;
    assert_eq!(said(&told).join("\n\n"), wanted.join("\n\n"), "each of them once");
    assert_eq!(chats.sessions().await.len(), 1);
    let mut written = told.seen("/comments");
    written.retain(|it| it.body["body"].is_string());
    assert_eq!(written.len(), told.comments().len());
    for it in written {
        assert_eq!(it.path, "/api/repos/octo-org/example/issues/7/comments");
    }
}

on_both!(
    a_mention_in_slack_is_answered_in_its_thread_until_it_is_over,
    a_comment_that_calls_is_answered_by_comments_of_its_issue,
);
