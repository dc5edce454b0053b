//! `deliveries`: what came in, and what each trigger said about it.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::list::{ListArgs, how_to_go_on, joined, name_of, or_dash};
use super::table::{fields, page, rows};
use super::time::{age, rfc3339};
use super::{CliError, list};
use crate::api::wire::{ApprovalView, DeliveryView, List, TriggerVerdictView};
use crate::model::DeliveryId;

/// Which deliveries.
#[derive(Clone, Debug, Args)]
pub struct DeliveriesArgs {
    /// One delivery, with what each trigger said
    id: Option<DeliveryId>,
    #[command(flatten)]
    list: ListArgs,
}

pub(super) async fn run(
    args: DeliveriesArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.id {
        Some(id) => {
            let answer = client.get(&["deliveries", &id.to_string()], &[]).await?;
            console.show(&answer, |delivery, _| one(delivery))
        }
        None => {
            let answer = client.get(&["deliveries"], &args.list.query()).await?;
            console.show(&answer, many)
        }
    }
}

fn many(list: &List<DeliveryView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|delivery| {
        vec![
            delivery.id.to_string(),
            delivery.source.clone(),
            kind(delivery),
            delivery.state.clone(),
            joined(started(&delivery.triggers)),
            age(now_ms, delivery.received_at_ms),
            // Of the others it is in the detail; a failure, or a wait, is what somebody looks for.
            delivery.reason.clone().filter(|_| is_looked_for(delivery)).unwrap_or_default(),
        ]
    });
    let header = ["DELIVERY", "SOURCE", "EVENT", "STATE", "WORKLOADS", "AGE", "ERROR"];
    page([rows(&header, lines, "no deliveries"), how_to_go_on("deliveries", list)])
}

/// One delivery, with what each trigger said.
pub(super) fn one(delivery: &DeliveryView) -> String {
    let about = fields([
        ("delivery", delivery.id.to_string()),
        ("source", delivery.source.clone()),
        ("provider's id", or_dash(delivery.external_id.as_ref())),
        ("event", kind(delivery)),
        ("state", delivery.state.clone()),
        ("reason", or_dash(delivery.reason.as_ref())),
        ("trust", format!("{}: {}", name_of(delivery.trust.level), delivery.trust.reason)),
        ("approval", or_dash(delivery.approval.as_ref().map(approval))),
        ("replay of", or_dash(delivery.replay_of)),
        ("received", rfc3339(delivery.received_at_ms)),
        ("body", format!("{} bytes", delivery.body_bytes)),
    ]);
    page([about, verdicts(&delivery.triggers)])
}

fn is_looked_for(delivery: &DeliveryView) -> bool {
    matches!(&*delivery.state, "failed" | "planning" | "held")
}

fn approval(approval: &ApprovalView) -> String {
    let at = approval.sha.as_ref().map(|sha| format!(" of {sha}")).unwrap_or_default();
    match &approval.by {
        Some(by) => format!("by {by}{at}"),
        None => format!("nobody's yet{at}"),
    }
}

/// The event with its action.
pub(super) fn kind(delivery: &DeliveryView) -> String {
    let action = delivery.action.as_ref().map(|action| format!(" {action}"));
    format!("{}{}", delivery.event, action.unwrap_or_default())
}

/// What each trigger said; nothing when none was asked.
pub(super) fn verdicts(triggers: &[TriggerVerdictView]) -> String {
    let lines = triggers.iter().map(|verdict| {
        vec![
            verdict.trigger.clone(),
            if verdict.matched { "yes" } else { "no" }.to_owned(),
            list::or_dash(verdict.workload_id),
            verdict.why.clone(),
        ]
    });
    rows(&["TRIGGER", "MATCHED", "WORKLOAD", "WHY"], lines, "")
}

fn started(triggers: &[TriggerVerdictView]) -> impl Iterator<Item = crate::model::WorkloadId> {
    triggers.iter().filter_map(|verdict| verdict.workload_id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Trust, TrustLevel, WorkloadId};

    fn delivery() -> DeliveryView {
        DeliveryView {
            id: DeliveryId(uuid::Uuid::from_u128(7)),
            source: "github".to_owned(),
            external_id: Some("72d3162e".to_owned()),
            event: "pull_request".to_owned(),
            action: Some("opened".to_owned()),
            state: "dispatched".to_owned(),
            reason: None,
            trust: Trust::new(TrustLevel::Untrusted, "a fork"),
            approval: None,
            replay_of: None,
            received_at_ms: 1_763_712_000_000,
            body_bytes: 7_000,
            triggers: vec![
                TriggerVerdictView {
                    trigger: "ci".to_owned(),
                    matched: true,
                    why: "pull_request opened".to_owned(),
                    workload_id: Some(WorkloadId(12)),
                },
                TriggerVerdictView {
                    trigger: "docs".to_owned(),
                    matched: false,
                    why: "no changed file matches paths".to_owned(),
                    workload_id: None,
                },
            ],
        }
    }

    #[test]
    fn a_list_shows_what_was_started_and_how_to_go_on() {
        let list = List { items: vec![delivery()], next_before: Some("0007".to_owned()) };
        insta::assert_snapshot!(many(&list, 1_763_712_090_000), @r#"
        DELIVERY                              SOURCE  EVENT                STATE       WORKLOADS  AGE  ERROR
        00000000-0000-0000-0000-000000000007  github  pull_request opened  dispatched  12         90s

        older: dispatchyard deliveries --before 0007
        "#);
    }

    #[test]
    fn one_delivery_shows_what_each_trigger_said() {
        insta::assert_snapshot!(one(&delivery()), @r#"
        delivery       00000000-0000-0000-0000-000000000007
        source         github
        provider's id  72d3162e
        event          pull_request opened
        state          dispatched
        reason         -
        trust          untrusted: a fork
        approval       -
        replay of      -
        received       2025-11-21T08:00:00Z
        body           7000 bytes

        TRIGGER  MATCHED  WORKLOAD  WHY
        ci       yes      12        pull_request opened
        docs     no       -         no changed file matches paths
        "#);
    }
}
