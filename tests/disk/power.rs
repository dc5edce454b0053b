//! What a disk may show after a power loss, rebuilt from the record of what was done to it.
//!
//! What was flushed is there. Of what was written since, any part may be: all, nothing, the first
//! writes or the last, any of them, and of each any of its sectors. Names that were made or taken away
//! and not flushed are there up to a point.
//!
//! A flush that failed has flushed any part, and no later flush makes up for it: Linux says once that it
//! failed, and then takes for clean what is only in memory.

use std::collections::BTreeMap;
use std::path::Path;

use rand::RngExt as _;
use rand::rngs::StdRng;

use crate::disk::{Entry, FileId};

/// What a disk writes whole or not at all.
const SECTOR: usize = 512;

#[derive(Default)]
struct File {
    durable: Vec<u8>,
    /// Not flushed, in order.
    pending: Vec<Change>,
}

enum Change {
    Write(usize, Box<[u8]>),
    Truncate(usize),
}

enum Named {
    Made(Box<str>, FileId),
    Deleted(Box<str>),
}

/// A disk at one moment of its record.
#[derive(Default)]
pub(crate) struct Image {
    files: BTreeMap<FileId, File>,
    /// Names that are durable.
    names: BTreeMap<Box<str>, FileId>,
    /// Not flushed, in order.
    renamed: Vec<Named>,
}

impl Image {
    /// Goes one entry of the record further. The dice say what a flush that failed has flushed.
    pub(crate) fn go_on(&mut self, entry: &Entry, dice: &mut StdRng) {
        match entry {
            Entry::Made(name, file) => {
                self.files.entry(*file).or_default();
                self.renamed.push(Named::Made(name.clone(), *file));
            }
            Entry::Wrote(file, offset, data) => {
                let offset = usize::try_from(*offset).unwrap();
                self.file(*file).pending.push(Change::Write(offset, data.clone()));
            }
            Entry::Truncated(file, size) => {
                let size = usize::try_from(*size).unwrap();
                self.file(*file).pending.push(Change::Truncate(size));
            }
            Entry::Synced(file, names) => {
                let file = self.file(*file);
                for change in std::mem::take(&mut file.pending) {
                    change.apply(&mut file.durable);
                }
                if *names {
                    self.flush_names();
                }
            }
            Entry::Forgotten(file) => {
                let file = self.file(*file);
                file.durable = file.after_power_loss(dice);
                file.pending.clear();
            }
            Entry::Deleted(name, durably) => {
                self.renamed.push(Named::Deleted(name.clone()));
                if *durably {
                    self.flush_names();
                }
            }
        }
    }

    fn file(&mut self, file: FileId) -> &mut File {
        self.files.entry(file).or_default()
    }

    fn flush_names(&mut self) {
        for renamed in std::mem::take(&mut self.renamed) {
            renamed.apply(&mut self.names);
        }
    }

    /// Writes into a folder what may be left when the power goes now.
    pub(crate) fn lose_power(&self, dice: &mut StdRng, folder: &Path) {
        let mut names = self.names.clone();
        let kept = dice.random_range(0..=self.renamed.len());
        for renamed in self.renamed.iter().take(kept) {
            renamed.apply(&mut names);
        }
        for (name, file) in names {
            let bytes = self.files[&file].after_power_loss(dice);
            std::fs::write(folder.join(&*name), bytes).unwrap();
        }
    }
}

impl File {
    fn after_power_loss(&self, dice: &mut StdRng) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        let way = dice.random_range(0..7);
        let edge = dice.random_range(0..=self.pending.len());
        for (at, change) in self.pending.iter().enumerate() {
            match way {
                // Everything, and nothing.
                0 => change.apply(&mut bytes),
                1 => {}
                // The first ones, of which the last may be torn; and the last ones.
                2 if at < edge => change.apply(&mut bytes),
                2 if at == edge => change.apply_partly(&mut bytes, dice),
                3 if at >= edge => change.apply(&mut bytes),
                2 | 3 => {}
                // Any of them, and any of their sectors.
                4 if dice.random() => change.apply(&mut bytes),
                4 => {}
                5 if dice.random_range(0..8) == 0 => {}
                5 => change.apply(&mut bytes),
                _ => change.apply_partly(&mut bytes, dice),
            }
        }
        bytes
    }
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Write(offset, data) => write(bytes, *offset, data),
            Self::Truncate(size) => bytes.resize(*size, 0),
        }
    }

    /// Any of its sectors.
    fn apply_partly(&self, bytes: &mut Vec<u8>, dice: &mut StdRng) {
        match self {
            Self::Write(offset, data) => {
                let mut from = 0;
                while from < data.len() {
                    // Sectors of the disk, not of the write.
                    let to = (SECTOR - (offset + from) % SECTOR + from).min(data.len());
                    if dice.random() {
                        write(bytes, offset + from, &data[from..to]);
                    }
                    from = to;
                }
            }
            Self::Truncate(_) if dice.random() => {}
            Self::Truncate(_) => self.apply(bytes),
        }
    }
}

/// A hole before it reads as zeros.
fn write(bytes: &mut Vec<u8>, offset: usize, data: &[u8]) {
    let end = offset + data.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(data);
}

impl Named {
    fn apply(&self, names: &mut BTreeMap<Box<str>, FileId>) {
        match self {
            Self::Made(name, file) => drop(names.insert(name.clone(), *file)),
            Self::Deleted(name) => drop(names.remove(name)),
        }
    }
}
