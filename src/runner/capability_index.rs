//! Which runners fit which class, kept as bitmaps that change only when a runner registers,
//! leaves or changes what it offers, or when a class is new: never per decision.

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

#[derive(Clone, Debug)]
struct ClassEntry {
    requirements: RunnerRequirements,
    runners: FixedBitSet,
    /// How many they are.
    len: usize,
}

/// For each class the runners that could take its jobs, however busy they are.
#[derive(Clone, Debug, Default)]
pub struct CapabilityIndex {
    classes: FxHashMap<ClassId, ClassEntry>,
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
        let mut fitting = FixedBitSet::with_capacity(self.slots);
        for (slot, runner) in runners {
            if runner.capabilities.satisfies(runner.pool_id, &requirements) {
                fitting.grow_and_insert(slot.0);
            }
        }
        let len = fitting.count_ones(..);
        self.classes.insert(class, ClassEntry { requirements, runners: fitting, len });
    }

    /// Forgets a class.
    pub fn remove_class(&mut self, class: ClassId) {
        self.classes.remove(&class);
    }

    /// A runner is new or offers something else: looks at every class once.
    pub fn set_runner(&mut self, slot: RunnerSlot, runner: &Runner) {
        self.version += 1;
        self.slots = self.slots.max(slot.0 + 1);
        for entry in self.classes.values_mut() {
            let fits = runner.capabilities.satisfies(runner.pool_id, &entry.requirements);
            entry.runners.grow(self.slots);
            entry.len -= usize::from(entry.runners.contains(slot.0));
            entry.len += usize::from(fits);
            entry.runners.set(slot.0, fits);
        }
    }

    /// A runner left.
    pub fn remove_runner(&mut self, slot: RunnerSlot) {
        self.version += 1;
        for entry in self.classes.values_mut() {
            if entry.runners.contains(slot.0) {
                entry.runners.remove(slot.0);
                entry.len -= 1;
            }
        }
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
