//! What becomes of a delivery: its event, asked of the present triggers.
//!
//! Guarded against panics: a fault of ours makes one delivery fail, which can be replayed.

use std::panic::AssertUnwindSafe;

use super::state::{AppState, Rulebook};
use crate::event::Event;
use crate::intake::{Arrival, Evaluation, Outcome, evaluate};
use crate::model::{About, DeliveryState, Plan, PlannedWorkload, TenantId, TriggerVerdict};

/// What a delivery says.
#[derive(Debug)]
pub(super) enum Content {
    /// An event for the triggers.
    Event(Box<Event>),
    /// An event, with what it starts already decided.
    Planned(Box<Event>, Plan),
    /// Nothing to start, and why.
    Nothing(String),
    /// It could not be understood.
    Broken(String),
}

/// What becomes of a delivery.
pub(super) struct Decision {
    pub(super) event: Option<Box<Event>>,
    pub(super) verdicts: Vec<TriggerVerdict>,
    pub(super) plan: Plan,
    pub(super) delivery_state: DeliveryState,
    pub(super) reason: Option<String>,
    /// What the event is about, by which it takes the place of an older one that waits for approval.
    pub(super) about: Option<About>,
}

/// Whose a delivery is, and whose triggers it may reach.
#[derive(Clone, Copy)]
pub(super) struct Whose {
    pub(super) tenant_id: TenantId,
    pub(super) limited_to: Option<TenantId>,
}

/// Asks the triggers what a delivery starts.
pub(super) fn decide(
    state: &AppState,
    content: Content,
    whose: Whose,
    arrival: Arrival<'_>,
) -> Decision {
    let nothing = |event, delivery_state, reason| Decision {
        event,
        verdicts: Vec::new(),
        plan: Plan::default(),
        delivery_state,
        reason: Some(reason),
        about: None,
    };
    let rulebook = state.rulebook();
    match content {
        Content::Nothing(why) => nothing(None, DeliveryState::Ignored, why),
        Content::Broken(why) => nothing(None, DeliveryState::Failed, why),
        Content::Planned(event, mut plan) => {
            charge(&rulebook, whose, &mut plan);
            Decision {
                event: Some(event),
                verdicts: plan.workloads.iter().map(by_hand).collect(),
                plan,
                delivery_state: DeliveryState::Dispatched,
                reason: None,
                about: None,
            }
        }
        Content::Event(event) => {
            let evaluated = std::panic::catch_unwind(AssertUnwindSafe(|| {
                if let Some(probe) = &state.evaluate_probe {
                    probe(&event);
                }
                evaluate(&event, &rulebook.rules, arrival)
            }));
            let Ok(Evaluation { mut verdicts, outcome, left_out }) = evaluated else {
                tracing::error!(event = event.kind.as_str(), "a fault while evaluating an event");
                let why = "a fault in the server while its triggers were asked; replay it once \
                           that is mended";
                return nothing(Some(event), DeliveryState::Failed, why.to_owned());
            };
            let all = verdicts.len();
            verdicts.retain(|verdict| rulebook.knows_trigger(whose.limited_to, &verdict.trigger));
            let nobodys = (verdicts.len() < all).then_some("no trigger of its tenant wants it");
            let (plan, delivery_state, reason) = match outcome {
                Outcome::Plan(mut plan) => {
                    charge(&rulebook, whose, &mut plan);
                    match plan.workloads.is_empty() {
                        false => (plan, DeliveryState::Dispatched, left_out),
                        true => (plan, DeliveryState::Ignored, nobodys.map(str::to_owned)),
                    }
                }
                Outcome::Ignored(why) => {
                    let why = nobodys.map_or(why, str::to_owned);
                    (Plan::default(), DeliveryState::Ignored, Some(why))
                }
                Outcome::Needs(needs) => {
                    let why = format!("waits for {needs}");
                    (Plan::default(), DeliveryState::Planning, Some(why))
                }
                // Whose triggers it may reach its row does not say, so it cannot wait.
                Outcome::Held(why) if whose.limited_to.is_some() => {
                    let why =
                        format!("{why}; what is sent for one tenant alone cannot wait for that");
                    (Plan::default(), DeliveryState::Failed, Some(why))
                }
                Outcome::Held(why) => (Plan::default(), DeliveryState::Held, Some(why)),
                Outcome::Failed(why) => {
                    tracing::warn!(
                        event = event.kind.as_str(),
                        why,
                        "a workflow cannot be planned"
                    );
                    (Plan::default(), DeliveryState::Failed, Some(why))
                }
            };
            let about = event.about();
            Decision { event: Some(event), verdicts, plan, delivery_state, reason, about }
        }
    }
}

/// Says whose each workload is: its trigger's tenant's, or the delivery's. Triggers that the
/// delivery may not reach start nothing.
fn charge(rulebook: &Rulebook, whose: Whose, plan: &mut Plan) {
    plan.workloads.retain(|it| rulebook.knows_trigger(whose.limited_to, &it.trigger));
    for workload in &mut plan.workloads {
        let own = rulebook.trigger_tenants.get(&workload.trigger);
        workload.tenant_id = own.copied().unwrap_or(whose.tenant_id);
    }
}

fn by_hand(workload: &PlannedWorkload) -> TriggerVerdict {
    TriggerVerdict {
        trigger: workload.trigger.clone(),
        matched: true,
        why: format!("{} was started by hand", workload.name),
        workload_id: None,
    }
}
