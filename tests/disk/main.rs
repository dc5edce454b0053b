//! What was answered survives the disk: one that is full, one that fails, one that is slow, and a loss of
//! power.
//!
//! The real writer and the real driver on SQLite, whose files go through a layer of ours (`vfs`) to a
//! `disk` that fails at the n-th operation, or remembers what was done to it. `story` plays those who
//! use the server and writes down what they were told; `power` rebuilds from the record what a disk may
//! show after the power was lost; `slow` asks a whole server over HTTP; `rows` looks with a plain SQLite whether everything told is there.
//!
//! - `DISK_RUNS=n` plays so many stories on a failing disk, `DISK_RUN=n` only that one.
//! - `DISK_STATES=n` looks at so many states after a power loss.
//!
//! Large bodies are files of their own and not SQLite's, so they are not part of it.

#![expect(clippy::unwrap_used, reason = "a test that does not fit together has failed")]

mod disk;
mod order;
mod power;
mod rows;
mod server;
mod slow;
mod story;
mod vfs;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use dispatchyard::store::{Backup, Synchronous};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rustix::fs::{FlockOperation, flock};

use disk::{Disk, Entry, Kind, OPERATIONS, Trouble};
use power::Image;
use rows::{Fact, Wrong, look};
use server::{Setup, database};
use story::Story;

/// Stories on a failing disk, when nobody says how many.
const RUNS: usize = 400;
/// States after a power loss.
const STATES: usize = 2_000;
/// Of them, those of one story in which a flush failed.
const STATES_OF_A_FLUSH: usize = 50;
/// Rounds of a story on a failing disk: a few of each thing.
const ROUNDS: u64 = 3;
/// Rounds of a story that is remembered: enough for some checkpoints of the log.
const ROUNDS_REMEMBERED: u64 = 40;
/// How often, a millisecond apart, it is looked at most whether something is as it should be.
const LOOKS_MAX: u64 = 15_000;
/// How soon after a trouble writes must be accepted again, in seconds.
const ACCEPTED_WITHIN: f64 = 1.0;

fn many(variable: &str, otherwise: usize) -> usize {
    std::env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// A folder for databases. In memory where there is such a one: these tests never rely on a flush.
fn folder() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = tempfile::tempdir_in(in_memory);
    made.or_else(|_| tempfile::tempdir()).unwrap()
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(work)
}

/// Does so many things on some threads.
fn spread(many: usize, threads: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(number) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|number| *number < many)
                {
                    work(number);
                }
            });
        }
    });
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

/// What one story on a failing disk came to.
struct Played {
    disk: Arc<Disk>,
    facts: usize,
}

/// Plays a story on that disk, then looks at what is left.
fn play(disk: Disk, unguarded: bool) -> (Played, Result<(), String>) {
    let (folder, disk) = (folder(), Arc::new(disk));
    let mounted = vfs::mount(folder.path(), &disk);
    let setup = Setup { unguarded, ..Setup::new(folder.path()) };
    let mut story = Story::new(setup, &disk);
    let ended = block_on(story.play(ROUNDS));
    let told = story.told();
    drop(story);
    drop(mounted);
    let ended = ended.and_then(|()| {
        let facts = told.iter().map(|(_, fact)| fact);
        block_on(look(&database(folder.path()), facts)).map_err(|wrong| format!("{wrong:?}"))
    });
    (Played { facts: told.len(), disk }, ended)
}

/// How many operations a story takes when nothing fails.
struct Operations {
    all: u64,
    of_kind: BTreeMap<&'static str, u64>,
}

impl Operations {
    fn count() -> Self {
        let (played, ended) = play(Disk::sound(), false);
        ended.unwrap();
        let (all, of_kind) = played.disk.operations();
        Self { all, of_kind }
    }

