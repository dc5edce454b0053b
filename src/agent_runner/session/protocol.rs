//! The lines between a runner and the command of an agent. Pure.
//!
//! To the agent, each line one object: `message` (`seq`, `author`, `text`), `approval` (`seq`, `id`, `approve`,
//! `note`, `author`), `end`. From it: `reply`, `progress`, `approval_request` (`text`, `id`), `usage`
//! (`input_tokens`, `output_tokens`, `cost_usd`, each since it said so last), `turn_end` (`seq`). A line that is
//! no JSON object is progress; an object of another type is in the log and nowhere else.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::api::wire::{AgentMessage, AgentSays};
use crate::model::{MessageKind, Spent};

/// More tokens than any agent uses between two words.
const TOKENS_MAX: i64 = 1 << 40;
/// More money, in its unit.
const COST_MAX: f64 = 1_000_000_000.0;

/// What a line of an agent is.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum Line {
    /// Something to send on.
    Says(AgentSays),
    /// Text for people.
    Text(String),
    /// The agent has dealt with a message: with the first of those that it has, or with all up to this one.
    TurnEnd(Option<i64>),
    /// Nothing that anybody waits for.
    Nothing,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Said {
    Reply {
        text: String,
    },
    Progress {
        text: String,
    },
    Usage {
        #[serde(default)]
        input_tokens: f64,
        #[serde(default)]
        output_tokens: f64,
        #[serde(default)]
        cost_usd: f64,
    },
    ApprovalRequest {
        text: String,
        #[serde(default)]
        id: Option<Value>,
    },
    TurnEnd {
        #[serde(default)]
        seq: Option<i64>,
    },
}

/// Reads one line.
pub(super) fn read(line: &str) -> Line {
    let trimmed = line.trim();
    if trimmed.is_empty() {
        return Line::Nothing;
    }
    if !trimmed.starts_with('{') {
        return Line::Text(line.to_owned());
    }
    let says = |kind, text| AgentSays { kind: Some(kind), text, ..AgentSays::default() };
    match serde_json::from_str::<Said>(trimmed) {
        Ok(Said::Reply { text }) => Line::Says(says(MessageKind::Reply, text)),
        Ok(Said::Progress { text }) => Line::Says(says(MessageKind::Progress, text)),
        Ok(Said::ApprovalRequest { text, id }) => {
            let reference = id.as_ref().map(plain);
            Line::Says(AgentSays { reference, ..says(MessageKind::ApprovalRequest, text) })
        }
        Ok(Said::Usage { input_tokens, output_tokens, cost_usd }) => {
            usage(input_tokens, output_tokens, cost_usd)
        }
        Ok(Said::TurnEnd { seq }) => Line::TurnEnd(seq),
        Err(_) if serde_json::from_str::<Value>(trimmed).is_ok() => Line::Nothing,
        Err(_) => Line::Text(line.to_owned()),
    }
}

fn usage(input_tokens: f64, output_tokens: f64, cost_usd: f64) -> Line {
    let spent = Spent {
        turns: 0,
        input_tokens: (input_tokens as i64).clamp(0, TOKENS_MAX),
        output_tokens: (output_tokens as i64).clamp(0, TOKENS_MAX),
        cost_micros: (cost_usd.clamp(0.0, COST_MAX) * 1e6).round() as i64,
    };
    let text = json!({
        "input_tokens": spent.input_tokens,
        "output_tokens": spent.output_tokens,
        "cost_micros": spent.cost_micros,
    });
    let (kind, text) = (Some(MessageKind::Usage), text.to_string());
    Line::Says(AgentSays { kind, text, reference: None, spent })
}

