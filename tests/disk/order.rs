//! In which order files are written after a flush that failed.

use std::collections::{BTreeMap, BTreeSet};

use crate::disk::{Entry, FileId};

/// Everything in SQLite's files begins and ends at a multiple of it.
const BLOCK: u64 = 8;

/// Blocks of a file that were written, and which of them no flush reaches any more.
#[derive(Default)]
struct Blocks {
    pending: BTreeSet<u64>,
    forgotten: BTreeSet<u64>,
}

/// Whether a flush of the log was forgotten; and whether the database was written while the log had blocks
/// that no flush would reach, so that it might become newer than its log.
pub(crate) fn log_was_forgotten_and_moved(record: &[Entry]) -> (bool, bool) {
    let (mut names, mut files) = (BTreeMap::new(), BTreeMap::<FileId, Blocks>::new());
    let (mut forgotten, mut moved) = (false, false);
    let is_log = |names: &BTreeMap<FileId, Box<str>>, file: FileId| {
        names.get(&file).is_some_and(|name| name.ends_with("-wal"))
    };
    for entry in record {
        match entry {
            Entry::Made(name, file) => drop(names.insert(*file, name.clone())),
            Entry::Wrote(file, at, bytes) => {
                if !is_log(&names, *file) {
                    let mut logs = files.iter().filter(|(file, _)| is_log(&names, **file));
                    moved |= logs.any(|(_, blocks)| !blocks.forgotten.is_empty());
                }
                let blocks = files.entry(*file).or_default();
                for block in at / BLOCK..(at + bytes.len() as u64).div_ceil(BLOCK) {
                    blocks.forgotten.remove(&block);
                    blocks.pending.insert(block);
                }
            }
            Entry::Truncated(file, bytes) => {
                let blocks = files.entry(*file).or_default();
                for of in [&mut blocks.pending, &mut blocks.forgotten] {
                    of.retain(|block| block * BLOCK < *bytes);
                }
            }
            Entry::Synced(file, _) => files.entry(*file).or_default().pending.clear(),
            Entry::Forgotten(file) => {
                let blocks = files.entry(*file).or_default();
                blocks.forgotten.append(&mut blocks.pending);
                forgotten |= is_log(&names, *file) && !blocks.forgotten.is_empty();
            }
            Entry::Deleted(name, _) => names.retain(|_, known| known != name),
        }
    }
    (forgotten, moved)
}
