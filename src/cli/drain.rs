//! `drain`: let runners finish what they have and leave, and perhaps wait for that.

use std::time::Duration;

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::joined;
use super::target::{Target, Wish};
use super::time::span;
use crate::api::wire::{PoolChanged, RunnerView};
use crate::ask::millis;
use crate::model::{RunnerId, RunnerState};

/// How often the server is asked whether a runner has finished.
const INTERVAL: Duration = Duration::from_millis(500);

/// What to drain. Of a pool those runners leave that it has now; `cordon` keeps later ones from
/// taking jobs.
#[derive(Clone, Debug, Args)]
pub struct DrainArgs {
    /// The number of a runner, or pool:NAME
    #[arg(value_name = "RUNNER|pool:NAME")]
    target: Target,
    /// Wait until none of them has a job; the exit code is 1 when one still has
    #[arg(long)]
    wait: bool,
    /// How long to wait: 90s, 10m, 2h
    #[arg(long, requires = "wait", default_value = "10m", value_parser = timeout)]
    timeout: i64,
}

fn timeout(text: &str) -> Result<i64, String> {
    millis(text)
        .filter(|ms| *ms > 0)
        .ok_or_else(|| format!("`{text}` is no time above zero with a unit: 500ms, 90s, 10m, 2h"))
}

pub(super) async fn run(
    args: DrainArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let wish = Wish { cordoned: None, draining: Some(true), reason: None };
    let answer = args.target.patch(client, wish).await?;
    args.target.show(&answer, console)?;
    if !args.wait {
        return Ok(());
    }
    let mut left = match args.target {
        Target::Runner(id) => vec![id],
        Target::Pool(_) => answer.read::<PoolChanged>()?.runners,
    };
    let limit = Duration::from_millis(args.timeout.unsigned_abs());
    if let Ok(done) = tokio::time::timeout(limit, all_finish(client, &mut left)).await {
        done?;
        console.remark("nothing is left to finish");
        return Ok(());
    }
    let busy = still_busy(client, &left).await?;
    if busy.is_empty() {
        console.remark("nothing is left to finish");
        return Ok(());
    }
    Err(CliError::StillBusy { waited: span(args.timeout), runners: busy })
}

/// Waits for one after the other, and takes each that has finished from the list: a request for
/// each, and one for each interval, however many they are.
async fn all_finish(client: &Client, left: &mut Vec<RunnerId>) -> Result<(), CliError> {
    while let Some(&id) = left.last() {
        match jobs_of(client, id).await {
            Ok(None) => drop(left.pop()),
            // The server may be restarting; the time that we wait is limited.
            Err(error) if !error.is_transient() => return Err(error),
            Ok(Some(_)) | Err(_) => tokio::time::sleep(INTERVAL).await,
        }
    }
    Ok(())
}

async fn still_busy(client: &Client, left: &[RunnerId]) -> Result<Vec<String>, CliError> {
    let mut busy = Vec::new();
    for id in left {
        busy.extend(jobs_of(client, *id).await?.map(|what| format!("runner {id} has {what}")));
    }
    Ok(busy)
}

/// What a runner that drains still has. One that has left, or came back as a new process, has
/// nothing of what it was to finish.
async fn jobs_of(client: &Client, id: RunnerId) -> Result<Option<String>, CliError> {
    let runner: RunnerView = match client.get(&["runners", &id.to_string()], &[]).await {
        Ok(answer) => answer.read()?,
        Err(CliError::Refused(problem)) if problem.status == 404 => return Ok(None),
        Err(error) => return Err(error),
    };
    let leaves = !matches!(runner.state, RunnerState::Online | RunnerState::Busy);
    let has = leaves && !runner.jobs.is_empty();
    Ok(has.then(|| format!("job {}", joined(&runner.jobs))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_has_a_unit_and_is_not_zero() {
        assert_eq!(timeout("10m"), Ok(600_000));
        for wrong in ["10", "0s", "soon", "-1s", ""] {
            assert!(timeout(wrong).is_err(), "{wrong}");
        }
    }
}
