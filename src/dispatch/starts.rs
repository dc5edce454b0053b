//! How often triggers start something: for one thing, and at all.
//!
//! The times of starts are in memory alone: after a restart the windows are empty, and a trigger may start its number
//! again. What a breaker did is a pause, which is a row: it lasts until an operator lifts it.

use std::collections::{BTreeMap, VecDeque};

use super::scheduler::Scheduler;
use crate::model::{Now, Pause, PauseScope, StartLimit, StartLimits};

/// The most things for which starts are counted at once.
const WINDOWS_MAX: usize = 10_000;

/// A trigger, and what it started something for; `None` for all of it.
type Key = (Box<str>, Option<Box<str>>);

/// When what was started lately, by the clock that nobody can set.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    windows: BTreeMap<Key, Window>,
}

#[derive(Clone, Debug)]
struct Window {
    window_ms: i64,
    starts_ms: VecDeque<i64>,
}

impl Window {
    fn forget(&mut self, now_ms: i64) {
        while self.starts_ms.front().is_some_and(|at_ms| now_ms - at_ms >= self.window_ms) {
            self.starts_ms.pop_front();
        }
    }
}

impl Starts {
    /// Whether there were as many starts as there may be.
    fn is_full(&mut self, key: &Key, limit: StartLimit, now_ms: i64) -> bool {
        let Some(window) = self.windows.get_mut(key) else { return false };
        window.window_ms = limit.window_ms;
        window.forget(now_ms);
        window.starts_ms.len() >= limit.starts as usize
    }

    fn note(&mut self, key: Key, limit: StartLimit, now_ms: i64) {
        if self.windows.len() >= WINDOWS_MAX && !self.windows.contains_key(&key) {
            self.windows.retain(|_, window| {
                window.forget(now_ms);
                !window.starts_ms.is_empty()
            });
            if self.windows.len() >= WINDOWS_MAX {
                self.windows.pop_first();
            }
        }
        let new = || Window { window_ms: limit.window_ms, starts_ms: VecDeque::new() };
        let window = self.windows.entry(key).or_insert_with(new);
        window.window_ms = limit.window_ms;
        window.starts_ms.push_back(now_ms);
        if window.starts_ms.len() > limit.starts as usize {
            window.starts_ms.pop_front();
        }
    }
}

impl Scheduler {
    /// Why a trigger starts nothing now. One start too many for its breaker stops it until somebody lifts that pause.
    pub(super) fn stopped(
        &mut self,
        now: Now,
        trigger: &str,
        limits: Option<&StartLimits>,
    ) -> Option<String> {
        let scope = PauseScope::Trigger(trigger.into());
        let pause = self.pauses.get(&scope).filter(|pause| &*pause.author == Pause::BREAKER);
        if let Some(pause) = pause {
            return Some(format!("its breaker has stopped it: {}", pause.reason));
        }
        let limits = limits?;
        if let Some(limit) = limits.per_subject {
            let key = (trigger.into(), Some(limits.subject.clone()));
            if self.starts.is_full(&key, limit, now.mono_ms) {
                let StartLimit { starts, window_ms } = limit;
                return Some(format!("it has started {starts} within {window_ms} ms for the same"));
            }
        }
        let limit = limits.breaker?;
        let key = (trigger.into(), None);
        if !self.starts.is_full(&key, limit, now.mono_ms) {
            return None;
        }
        let StartLimit { starts, window_ms } = limit;
        let reason = format!("more than {starts} starts within {window_ms} ms");
        self.starts.windows.remove(&key);
        let (author, at_ms) = (Pause::BREAKER.into(), now.wall_ms);
        let pause = Pause { scope, author, reason: reason.as_str().into(), at_ms };
        drop(self.set_pause(now, pause));
        Some(format!("its breaker has stopped it: {reason}"))
    }

    /// A trigger started something.
    pub(super) fn note_start(&mut self, now: Now, trigger: &str, limits: Option<&StartLimits>) {
        let Some(limits) = limits else { return };
        if let Some(limit) = limits.per_subject {
            let key = (trigger.into(), Some(limits.subject.clone()));
            self.starts.note(key, limit, now.mono_ms);
        }
        if let Some(limit) = limits.breaker {
            self.starts.note((trigger.into(), None), limit, now.mono_ms);
        }
    }
}