    /// The trouble of a run. Three of four begin at moments evenly over the story; of the others each
    /// is about one kind of operation, so that the rare ones have their turn.
    fn trouble(&self, run: usize, runs: usize) -> Trouble {
        let (number, kind) = (run as u64, Kind::ALL[run % Kind::ALL.len()]);
        let failures = 1 + number % 7;
        if run % 4 != 3 {
            let at = number * self.all / runs as u64;
            return Trouble { at, only: None, kind, failures };
        }
        let name = OPERATIONS[run / 4 % OPERATIONS.len()];
        let at = number / 40 % self.of_kind[name];
        let kind = if failures % 2 == 0 { Kind::Gone } else { Kind::OnceMidway };
        Trouble { at, only: Some(name), kind, failures }
    }
}

#[test]
fn a_disk_that_fails_at_any_operation_loses_nothing_that_was_answered() {
    let runs = many("DISK_RUNS", RUNS);
    let operations = Operations::count();
    let only = std::env::var("DISK_RUN").ok().map(|text| text.parse::<usize>().unwrap());
    let (hit, facts) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let failed = Mutex::new(BTreeSet::new());
    let slowest = Mutex::new(0.0_f64);
    let wrong = Mutex::new(Vec::new());
    // Most of the time nobody computes: the driver waits before it tries again.
    spread(runs, 2 * cores(), |run| {
        if only.is_some_and(|only| only != run) || wrong.lock().unwrap().len() >= 10 {
            return;
        }
        let trouble = operations.trouble(run, runs);
        let (played, ended) = play(Disk::failing(trouble), false);
        let after = played.disk.accepted_after().unwrap_or(0.0);
        facts.fetch_add(played.facts, Ordering::Relaxed);
        hit.fetch_add(usize::from(played.disk.failures() > 0), Ordering::Relaxed);
        failed.lock().unwrap().extend(played.disk.failed());
        let mut slowest = slowest.lock().unwrap();
        *slowest = slowest.max(after);
        drop(slowest);
        let slow = (after > ACCEPTED_WITHIN).then(|| format!("writes came back after {after} s"));
        if let Some(what) = ended.err().or(slow) {
            wrong.lock().unwrap().push(format!("DISK_RUN={run}, {trouble:?}: {what}"));
        }
    });
    let (hit, slowest) = (hit.into_inner(), slowest.into_inner().unwrap());
    println!(
        "{runs} runs over {} operations: in {hit} the disk failed, {} answers were looked up, writes \
         came back after {slowest:.3} s at the latest",
        operations.all,
        facts.into_inner()
    );
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    if only.is_none() {
        assert!(hit * 2 > runs, "the disk failed in {hit} of {runs} runs");
        let failed = failed.into_inner().unwrap();
        assert_eq!(failed, OPERATIONS.into(), "every kind of operation has failed");
    }
}

/// Law 1 is not there for nothing, and the check is not blind.
#[test]
fn without_the_guard_of_law_1_answered_rows_are_lost() {
    let (runs, operations) = (100, Operations::count());
    let (lost, hit) = (AtomicUsize::new(0), AtomicUsize::new(0));
    spread(runs, 2 * cores(), |run| {
        let (played, ended) = play(Disk::failing(operations.trouble(run, runs)), true);
        hit.fetch_add(usize::from(played.disk.failures() > 0), Ordering::Relaxed);
        if let Err(what) = ended {
            println!("run {run}: {}", what.chars().take(200).collect::<String>());
            lost.fetch_add(usize::from(what.contains("lost: ")), Ordering::Relaxed);
        }
    });
    let (lost, hit) = (lost.into_inner(), hit.into_inner());
    println!("{runs} runs without the guard: in {hit} the disk failed, {lost} lost answered rows");
    assert!(lost > 0, "nothing was lost in {hit} runs on a failing disk");
}

/// However long the trouble was: what waits between two tries has an end below a second.
#[test]
fn a_disk_that_was_away_for_long_is_written_again_within_a_second() {
    let (folder, disk) = (folder(), Arc::new(Disk::sound()));
    let _mounted = vfs::mount(folder.path(), &disk);
    let mut story = Story::new(Setup::new(folder.path()), &disk);
    let after = block_on(async {
        story.start().await?;
        story.away_for_long().await
    });
    let after = after.unwrap();
    println!("writes came back after {after:.3} s");
    assert!(after < ACCEPTED_WITHIN, "writes came back after {after} s");
}

