//! `try config`: what stored deliveries would start under another configuration, and what of it
//! differs from what they started.
//!
//! The server is only read from. Asked are the events as they were stored: what a source of the
//! other configuration would understand differently does not show. A delivery that was never
//! decided, or that somebody started by hand, says nothing about triggers and is counted apart.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use super::super::CliError;
use super::super::client::Client;
use super::super::console::Console;
use super::super::table::{page, rows};
use crate::api::wire::{DeliveryView, List, TriggerVerdictView};
use crate::app::dry::{Dry, Tried};
use crate::config::{Config, environment};
use crate::model::DeliveryId;

/// The most deliveries that are asked for at once.
const PAGE: usize = 200;

/// Which configuration, and how much it is tried on.
#[derive(Clone, Debug, Args)]
pub struct TryConfigArgs {
    /// The other configuration's file
    new: PathBuf,
    /// How many deliveries, the newest ones
    #[arg(long, value_name = "N", default_value_t = 100)]
    last: usize,
}

/// What would be otherwise.
#[derive(Debug, Default, Serialize)]
struct Compared {
    /// Deliveries that were asked.
    deliveries: usize,
    /// Those that had nothing to ask: not understood, not decided yet, started by hand.
    left_out: usize,
    /// Those of which something differs.
    differing: usize,
    /// Each trigger of each delivery that says otherwise.
    differences: Vec<Difference>,
}

/// One trigger that says otherwise of one delivery.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Difference {
    delivery: DeliveryId,
    /// The event's kind, with its action.
    event: String,
    trigger: String,
    then: Said,
    now: Said,
}

/// What a trigger says.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Said {
    matched: bool,
    /// `None` where there is no such trigger.
    why: Option<String>,
}

pub(super) async fn run(
    args: &TryConfigArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let dry = Dry::new(&Config::load(&args.new, environment())?)?;
    let mut compared = Compared::default();
    let (mut left, mut before) = (args.last, None);
    while left > 0 {
        let mut query = vec![("limit", left.min(PAGE).to_string())];
        query.extend(before.take().map(|id| ("before", id)));
        let list: List<DeliveryView> = client.get(&["deliveries"], &query).await?.read()?;
        if list.items.is_empty() {
            break;
        }
        left = left.saturating_sub(list.items.len());
        for delivery in list.items {
            match now(&dry, &delivery, client).await? {
                Some(now) => compared.add(&delivery, &now),
                None => compared.left_out += 1,
            }
        }
        before = list.next_before;
        if before.is_none() {
            break;
        }
    }
    console.report(&compared, table)
}

/// What the other configuration says of a delivery; `None` when it cannot be asked.
async fn now(
    dry: &Dry,
    delivery: &DeliveryView,
    client: &Client,
) -> Result<Option<Tried>, CliError> {
    let is_decided = matches!(delivery.state.as_str(), "dispatched" | "ignored");
    let by_hand = delivery.triggers.iter().any(|verdict| verdict.trigger.is_empty());
    if !is_decided || by_hand {
        return Ok(None);
    }
    let path = ["deliveries", &delivery.id.to_string(), "event"];
    let event = match client.get(&path, &[]).await {
        // A ping, and what was pruned meanwhile.
        Err(CliError::Refused(problem)) if problem.status == 404 => return Ok(None),
        event => event?.text,
    };
    let tried = dry.try_stored(&event, delivery.received_at_ms);
    tried.map(Some).map_err(|source| CliError::NotUnderstood { server: client.server(), source })
}

impl Compared {
    fn add(&mut self, delivery: &DeliveryView, now: &Tried) {
        self.deliveries += 1;
        let mut found = differences(delivery, &now.triggers);
        // Files of repositories are not looked at, so nothing is known of them.
        found.retain(|it| !now.left_out(&it.trigger));
        self.differing += usize::from(!found.is_empty());
        self.differences.extend(found);
    }
}

