//! How often triggers start something: for one thing, and at all.
//!
//! The times of starts are in memory alone: after a restart the windows are empty, and a trigger may start its number
//! again. What a breaker did is a pause, which is a row: it lasts until an operator lifts it.
//!
//! Strangers can make as many things as they like, so the windows of things have a bound and the oldest go first. Those
//! of breakers are as many as there are triggers, and no flood of things ends one.

use std::collections::{BTreeMap, VecDeque};

use super::scheduler::Scheduler;
use crate::model::{Now, Pause, PauseScope, StartLimit, StartLimits};

/// The most things for which starts are counted at once.
pub(super) const WINDOWS_MAX: usize = 10_000;
/// Of these so many go at once where there is no room: one flood is not looked through for each of its things.
const FORGOTTEN_AT_ONCE: usize = WINDOWS_MAX / 10;

/// A trigger, and what it started something for.
type Key = (Box<str>, Box<str>);

/// When what was started lately, by the clock that nobody can set.
#[derive(Clone, Debug, Default)]
pub(super) struct Starts {
    /// Of each trigger all of it.
    breakers: BTreeMap<Box<str>, Window>,
    subjects: BTreeMap<Key, Window>,
}

#[derive(Clone, Debug, Default)]
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

    /// Whether there were as many starts as there may be.
    fn is_full(&mut self, limit: StartLimit, now_ms: i64) -> bool {
        self.window_ms = limit.window_ms;
        self.forget(now_ms);
        self.starts_ms.len() >= limit.starts as usize
    }

    fn note(&mut self, limit: StartLimit, now_ms: i64) {
        self.window_ms = limit.window_ms;
        self.starts_ms.push_back(now_ms);
        if self.starts_ms.len() > limit.starts as usize {
            self.starts_ms.pop_front();
        }
    }

    fn last_ms(&self) -> i64 {
        self.starts_ms.back().copied().unwrap_or(i64::MIN)
    }
}

impl Starts {
    fn note(&mut self, trigger: &str, limits: &StartLimits, now_ms: i64) {
        if let Some(limit) = limits.per_subject {
            let key = (trigger.into(), limits.subject.clone());
            self.make_room(&key, now_ms);
            self.subjects.entry(key).or_default().note(limit, now_ms);
        }
        if let Some(limit) = limits.breaker {
            self.breakers.entry(trigger.into()).or_default().note(limit, now_ms);
        }
    }

    /// Forgets windows that are over, and then those of which nothing was heard for longest.
    fn make_room(&mut self, key: &Key, now_ms: i64) {
        if self.subjects.len() < WINDOWS_MAX || self.subjects.contains_key(key) {
            return;
        }
        self.subjects.retain(|_, window| {
            window.forget(now_ms);
            !window.starts_ms.is_empty()
        });
        if self.subjects.len() < WINDOWS_MAX {
            return;
        }
        let mut last: Vec<_> = self.subjects.values().map(Window::last_ms).collect();
        let (_, until_ms, _) = last.select_nth_unstable(FORGOTTEN_AT_ONCE - 1);
        let (until_ms, mut left) = (*until_ms, FORGOTTEN_AT_ONCE);
        self.subjects.retain(|_, window| {
            let goes = left > 0 && window.last_ms() <= until_ms;
            left -= usize::from(goes);
            !goes
        });
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
        if let Some(reason) = self.pauses.get(&scope).and_then(Pause::stopped_by_breaker) {
            return Some(format!("its breaker has stopped it: {reason}"));
        }
        let limits = limits?;
        if let Some(limit) = limits.per_subject {
            let key = (trigger.into(), limits.subject.clone());
            let window = self.starts.subjects.get_mut(&key);
            if window.is_some_and(|window| window.is_full(limit, now.mono_ms)) {
                let StartLimit { starts, window_ms } = limit;
                return Some(format!("it has started {starts} within {window_ms} ms for the same"));
            }
        }
        let limit = limits.breaker?;
        let window = self.starts.breakers.get_mut(trigger);
        if !window.is_some_and(|window| window.is_full(limit, now.mono_ms)) {
            return None;
        }
        let StartLimit { starts, window_ms } = limit;
        let reason = format!("more than {starts} starts within {window_ms} ms");
        self.starts.breakers.remove(trigger);
        let (author, at_ms) = (Pause::BREAKER.into(), now.wall_ms);
        let pause = Pause { scope, author, reason: reason.as_str().into(), at_ms, breaker: None };
        drop(self.set_pause(now, pause));
        Some(format!("its breaker has stopped it: {reason}"))
    }

    /// A trigger started something.
    pub(super) fn note_start(&mut self, now: Now, trigger: &str, limits: Option<&StartLimits>) {
        if let Some(limits) = limits {
            self.starts.note(trigger, limits, now.mono_ms);
        }
    }
}