/// The writer begins the log anew then, which is not possible while somebody reads: a copy lets go.
#[test]
fn a_backup_that_is_under_way_does_not_keep_writes_away_after_a_flush_that_failed() {
    let (folder, to, disk) = (folder(), folder(), Arc::new(Disk::sound()));
    let _mounted = vfs::mount(folder.path(), &disk);
    let setup = Setup::new(folder.path());
    let mut options = setup.options();
    // The copy stands still in its midst until somebody needs the log.
    let (under_way, is_under_way) = mpsc::channel();
    let under_way = Mutex::new(Some(under_way));
    let watched = std::fs::File::open(folder.path()).unwrap();
    options.planted.backup_looks = Some(Arc::new(move || {
        let Some(under_way) = under_way.lock().unwrap().take() else { return };
        under_way.send(()).unwrap();
        for _ in 0..LOOKS_MAX {
            if flock(&watched, FlockOperation::NonBlockingLockShared).is_err() {
                return;
            }
            flock(&watched, FlockOperation::Unlock).unwrap();
            #[expect(clippy::disallowed_methods, reason = "between two looks for a level")]
            std::thread::sleep(Duration::from_millis(1));
        }
    }));
    let copy = database(to.path());
    let mut copying = None;
    let mut story = Story::new(setup, &disk);
    let after = block_on(story.flush_fails(|| {
        let copy = copy.clone();
        copying = Some(std::thread::spawn(move || {
            block_on(Backup::begin(&options, &copy)).map(drop).map_err(|error| error.to_string())
        }));
        is_under_way.recv_timeout(Duration::from_millis(LOOKS_MAX)).unwrap();
    }));
    let after = after.unwrap();
    println!("writes came back after {after:.3} s");
    assert!(after < ACCEPTED_WITHIN, "writes came back after {after} s");
    copying.unwrap().join().unwrap().unwrap();
    let told = story.told();
    block_on(look(&copy, told.iter().take(1).map(|(_, fact)| fact))).unwrap();
}

/// A story and all that the disk remembers of it.
struct Remembered {
    record: Vec<Entry>,
    told: Vec<(usize, Fact)>,
}

fn remember(synchronous: Synchronous, rounds: u64, trouble: Option<Trouble>) -> Remembered {
    let (folder, disk) = (folder(), Arc::new(Disk::recording(trouble)));
    let _mounted = vfs::mount(folder.path(), &disk);
    let setup = Setup { synchronous, ..Setup::new(folder.path()) };
    let mut story = Story::new(setup, &disk);
    block_on(story.play(rounds)).unwrap();
    Remembered { told: story.told(), record: disk.take_record() }
}

/// What was found in the states after a power loss.
#[derive(Default, Debug)]
struct Found {
    states: usize,
    corrupt: Vec<String>,
    lost: Vec<String>,
}

impl Remembered {
    /// Looks at so many states, evenly over the record; some of one moment differ by their dice.
    fn look_at(&self, states: usize) -> Found {
        let found = Mutex::new(Found::default());
        let threads = cores();
        spread(threads, threads, |thread| {
            let (mut image, mut done) = (Image::default(), 0);
            let mut flushes = StdRng::seed_from_u64(thread as u64);
            for state in (thread..states).step_by(threads) {
                let moment = state * (self.record.len() + 1) / states;
                for entry in &self.record[done..moment] {
                    image.go_on(entry, &mut flushes);
                }
                done = moment;
                let folder = folder();
                image.lose_power(&mut StdRng::seed_from_u64(state as u64), folder.path());
                let wrong = self.wrong_in(folder.path(), moment);
                let mut found = found.lock().unwrap();
                found.states += 1;
                match wrong {
                    None => {}
                    Some(Wrong::Corrupt(what)) => found.corrupt.push(format!("{state}: {what}")),
                    Some(Wrong::Lost(what)) => found.lost.push(format!("{state}: {what}")),
                }
            }
        });
        found.into_inner().unwrap()
    }

