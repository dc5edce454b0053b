//! Where the rows of a hot table stood before a batch and where they stand after it.
//!
//! A batch can insert, update, archive and reopen one row several times; the database needs to
//! hear only of the difference between both ends. Pure; [`super::write_set`] feeds it and
//! [`super::apply`] writes what it says.

use std::collections::HashMap;

/// In which table a row stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Nowhere,
    Hot,
    Done,
}

#[derive(Debug)]
struct Track<'a, R> {
    id: i64,
    /// Where the database has it before the batch.
    from: Place,
    /// Where it stands by now.
    to: Place,
    /// Its values by now; `None` as long as the batch only moved it.
    row: Option<&'a R>,
}

/// A step that cannot follow the steps before it, in words.
pub(super) type Misstep = &'static str;

/// The rows of one pair of tables that a batch touches, in the order in which it first did.
#[derive(Debug)]
pub(super) struct Tracks<'a, R> {
    tracks: Vec<Track<'a, R>>,
    by_id: HashMap<i64, usize>,
}

/// What is to be written to one pair of tables. Copies come first, then deletes, then the rest:
/// in this order no key is in a table twice.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Moves<'a, R> {
    /// Ids to copy, as they are, from the done table to the hot one.
    pub(super) reopen: Vec<i64>,
    /// Ids to copy, as they are, from the hot table to the done one.
    pub(super) archive: Vec<i64>,
    /// Ids to delete from the hot table.
    pub(super) hot_deletes: Vec<i64>,
    /// Ids to delete from the done table.
    pub(super) done_deletes: Vec<i64>,
    /// Rows to insert into the hot table.
    pub(super) hot_inserts: Vec<&'a R>,
    /// Rows to insert into the done table.
    pub(super) done_inserts: Vec<&'a R>,
    /// Rows to update in the hot table.
    pub(super) hot_updates: Vec<&'a R>,
}

impl<R> Default for Tracks<'_, R> {
    fn default() -> Self {
        Self { tracks: Vec::new(), by_id: HashMap::new() }
    }
}

impl<'a, R> Tracks<'a, R> {
    /// A new row in the hot table.
    ///
    /// # Errors
    /// When the batch already has the row.
    pub(super) fn insert(&mut self, id: i64, row: &'a R) -> Result<(), Misstep> {
        if self.by_id.contains_key(&id) {
            return Err("inserted although the batch already has it");
        }
        self.by_id.insert(id, self.tracks.len());
        self.tracks.push(Track { id, from: Place::Nowhere, to: Place::Hot, row: Some(row) });
        Ok(())
    }

    /// New values of a row in the hot table.
    ///
    /// # Errors
    /// When the batch has archived it.
    pub(super) fn update(&mut self, id: i64, row: &'a R) -> Result<(), Misstep> {
        let track = self.track(id, Place::Hot);
        if track.to != Place::Hot {
            return Err("updated after it was archived");
        }
        track.row = Some(row);
        Ok(())
    }

    /// The row leaves the hot table for the done one.
    ///
    /// # Errors
    /// When the batch has archived it already.
    pub(super) fn archive(&mut self, id: i64) -> Result<(), Misstep> {
        let track = self.track(id, Place::Hot);
        if track.to != Place::Hot {
            return Err("archived twice");
        }
        track.to = Place::Done;
        Ok(())
    }

    /// The row leaves the done table for the hot one.
    ///
    /// # Errors
    /// When it is in the hot table.
    pub(super) fn reopen(&mut self, id: i64) -> Result<(), Misstep> {
        let track = self.track(id, Place::Done);
        if track.to != Place::Done {
            return Err("reopened although it is live");
        }
        track.to = Place::Hot;
        Ok(())
    }

