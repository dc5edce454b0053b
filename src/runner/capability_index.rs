//! Which runners fit which class, kept as bitmaps that change only when a runner registers,
//! leaves or changes what it offers, when a class is new, or when an executor goes away or comes
//! back: never per decision.
//!
//! A class that names several executors is fitted by the runners of one of them at a time: the first
//! that is not away and has any. One that is tried again is fitted beside the next one, so that a job
//! goes to it and the others do not wait for what becomes of that.

use std::collections::BTreeMap;

use fixedbitset::FixedBitSet;
use rustc_hash::FxHashMap;

use crate::model::{ClassId, Runner, RunnerRequirements};

/// A runner's place in the bitmaps; reused after the runner has left.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct RunnerSlot(pub usize);

/// The places that are in both sets, word by word: the sets have thousands of places, of which few
/// are in both, and [`FixedBitSet::intersection`] looks at each place of the first.
pub fn in_both(one: &FixedBitSet, other: &FixedBitSet) -> impl Iterator<Item = RunnerSlot> {
    let words = one.as_slice().iter().zip(other.as_slice()).enumerate();
    words.flat_map(|(at, (one, other))| {
        let mut left = one & other;
        std::iter::from_fn(move || {
            let bit = left.trailing_zeros();
            (left != 0).then(|| {
                left &= left - 1;
                RunnerSlot(at * usize::BITS as usize + bit as usize)
            })
        })
    })
}

/// Whether jobs go to an executor.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// It is tried again, with few jobs.
    Trying,
    /// It cannot be reached: jobs go to the next one, if they name another.
    Away,
}

#[derive(Clone, Debug)]
struct ClassEntry {
    requirements: RunnerRequirements,
    /// Those that its jobs go to now.
    runners: FixedBitSet,
    /// How many they are.
    len: usize,
    /// Those of each executor that it names, in order; empty where that is one.
    by_executor: Vec<FixedBitSet>,
}

impl ClassEntry {
    fn new(requirements: RunnerRequirements, slots: usize) -> Self {
        let none = FixedBitSet::with_capacity(slots);
        let executors = requirements.executors.len();
        let by_executor = if executors > 1 { vec![none.clone(); executors] } else { Vec::new() };
        Self { requirements, runners: none, len: 0, by_executor }
    }

    /// Notes a runner, or (`None`) that there is none any more. Whether jobs may go to it now is
    /// for [`ClassEntry::follow`] where several executors are named.
    fn set(&mut self, slot: RunnerSlot, runner: Option<&Runner>) {
        let needs = &self.requirements;
        let fits = runner.filter(|it| it.capabilities.satisfies(it.pool_id, needs));
        if self.by_executor.is_empty() {
            self.runners.grow(slot.0 + 1);
            self.len -= usize::from(self.runners.contains(slot.0));
            self.len += usize::from(fits.is_some());
            self.runners.set(slot.0, fits.is_some());
            return;
        }
        for (executor, runners) in needs.executors.iter().zip(&mut self.by_executor) {
            runners.grow(slot.0 + 1);
            runners.set(slot.0, fits.is_some_and(|it| it.capabilities.executor == *executor));
        }
    }

    /// Chooses whose runners its jobs go to.
    fn follow(&mut self, standings: &BTreeMap<Box<str>, Standing>) {
        let mut chosen: Option<FixedBitSet> = None;
        for (executor, runners) in self.requirements.executors.iter().zip(&self.by_executor) {
            let standing = standings.get(executor);
            if standing == Some(&Standing::Away) || runners.is_clear() {
                continue;
            }
            match &mut chosen {
                Some(chosen) => chosen.union_with(runners),
                None => chosen = Some(runners.clone()),
            }
            if standing.is_none() {
                break;
            }
        }
        // All are away: the first that has any is waited for.
        let any = || self.by_executor.iter().find(|runners| !runners.is_clear()).cloned();
        self.runners = chosen.or_else(any).unwrap_or_default();
        self.len = self.runners.count_ones(..);
    }

