//! A disk that fails or takes its time when it is told to, and remembers what was done to it.
//!
//! Operations are counted over all files. A trouble begins with the n-th of them and lasts for one, or
//! until the disk has failed so often, so that it is over without anybody's clock.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::c_int;
use std::ops::Range;
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::Duration;

use dispatchyard::clock::{Clock as _, SystemClock};
use libsqlite3_sys as ffi;

/// A file; its name may be given to another one later.
pub(crate) type FileId = u64;

/// What is about to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    Open {
        /// Whether that makes the file.
        new: bool,
    },
    Read,
    Write {
        file: FileId,
        /// The first byte behind it.
        end: u64,
    },
    Truncate,
    Sync,
    Size,
    Lock,
    Delete,
    Access,
    /// Of the memory that connections share, which is a file too.
    Share {
        /// Whether it may grow.
        extend: bool,
    },
}

/// The kinds of operations, by name: each must have failed at least once.
pub(crate) const OPERATIONS: [&str; 10] =
    ["open", "read", "write", "truncate", "sync", "size", "lock", "delete", "access", "share"];

impl Op {
    fn name(self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Read => "read",
            Self::Write { .. } => "write",
            Self::Truncate => "truncate",
            Self::Sync => "sync",
            Self::Size => "size",
            Self::Lock => "lock",
            Self::Delete => "delete",
            Self::Access => "access",
            Self::Share { .. } => "share",
        }
    }

    /// What SQLite's own layer says when the system says EIO.
    fn io_error(self) -> c_int {
        match self {
            Self::Open { .. } => ffi::SQLITE_CANTOPEN,
            Self::Read => ffi::SQLITE_IOERR_READ,
            Self::Write { .. } => ffi::SQLITE_IOERR_WRITE,
            Self::Truncate => ffi::SQLITE_IOERR_TRUNCATE,
            Self::Sync => ffi::SQLITE_IOERR_FSYNC,
            Self::Size => ffi::SQLITE_IOERR_FSTAT,
            Self::Lock => ffi::SQLITE_IOERR_LOCK,
            Self::Delete => ffi::SQLITE_IOERR_DELETE,
            Self::Access => ffi::SQLITE_IOERR_ACCESS,
            Self::Share { .. } => ffi::SQLITE_IOERR_SHMMAP,
        }
    }
}

/// What becomes of an operation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    Go,
    /// Nothing is done, and SQLite is told this.
    Fail(c_int),
    /// A write is done by half, and SQLite is told this.
    Partly(c_int),
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// There is no room: no file is made, and none grows.
    Full,
    /// The same, and of the first write a half found room.
    FullMidway,
    /// One operation fails.
    Once,
    /// One operation fails, and if it is a write, a half was done.
    OnceMidway,
    /// Every operation fails.
    Gone,
}

impl Kind {
    pub(crate) const ALL: [Self; 5] =
        [Self::Full, Self::FullMidway, Self::Once, Self::OnceMidway, Self::Gone];

    fn is_full(self) -> bool {
        matches!(self, Self::Full | Self::FullMidway)
    }
}

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// The first operation that it may touch, from 0.
    pub(crate) at: u64,
    /// Only operations of this kind count, and are touched.
    pub(crate) only: Option<&'static str>,
    pub(crate) kind: Kind,
    /// After so many failures it is over; at least 1.
    pub(crate) failures: u64,
}

/// How long a slow disk takes for each of them, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    pub(crate) write_ms: Range<u64>,
    pub(crate) flush_ms: Range<u64>,
}

/// A flush that takes as long as somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Hold {
    #[default]
    None,
    /// The next one is held.
    Next,
    /// One is.
    Held,
}

/// The longest that a flush is held, should nobody let it go.
const HELD_MAX: Duration = Duration::from_secs(60);

/// What was done, as far as a power loss makes a difference to it.
#[derive(Clone, Debug)]
pub(crate) enum Entry {
    /// A file got this name.
    Made(Box<str>, FileId),
    Wrote(FileId, u64, Box<[u8]>),
    Truncated(FileId, u64),
    /// All that was written to the file is durable, and if so the names of all files too.
    Synced(FileId, bool),
    /// A flush of the file failed. The system says so once, and counts as flushed what was not.
    Forgotten(FileId),
    /// A name was taken away, and durably so.
    Deleted(Box<str>, bool),
}

