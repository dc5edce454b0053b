//! `pools`: how large each pool is, and how large it should be; `pools reset NAME`: runners of one are started
//! again before its time.

use clap::{Args, Subcommand};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{rows, visible};
use super::time::span;
use crate::api::wire::{List, PoolScaleView};

/// What to do with pools.
#[derive(Clone, Debug, Args)]
pub struct PoolsArgs {
    #[command(subcommand)]
    verb: Option<PoolsVerb>,
}

/// What to do with one.
#[derive(Clone, Debug, Subcommand)]
enum PoolsVerb {
    /// Start runners of a warm pool again, before its time, where starts have failed
    Reset {
        /// The pool's name
        name: String,
    },
}

pub(super) async fn run(
    args: PoolsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.verb {
        None => {
            let answer = client.get(&["pools"], &[]).await?;
            console.show(&answer, table)
        }
        Some(PoolsVerb::Reset { name }) => {
            let answer = client.post(&["pools", &name, "reset"], &()).await?;
            console.show(&answer, |pool: &PoolScaleView, _| {
                format!("runners of {} are started again", visible(&pool.pool))
            })
        }
    }
}

fn table(list: &List<PoolScaleView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|pool| {
        let (warm, trouble) = match &pool.warm {
            None => ("-".to_owned(), String::new()),
            Some(warm) => (
                format!("{} of {} by {}", warm.min_idle, warm.max, warm.provisioner),
                match (&warm.why, warm.held_until_ms) {
                    (Some(why), Some(at_ms)) if at_ms > now_ms => {
                        format!("{}; again in {}", visible(why), span(at_ms - now_ms))
                    }
                    (Some(why), _) => visible(why),
                    (None, _) => String::new(),
                },
            ),
        };
        let oldest = (pool.oldest_waiting_seconds * 1_000.0) as i64;
        vec![
            pool.pool.clone(),
            pool.waiting.to_string(),
            match oldest {
                0 => "-".to_owned(),
                ms => span(ms),
            },
            pool.running.to_string(),
            format!("{} ({} idle, {} starting)", pool.runners, pool.idle, pool.starting),
            pool.desired.to_string(),
            warm,
            trouble,
        ]
    });
    let header =
        ["POOL", "WAITING", "OLDEST", "RUNNING", "RUNNERS", "DESIRED", "STAND BY", "TROUBLE"];
    rows(&header, lines, "there are no pools")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::WarmPoolView;

    #[test]
    fn a_pool_that_cannot_start_runners_says_why_and_when_it_tries_again() {
        let warm = WarmPoolView {
            provisioner: "local".to_owned(),
            min_idle: 2,
            max: 5,
            failures: 3,
            why: Some("no such\nfile".to_owned()),
            held_until_ms: Some(9_000),
        };
        let pool = PoolScaleView {
            pool: "linux".to_owned(),
            waiting: 4,
            running: 1,
            runners: 2,
            idle: 1,
            starting: 1,
            desired: 5,
            oldest_waiting_seconds: 61.0,
            warm: Some(warm),
        };
        let plain = PoolScaleView { pool: "default".to_owned(), warm: None, ..pool.clone() };
        let list = List { items: vec![pool, plain], next_before: None };
        insta::assert_snapshot!(table(&list, 4_000), @r"
        POOL     WAITING  OLDEST  RUNNING  RUNNERS                 DESIRED  STAND BY         TROUBLE
        linux    4        61s     1        2 (1 idle, 1 starting)  5        2 of 5 by local  no such file; again in 5s
        default  4        61s     1        2 (1 idle, 1 starting)  5        -
        ");
    }
}
