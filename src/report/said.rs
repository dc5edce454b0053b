//! What is said in a session, in words for those who read it where the session was started. Pure but for the call.
//!
//! An agent's text is other people's: it may ping nobody, and do nothing where it is shown.

use serde_json::{Value, json};

use super::ReportParts;
use super::attempt::still_unsure;
use super::callback::timestamp;
use super::chat::{Chat, Saying};
use super::judge::Fault;
use crate::model::{ChatPlace, OutboxPayload, OutboxRow, SessionSays, readable};

/// What nobody sees, and what keeps letters from being taken for a mention or a command.
const APART: char = '\u{200b}';

/// Whether an entry is of what is said in a session.
pub(super) fn is_of_session(row: &OutboxRow) -> bool {
    matches!(row.entry.payload, OutboxPayload::Session { .. })
}

/// What people read.
pub(super) fn words(row: &OutboxRow) -> String {
    let OutboxPayload::Session { says, sequence, part: (part, parts), text } = &row.entry.payload
    else {
        return String::new();
    };
    let id = row.entry.session_id.map_or(0, |id| id.0);
    let text = readable(text);
    let part_of = match parts {
        0 | 1 => String::new(),
        parts => format!("({part}/{parts}) "),
    };
    match says {
        SessionSays::Started => format!("The agent works on it (session {id})."),
        SessionSays::Reply => format!("{part_of}{text}"),
        SessionSays::Note => format!("{part_of}Session {id}: {text}"),
        SessionSays::Ended => format!("{part_of}Session {id} is over: {text}"),
        SessionSays::ApprovalRequest => {
            let mut asks = format!("{part_of}The agent asks (request {sequence} of session {id}):");
            asks.push_str("\n\n");
            asks.push_str(&text);
            if part == parts {
                asks.push_str(&format!(
                    "\n\nTo answer: `approve {sequence}` or `reject {sequence}` behind the word that calls the agent, or \
                     `POST /api/v1/sessions/{id}/approvals/{sequence}`."
                ));
            }
            asks
        }
    }
}

/// The same as JSON; in a chat the source and the place are said, too.
pub(super) fn body(row: &OutboxRow, place: Option<(&str, &ChatPlace)>) -> Value {
    let OutboxPayload::Session { says, sequence, part, text } = &row.entry.payload else {
        return Value::Null;
    };
    let mut data = json!({
        "session_id": row.entry.session_id,
        "workload_id": row.entry.workload_id,
        "sequence": sequence,
        "part": part.0,
        "parts": part.1,
        "text": text,
    });
    if let Some((source, place)) = place {
        data["source"] = Value::from(source);
        data["place"] = json!(place);
    }
    let kind = format!("session.{}", says.as_str());
    json!({ "type": kind, "timestamp": timestamp(row), "data": data })
}