    fn has_choice(&self) -> bool {
        !self.by_executor.is_empty()
    }
}

/// For each class the runners that could take its jobs, however busy they are.
#[derive(Clone, Debug, Default)]
pub struct CapabilityIndex {
    classes: FxHashMap<ClassId, ClassEntry>,
    /// Executors that are not simply there.
    standings: BTreeMap<Box<str>, Standing>,
    slots: usize,
    /// Counts changes of runners.
    version: u64,
}

impl CapabilityIndex {
    /// Adds a class, and looks at every runner once.
    pub fn add_class<'a>(
        &mut self,
        class: ClassId,
        requirements: RunnerRequirements,
        runners: impl Iterator<Item = (RunnerSlot, &'a Runner)>,
    ) {
        let mut entry = ClassEntry::new(requirements, self.slots);
        runners.for_each(|(slot, runner)| entry.set(slot, Some(runner)));
        if entry.has_choice() {
            entry.follow(&self.standings);
        }
        self.classes.insert(class, entry);
    }

    /// Forgets a class.
    pub fn remove_class(&mut self, class: ClassId) {
        self.classes.remove(&class);
    }

    /// A runner is new or offers something else: looks at every class once.
    pub fn set_runner(&mut self, slot: RunnerSlot, runner: &Runner) {
        self.slots = self.slots.max(slot.0 + 1);
        self.note(slot, Some(runner));
    }

    /// A runner left.
    pub fn remove_runner(&mut self, slot: RunnerSlot) {
        self.note(slot, None);
    }

    fn note(&mut self, slot: RunnerSlot, runner: Option<&Runner>) {
        self.version += 1;
        for entry in self.classes.values_mut() {
            entry.set(slot, runner);
            if entry.has_choice() {
                entry.follow(&self.standings);
            }
        }
    }

    /// An executor goes away, is tried again, or (`None`) is there. Says whether that is news.
    pub fn set_standing(&mut self, executor: &str, standing: Option<Standing>) -> bool {
        let known = match standing {
            Some(standing) => self.standings.insert(executor.into(), standing),
            None => self.standings.remove(executor),
        };
        if known == standing {
            return false;
        }
        self.version += 1;
        for entry in self.classes.values_mut().filter(|it| it.has_choice()) {
            if entry.requirements.executors.iter().any(|it| **it == *executor) {
                entry.follow(&self.standings);
            }
        }
        true
    }

    /// Whether an executor is away, or is tried again; `None` when it is there.
    pub fn standing(&self, executor: &str) -> Option<Standing> {
        self.standings.get(executor).copied()
    }

    /// Whether the runner could take jobs of the class.
    pub fn fits(&self, class: ClassId, slot: RunnerSlot) -> bool {
        self.classes.get(&class).is_some_and(|entry| entry.runners.contains(slot.0))
    }

    /// All runners that could take jobs of the class.
    pub fn runners(&self, class: ClassId) -> impl Iterator<Item = RunnerSlot> {
        self.classes.get(&class).into_iter().flat_map(|entry| entry.runners.ones().map(RunnerSlot))
    }

    /// The same, as bits by their places.
    pub fn fitting(&self, class: ClassId) -> Option<&FixedBitSet> {
        self.classes.get(&class).map(|entry| &entry.runners)
    }

    /// Whether any runner could take jobs of the class.
    pub fn has_runner(&self, class: ClassId) -> bool {
        self.runners_len(class) > 0
    }

    /// While it is the same, so are the runners and what they offer.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How many runners could take jobs of the class.
    pub fn runners_len(&self, class: ClassId) -> usize {
        self.classes.get(&class).map_or(0, |entry| entry.len)
    }

