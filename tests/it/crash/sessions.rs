//! SIGKILL in the middle of a turn: what was accepted reaches the agent, what it said meanwhile is heard, each once.

use dispatchyard::api::wire::MessageView;
use dispatchyard::model::{Direction, MessageKind, SessionState};
use serde_json::json;

use crate::sessions::{open, replied, replies, say, session};
use crate::support::sse::Stream;
use crate::support::{RunnerSetup, ServerProcess, Setup, on_both, until};

/// Says that it has begun with a message, and answers it when the file of that name is there.
const GATED: &str = r#"python3 -u -c '
import json, os, sys, time
for raw in sys.stdin:
    line = json.loads(raw)
    if line["type"] == "end":
        break
    print("begun " + line["text"])
    while not os.path.exists(os.path.join(os.environ["GATES"], line["text"])):
        time.sleep(0.02)
    print(json.dumps({"type": "reply", "text": "done " + line["text"]}))
    print(json.dumps({"type": "turn_end"}))
'"#;

async fn a_turn_that_is_under_way_at_a_kill_ends_as_if_there_had_been_none(setup: Setup) {
    let home = setup.patient().own_port().build();
    let mut server = ServerProcess::start(&home).await;
    let gates = home.file("gates");
    std::fs::create_dir(&gates).unwrap();
    let pass = |text: &str| std::fs::write(gates.join(text), "").unwrap();
    let command = format!("gated=GATES={} exec {GATED}", gates.display());
    let runner = RunnerSetup::new("one").agent(&command);
    let runner = runner.arguments(&["--agent-protocol", "gated=jsonl"]);
    let _runner = runner.start(&home, &server.api).await;
    let id = open(&server.api, json!({ "agent": "gated", "message": "m0" })).await.session_id;
    pass("m0");
    replied(&server.api, id, 1).await;
    let mut last_id: Option<String> = None;
    for round in 1..=3 {
        let (turn, next) = (format!("m{}", 2 * round - 1), format!("m{}", 2 * round));
        say(&server.api, id, &turn).await;
        let begun = format!("begun {turn}");
        until(&begun, async || {
            let detail = session(&server.api, id).await;
            let is_it = |it: &MessageView| it.text == begun;
            detail.messages.iter().any(is_it).then_some(())
        })
        .await;
        // Whoever reads along has seen it as far as here.
        let mut stream =
            Stream::open(&server.api, &format!("/sessions/{id}/events"), last_id.as_deref()).await;
        let before = last_id.as_deref().map_or(0, |id: &str| id.parse::<i64>().unwrap());
        let mut expected = before + 1;
        loop {
            let event = stream.next().await.unwrap();
            if event.event != "message" {
                continue;
            }
            assert_eq!(event.id.as_deref(), Some(expected.to_string().as_str()), "none left out");
            expected += 1;
            last_id = event.id;
            if event.data.contains(&begun) {
                break;
            }
        }
        say(&server.api, id, &next).await;
        server.kill().await;
        // The agent goes on while nobody listens.
        pass(&turn);
        server = ServerProcess::start(&home).await;
        pass(&next);
        replied(&server.api, id, 2 * round + 1).await;
    }
    let detail = until("all is dealt with", async || {
        let detail = session(&server.api, id).await;
        let said = detail.messages.iter().filter(|it| it.direction == Direction::In);
        let last = said.map(|it| it.sequence).max().unwrap();
        (detail.session.delivered == last && detail.session.spent.turns == 7).then_some(detail)
    })
    .await;
    let expected: Vec<String> = (0..7).map(|number| format!("done m{number}")).collect();
    assert_eq!(replies(&detail), expected, "each once, in order");
    let begun = detail.messages.iter().filter(|it| it.kind == MessageKind::Progress);
    assert_eq!(begun.map(|it| it.text.matches("begun").count()).sum::<usize>(), 7, "told once");
    let numbers: Vec<i64> = detail.messages.iter().map(|it| it.sequence).collect();
    assert_eq!(numbers, (1..=detail.session.last_sequence).collect::<Vec<_>>());
    assert_eq!(detail.session.state, SessionState::Running, "the same agent, all the time");
}

on_both!(a_turn_that_is_under_way_at_a_kill_ends_as_if_there_had_been_none);