#[derive(Default)]
struct State {
    operations: u64,
    /// The same by kind.
    of_kind: BTreeMap<&'static str, u64>,
    trouble: Option<Trouble>,
    pace: Option<Pace>,
    hold: Hold,
    /// Operations that failed.
    failures: u64,
    /// Their kinds.
    failed: BTreeSet<&'static str>,
    /// When the last trouble ended, in seconds.
    healed_at: Option<f64>,
    /// How long after that a write was accepted, in seconds.
    accepted_after: Option<f64>,
    names: BTreeMap<Box<str>, FileId>,
    next_file: FileId,
    lengths: BTreeMap<FileId, u64>,
    /// Files with whose next flush their names are flushed.
    to_name: BTreeSet<FileId>,
    /// `None`: it remembers nothing.
    record: Option<Vec<Entry>>,
}

pub(crate) struct Disk {
    state: Mutex<State>,
    /// A flush is held no more.
    released: Condvar,
    clock: SystemClock,
}

impl Disk {
    fn with(state: State) -> Self {
        Self { state: Mutex::new(state), released: Condvar::new(), clock: SystemClock::new() }
    }

    /// Never fails, and remembers nothing.
    pub(crate) fn sound() -> Self {
        Self::with(State::default())
    }

    /// Fails so.
    pub(crate) fn failing(trouble: Trouble) -> Self {
        Self::with(State { trouble: Some(trouble), ..State::default() })
    }