    /// What a class requires.
    pub fn requirements(&self, class: ClassId) -> Option<&RunnerRequirements> {
        self.classes.get(&class).map(|entry| &entry.requirements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::registry::tests::runner;

    #[test]
    fn places_in_both_sets_are_found_in_order_whatever_the_lengths() {
        let set = |places: &[usize]| -> FixedBitSet { places.iter().copied().collect() };
        let (one, other) = (set(&[0, 1, 63, 64, 127, 128, 700]), set(&[1, 2, 63, 65, 128, 129]));
        let found = |one, other| in_both(one, other).map(|slot| slot.0).collect::<Vec<_>>();
        assert_eq!(found(&one, &other), [1, 63, 128]);
        assert_eq!(found(&other, &one), [1, 63, 128]);
        assert!(found(&one, &set(&[])).is_empty());
    }

    #[test]
    fn jobs_go_to_the_first_executor_that_is_there_and_has_runners() {
        let needs = RunnerRequirements {
            executors: vec!["cloud".into(), "runners".into(), "last".into()],
            ..RunnerRequirements::default()
        };
        let of = |id, executor: &str| {
            let mut runner = runner(id, 1);
            runner.capabilities.executor = executor.into();
            runner
        };
        let mut index = CapabilityIndex::default();
        index.add_class(ClassId(1), needs, std::iter::empty());
        let now = |index: &CapabilityIndex| {
            assert_eq!(index.runners_len(ClassId(1)), index.runners(ClassId(1)).count());
            index.runners(ClassId(1)).map(|slot| slot.0).collect::<Vec<_>>()
        };
        index.set_runner(RunnerSlot(2), &of(1, "last"));
        assert_eq!(now(&index), [2]);
        index.set_runner(RunnerSlot(0), &of(2, "runners"));
        index.set_runner(RunnerSlot(5), &of(3, "runners"));
        index.set_runner(RunnerSlot(7), &of(4, "another"));
        assert_eq!(now(&index), [0, 5]);
        index.set_runner(RunnerSlot(1), &of(5, "cloud"));
        assert_eq!(now(&index), [1]);

        let version = index.version();
        assert!(index.set_standing("cloud", Some(Standing::Away)));
        assert!(!index.set_standing("cloud", Some(Standing::Away)));
        assert_eq!(now(&index), [0, 5]);
        assert!(index.version() > version);
        assert!(index.set_standing("cloud", Some(Standing::Trying)));
        assert_eq!(now(&index), [0, 1, 5], "one is tried, the others do not wait for it");
        index.set_standing("runners", Some(Standing::Away));
        assert_eq!(now(&index), [1, 2]);
        index.set_standing("last", Some(Standing::Away));
        index.set_standing("cloud", Some(Standing::Away));
        assert_eq!(now(&index), [1], "all are away: the first is waited for");
        index.set_standing("cloud", None);
        index.remove_runner(RunnerSlot(1));
        assert_eq!(now(&index), [0, 5], "of those that are away again the first that has any");
    }

    #[test]
    fn a_class_knows_its_runners_whichever_came_first() {
        let gpu = RunnerRequirements { gpu: 1, ..RunnerRequirements::default() };
        let (plain, mut strong) = (runner(1, 1), runner(2, 1));
        strong.capabilities.gpu = 2;
        let mut index = CapabilityIndex::default();
        index.set_runner(RunnerSlot(0), &plain);
        index.add_class(ClassId(1), gpu, [(RunnerSlot(0), &plain)].into_iter());
        index.set_runner(RunnerSlot(70), &strong);
        assert_eq!(index.runners(ClassId(1)).collect::<Vec<_>>(), [RunnerSlot(70)]);
        index.set_runner(RunnerSlot(70), &strong);
        assert_eq!(index.runners_len(ClassId(1)), 1);
        strong.capabilities.gpu = 0;
        index.set_runner(RunnerSlot(70), &strong);
        assert!(!index.fits(ClassId(1), RunnerSlot(70)));
        index.remove_runner(RunnerSlot(500));
        assert_eq!(index.runners_len(ClassId(1)), 0);
        assert!(!index.fits(ClassId(1), RunnerSlot(500)));
    }
}