/// The triggers of both that do not agree: whether something is started, not why.
fn differences(delivery: &DeliveryView, now: &[TriggerVerdictView]) -> Vec<Difference> {
    let said = |verdicts: &[TriggerVerdictView], name: &str| {
        let verdict = verdicts.iter().find(|verdict| verdict.trigger == name);
        let why = verdict.map(|verdict| verdict.why.clone());
        Said { matched: verdict.is_some_and(|verdict| verdict.matched), why }
    };
    let then = &delivery.triggers;
    let gone = then.iter().filter(|it| now.iter().all(|known| known.trigger != it.trigger));
    let action = delivery.action.as_ref().map(|action| format!(" {action}"));
    let event = format!("{}{}", delivery.event, action.unwrap_or_default());
    let all = now.iter().chain(gone).map(|verdict| &verdict.trigger);
    let all = all.map(|trigger| Difference {
        delivery: delivery.id,
        event: event.clone(),
        trigger: trigger.clone(),
        then: said(then, trigger),
        now: said(now, trigger),
    });
    all.filter(|it| it.then.matched != it.now.matched).collect()
}

fn table(compared: &Compared) -> String {
    let Compared { deliveries, left_out, differing, differences } = compared;
    let said = |said: &Said| {
        let matched = if said.matched { "yes" } else { "no" };
        format!("{matched}: {}", said.why.as_deref().unwrap_or("there is no such trigger"))
    };
    let lines = differences.iter().map(|it| {
        let (delivery, event, trigger) =
            (it.delivery.to_string(), it.event.clone(), it.trigger.clone());
        vec![delivery, event, trigger, said(&it.then), said(&it.now)]
    });
    let header = ["DELIVERY", "EVENT", "TRIGGER", "THEN", "NOW"];
    let count = format!("{differing} of {deliveries} deliveries would start something else");
    let rest = match left_out {
        0 => String::new(),
        many => format!("{many} more could not be asked: no event, not decided, or by hand"),
    };
    page([rows(&header, lines, ""), [count, rest].join("\n").trim_end().to_owned()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Trust;

    fn verdict(trigger: &str, matched: bool, why: &str) -> TriggerVerdictView {
        TriggerVerdictView { trigger: trigger.into(), matched, why: why.into(), workload_id: None }
    }

    #[test]
    fn triggers_that_start_something_else_are_told_with_both_reasons() {
        let delivery = DeliveryView {
            approval: None,
            id: DeliveryId(uuid::Uuid::from_u128(7)),
            source: "github".to_owned(),
            external_id: None,
            event: "pull_request".to_owned(),
            action: Some("opened".to_owned()),
            state: "dispatched".to_owned(),
            reason: None,
            trust: Trust::default(),
            replay_of: None,
            received_at_ms: 0,
            body_bytes: 0,
            triggers: vec![
                verdict("ci", true, "no filter refuses it"),
                verdict("docs", false, "none of 2 changed files matches paths"),
                verdict("old", true, "no filter refuses it"),
                verdict("older", false, "event `pull_request` is not wanted"),
                verdict(".ci/a.yml", true, "of a repository: nothing is known of it here"),
            ],
        };
        let now = Tried {
            triggers: vec![
                verdict("ci", true, "base branch `main` matches `main` of branches"),
                verdict("docs", true, "changed file `docs/a` is wanted"),
                verdict("new", true, "no filter refuses it"),
                verdict("newer", false, "event `pull_request` is not wanted"),
            ],
            ignored: None,
            left_out: Some("files were not looked at".to_owned()),
            folder: Some(".ci".to_owned()),
            workloads: Vec::new(),
        };
        let mut compared = Compared { left_out: 2, ..Compared::default() };
        compared.add(&delivery, &now);
        compared.add(&DeliveryView { triggers: now.triggers.clone(), ..delivery }, &now);
        insta::assert_snapshot!(table(&compared), @"
        DELIVERY                              EVENT                TRIGGER  THEN                                       NOW
        00000000-0000-0000-0000-000000000007  pull_request opened  docs     no: none of 2 changed files matches paths  yes: changed file `docs/a` is wanted
        00000000-0000-0000-0000-000000000007  pull_request opened  new      no: there is no such trigger               yes: no filter refuses it
        00000000-0000-0000-0000-000000000007  pull_request opened  old      yes: no filter refuses it                  no: there is no such trigger

        1 of 2 deliveries would start something else
        2 more could not be asked: no event, not decided, or by hand
        ");
    }
}