    /// What follows for the database.
    pub(super) fn finish(self) -> Moves<'a, R> {
        let mut moves = Moves {
            reopen: Vec::new(),
            archive: Vec::new(),
            hot_deletes: Vec::new(),
            done_deletes: Vec::new(),
            hot_inserts: Vec::new(),
            done_inserts: Vec::new(),
            hot_updates: Vec::new(),
        };
        for Track { id, from, to, row } in self.tracks {
            match (from, to, row) {
                (Place::Hot, Place::Hot, Some(row)) => {
                    moves.hot_updates.push(row);
                    continue;
                }
                (Place::Hot, Place::Hot, None) | (Place::Done, Place::Done, None) => continue,
                (_, Place::Hot, Some(row)) => moves.hot_inserts.push(row),
                (_, Place::Done, Some(row)) => moves.done_inserts.push(row),
                (_, Place::Hot, None) => moves.reopen.push(id),
                (_, Place::Done, None) => moves.archive.push(id),
                // No step leads nowhere: rows of the pair are only ever moved.
                (_, Place::Nowhere, _) => {}
            }
            match from {
                Place::Hot => moves.hot_deletes.push(id),
                Place::Done => moves.done_deletes.push(id),
                Place::Nowhere => {}
            }
        }
        moves
    }

    /// The track of a row, which stands at `from` if the batch did not touch it yet.
    fn track(&mut self, id: i64, from: Place) -> &mut Track<'a, R> {
        let at = *self.by_id.entry(id).or_insert_with(|| {
            self.tracks.push(Track { id, from, to: from, row: None });
            self.tracks.len() - 1
        });
        &mut self.tracks[at]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u8),
        Update(u8),
        Archive,
        Reopen,
    }

    /// A row's place and values after each step, one step after the other.
    fn naive(start: Option<(Place, u8)>, step: Step) -> Option<(Place, u8)> {
        match (start, step) {
            (None, Step::Insert(value)) | (Some((Place::Hot, _)), Step::Update(value)) => {
                Some((Place::Hot, value))
            }
            (Some((Place::Hot, value)), Step::Archive) => Some((Place::Done, value)),
            (Some((Place::Done, value)), Step::Reopen) => Some((Place::Hot, value)),
            _ => None,
        }
    }

    /// The two tables after what the moves say, with every check that the database makes.
    fn carry_out(start: Option<(Place, u8)>, moves: &Moves<'_, u8>) -> Option<(Place, u8)> {
        let of = |place| start.filter(|&(at, _)| at == place).map(|(_, value)| value);
        let (mut hot, mut done) = (of(Place::Hot), of(Place::Done));
        for _ in &moves.reopen {
            assert!(hot.replace(done.unwrap()).is_none());
        }
        for _ in &moves.archive {
            assert!(done.replace(hot.unwrap()).is_none());
        }
        moves.hot_deletes.iter().for_each(|_| assert!(hot.take().is_some()));
        moves.done_deletes.iter().for_each(|_| assert!(done.take().is_some()));
        moves.hot_inserts.iter().for_each(|&&row| assert!(hot.replace(row).is_none()));
        moves.done_inserts.iter().for_each(|&&row| assert!(done.replace(row).is_none()));
        moves.hot_updates.iter().for_each(|&&row| assert!(hot.replace(row).is_some()));
        assert!(hot.is_none() || done.is_none(), "the row is in both tables");
        hot.map(|value| (Place::Hot, value)).or(done.map(|value| (Place::Done, value)))
    }

    proptest! {
        #[test]
        fn the_difference_ends_where_the_steps_end(
            start in prop_oneof![
                Just(None),
                Just(Some((Place::Hot, 200_u8))),
                Just(Some((Place::Done, 201_u8))),
            ],
            picks in proptest::collection::vec(0..3_u8, 1..8),
        ) {
            // Steps that can follow one another, one of them picked at each place.
            let mut steps = Vec::new();
            let mut state = start;
            for (value, pick) in (0_u8..).zip(picks) {
                let step = match state {
                    None => Step::Insert(value),
                    Some((Place::Hot, _)) if pick == 0 => Step::Archive,
                    Some((Place::Hot, _)) => Step::Update(value),
                    Some(_) => Step::Reopen,
                };
                state = naive(state, step);
                steps.push(step);
            }
            let values: Vec<u8> = (0..=255).collect();
            let mut tracks = Tracks::default();
            for step in steps {
                let done = match step {
                    Step::Insert(value) => tracks.insert(1, &values[usize::from(value)]),
                    Step::Update(value) => tracks.update(1, &values[usize::from(value)]),
                    Step::Archive => tracks.archive(1),
                    Step::Reopen => tracks.reopen(1),
                };
                prop_assert_eq!(done, Ok(()));
            }
            prop_assert_eq!(carry_out(start, &tracks.finish()), state);
        }
    }

    #[test]
    fn a_row_that_ends_with_new_values_is_written_once() {
        let mut tracks = Tracks::default();
        tracks.update(7, &1).unwrap();
        tracks.update(7, &2).unwrap();
        tracks.archive(7).unwrap();
        let moves = tracks.finish();
        assert_eq!((moves.done_inserts, moves.hot_deletes), (vec![&2], vec![7]));
        assert!(moves.hot_updates.is_empty() && moves.archive.is_empty());
    }

    #[test]
    fn steps_out_of_order_are_refused() {
        let mut tracks = Tracks::default();
        tracks.insert(1, &1).unwrap();
        assert!(tracks.insert(1, &1).is_err());
        assert!(tracks.reopen(1).is_err());
        tracks.archive(1).unwrap();
        assert!(tracks.archive(1).is_err());
        assert!(tracks.update(1, &2).is_err());
    }
}
