//! `outbox`: what others outside are told, and another try of what was given up.

use clap::{Args, Subcommand};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{page, rows, visible};
use super::time::age;
use crate::api::wire::{List, OutboxView};
use crate::model::OutboxId;

/// Entries that are tried again by one call of `retry --all`, at most.
const RETRIED_MAX: usize = 10_000;

/// Which entries, or what to do with one.
#[derive(Clone, Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct OutboxArgs {
    /// Those that were given up
    #[arg(long, conflicts_with = "waiting")]
    dead: bool,
    /// Those that are still to be told
    #[arg(long)]
    waiting: bool,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(subcommand)]
    verb: Option<OutboxVerb>,
}

/// What to do.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum OutboxVerb {
    /// Try again to tell what was given up
    Retry {
        /// The entry's number
        #[arg(required_unless_present = "all")]
        id: Option<OutboxId>,
        /// All that were given up
        #[arg(long, conflicts_with = "id")]
        all: bool,
    },
}

pub(super) async fn run(
    args: OutboxArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.verb {
        Some(OutboxVerb::Retry { id: Some(id), .. }) => {
            let answer = client.post(&["outbox", &id.to_string(), "retry"], &()).await?;
            console.show(&answer, |entry: &OutboxView, _| sentence(entry))
        }
        Some(OutboxVerb::Retry { id: None, .. }) => retry_all(client, console).await,
        None => {
            let limit = args.limit.to_string();
            let mut query = vec![("limit", limit)];
            if args.dead || args.waiting {
                query.push(("state", if args.dead { "dead" } else { "waiting" }.to_owned()));
            }
            let answer = client.get(&["outbox"], &query).await?;
            console.show(&answer, table)
        }
    }
}

async fn retry_all(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let mut retried = 0;
    while retried < RETRIED_MAX {
        let query = [("state", "dead".to_owned()), ("limit", "100".to_owned())];
        let answer = client.get(&["outbox"], &query).await?;
        let list: List<OutboxView> = answer.read()?;
        if list.items.is_empty() {
            break;
        }
        for entry in list.items {
            client.post(&["outbox", &entry.id.to_string(), "retry"], &()).await?;
            retried += 1;
        }
    }
    console.line(&format!("{retried} entries are tried again"))
}

/// One entry, in words.
fn sentence(entry: &OutboxView) -> String {
    let OutboxView { id, kind, target, what, state, .. } = entry;
    visible(&format!("outbox entry {id} ({what} to {kind} {target}) is {state}"))
}

/// What an entry is about, in one word.
fn about(entry: &OutboxView) -> String {
    match (entry.session_id, entry.workload_id) {
        (Some(id), _) => format!("session {id}"),
        (None, Some(id)) => format!("workload {id}"),
        (None, None) => String::new(),
    }
}

fn table(list: &List<OutboxView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|entry| {
        let next = entry.next_at_ms.map_or(0, |at_ms| (at_ms - now_ms).max(0) / 1_000);
        let state = match (entry.state.as_str(), next) {
            ("waiting", 1..) => format!("waiting ({next} s)"),
            (state, _) => state.to_owned(),
        };
        vec![
            entry.id.to_string(),
            about(entry),
            entry.kind.clone(),
            entry.target.clone(),
            entry.what.clone(),
            state,
            entry.attempts.to_string(),
            age(now_ms, entry.created_at_ms),
            entry.note.clone().unwrap_or_default(),
        ]
    });
    let head = ["ID", "ABOUT", "KIND", "TARGET", "WHAT", "STATE", "TRIES", "AGE", "NOTE"];
    let dead = list.items.iter().find(|entry| entry.state == "dead");
    let hint = dead.map_or_else(String::new, |entry| {
        format!("to try one again: dispatchyard outbox retry {}", entry.id)
    });
    page([rows(&head, lines, "nothing is told to others"), hint])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_shows_to_whom_how_far_and_how_it_is_tried_again() {
        let entry = OutboxView {
            id: OutboxId(7),
            kind: "comments".to_owned(),
            target: "gh acme/app #3".to_owned(),
            what: "ended".to_owned(),
            workload_id: Some(crate::model::WorkloadId(2)),
            session_id: None,
            job_id: None,
            state: "dead".to_owned(),
            attempts: 1,
            created_at_ms: 0,
            next_at_ms: None,
            note: Some("it answered 404".to_owned()),
        };
        let of_session = OutboxView {
            id: OutboxId(9),
            kind: "chat".to_owned(),
            target: "slack C1 1.2".to_owned(),
            what: "reply".to_owned(),
            session_id: Some(crate::model::SessionId(5)),
            state: "sent".to_owned(),
            note: None,
            ..entry.clone()
        };
        let waiting = OutboxView {
            id: OutboxId(8),
            state: "waiting".to_owned(),
            next_at_ms: Some(65_000),
            note: None,
            ..entry.clone()
        };
        let list = List { items: vec![of_session, waiting, entry], next_before: None };
        insta::assert_snapshot!(table(&list, 60_000), @"
        ID  ABOUT       KIND      TARGET          WHAT   STATE          TRIES  AGE  NOTE
        9   session 5   chat      slack C1 1.2    reply  sent           1      60s
        8   workload 2  comments  gh acme/app #3  ended  waiting (5 s)  1      60s
        7   workload 2  comments  gh acme/app #3  ended  dead           1      60s  it answered 404

        to try one again: dispatchyard outbox retry 7
        ");
    }
}