    /// Remembers all.
    pub(crate) fn recording(trouble: Option<Trouble>) -> Self {
        Self::with(State { record: Some(Vec::new()), trouble, ..State::default() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Begins a trouble now.
    pub(crate) fn fail(&self, kind: Kind, failures: u64) {
        let mut state = self.state();
        state.trouble = Some(Trouble { at: state.operations, only: None, kind, failures });
    }

    /// Lets the next flush fail.
    pub(crate) fn fail_flush(&self) {
        let mut state = self.state();
        let at = state.of_kind.get("sync").copied().unwrap_or(0);
        state.trouble = Some(Trouble { at, only: Some("sync"), kind: Kind::Once, failures: 1 });
    }

    /// Ends the trouble.
    pub(crate) fn heal(&self) {
        let mut state = self.state();
        if state.trouble.take().is_some() && state.failures > 0 {
            state.healed_at = Some(self.clock.seconds());
        }
    }

    /// Takes so long for everything from now on, or no time.
    pub(crate) fn slow(&self, pace: Option<Pace>) {
        self.state().pace = pace;
    }

    /// Lets the next flush take until it is released.
    pub(crate) fn hold_flush(&self) {
        self.state().hold = Hold::Next;
    }

    /// Whether a flush is held.
    pub(crate) fn is_held(&self) -> bool {
        self.state().hold == Hold::Held
    }

    /// Lets the flush go on.
    pub(crate) fn release_flush(&self) {
        self.state().hold = Hold::None;
        self.released.notify_all();
    }

    /// Takes the time that this operation takes.
    fn take_time(&self, op: Op) {
        let mut state = self.state();
        let wait_ms = match (&state.pace, op) {
            (Some(pace), Op::Write { .. }) => Some(pace.write_ms.clone()),
            (Some(pace), Op::Sync) => Some(pace.flush_ms.clone()),
            _ => None,
        };
        if let Some(Range { start, end }) = wait_ms {
            // Evenly spread, by the golden ratio, and the same each time.
            let dice = state.operations.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            drop(state);
            #[expect(clippy::disallowed_methods, reason = "a slow disk keeps its caller waiting")]
            std::thread::sleep(Duration::from_millis(start + dice % (end - start)));
            state = self.state();
        }
        if matches!(op, Op::Sync) && state.hold == Hold::Next {
            state.hold = Hold::Held;
            let is_held = |state: &mut State| state.hold == Hold::Held;
            drop(self.released.wait_timeout_while(state, HELD_MAX, is_held).unwrap());
        }
    }

    /// Something was written and answered.
    pub(crate) fn accepted(&self) {
        let mut state = self.state();
        if let Some(healed_at) = state.healed_at.take() {
            state.accepted_after = Some(self.clock.seconds() - healed_at);
        }
    }

    /// How long it took from the end of the trouble until something was written and answered, in
    /// seconds.
    pub(crate) fn accepted_after(&self) -> Option<f64> {
        self.state().accepted_after
    }

    /// How many operations there were: all, and by kind.
    pub(crate) fn operations(&self) -> (u64, BTreeMap<&'static str, u64>) {
        let state = self.state();
        (state.operations, state.of_kind.clone())
    }

    pub(crate) fn failures(&self) -> u64 {
        self.state().failures
    }

    /// Kinds of operations that failed.
    pub(crate) fn failed(&self) -> BTreeSet<&'static str> {
        self.state().failed.clone()
    }

    /// How much was remembered.
    pub(crate) fn entries(&self) -> usize {
        self.state().record.as_ref().map_or(0, Vec::len)
    }

    /// What was remembered.
    pub(crate) fn take_record(&self) -> Vec<Entry> {
        self.state().record.take().unwrap_or_default()
    }

    /// Counts an operation and says what becomes of it.
    pub(crate) fn ask(&self, op: Op) -> Verdict {
        self.take_time(op);
        let mut state = self.state();
        let number = state.operations;
        state.operations += 1;
        let of_kind = state.of_kind.entry(op.name()).or_default();
        let of_its_kind = *of_kind;
        *of_kind += 1;
        let touched = |trouble: &Trouble| match trouble.only {
            None => number >= trouble.at,
            Some(only) => only == op.name() && of_its_kind >= trouble.at,
        };
        let Some(trouble) = state.trouble.filter(touched) else { return Verdict::Go };
        let code = match trouble.kind {
            kind if kind.is_full() => match state.no_room_for(op) {
                Some(code) => code,
                None => return Verdict::Go,
            },
            _ => op.io_error(),
        };
        let first = state.failures == 0;
        state.failures += 1;
        state.failed.insert(op.name());
        let once = matches!(trouble.kind, Kind::Once | Kind::OnceMidway);
        if once || state.failures >= trouble.failures {
            state.trouble = None;
            state.healed_at = Some(self.clock.seconds());
        }
        let midway = first && matches!(trouble.kind, Kind::FullMidway | Kind::OnceMidway);
        if midway { Verdict::Partly(code) } else { Verdict::Fail(code) }
    }

    pub(crate) fn opened(&self, name: &str, to_name: bool) -> FileId {
        let mut state = self.state();
        let id = match state.names.get(name) {
            Some(id) => *id,
            None => {
                let id = state.next_file;
                state.next_file += 1;
                state.names.insert(name.into(), id);
                state.remember(|| Entry::Made(name.into(), id));
                id
            }
        };
        if to_name {
            state.to_name.insert(id);
        }
        id
    }

    pub(crate) fn deleted(&self, name: &str, durably: bool) {
        let mut state = self.state();
        if state.names.remove(name).is_some() {
            state.remember(|| Entry::Deleted(name.into(), durably));
        }
    }

    pub(crate) fn wrote(&self, file: FileId, offset: u64, data: &[u8]) {
        let mut state = self.state();
        let length = state.lengths.entry(file).or_default();
        *length = (*length).max(offset + data.len() as u64);
        state.remember(|| Entry::Wrote(file, offset, data.into()));
    }

    pub(crate) fn truncated(&self, file: FileId, size: u64) {
        let mut state = self.state();
        state.lengths.insert(file, size);
        state.remember(|| Entry::Truncated(file, size));
    }

    pub(crate) fn not_synced(&self, file: FileId) {
        self.state().remember(|| Entry::Forgotten(file));
    }

    pub(crate) fn synced(&self, file: FileId) {
        let mut state = self.state();
        let named = state.to_name.remove(&file);
        state.remember(|| Entry::Synced(file, named));
    }
}

impl State {
    /// What SQLite's own layer says when the system says ENOSPC, if there is no room for this.
    fn no_room_for(&self, op: Op) -> Option<c_int> {
        match op {
            Op::Open { new: true } => Some(ffi::SQLITE_CANTOPEN),
            Op::Write { file, end } => {
                let grows = self.lengths.get(&file).is_none_or(|length| *length < end);
                grows.then_some(ffi::SQLITE_FULL)
            }
            Op::Share { extend: true } => Some(ffi::SQLITE_IOERR_SHMSIZE),
            _ => None,
        }
    }

    fn remember(&mut self, entry: impl FnOnce() -> Entry) {
        if let Some(record) = &mut self.record {
            record.push(entry());
        }
    }
}
