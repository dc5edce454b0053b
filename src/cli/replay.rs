//! `replay`: evaluate stored deliveries again, by their ids or all that fit. A provider that repeats a delivery
//! keeps its id, so that ours would take it for a duplicate; this is the way to have it run once more.
//!
//! Each delivery is replayed by a request of its own, oldest first, with a key of the whole run: the run that is
//! repeated with `--key` replays nothing twice.

use clap::Args;
use serde::Serialize;

use super::client::Client;
use super::console::Console;
use super::list::{joined, or_dash};
use super::table::{page, rows};
use super::time::moment;
use super::{CliError, send};
use crate::api::wire::{DeliveryAccepted, DeliveryView, EvaluationView, List, TriggerVerdictView};
use crate::clock::{Clock as _, OsEntropy, SystemClock, uuid_v7};
use crate::model::{DeliveryId, WorkloadId};

/// How many deliveries are asked for at once.
const PAGE_ROWS: usize = 200;

/// What to replay.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// Deliveries, by their ids
    #[arg(value_name = "DELIVERY", conflicts_with = "Which")]
    deliveries: Vec<DeliveryId>,
    #[command(flatten)]
    which: Which,
    /// The most deliveries to replay; more are refused before the first is
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Write nothing: show what each would start now beside what it started then
    #[arg(long)]
    dry_run: bool,
    /// The key of a run that was cut off: what it has replayed is not replayed again
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// All deliveries that fit.
#[derive(Clone, Debug, Default, Args)]
#[group(multiple = true)]
struct Which {
    /// Those in this state: `failed`, `ignored`, `dispatched`
    #[arg(long)]
    state: Option<String>,
    /// Those of this source
    #[arg(long)]
    source: Option<String>,
    /// Those that this trigger wanted
    #[arg(long)]
    trigger: Option<String>,
    /// Those received since then: so long ago (90m, 24h, 7d), or at a time (2026-11-21T08:00:00Z)
    #[arg(long, value_name = "SPAN|TIME")]
    since: Option<String>,
    /// Those received before, written the same way
    #[arg(long, value_name = "SPAN|TIME")]
    until: Option<String>,
}

pub(super) async fn run(
    args: ReplayArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let key = args.key.clone().unwrap_or_else(new_key);
    if let ([id], false) = (args.deliveries.as_slice(), args.dry_run) {
        let answer = again(client, *id, &key).await?;
        return console.show(&answer, |accepted, _| send::accepted(accepted));
    }
    let ids = match args.deliveries.is_empty() {
        true => found(&args, client, console.now_ms()).await?,
        false => args.deliveries.clone(),
    };
    match args.dry_run {
        true => foresee(&ids, client, console).await,
        false => replay_all(&ids, &key, client, console).await,
    }
}

fn new_key() -> String {
    uuid_v7(SystemClock::new().now(), &mut OsEntropy).to_string()
}

async fn again(
    client: &Client,
    id: DeliveryId,
    key: &str,
) -> Result<super::client::Answer, CliError> {
    let path = ["deliveries", &id.to_string(), "replay"];
    client.post_once(&path, &serde_json::json!({}), Some(key)).await
}

/// The deliveries that fit, oldest first. Replays are left out: what they repeat stands for them.
async fn found(
    args: &ReplayArgs,
    client: &Client,
    now_ms: i64,
) -> Result<Vec<DeliveryId>, CliError> {
    let Which { state, source, trigger, since, until } = &args.which;
    if [state, source, trigger, since, until].iter().all(|it| it.is_none()) {
        return Err(CliError::Usage {
            message: "it is not said which deliveries to replay".to_owned(),
            hint: "name some by id, or say for example --state failed --since 24h".to_owned(),
        });
    }
    let since_ms = since.as_ref().map(|text| moment("--since", text, now_ms)).transpose()?;
    let until_ms = until.as_ref().map(|text| moment("--until", text, now_ms)).transpose()?;
    let mut found = Vec::new();
    let mut before: Option<String> = None;
    loop {
        let mut query = vec![("limit", PAGE_ROWS.to_string())];
        query.extend(state.clone().map(|state| ("state", state)));
        query.extend(before.take().map(|id| ("before", id)));
        let list: List<DeliveryView> = client.get(&["deliveries"], &query).await?.read()?;
        let mut is_past = false;
        for delivery in &list.items {
            let at_ms = delivery.received_at_ms;
            is_past |= since_ms.is_some_and(|since_ms| at_ms < since_ms);
            let is_wanted = !is_past
                && until_ms.is_none_or(|until_ms| at_ms < until_ms)
                && source.as_ref().is_none_or(|source| *source == delivery.source)
                && trigger.as_ref().is_none_or(|name| wanted_by(name, &delivery.triggers))
                && delivery.replay_of.is_none();
            if is_wanted {
                found.push(delivery.id);
            }
        }
        if found.len() > args.limit {
            return Err(CliError::Usage {
                message: format!("more than {} deliveries fit, and none was replayed", args.limit),
                hint: "say more closely which, or allow more with --limit".to_owned(),
            });
        }
        match list.next_before {
            Some(next) if !is_past => before = Some(next),
            _ => break,
        }
    }
    found.reverse();
    Ok(found)
}

