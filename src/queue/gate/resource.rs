//! The resource gate: named, counted things, each unit with an index, that jobs hold while they
//! run. A job takes all that it needs with its assignment, or nothing, so nobody holds one thing
//! and waits for another.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::model::{ClassId, HeldUnits, JobId, ResourceNeed};

/// A resource that somebody needs or holds.
#[derive(Clone, Debug, Default)]
struct Resource {
    units: u32,
    held: BTreeMap<u32, JobId>,
    classes: BTreeSet<ClassId>,
    /// The first of those that wait, and how often others took units before it.
    overtaken: Option<(JobId, u32)>,
}

impl Resource {
    fn free(&self) -> u32 {
        let held = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        self.units.saturating_sub(held)
    }
}

/// For whom there are free units now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Available {
    /// There are too few.
    ToNobody,
    /// They are reserved for this one.
    To(JobId),
    /// There are enough for any.
    ToAnybody,
}

/// All resources that live jobs need or hold.
#[derive(Clone, Debug, Default)]
pub struct ResourceGate {
    resources: FxHashMap<Box<str>, Resource>,
    /// Names of those whose first job was overtaken too often.
    reserved: BTreeSet<Box<str>>,
}

impl ResourceGate {
    /// A class needs these; `units` says how many of each there are.
    pub fn add_class(
        &mut self,
        class: ClassId,
        needs: &[ResourceNeed],
        units: impl Fn(&str) -> u32,
    ) {
        for need in needs {
            let resource = self.resources.entry(need.name.clone()).or_default();
            resource.units = units(&need.name);
            resource.classes.insert(class);
        }
    }

    /// A class has no jobs any more.
    pub fn remove_class(&mut self, class: ClassId, needs: &[ResourceNeed]) {
        for need in needs {
            if let Some(resource) = self.resources.get_mut(&need.name) {
                resource.classes.remove(&class);
                if resource.classes.is_empty() && resource.held.is_empty() {
                    self.resources.remove(&need.name);
                    self.reserved.remove(&need.name);
                }
            }
        }
    }

    /// For which jobs there are enough of all of these, none reserved for another job.
    pub fn available(&self, needs: &[ResourceNeed], overtake_max: u32) -> Available {
        let mut available = Available::ToAnybody;
        for need in needs {
            let Some(resource) = self.resources.get(&need.name) else { return Available::ToNobody };
            if resource.free() < need.units {
                return Available::ToNobody;
            }
            let Some((first, _)) = resource.overtaken.filter(|(_, times)| *times >= overtake_max)
            else {
                continue;
            };
            if matches!(available, Available::To(other) if other != first) {
                return Available::ToNobody;
            }
            available = Available::To(first);
        }
        available
    }

    /// Whether the job could take all of these now.
    pub fn admits(&self, needs: &[ResourceNeed], job: JobId, overtake_max: u32) -> bool {
        match self.available(needs, overtake_max) {
            Available::ToNobody => false,
            Available::To(first) => first == job,
            Available::ToAnybody => true,
        }
    }

    /// Whether there are enough free units of all of these, reserved or not.
    pub fn has_free(&self, needs: &[ResourceNeed]) -> bool {
        needs.iter().all(|need| {
            self.resources.get(&need.name).is_some_and(|resource| resource.free() >= need.units)
        })
    }

    /// How many units of a resource are held; reserved ones are not.
    pub fn held(&self, name: &str) -> usize {
        self.resources.get(name).map_or(0, |resource| resource.held.len())
    }

    /// Takes the free units with the smallest indexes. The caller has asked
    /// [`ResourceGate::admits`].
    pub fn take(&mut self, needs: &[ResourceNeed], job: JobId) -> HeldUnits {
        let mut held = HeldUnits::default();
        for need in needs {
            let Some(resource) = self.resources.get_mut(&need.name) else { continue };
            let free = (0..resource.units).filter(|index| !resource.held.contains_key(index));
            let taken: Vec<u32> = free.take(need.units as usize).collect();
            resource.held.extend(taken.iter().map(|index| (*index, job)));
            if resource.overtaken.is_some_and(|(first, _)| first == job) {
                resource.overtaken = None;
                self.reserved.remove(&need.name);
            }
            held.0.insert(need.name.clone(), taken);
        }
        held
    }

    /// Takes these very units: a job that a runner had before a load.
    pub fn hold(&mut self, units: &HeldUnits, job: JobId) {
        for (name, indexes) in &units.0 {
            let resource = self.resources.entry(name.clone()).or_default();
            resource.held.extend(indexes.iter().map(|index| (*index, job)));
        }
    }

    /// Gives units back. The classes that need one of them.
    pub fn give_back(&mut self, units: &HeldUnits) -> BTreeSet<ClassId> {
        let mut classes = BTreeSet::new();
        for (name, indexes) in &units.0 {
            let Some(resource) = self.resources.get_mut(name) else { continue };
            for index in indexes {
                resource.held.remove(index);
            }
            classes.extend(resource.classes.iter().copied());
            if resource.classes.is_empty() && resource.held.is_empty() {
                self.resources.remove(name);
                self.reserved.remove(name);
            }
        }
        classes
    }

    /// Classes that need a resource.
    pub fn classes(&self, name: &str) -> impl Iterator<Item = ClassId> {
        self.resources.get(name).into_iter().flat_map(|it| it.classes.iter().copied())
    }

    /// `first`, which waits for the resource in front of all others, was overtaken; when that
    /// happened `overtake_max` times, what is freed is kept for it.
    pub fn overtook(&mut self, name: &str, first: JobId, overtake_max: u32) {
        let Some(resource) = self.resources.get_mut(name) else { return };
        let before = resource.overtaken.filter(|(before, _)| *before == first);
        let times = before.map_or(0, |(_, times)| times).saturating_add(1);
        resource.overtaken = Some((first, times));
        if times >= overtake_max {
            self.reserved.insert(name.into());
        } else {
            self.reserved.remove(name);
        }
    }

