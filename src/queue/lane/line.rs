//! The jobs of one lane in order: a sorted list in parts.
//!
//! Jobs mostly come at the end and go from the front, so parts are full and stand side by side:
//! little more than its 16 bytes for each job, where a tree would take twice as much.

use std::collections::{VecDeque, vec_deque};
use std::iter::{Copied, Flatten};

use crate::model::JobId;

/// A lane key, and the job that has it.
pub(super) type At = (i64, JobId);

/// Most jobs in a part.
const PART_MAX: usize = 128;
/// By so many places a part grows.
const PART_STEP: usize = 16;

/// What is left of a lane.
pub(super) type Iter<'a> = Copied<Flatten<vec_deque::Iter<'a, Vec<At>>>>;

/// Jobs of one class, tenant and level, by lane key.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    /// None of them is empty; each one's last is before the next one's first.
    parts: VecDeque<Vec<At>>,
    len: usize,
}

impl Line {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn first(&self) -> Option<At> {
        self.parts.front()?.first().copied()
    }

    /// All jobs, in order.
    pub(super) fn iter(&self) -> Iter<'_> {
        self.parts.iter().flatten().copied()
    }

    /// Puts a job in. Whether it was not there.
    pub(super) fn insert(&mut self, at: At) -> bool {
        let number = self.part_of(at);
        if number == self.parts.len() {
            // After all others.
            match self.parts.back_mut().filter(|part| part.len() < PART_MAX) {
                Some(part) => put(part, part.len(), at),
                None => self.parts.push_back(vec![at]),
            }
            self.len += 1;
            return true;
        }
        let part = &mut self.parts[number];
        let Err(place) = part.binary_search(&at) else { return false };
        if part.len() < PART_MAX {
            put(part, place, at);
        } else {
            let mut rest = part.split_off(PART_MAX / 2);
            part.shrink_to_fit();
            match place.checked_sub(PART_MAX / 2) {
                Some(place) => put(&mut rest, place, at),
                None => put(part, place, at),
            }
            self.parts.insert(number + 1, rest);
        }
        self.len += 1;
        true
    }

    /// Takes a job out. Whether it was there.
    pub(super) fn remove(&mut self, at: At) -> bool {
        let number = self.part_of(at);
        let Some(part) = self.parts.get_mut(number) else { return false };
        let Ok(place) = part.binary_search(&at) else { return false };
        part.remove(place);
        self.len -= 1;
        let (left, places) = (part.len(), part.capacity());
        if left == 0 {
            self.parts.remove(number);
            return true;
        }
        let small = left <= PART_MAX / 8;
        let joined = small && (self.join(number) || (number > 0 && self.join(number - 1)));
        if !joined && places > 2 * left + PART_STEP {
            self.parts[number].shrink_to_fit();
        }
        true
    }

    /// Makes one part of this one and the next, if both are small. Whether it did.
    fn join(&mut self, number: usize) -> bool {
        let len = |at: usize| self.parts.get(at).map_or(PART_MAX, Vec::len);
        let joins = len(number) + len(number + 1) <= PART_MAX / 2;
        if joins && let Some(next) = self.parts.remove(number + 1) {
            self.parts[number].reserve_exact(next.len());
            self.parts[number].extend(next);
        }
        joins
    }

    /// The first part that does not end before `at`; the number of parts when all do.
    fn part_of(&self, at: At) -> usize {
        let before = |part: &Vec<At>| part.last().is_some_and(|last| *last < at);
        match (self.parts.front(), self.parts.back()) {
            (Some(front), _) if !before(front) => 0,
            (_, Some(back)) if before(back) => self.parts.len(),
            _ => self.parts.partition_point(before),
        }
    }
}

fn put(part: &mut Vec<At>, place: usize, at: At) {
    if part.len() == part.capacity() {
        part.reserve_exact(PART_STEP);
    }
    part.insert(place, at);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    fn check(line: &Line) {
        assert!(line.parts.iter().all(|part| !part.is_empty() && part.len() <= PART_MAX));
        assert!(line.iter().is_sorted());
        assert_eq!(line.iter().count(), line.len());
    }

    proptest! {
        #[test]
        fn it_does_what_any_ordered_set_does(
            steps in prop::collection::vec((0..10_u8, 0..900_i64), 0..2_000)
        ) {
            let (mut line, mut plain) = (Line::default(), BTreeSet::new());
            for (what, key) in steps {
                let at = (key / 3, JobId(key));
                if what < 6 {
                    prop_assert_eq!(line.insert(at), plain.insert(at));
                } else {
                    let first = *plain.first().unwrap_or(&at);
                    let at = if what == 6 { first } else { at };
                    prop_assert_eq!(line.remove(at), plain.remove(&at));
                }
                prop_assert_eq!((line.len(), line.first()), (plain.len(), plain.first().copied()));
            }
            check(&line);
            prop_assert!(line.iter().eq(plain.iter().copied()));
        }
    }

    #[test]
    fn jobs_that_come_at_the_end_fill_parts_and_what_is_left_is_put_together() {
        let mut line = Line::default();
        let all = 100 * PART_MAX as i64;
        for key in 0..all {
            assert!(line.insert((key, JobId(key))));
        }
        check(&line);
        assert_eq!(line.parts.len(), 100);
        for key in (0..all).filter(|key| key % 64 != 0) {
            assert!(line.remove((key, JobId(key))));
        }
        check(&line);
        assert_eq!(line.len(), 200);
        let places: usize = line.parts.iter().map(Vec::capacity).sum();
        assert!(places < 4 * line.len(), "{places} places");
    }
}