fn wanted_by(name: &str, verdicts: &[TriggerVerdictView]) -> bool {
    verdicts.iter().any(|it| it.matched && it.trigger == name)
}

/// What became of one delivery of many.
#[derive(Serialize)]
struct Replayed {
    delivery_id: DeliveryId,
    /// The new delivery, or why there is none.
    replayed_as: Option<DeliveryId>,
    state: Option<String>,
    workloads: Vec<WorkloadId>,
    error: Option<String>,
}

async fn replay_all(
    ids: &[DeliveryId],
    key: &str,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let mut all = Vec::with_capacity(ids.len());
    let mut broken_off = None;
    for id in ids {
        let replayed = match again(client, *id, key).await {
            Ok(answer) => answer.read::<DeliveryAccepted>().map(|accepted| Replayed {
                delivery_id: *id,
                replayed_as: Some(accepted.delivery_id),
                state: Some(accepted.state),
                workloads: accepted.workloads,
                error: None,
            })?,
            // This one cannot be replayed; that says nothing about the others.
            Err(CliError::Refused(problem)) if matches!(problem.status, 404 | 409) => Replayed {
                delivery_id: *id,
                replayed_as: None,
                state: None,
                workloads: Vec::new(),
                error: Some(problem.detail),
            },
            Err(error) => {
                broken_off = Some(error);
                break;
            }
        };
        all.push(replayed);
    }
    console.report(&all, |all| {
        let lines = all.iter().map(|it| {
            vec![
                it.delivery_id.to_string(),
                or_dash(it.replayed_as),
                it.state.clone().or_else(|| it.error.clone()).unwrap_or_default(),
                joined(&it.workloads),
            ]
        });
        rows(&["DELIVERY", "REPLAYED AS", "STATE", "WORKLOADS"], lines, "no deliveries")
    })?;
    if let Some(error) = broken_off {
        let left = ids.len() - all.len();
        console.remark(&format!("{left} are left; the same command with --key {key} goes on"));
        return Err(error);
    }
    let refused = all.iter().filter(|it| it.error.is_some()).count();
    match refused {
        0 => Ok(()),
        refused => Err(CliError::NotReplayed { refused, of: all.len() }),
    }
}

/// What one delivery started, and what it would start now.
#[derive(Serialize)]
struct Foreseen {
    delivery_id: DeliveryId,
    event: String,
    then: Outcome,
    /// `None` where it cannot be replayed.
    now: Option<Outcome>,
    error: Option<String>,
    /// What might start something too and was not looked at.
    left_out: Option<String>,
    differs: bool,
}

/// A state, and the triggers that wanted it.
#[derive(PartialEq, Eq, Serialize)]
struct Outcome {
    state: String,
    triggers: Vec<String>,
}

impl Outcome {
    fn new(state: String, verdicts: &[TriggerVerdictView]) -> Self {
        let wanted = verdicts.iter().filter(|it| it.matched).map(|it| it.trigger.clone());
        Self { state, triggers: wanted.collect() }
    }

    fn text(&self) -> String {
        match self.triggers.is_empty() {
            true => self.state.clone(),
            false => format!("{}: {}", self.state, self.triggers.join(", ")),
        }
    }
}

async fn foresee(
    ids: &[DeliveryId],
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let mut all = Vec::with_capacity(ids.len());
    for id in ids {
        let name = id.to_string();
        let then: DeliveryView = client.get(&["deliveries", &name], &[]).await?.read()?;
        let mut left_out = None;
        let (now, error) = match client.get(&["deliveries", &name, "evaluation"], &[]).await {
            Ok(answer) => {
                let view: EvaluationView = answer.read()?;
                left_out = view.left_out;
                (Some(Outcome::new(view.state, &view.triggers)), None)
            }
            Err(CliError::Refused(problem)) if problem.status == 409 => {
                (None, Some(problem.detail))
            }
            Err(error) => return Err(error),
        };
        let event = super::deliveries::kind(&then);
        let then = Outcome::new(then.state, &then.triggers);
        let differs = now.as_ref().is_some_and(|now| *now != then);
        all.push(Foreseen { delivery_id: *id, event, then, now, error, left_out, differs });
    }
    console.report(&all, |all| {
        let lines = all.iter().map(|it| {
            let now = it.now.as_ref().map(Outcome::text);
            vec![
                it.delivery_id.to_string(),
                it.event.clone(),
                it.then.text(),
                now.or_else(|| it.error.clone()).unwrap_or_default(),
                match (&it.left_out, it.differs) {
                    (Some(left_out), true) => format!("may differ: {left_out}"),
                    (Some(left_out), false) => left_out.clone(),
                    (None, true) => "differs".to_owned(),
                    (None, false) => String::new(),
                },
            ]
        });
        let header = ["DELIVERY", "EVENT", "THEN", "NOW", ""];
        let differ = all.iter().filter(|it| it.differs && it.left_out.is_none()).count();
        let sum = format!("{differ} of {} differ; nothing was written", all.len());
        page([rows(&header, lines, "no deliveries"), sum])
    })
}
