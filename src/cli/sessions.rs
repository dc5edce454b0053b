//! `sessions`: conversations with agents: listed, shown, started, spoken to, ended.

use clap::{Args, Subcommand};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::{ListArgs, how_to_go_on, or_dash};
use super::table::{fields, page, rows, visible};
use super::time::{age, rfc3339, rfc3339_or_dash};
use crate::api::wire::{
    List, MessageView, OpenSession, ReasonRequest, SaySession, SessionDetail, SessionOpened,
    SessionSaid, SessionView, SubmitRequirements,
};
use crate::model::{Direction, SessionId};

/// Which sessions, or what to do with one.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct SessionsArgs {
    #[command(subcommand)]
    act: Option<Act>,
    /// One session, with what was said in it
    id: Option<SessionId>,
    /// Of one session: messages after this one
    #[arg(long, value_name = "N", requires = "id")]
    after: Option<i64>,
    #[command(flatten)]
    list: ListArgs,
}

#[derive(Clone, Debug, Subcommand)]
enum Act {
    /// Start a session, or join the live one with the key
    Start {
        /// The agent's profile
        agent: String,
        /// What it is told
        text: String,
        /// What the session is about: one live session has a key
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Whose it is, where the token is of all tenants
        #[arg(long, value_name = "NAME")]
        tenant: Option<String>,
        /// Labels that the runner must have
        #[arg(long, value_name = "LABELS", value_delimiter = ',')]
        labels: Vec<String>,
        /// Where what is said in it is told
        #[arg(long, value_name = "URL")]
        callback_url: Option<String>,
    },
    /// Say something in a live session
    Say {
        /// The session's number
        id: SessionId,
        /// What
        text: String,
    },
    /// End a session, and stop its agent
    Cancel {
        /// The session's number
        id: SessionId,
        /// Why, for the people who look at it later
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
}

pub(super) async fn run(
    args: SessionsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match (args.act, args.id) {
        (Some(act), _) => self::act(act, client, console).await,
        (None, Some(id)) => {
            let after: Vec<_> =
                args.after.iter().map(|after| ("after", after.to_string())).collect();
            let answer = client.get(&["sessions", &id.to_string()], &after).await?;
            console.show(&answer, |session: &SessionDetail, _| detail(session))
        }
        (None, None) => {
            let answer = client.get(&["sessions"], &args.list.query()).await?;
            console.show(&answer, |list: &List<SessionView>, now_ms| {
                page([table(&list.items, now_ms), how_to_go_on("sessions", list)])
            })
        }
    }
}

async fn act(act: Act, client: &Client, console: &mut Console) -> Result<(), CliError> {
    match act {
        Act::Start { agent, text, key, tenant, labels, callback_url } => {
            let body = OpenSession {
                agent,
                message: text,
                key,
                tenant,
                limits: None,
                requirements: SubmitRequirements { labels, ..SubmitRequirements::default() },
                timeout_ms: None,
                callback_url,
            };
            let answer = client.post(&["sessions"], &body).await?;
            console.show(&answer, |opened: &SessionOpened, _| {
                let what = if opened.made { "started" } else { "joined" };
                said(opened.session_id, opened.sequence, what)
            })
        }
        Act::Say { id, text } => {
            let path = ["sessions", &id.to_string(), "messages"];
            let answer = client.post(&path, &SaySession { message: text }).await?;
            console
                .show(&answer, |told: &SessionSaid, _| said(told.session_id, told.sequence, "said"))
        }
        Act::Cancel { id, reason } => {
            let path = ["sessions", &id.to_string(), "cancel"];
            let answer = client.post(&path, &ReasonRequest { reason }).await?;
            console.show(&answer, |session: &SessionView, _| one(session))
        }
    }
}

fn said(id: SessionId, sequence: i64, what: &str) -> String {
    fields([("session", id.to_string()), ("message", sequence.to_string()), ("", what.to_owned())])
}

fn table(sessions: &[SessionView], now_ms: i64) -> String {
    let lines = sessions.iter().map(|session| {
        vec![
            session.id.to_string(),
            visible(&session.key),
            session.agent.clone(),
            session.state.as_str().to_owned(),
            session.spent.turns.to_string(),
            session.last_sequence.to_string(),
            or_dash(session.runner_id),
            age(now_ms, session.active_at_ms),
        ]
    });
    let header = ["SESSION", "KEY", "AGENT", "STATE", "TURNS", "MESSAGES", "RUNNER", "ACTIVE"];
    rows(&header, lines, "no sessions")
}

fn one(session: &SessionView) -> String {
    let spent = session.spent;
    fields([
        ("session", session.id.to_string()),
        ("key", visible(&session.key)),
        ("agent", session.agent.clone()),
        ("state", session.state.as_str().to_owned()),
        ("workload", or_dash(session.workload_id)),
        ("runner", or_dash(session.runner_id)),
        ("turns", spent.turns.to_string()),
        ("tokens", format!("{} in, {} out", spent.input_tokens, spent.output_tokens)),
        ("cost", format!("{} micros", spent.cost_micros)),
        ("started", rfc3339(session.created_at_ms)),
        ("ended", rfc3339_or_dash(session.ended_at_ms)),
        ("reason", or_dash(session.end_reason.as_deref().map(visible))),
    ])
}

fn detail(detail: &SessionDetail) -> String {
    let lines = detail.messages.iter().map(line);
    let messages = rows(&["N", "AT", "FROM", "KIND", "TEXT"], lines, "no messages");
    let more = detail.next_after.map_or_else(String::new, |after| {
        format!("more: dispatchyard sessions {} --after {after}\n", detail.session.id)
    });
    page([one(&detail.session), messages, more])
}

fn line(message: &MessageView) -> Vec<String> {
    let mark = if message.direction == Direction::In { ">" } else { "<" };
    vec![
        message.sequence.to_string(),
        rfc3339(message.at_ms),
        format!("{mark} {}", visible(&message.author)),
        message.kind.as_str().to_owned(),
        visible(&message.text),
    ]
}
