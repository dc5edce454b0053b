//! Classes: the interned requirements of live jobs.

use std::collections::BTreeSet;

use rustc_hash::FxHashMap;

use super::scheduler::Scheduler;
use crate::model::{Change, Class, ClassId, RunnerRequirements};
use crate::queue::Demand;

/// Interned requirements of live jobs.
#[derive(Clone, Debug, Default)]
pub(super) struct Classes {
    by_requirements: FxHashMap<RunnerRequirements, ClassId>,
    /// How many live jobs a class has.
    jobs: FxHashMap<ClassId, usize>,
}

impl Classes {
    /// The class of these requirements, if jobs that live have them.
    pub(super) fn known(&self, requirements: &RunnerRequirements) -> Option<ClassId> {
        self.by_requirements.get(requirements).copied()
    }
}

impl Scheduler {
    /// The class of these requirements, made if it is new.
    pub(super) fn intern(&mut self, requirements: &RunnerRequirements) -> ClassId {
        let id = match self.classes.by_requirements.get(requirements) {
            Some(&id) => id,
            None => {
                let id = ClassId(self.marks.next_class);
                self.marks.next_class += 1;
                self.add_class(id, requirements.clone());
                let class = Class { id, requirements: requirements.clone() };
                self.out.changes.push(Change::ClassInserted(class));
                id
            }
        };
        self.use_class(id);
        id
    }

    /// Whether so many new classes still fit, after classes without jobs were forgotten.
    pub(super) fn has_room_for_classes(&mut self, wanted: &[&RunnerRequirements]) -> bool {
        let needed = |known: &FxHashMap<RunnerRequirements, ClassId>| {
            let new = wanted.iter().filter(|needs| !known.contains_key(**needs));
            known.len() + new.collect::<BTreeSet<_>>().len()
        };
        if needed(&self.classes.by_requirements) <= self.settings.classes_max {
            return true;
        }
        let Self { index, resources, .. } = self;
        self.classes.jobs.retain(|id, jobs| {
            if *jobs == 0 {
                let needs = index.requirements(*id).map_or(&[][..], |needs| &needs.resources);
                resources.remove_class(*id, needs);
                index.remove_class(*id);
            }
            *jobs > 0
        });
        let jobs = &self.classes.jobs;
        self.classes.by_requirements.retain(|_, id| jobs.contains_key(id));
        // Counted again: what is wanted may be among what was forgotten.
        needed(&self.classes.by_requirements) <= self.settings.classes_max
    }

    /// Takes a class into memory, unless it is there: new, loaded, or of a retried job.
    pub(super) fn add_class(&mut self, id: ClassId, mut requirements: RunnerRequirements) {
        if self.index.requirements(id).is_some() {
            return;
        }
        // By the configuration of now, whenever the class was made.
        self.close_pools(&mut requirements);
        self.classes.jobs.entry(id).or_default();
        let runners = self.runners.iter().map(|(slot, runner)| (slot, &*runner.row));
        self.index.add_class(id, requirements.clone(), runners);
        let catalogue = &self.settings.catalogue;
        let units = |name: &str| catalogue.resource_units(name).unwrap_or(0);
        self.resources.add_class(id, &requirements.resources, units);
        self.quota.expect(Demand::of(&requirements));
        self.classes.by_requirements.insert(requirements, id);
    }

    pub(super) fn use_class(&mut self, id: ClassId) {
        *self.classes.jobs.entry(id).or_default() += 1;
    }

    pub(super) fn release_class(&mut self, id: ClassId) {
        if let Some(jobs) = self.classes.jobs.get_mut(&id) {
            *jobs -= 1;
        }
    }
}