    /// What is wrong with a folder after the power went at that moment.
    fn wrong_in(&self, folder: &Path, moment: usize) -> Option<Wrong> {
        let facts = self.told.iter().filter(|(at, _)| *at <= moment).map(|(_, fact)| fact);
        if let Err(wrong) = block_on(look(&database(folder), facts)) {
            return Some(wrong);
        }
        let _mounted = vfs::mount(folder, &Arc::new(Disk::sound()));
        block_on(story::load(folder)).err().map(Wrong::Corrupt)
    }
}

#[test]
fn after_a_power_loss_everything_that_was_answered_is_there() {
    let remembered = remember(Synchronous::Full, ROUNDS_REMEMBERED, None);
    let found = remembered.look_at(many("DISK_STATES", STATES));
    let Found { states, corrupt, lost } = &found;
    println!(
        "{states} states of {} operations and {} answers: {} corrupt, {} with something lost",
        remembered.record.len(),
        remembered.told.len(),
        corrupt.len(),
        lost.len()
    );
    let first = |of: &[String]| of.iter().take(3).cloned().collect::<Vec<_>>().join("\n");
    assert!(corrupt.is_empty(), "corrupt:\n{}", first(corrupt));
    assert!(lost.is_empty(), "lost:\n{}", first(lost));
    assert!(remembered.told.len() > 100 && *states > 100, "too little happened");
}

/// Else the database is newer than its log, whose older pages would be laid over it after a power loss.
#[test]
fn after_a_flush_that_failed_the_log_is_written_again_before_it_is_moved() {
    let flushes = Operations::count().of_kind["sync"];
    let seen = Mutex::new(0);
    spread(usize::try_from(flushes).unwrap(), 2 * cores(), |at| {
        let (kind, failures) = (Kind::Gone, 1 + at as u64 % 3);
        let trouble = Trouble { at: at as u64, only: Some("sync"), kind, failures };
        let remembered = remember(Synchronous::Full, ROUNDS, Some(trouble));
        let (forgotten, moved) = order::log_was_forgotten_and_moved(&remembered.record);
        assert!(!moved, "{trouble:?}");
        *seen.lock().unwrap() += usize::from(forgotten);
    });
    let seen = seen.into_inner().unwrap();
    assert!(seen > 10, "a flush of the log failed in {seen} stories only");
}

/// What a flush should have flushed and did not is not counted upon, though it can be read.
#[test]
fn after_a_flush_that_failed_and_a_power_loss_everything_that_was_answered_is_there() {
    let stories = many("DISK_STATES", STATES).div_ceil(STATES_OF_A_FLUSH);
    let flushes = Operations::count().of_kind["sync"];
    let (seen, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    spread(stories, 2 * cores(), |story| {
        let kind = if story % 2 == 0 { Kind::Gone } else { Kind::Once };
        let (at, failures) = (story as u64 % flushes, 1 + story as u64 / 2 % 6);
        let trouble = Trouble { at, only: Some("sync"), kind, failures };
        let found = remember(Synchronous::Full, ROUNDS, Some(trouble)).look_at(STATES_OF_A_FLUSH);
        seen.fetch_add(found.states, Ordering::Relaxed);
        let what = found.corrupt.into_iter().chain(found.lost);
        wrong.lock().unwrap().extend(what.map(|what| format!("{trouble:?}: {what}")));
    });
    let (seen, wrong) = (seen.into_inner(), wrong.into_inner().unwrap());
    println!("{seen} states after flushes that failed, {} are wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.iter().take(5).cloned().collect::<Vec<_>>().join("\n"));
}

/// `synchronous = FULL` is not there for nothing, and the check is not blind.
#[test]
fn with_flushes_at_checkpoints_only_answered_rows_are_lost() {
    let found = remember(Synchronous::Normal, ROUNDS_REMEMBERED, None).look_at(300);
    let Found { states, corrupt, lost } = &found;
    println!("{states} states: {} corrupt, {} with something lost", corrupt.len(), lost.len());
    assert!(corrupt.is_empty(), "it is sound even then: {corrupt:?}");
    assert!(lost.len() > states / 10, "{} of {states}", lost.len());
}
