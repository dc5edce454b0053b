//! A map by ids that are given one after the other.
//!
//! Ids have no gaps when they are given, so those that live are mostly neighbours. Values of
//! neighbours stand side by side, in the order of their ids: no pointer, no unused places and no
//! allocation for each of them. A value that is left alone takes no more than its own place.

use std::marker::PhantomData;
use std::ops::Index;

use rustc_hash::FxHashMap;

use crate::model::{JobId, WorkloadId};

/// An id that is a number.
pub(super) trait Numbered: Copy {
    fn number(self) -> i64;
    fn of_number(number: i64) -> Self;
}

impl Numbered for JobId {
    fn number(self) -> i64 {
        self.0
    }

    fn of_number(number: i64) -> Self {
        Self(number)
    }
}

impl Numbered for WorkloadId {
    fn number(self) -> i64 {
        self.0
    }

    fn of_number(number: i64) -> Self {
        Self(number)
    }
}

/// The values of so many neighbouring ids stand together, at most: as many as bits of
/// [`Row::present`]. More would make it slower to take one out.
const ROW: i64 = u32::BITS as i64;

/// The values of neighbouring ids that are there.
#[derive(Clone, Debug)]
struct Row<V> {
    /// Which, by the place of the id in the row.
    present: u32,
    /// In the order of their ids.
    values: Vec<V>,
}

impl<V> Row<V> {
    /// Where the value of an id at this place stands, or would stand.
    fn index(&self, place: u32) -> Result<usize, usize> {
        let before = (self.present & ((1 << place) - 1)).count_ones() as usize;
        if self.present & (1 << place) == 0 { Err(before) } else { Ok(before) }
    }

    fn places(&self) -> impl Iterator<Item = i64> + use<V> {
        let present = self.present;
        (0..ROW).filter(move |place| present & (1 << place) != 0)
    }
}

/// Values by id.
#[derive(Clone, Debug)]
pub(super) struct IdMap<K, V> {
    rows: FxHashMap<i64, Row<V>>,
    len: usize,
    keys: PhantomData<K>,
}

impl<K, V> Default for IdMap<K, V> {
    fn default() -> Self {
        Self { rows: FxHashMap::default(), len: 0, keys: PhantomData }
    }
}

/// The row of an id, and its place there.
fn split(id: impl Numbered) -> (i64, u32) {
    (id.number().div_euclid(ROW), id.number().rem_euclid(ROW) as u32)
}

impl<K: Numbered, V> IdMap<K, V> {
    /// How many values there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get(&self, id: &K) -> Option<&V> {
        let (row, place) = split(*id);
        let row = self.rows.get(&row)?;
        row.index(place).ok().map(|at| &row.values[at])
    }

    pub(super) fn get_mut(&mut self, id: &K) -> Option<&mut V> {
        let (row, place) = split(*id);
        let row = self.rows.get_mut(&row)?;
        row.index(place).ok().map(|at| &mut row.values[at])
    }

    pub(super) fn contains_key(&self, id: &K) -> bool {
        self.get(id).is_some()
    }

    /// Puts a value in; the one that was there before.
    pub(super) fn insert(&mut self, id: K, value: V) -> Option<V> {
        let (row, place) = split(id);
        let row = self.rows.entry(row).or_insert_with(|| Row { present: 0, values: Vec::new() });
        match row.index(place) {
            Ok(at) => Some(std::mem::replace(&mut row.values[at], value)),
            Err(at) => {
                row.values.insert(at, value);
                row.present |= 1 << place;
                self.len += 1;
                None
            }
        }
    }

    /// Takes a value out.
    pub(super) fn remove(&mut self, id: &K) -> Option<V> {
        let (number, place) = split(*id);
        let row = self.rows.get_mut(&number)?;
        let at = row.index(place).ok()?;
        let value = row.values.remove(at);
        row.present &= !(1 << place);
        self.len -= 1;
        if row.values.is_empty() {
            self.rows.remove(&number);
        } else if row.values.len() <= row.values.capacity() / 4 {
            row.values.shrink_to_fit();
        }
        Some(value)
    }

    /// All values with their ids, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (K, &V)> {
        self.rows.iter().flat_map(|(number, row)| {
            let ids = row.places().map(move |place| K::of_number(number * ROW + place));
            ids.zip(&row.values)
        })
    }

    /// All ids, in no order.
    pub(super) fn keys(&self) -> impl Iterator<Item = K> {
        self.iter().map(|(id, _)| id)
    }

    /// All values, in no order.
    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.rows.values().flat_map(|row| &row.values)
    }
}

/// The value of an id that must be there.
impl<K: Numbered, V> Index<&K> for IdMap<K, V> {
    type Output = V;

    fn index(&self, id: &K) -> &V {
        self.get(id).expect("the id is in the map")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn it_does_what_any_map_does(steps in prop::collection::vec((any::<bool>(), -70..200_i64), 0..400)) {
            let (mut map, mut plain) = (IdMap::default(), BTreeMap::new());
            for (at, (put, number)) in steps.into_iter().enumerate() {
                let id = JobId(number);
                if put {
                    prop_assert_eq!(map.insert(id, at), plain.insert(id, at));
                } else {
                    prop_assert_eq!(map.remove(&id), plain.remove(&id));
                }
                prop_assert_eq!(map.get(&id), plain.get(&id));
                prop_assert_eq!(map.len(), plain.len());
            }
            for (id, value) in &plain {
                prop_assert_eq!(&map[id], value);
                *map.get_mut(id).unwrap() += 1;
            }
            let all: BTreeMap<_, _> = map.iter().map(|(id, value)| (id, *value - 1)).collect();
            prop_assert_eq!(&all, &plain);
            prop_assert_eq!(map.keys().count(), map.values().count());
        }
    }

    #[test]
    fn what_is_left_of_many_takes_little() {
        let mut map = IdMap::default();
        for number in 0..10 * ROW {
            map.insert(JobId(number), [number; 10]);
        }
        for number in (0..10 * ROW).filter(|number| number % ROW != 7) {
            map.remove(&JobId(number));
        }
        assert_eq!(map.len(), 10);
        assert!(map.rows.values().all(|row| row.values.capacity() < 8));
        for id in map.keys().collect::<Vec<_>>() {
            assert_eq!(map.remove(&id), Some([id.0; 10]));
        }
        assert!(map.rows.is_empty());
    }
}