fn plain(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// The end of a turn, as it is sent on.
pub(super) fn turn() -> AgentSays {
    AgentSays { spent: Spent { turns: 1, ..Spent::default() }, ..AgentSays::default() }
}

/// What the agent is told, as a line. The text is a JSON string, whatever is in it.
pub(super) fn told(message: &AgentMessage) -> Vec<u8> {
    let AgentMessage { seq, kind, author, text, reference } = message;
    let line = match kind {
        MessageKind::Approval => {
            let answer: Value = serde_json::from_str(text).unwrap_or_default();
            json!({
                "type": "approval", "seq": seq, "id": reference, "author": author,
                "approve": answer["approve"] == true,
                "note": answer["note"].as_str().unwrap_or_default(),
            })
        }
        _ => json!({ "type": "message", "seq": seq, "author": author, "text": text }),
    };
    ended_line(&line)
}

/// Nothing more comes.
pub(super) fn end() -> Vec<u8> {
    ended_line(&json!({ "type": "end" }))
}

fn ended_line(line: &Value) -> Vec<u8> {
    let mut bytes = line.to_string().into_bytes();
    bytes.push(b'\n');
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_line_is_what_it_says() {
        let text = |line| match read(line) {
            Line::Says(says) => (says.kind, says.text, says.reference),
            other => panic!("{other:?}"),
        };
        let reply = text(r#"{"type":"reply","text":"done"}"#);
        assert_eq!(reply, (Some(MessageKind::Reply), "done".to_owned(), None));
        let request = text(r#"{"type":"approval_request","text":"rm?","id":7}"#);
        assert_eq!(request.2.as_deref(), Some("7"));
        assert_eq!(read(r#"{"type":"turn_end"}"#), Line::TurnEnd(None));
        assert_eq!(read(r#" {"type":"turn_end","seq":4} "#), Line::TurnEnd(Some(4)));
        assert_eq!(read("building..."), Line::Text("building...".to_owned()));
        assert_eq!(read(r#"{"type":"thinking","x":1}"#), Line::Nothing);
        assert_eq!(read(r#"{"type":"reply""#), Line::Text(r#"{"type":"reply""#.to_owned()));
        assert_eq!(read("  "), Line::Nothing);
    }

    #[test]
    fn what_was_used_is_counted_and_nonsense_is_not() {
        let spent = |line| match read(line) {
            Line::Says(says) => says.spent,
            other => panic!("{other:?}"),
        };
        let used =
            spent(r#"{"type":"usage","input_tokens":12,"output_tokens":3,"cost_usd":0.0123}"#);
        assert_eq!((used.input_tokens, used.output_tokens, used.cost_micros), (12, 3, 12_300));
        let odd = spent(r#"{"type":"usage","input_tokens":-5,"cost_usd":1e300}"#);
        assert_eq!((odd.input_tokens, odd.cost_micros), (0, 1_000_000_000_000_000));
    }

    #[test]
    fn an_answer_has_what_the_agent_called_its_request() {
        let message = AgentMessage {
            seq: 9,
            kind: MessageKind::Approval,
            author: "ada".to_owned(),
            text: r#"{"approve":true,"note":"go"}"#.to_owned(),
            reference: Some("r1".to_owned()),
        };
        let line: Value = serde_json::from_slice(&told(&message)).unwrap();
        let known = json!({
            "type": "approval", "seq": 9, "id": "r1", "author": "ada", "approve": true, "note": "go",
        });
        assert_eq!(line, known);
    }

    proptest! {
        #[test]
        fn any_text_is_one_line_and_comes_out_as_it_was(text in any::<String>(), author in any::<String>()) {
            let kind = MessageKind::Message;
            let message = AgentMessage { seq: 1, kind, author, text, reference: None };
            let line = told(&message);
            prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
            let read: Value = serde_json::from_slice(&line).unwrap();
            prop_assert_eq!(read["text"].as_str(), Some(message.text.as_str()));
            prop_assert_eq!(read["author"].as_str(), Some(message.author.as_str()));
        }

        #[test]
        fn no_line_of_an_agent_is_too_odd(line in any::<String>()) {
            let _ = read(&line);
        }
    }
}
