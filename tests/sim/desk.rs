//! The rows of deliveries, written from the meaning of each change: where each stands, and what it waits for.

use std::collections::BTreeMap;

use dispatchyard::model::{Approval, Change, Delivery, DeliveryId, DeliveryState, WorkloadId};

/// A delivery, as far as whoever takes it up again asks.
#[derive(Clone, Debug)]
pub(crate) struct Paper {
    pub(crate) state: DeliveryState,
    pub(crate) approval: Option<Approval>,
    pub(crate) started: Vec<WorkloadId>,
}

#[derive(Clone, Default)]
pub(crate) struct Desk {
    pub(crate) papers: BTreeMap<DeliveryId, Paper>,
}

impl Desk {
    pub(crate) fn apply(&mut self, change: &Change) {
        match change {
            Change::DeliveryInserted(row) => {
                assert!(self.papers.insert(row.id, paper(row)).is_none(), "{} is new", row.id);
            }
            Change::DeliveryDecided(row) => {
                let known = self.papers.insert(row.id, paper(row)).expect("it was accepted");
                let waited =
                    matches!(known.state, DeliveryState::Accepted | DeliveryState::Planning);
                assert!(waited, "{} was decided before: {known:?}", row.id);
            }
            Change::DeliveryAnswered(answered) => {
                let row = self.papers.get_mut(&answered.id).expect("it is there");
                assert_eq!(row.state, DeliveryState::Held, "{} waits for nothing", answered.id);
                row.state = answered.state;
                row.approval = Some(answered.approval.clone());
            }
            Change::Pruned(rows) => self.papers.retain(|id, _| !rows.deliveries.contains(id)),
            _ => {}
        }
    }

    /// Those that wait for an approval, as a load reads them.
    pub(crate) fn held(&self) -> Vec<(DeliveryId, Approval)> {
        let held = self.papers.iter().filter(|(_, row)| row.state == DeliveryState::Held);
        held.map(|(id, row)| (*id, row.approval.clone().expect("it says what"))).collect()
    }

    /// Those in a state.
    pub(crate) fn which(&self, state: DeliveryState) -> Vec<DeliveryId> {
        let all = self.papers.iter().filter(|(_, row)| row.state == state);
        all.map(|(id, _)| *id).collect()
    }
}

fn paper(row: &Delivery) -> Paper {
    let started = row.verdicts.iter().filter_map(|verdict| verdict.workload_id).collect();
    Paper { state: row.state, approval: row.approval.as_deref().cloned(), started }
}
