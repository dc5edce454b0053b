//! `executors`: those that jobs are pushed to, and whether they can be reached; `executors reset NAME`:
//! jobs go to one again before its time.

use clap::{Args, Subcommand};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{rows, visible};
use super::time::{precise, span};
use crate::api::wire::{ExecutorView, List};

/// What to do with executors.
#[derive(Clone, Debug, Args)]
pub struct ExecutorsArgs {
    #[command(subcommand)]
    verb: Option<ExecutorsVerb>,
}

/// What to do with one.
#[derive(Clone, Debug, Subcommand)]
enum ExecutorsVerb {
    /// Let jobs go to an executor again, before its time
    Reset {
        /// The executor's name
        name: String,
    },
}

pub(super) async fn run(
    args: ExecutorsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.verb {
        None => {
            let answer = client.get(&["executors"], &[]).await?;
            console.show(&answer, table)
        }
        Some(ExecutorsVerb::Reset { name }) => {
            let answer = client.post(&["executors", &name, "reset"], &()).await?;
            console.show(&answer, |view: &ExecutorView, _| {
                format!("jobs go to {} again", visible(&view.name))
            })
        }
    }
}

fn table(list: &List<ExecutorView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|it| {
        let breaker = match it.open_until_ms {
            None => it.breaker.clone(),
            Some(at_ms) => format!("{} for {}", it.breaker, span((at_ms - now_ms).max(0))),
        };
        vec![
            it.name.clone(),
            it.pool.clone(),
            breaker,
            format!("{} of {}", it.attempts, it.attempts_max),
            it.total_executed.to_string(),
            it.total_failed.to_string(),
            precise(it.average_duration_ms as u64),
            visible(it.why.as_deref().unwrap_or("-")),
        ]
    });
    let header = ["EXECUTOR", "POOL", "BREAKER", "JOBS", "ENDED", "FAILED", "AVERAGE", "WHY"];
    rows(&header, lines, "jobs are pushed nowhere: runners that poll take all of them")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_executor_that_is_away_says_until_when_and_why() {
        let cloud = ExecutorView {
            name: "cloud".to_owned(),
            pool: "default".to_owned(),
            breaker: "open".to_owned(),
            open_until_ms: Some(9_000),
            why: Some("connection\nrefused".to_owned()),
            attempts: 1,
            attempts_max: 10,
            total_executed: 7,
            total_failed: 2,
            average_duration_ms: 1_500.0,
        };
        let list = List { items: vec![cloud], next_before: None };
        insta::assert_snapshot!(table(&list, 4_000), @r"
        EXECUTOR  POOL     BREAKER      JOBS     ENDED  FAILED  AVERAGE  WHY
        cloud     default  open for 5s  1 of 10  7      2       1.5s     connection refused
        ");
    }
}
