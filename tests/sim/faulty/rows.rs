//! Faults in what is written and in what is read.

use std::collections::BTreeMap;

use dispatchyard::model::{Change, JobStateKind, RunnerId, Snapshot};

use super::{Core, Fault};

/// Tampers with what a load reads; the cordons that it keeps from the scheduler.
pub(super) fn read(fault: Option<Fault>, snapshot: &mut Snapshot) -> BTreeMap<RunnerId, Box<str>> {
    let jobs = snapshot.jobs.iter_mut();
    match fault {
        Some(Fault::TokensAgain) => snapshot.epoch = 1,
        Some(Fault::LoadForgetsTime) => jobs.for_each(|job| job.not_before_ms = 0),
        Some(Fault::LoadForgetsRetries) => jobs.for_each(|job| job.retry_count = 0),
        Some(Fault::LoadForgetsCancels) => {
            jobs.for_each(|job| job.extras.edit(|extras| extras.cancel_requested_at_ms = None));
        }
        Some(Fault::LoadForgetsAvoided) => {
            jobs.for_each(|job| job.extras.edit(|extras| extras.avoid_runner_id = None));
        }
        Some(Fault::CordonIgnored) => {
            let runners = snapshot.runners.iter_mut();
            return runners.filter_map(|row| Some((row.id, row.cordoned.take()?))).collect();
        }
        _ => {}
    }
    BTreeMap::new()
}

impl Core {
    /// Tampers with what is written.
    pub(super) fn tamper_with_changes(&mut self, changes: &mut Vec<Change>) {
        match self.fault {
            Some(Fault::RowLost) => changes.retain(|change| {
                let starts = |kind| kind == JobStateKind::Running;
                !matches!(change, Change::JobUpdated(job) if starts(job.kind()))
            }),
            Some(Fault::EndedTwice) => {
                let ends = changes.iter().filter(|it| matches!(it, Change::AttemptEnded(_)));
                changes.extend(ends.cloned().collect::<Vec<_>>());
            }
            Some(Fault::UnitTwice) => {
                for change in changes {
                    let Change::JobUpdated(job) = change else { continue };
                    job.extras.edit(|extras| {
                        let units = extras.units.iter_mut().flat_map(|units| units.0.values_mut());
                        units.flatten().for_each(|index| *index = 0);
                    });
                }
            }
            Some(Fault::KeyPrunedWithBody) => {
                for change in changes {
                    let Change::Pruned(rows) = change else { continue };
                    let keys = rows.bodies.iter().map(|id| crate::world::key_of(id.0.as_u128()));
                    rows.keys.extend(keys);
                }
            }
            Some(Fault::CordonIgnored) => {
                for change in changes {
                    if let Change::RunnerUpdated(row) = change {
                        row.cordoned = self.cordons.get(&row.id).cloned();
                    }
                    if let Change::RunnerRemoved(id) = change {
                        self.cordons.remove(id);
                    }
                }
            }
            _ => {}
        }
    }
}
