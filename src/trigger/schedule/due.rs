//! What is to be done about a schedule now: fire, pass over, or wait.
//!
//! All that is remembered of a schedule is up to which time it is handled. What follows is counted from there
//! and never from now, so nothing is lost between two looks, however late one comes; and a clock that goes back
//! finds everything handled that it handled before.

use std::collections::VecDeque;

use super::{Missed, Timed};

/// A time that is handled later than this after it was due was missed, in milliseconds.
pub const ON_TIME_MS: i64 = 60_000;
/// A clock that went back further than this was wrong before: what is handled is believed no longer.
const BACK_MAX_MS: i64 = 24 * 3_600_000;
/// Passed times are counted up to this.
const COUNTED_MAX: usize = 1_000;

/// How it stands about a schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Times up to this one are handled (wall).
    pub handled_ms: i64,
    /// The present moment (wall).
    pub now_ms: i64,
    /// Whether its trigger is paused.
    pub is_paused: bool,
    /// The most missed times that `missed = "all"` makes good.
    pub missed_max: usize,
}

/// What is to be done now; then it is asked again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub enum Step {
    /// Nothing before then (wall); `None`: nothing ever.
    Wait(Option<i64>),
    /// Nothing before the pause is lifted; so many times wait for that, as far as is counted.
    Held(usize),
    /// The time has come.
    Fire {
        /// The scheduled time.
        at_ms: i64,
        /// Whether it comes late because it was missed.
        was_missed: bool,
    },
    /// These times do not come.
    Pass {
        /// Up to this one.
        through_ms: i64,
        /// How many, up to a thousand.
        count: usize,
        /// Why not.
        why: Passed,
    },
    /// The clock went back by more than a day: count from now.
    Restart,
}

/// Why times do not come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Passed {
    /// Nothing could be started then, and `missed` does not ask for them.
    Missed,
    /// Their trigger was paused.
    Paused,
}

impl Timed {
    /// By how much a time comes later: a number that every instance finds.
    pub fn jitter(&self, at_ms: i64) -> i64 {
        if self.jitter_ms == 0 {
            return 0;
        }
        // FNV-1a, <https://www.rfc-editor.org/rfc/rfc9923>: it is to be spread, not to be secret.
        let bytes = self.name.bytes().chain(at_ms.to_le_bytes());
        let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // Its low bits say little of the last bytes.
        let spread = (hash ^ (hash >> 32)) % (u64::from(self.jitter_ms) + 1);
        // Never beyond the time after it: what comes later would be late when its turn comes.
        let gap_ms = self.schedule.next_after(at_ms).map_or(i64::MAX, |next_ms| next_ms - at_ms);
        i64::try_from(spread).unwrap_or(0).min(gap_ms)
    }

    /// When a time comes.
    fn due_ms(&self, at_ms: i64) -> i64 {
        at_ms.saturating_add(self.jitter(at_ms))
    }

    /// What is to be done now.
    pub fn step(&self, standing: Standing) -> Step {
        let Standing { handled_ms, now_ms, is_paused, missed_max } = standing;
        if handled_ms.saturating_sub(now_ms) > BACK_MAX_MS {
            return Step::Restart;
        }
        let Some(first) = self.schedule.next_after(handled_ms) else { return Step::Wait(None) };
        let due_ms = self.due_ms(first);
        if due_ms > now_ms {
            return Step::Wait(Some(due_ms));
        }
        let is_late = now_ms - due_ms > ON_TIME_MS;
        match (self.missed, is_paused) {
            (Missed::Skip, true) => self.pass(handled_ms, now_ms, Passed::Paused),
            (_, true) => Step::Held(self.last_due(handled_ms, now_ms, COUNTED_MAX).len()),
            _ if !is_late => Step::Fire { at_ms: first, was_missed: false },
            (Missed::Skip, false) => {
                self.pass(handled_ms, now_ms.saturating_sub(ON_TIME_MS + 1), Passed::Missed)
            }
            (Missed::Once, false) => self.make_good(handled_ms, now_ms, 1),
            (Missed::All, false) => self.make_good(handled_ms, now_ms, missed_max.max(1)),
        }
    }

    /// Passes over what was due up to a moment.
    fn pass(&self, handled_ms: i64, until_ms: i64, why: Passed) -> Step {
        let due = self.last_due(handled_ms, until_ms, COUNTED_MAX);
        let through_ms = due.back().copied().unwrap_or(handled_ms);
        Step::Pass { through_ms, count: due.len(), why }
    }

    /// Fires the oldest of the last that are due, after the others were passed over.
    fn make_good(&self, handled_ms: i64, now_ms: i64, most: usize) -> Step {
        let mut due = self.last_due(handled_ms, now_ms, most.saturating_add(COUNTED_MAX));
        let others = due.len().saturating_sub(most);
        match others.checked_sub(1).and_then(|at| due.get(at)) {
            Some(through_ms) => {
                Step::Pass { through_ms: *through_ms, count: others, why: Passed::Missed }
            }
            None => match due.pop_front() {
                Some(at_ms) => Step::Fire { at_ms, was_missed: true },
                None => Step::Wait(None),
            },
        }
    }

    /// The last times after `handled_ms` that were due at `until_ms`, at most so many, in their order. It looks
    /// at spans that grow, from the end, so that a long absence of a schedule that comes each second costs no more
    /// than a short one.
    fn last_due(&self, handled_ms: i64, until_ms: i64, most: usize) -> VecDeque<i64> {
        let jitter_ms = i64::from(self.jitter_ms);
        let mut span_ms = 60_000_i64.saturating_add(jitter_ms);
        loop {
            let from_ms = until_ms.saturating_sub(span_ms).max(handled_ms);
            let mut found = VecDeque::new();
            let mut after_ms = from_ms;
            while let Some(at_ms) = self.schedule.next_after(after_ms).filter(|it| *it <= until_ms)
            {
                after_ms = at_ms;
                if self.due_ms(at_ms) > until_ms {
                    // One that comes after it waits for it.
                    break;
                }
                found.push_back(at_ms);
                if found.len() > most {
                    found.pop_front();
                }
            }
            if found.len() >= most || from_ms <= handled_ms {
                return found;
            }
            span_ms = span_ms.saturating_mul(8);
        }
    }
}
