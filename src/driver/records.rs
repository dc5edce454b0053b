//! The records of what happened, as whoever follows them reads them: the last ones, in memory.

use std::collections::VecDeque;
use std::sync::RwLock;

use tokio::sync::watch;

use crate::model::Record;

/// A place in the stream of records: it survives a reconnect, not a restart of the server.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// The scheduler's epoch.
    pub epoch: i64,
    /// The record's number in that epoch, from 1.
    pub sequence: u64,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}-{}", self.epoch, self.sequence)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.split_once('-').and_then(|(epoch, sequence)| {
            Some(Self { epoch: epoch.parse().ok()?, sequence: sequence.parse().ok()? })
        });
        parts.ok_or_else(|| format!("`{text}` is no place in the stream: EPOCH-SEQUENCE"))
    }
}

/// What a reader gets.
#[derive(Clone, PartialEq, Debug)]
pub enum Streamed {
    /// What happened after the cursor; the new cursor is the last one's.
    Records(Vec<(Cursor, Record)>),
    /// The cursor is of another epoch or too far behind: look at the state, and go on from here.
    Resync(Cursor),
}

#[derive(Debug, Default)]
struct Ring {
    epoch: i64,
    last: u64,
    records: VecDeque<Record>,
}

/// The last records in memory, and a bell that rings when there are more.
#[derive(Debug)]
pub struct RecordStream {
    ring: RwLock<Ring>,
    records_max: usize,
    bell: watch::Sender<u64>,
}

impl RecordStream {
    pub(super) fn new(records_max: usize) -> Self {
        Self { ring: RwLock::default(), records_max, bell: watch::Sender::new(0) }
    }

    /// A bell to wait on. Take it before reading, so that nothing falls between.
    pub fn bell(&self) -> watch::Receiver<u64> {
        self.bell.subscribe()
    }

    /// The place after everything that has happened so far.
    pub fn end(&self) -> Cursor {
        let ring = self.ring.read().unwrap_or_else(|broken| broken.into_inner());
        Cursor { epoch: ring.epoch, sequence: ring.last }
    }

    /// Up to `limit` records after `cursor`.
    pub fn after(&self, cursor: Cursor, limit: usize) -> Streamed {
        let ring = self.ring.read().unwrap_or_else(|broken| broken.into_inner());
        let first = ring.last - ring.records.len() as u64;
        let known = cursor.epoch == ring.epoch && (first..=ring.last).contains(&cursor.sequence);
        if !known {
            return Streamed::Resync(Cursor { epoch: ring.epoch, sequence: ring.last });
        }
        let skip = usize::try_from(cursor.sequence - first).unwrap_or(usize::MAX);
        let numbered = ring.records.iter().skip(skip).take(limit).zip(cursor.sequence + 1..);
        let numbered = numbered
            .map(|(record, sequence)| (Cursor { epoch: ring.epoch, sequence }, record.clone()));
        Streamed::Records(numbered.collect())
    }

    pub(super) fn begin_epoch(&self, epoch: i64) {
        let mut ring = self.ring.write().unwrap_or_else(|broken| broken.into_inner());
        *ring = Ring { epoch, ..Ring::default() };
        self.bell.send_modify(|count| *count += 1);
    }

    pub(super) fn push(&self, records: Vec<Record>) {
        if records.is_empty() {
            return;
        }
        let mut ring = self.ring.write().unwrap_or_else(|broken| broken.into_inner());
        ring.last += records.len() as u64;
        ring.records.extend(records);
        let over = ring.records.len().saturating_sub(self.records_max);
        ring.records.drain(..over);
        self.bell.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::RecordName;

    fn record(at_ms: i64) -> Record {
        Record::new(RecordName::JobQueued, at_ms)
    }

    #[test]
    fn a_reader_resumes_where_it_was_and_is_told_when_it_cannot() {
        let stream = RecordStream::new(3);
        stream.begin_epoch(7);
        let start = stream.end();
        stream.push(vec![record(1), record(2)]);
        let Streamed::Records(read) = stream.after(start, 1) else { panic!("no records") };
        assert_eq!((read.len(), read[0].1.at_ms), (1, 1));
        let cursor: Cursor = read[0].0.to_string().parse().unwrap();
        let Streamed::Records(rest) = stream.after(cursor, 9) else { panic!("no records") };
        assert_eq!(rest, [(Cursor { epoch: 7, sequence: 2 }, record(2))]);
        stream.push(vec![record(3), record(4)]);
        assert_eq!(stream.after(start, 9), Streamed::Resync(Cursor { epoch: 7, sequence: 4 }));
        stream.begin_epoch(8);
        assert_eq!(stream.after(cursor, 9), Streamed::Resync(Cursor { epoch: 8, sequence: 0 }));
    }
}