/// An agent's text in a comment of a forge: Markdown that pings nobody, commands nothing and hides nothing. GitLab
/// obeys lines that begin with a slash: <https://docs.gitlab.com/user/project/quick_actions/>.
pub(super) fn in_comment(text: &str) -> String {
    let quiet = without_mentions(text).replace("<!--", &format!("<{APART}!--"));
    let lines = quiet.split('\n').map(|line| match line.trim_start().strip_prefix('/') {
        Some(rest) => format!("{}{APART}/{rest}", &line[..line.len() - rest.len() - 1]),
        None => line.to_owned(),
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// A text in which no name is called.
pub(super) fn without_mentions(text: &str) -> String {
    let mut quiet = String::with_capacity(text.len());
    let mut before = ' ';
    let mut letters = text.chars().peekable();
    while let Some(it) = letters.next() {
        quiet.push(it);
        let calls = letters.peek().is_some_and(|next| next.is_alphanumeric() || *next == '_');
        // Forges look at ASCII letters alone: behind any other a name is called.
        if it == '@' && calls && !before.is_ascii_alphanumeric() {
            quiet.push(APART);
        }
        before = it;
    }
    quiet
}

impl ReportParts {
    /// Says in a chat what an entry says; how it is called there.
    pub(super) async fn tell_chat(
        &self,
        chat: &Chat,
        (source, place): (&str, &ChatPlace),
        row: &OutboxRow,
        unsure: bool,
    ) -> Result<Box<str>, Fault> {
        let mark = format!("dispatchyard-{}-{}", self.options.installation, row.id);
        let text = match &row.entry.payload {
            OutboxPayload::Text { text } => readable(text),
            _ => words(row),
        };
        let saying = Saying {
            place,
            text: &text,
            mark: &mark,
            since_ms: row.entry.created_at_ms,
            body: body(row, Some((source, place))),
        };
        if unsure {
            let found = chat.find(&saying).await.map_err(|fault| still_unsure(true, fault))?;
            if let Some(found) = found {
                return Ok(found);
            }
        }
        chat.say(&saying).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        OutboxEntry, OutboxId, OutboxProgress, OutboxState, OutboxTarget, SessionId, TenantId,
    };

    fn row(says: SessionSays, part: (u32, u32), text: &str) -> OutboxRow {
        OutboxRow {
            id: OutboxId(7),
            entry: OutboxEntry {
                target: OutboxTarget::Callback { url: "https://x.test".into() },
                tenant_id: TenantId::DEFAULT,
                workload_id: None,
                session_id: Some(SessionId(3)),
                job_id: None,
                payload: OutboxPayload::Session { says, sequence: 5, part, text: text.into() },
                created_at_ms: 0,
            },
            since_ms: 0,
            progress: OutboxProgress {
                state: OutboxState::Waiting,
                attempts: 0,
                next_at_ms: 0,
                unsure: false,
                reference: None,
                note: None,
            },
        }
    }

    #[test]
    fn each_kind_of_what_is_said_reads_as_what_it_is() {
        use SessionSays::{ApprovalRequest, Ended, Note, Reply, Started};
        let said = |says, part, text| words(&row(says, part, text));
        assert_eq!(said(Started, (1, 1), ""), "The agent works on it (session 3).");
        assert_eq!(said(Reply, (1, 1), "a\u{0}b\u{1b}[2J\tc\r\nd"), "ab[2J\tc\nd");
        assert_eq!(said(Reply, (2, 3), "more"), "(2/3) more");
        assert_eq!(said(Note, (1, 1), "it failed"), "Session 3: it failed");
        assert_eq!(said(Ended, (1, 1), "ended by ada"), "Session 3 is over: ended by ada");
        let asks = said(ApprovalRequest, (1, 1), "may I?");
        assert!(asks.starts_with("The agent asks (request 5 of session 3):\n\nmay I?"), "{asks}");
        assert!(asks.contains("`approve 5`") && asks.contains("/sessions/3/approvals/5"), "{asks}");
        assert!(!said(ApprovalRequest, (1, 2), "may I").contains("To answer"));
    }

    #[test]
    fn what_an_agent_writes_calls_nobody_and_commands_nothing() {
        let hostile =
            "@all and (@acme/team), mail ada@example.org\n/close\n  /assign @bob\na/b <!-- x -->";
        let shown = in_comment(hostile).replace(APART, "|");
        assert_eq!(
            shown,
            "@|all and (@|acme/team), mail ada@example.org\n|/close\n  |/assign @|bob\na/b <|!-- x -->"
        );
        assert_eq!(in_comment("plain\n\ntext"), "plain\n\ntext");
        assert_eq!(
            in_comment("\u{e9}@bob \u{65e5}@all").replace(APART, "|"),
            "\u{e9}@|bob \u{65e5}@|all"
        );
    }

    #[test]
    fn whoever_takes_json_hears_the_text_as_it_was_said() {
        let place = ChatPlace { team: None, channel: "c".into(), thread: None };
        let body = body(&row(SessionSays::Reply, (1, 2), "@all \u{0}"), Some(("x", &place)));
        let data = json!({ "session_id": 3, "workload_id": null, "sequence": 5, "part": 1, "parts": 2,
            "text": "@all \u{0}", "source": "x", "place": { "channel": "c" } });
        let wanted =
            json!({ "type": "session.reply", "timestamp": "1970-01-01T00:00:00Z", "data": data });
        assert_eq!(body, wanted);
    }
}