    /// Resources that are kept for a job, each with the job.
    pub fn reservations(&self) -> Vec<(Box<str>, JobId)> {
        let kept = self.reserved.iter();
        kept.filter_map(|name| Some((name.clone(), self.resources.get(name)?.overtaken?.0)))
            .collect()
    }

    /// Keeps a resource for nobody any more. The classes that may go on now.
    pub fn unreserve(&mut self, name: &str) -> BTreeSet<ClassId> {
        self.reserved.remove(name);
        let Some(resource) = self.resources.get_mut(name) else { return BTreeSet::new() };
        resource.overtaken = None;
        resource.classes.clone()
    }

    /// The job does not wait for anything any more, or not in a lane: what was reserved for it is
    /// not. The classes that may go on now.
    pub fn forget(&mut self, needs: &[ResourceNeed], job: JobId) -> BTreeSet<ClassId> {
        let mut classes = BTreeSet::new();
        for need in needs {
            let overtaken = self.resources.get(&need.name).and_then(|it| it.overtaken);
            if overtaken.is_some_and(|(first, _)| first == job) {
                classes.append(&mut self.unreserve(&need.name));
            }
        }
        classes
    }

    /// For whom a resource is reserved.
    pub fn reserved(&self, name: &str, overtake_max: u32) -> Option<JobId> {
        let overtaken = self.resources.get(name)?.overtaken?;
        (overtaken.1 >= overtake_max).then_some(overtaken.0)
    }

    /// How many units there are, and who holds which.
    pub fn holders(&self, name: &str) -> Option<(u32, Vec<(u32, JobId)>)> {
        let resource = self.resources.get(name)?;
        Some((resource.units, resource.held.iter().map(|(at, job)| (*at, *job)).collect()))
    }

    /// Names of all resources that somebody needs or holds, sorted.
    pub fn names(&self) -> Vec<Box<str>> {
        let mut names: Vec<_> = self.resources.keys().cloned().collect();
        names.sort_unstable();
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn need(name: &str, units: u32) -> ResourceNeed {
        ResourceNeed { name: name.into(), units }
    }

    #[test]
    fn all_is_taken_or_nothing_and_units_have_indexes() {
        let mut gate = ResourceGate::default();
        let both = [need("db", 2), need("port", 1)];
        gate.add_class(ClassId(1), &both, |name| if name == "db" { 3 } else { 1 });
        let first = gate.take(&both, JobId(1));
        assert_eq!(first.0["db"], [0, 1]);
        assert!(!gate.admits(&both, JobId(2), 9), "one db is left");
        assert!(gate.admits(&[need("db", 1)], JobId(2), 9));
        assert!(!gate.admits(&[need("port", 1)], JobId(2), 9));
        let second = gate.take(&[need("db", 1)], JobId(2));
        assert_eq!(second.0["db"], [2]);
        assert_eq!(gate.give_back(&first), [ClassId(1)].into());
        assert_eq!(gate.take(&both, JobId(3)).0["db"], [0, 1], "the smallest free ones");
    }

    #[test]
    fn whoever_is_overtaken_too_often_gets_what_is_freed() {
        let mut gate = ResourceGate::default();
        let one = [need("db", 1)];
        gate.add_class(ClassId(1), &one, |_| 2);
        for _ in 0..2 {
            gate.overtook("db", JobId(1), 3);
        }
        assert!(gate.admits(&one, JobId(2), 3) && gate.reservations().is_empty());
        gate.overtook("db", JobId(1), 3);
        assert_eq!(gate.reserved("db", 3), Some(JobId(1)));
        assert_eq!(gate.reservations(), [("db".into(), JobId(1))]);
        assert!(!gate.admits(&one, JobId(2), 3) && gate.admits(&one, JobId(1), 3));
        gate.take(&one, JobId(1));
        assert!(gate.admits(&one, JobId(2), 3), "the reservation ends with the assignment");
        assert!(gate.reservations().is_empty());
    }

    #[test]
    fn a_reservation_ends_when_the_job_stops_waiting_or_another_is_first() {
        let mut gate = ResourceGate::default();
        let one = [need("db", 1)];
        gate.add_class(ClassId(1), &one, |_| 1);
        gate.overtook("db", JobId(1), 1);
        assert_eq!(gate.forget(&one, JobId(1)), [ClassId(1)].into());
        assert_eq!((gate.reserved("db", 1), gate.reservations()), (None, vec![]));
        gate.overtook("db", JobId(1), 2);
        gate.overtook("db", JobId(2), 2);
        assert_eq!(gate.reserved("db", 2), None, "counted anew for another");
        gate.overtook("db", JobId(2), 2);
        assert_eq!(gate.unreserve("db"), [ClassId(1)].into());
        assert_eq!((gate.reserved("db", 2), gate.reservations()), (None, vec![]));
    }

    #[test]
    fn an_unknown_resource_admits_nobody_and_an_unused_one_is_forgotten() {
        let mut gate = ResourceGate::default();
        assert!(!gate.admits(&[need("none", 1)], JobId(1), 9));
        let one = [need("db", 1)];
        gate.add_class(ClassId(1), &one, |_| 1);
        let held = gate.take(&one, JobId(1));
        gate.remove_class(ClassId(1), &one);
        assert_eq!(gate.names(), ["db".into()]);
        gate.give_back(&held);
        assert!(gate.names().is_empty());
    }
}
