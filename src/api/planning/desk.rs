//! Whom the planning of deliveries waits for, and until when. In memory: after a restart everybody is asked again.
//!
//! One repository is asked by one task at a time. Its failures make it wait longer and longer; those that are the
//! forge's make all its repositories wait, and then one of them finds out whether it is there again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::model::{Entropy, Now};

/// Repositories of one forge that are asked at once.
const AT_ONCE_MAX: usize = 4;
/// How long the first rest is; doubled with each failure.
const REST_MS: i64 = 500;
/// The longest rest that nobody has asked for.
const REST_MS_MAX: i64 = 60_000;
/// The longest rest that a forge can ask for: its limits are by the hour.
const ASKED_MS_MAX: i64 = 3_600_000;
/// Over how long those are spread that were all asked to come again at one moment.
const SPREAD_MS: u64 = 1_000;
/// Repositories whose failures are remembered; of more, those that may be asked again are forgotten.
const REMEMBERED_MAX: usize = 10_000;

/// A source, and a repository of it or (`None`) its whole forge.
type Who = (String, Option<String>);

/// What is known of who waits for what.
#[derive(Default)]
pub struct Desk {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Default)]
struct Inner {
    troubles: BTreeMap<Who, Trouble>,
    /// Who is asked now.
    busy: BTreeSet<Who>,
    /// Of each source how many deliveries wait, and since when, wall milliseconds.
    waiting: Vec<(Box<str>, u64, i64)>,
}

/// Why somebody rests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trouble {
    /// Failures, one after the other.
    pub(super) tries: u32,
    /// On the clock that nobody can set.
    until_mono_ms: i64,
    /// The same for people.
    pub(super) until_wall_ms: i64,
    pub(super) error: String,
}

/// Whose failure it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Whose {
    Repository,
    Forge,
}

/// The right to ask one repository; given back when it is dropped.
pub(super) struct Turn {
    desk: Arc<Desk>,
    pub(super) source: String,
    pub(super) repository: String,
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.desk.inner().busy.remove(&repository(&self.source, &self.repository));
    }
}

fn repository(source: &str, name: &str) -> Who {
    (source.to_owned(), Some(name.to_owned()))
}

fn forge(source: &str) -> Who {
    (source.to_owned(), None)
}

impl Desk {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// There is something to plan.
    pub(in crate::api) fn ring(&self) {
        self.news.notify_one();
    }

    pub(super) async fn rung(&self) {
        self.news.notified().await;
    }

    /// What changed in the configuration may be what failed: everybody is asked again.
    pub(in crate::api) fn forget_troubles(&self) {
        self.inner().troubles.clear();
        self.ring();
    }

    /// Whether some repository of a source may be asked now.
    pub(super) fn has_room(&self, source: &str, now: Now) -> bool {
        let inner = self.inner();
        let trouble = inner.troubles.get(&forge(source));
        if trouble.is_some_and(|it| it.until_mono_ms > now.mono_ms) {
            return false;
        }
        let busy = inner.busy.iter().filter(|(of, _)| of == source).count();
        busy < if trouble.is_some() { 1 } else { AT_ONCE_MAX }
    }

    /// The right to ask a repository, unless it, or its forge, rests or is asked enough.
    pub(super) fn begin(self: &Arc<Self>, source: &str, name: &str, now: Now) -> Option<Turn> {
        let who = repository(source, name);
        if !self.has_room(source, now) {
            return None;
        }
        let mut inner = self.inner();
        let rests = inner.troubles.get(&who).is_some_and(|it| it.until_mono_ms > now.mono_ms);
        if rests || !inner.busy.insert(who) {
            return None;
        }
        let (desk, source, repository) = (Arc::clone(self), source.to_owned(), name.to_owned());
        Some(Turn { desk, source, repository })
    }

    /// A repository was read: it and its forge are well. What was wrong before, if something was.
    pub(super) fn is_well(&self, turn: &Turn) -> Option<Trouble> {
        let mut inner = self.inner();
        let of_forge = inner.troubles.remove(&forge(&turn.source));
        inner.troubles.remove(&repository(&turn.source, &turn.repository)).or(of_forge)
    }

    /// It could not be read: whoever it was rests now.
    pub(super) fn failed(
        &self,
        turn: &Turn,
        whose: Whose,
        error: String,
        asked_ms: Option<i64>,
        now: Now,
        entropy: &mut dyn Entropy,
    ) -> Trouble {
        let who = match whose {
            Whose::Repository => repository(&turn.source, &turn.repository),
            Whose::Forge => forge(&turn.source),
        };
        let mut inner = self.inner();
        if inner.troubles.len() >= REMEMBERED_MAX {
            inner.troubles.retain(|_, trouble| trouble.until_mono_ms > now.mono_ms);
        }
        let tries = inner.troubles.get(&who).map_or(0, |it| it.tries).saturating_add(1);
        let rest_ms = rest_ms(tries, asked_ms, entropy);
        let trouble = Trouble {
            tries,
            until_mono_ms: now.mono_ms + rest_ms,
            until_wall_ms: now.wall_ms + rest_ms,
            error,
        };
        inner.troubles.insert(who, trouble.clone());
        trouble
    }

    /// In how many milliseconds somebody's rest is over.
    pub(super) fn next_in_ms(&self, now: Now) -> Option<i64> {
        let inner = self.inner();
        let rests = inner.troubles.values().map(|it| it.until_mono_ms - now.mono_ms);
        rests.filter(|rest_ms| *rest_ms > 0).min()
    }

    /// What keeps a repository from being read.
    pub(super) fn trouble(&self, source: &str, name: &str) -> Option<Trouble> {
        let inner = self.inner();
        let of_forge = inner.troubles.get(&forge(source));
        of_forge.or_else(|| inner.troubles.get(&repository(source, name))).cloned()
    }

    pub(super) fn set_waiting(&self, waiting: Vec<(Box<str>, u64, i64)>) {
        self.inner().waiting = waiting;
    }

    /// Of each source how many deliveries wait, and since when, wall milliseconds.
    pub(in crate::api) fn waiting(&self) -> Vec<(Box<str>, u64, i64)> {
        self.inner().waiting.clone()
    }
}

/// How long it is rested after so many failures. What the forge asked for is never cut short, but for its bound.
fn rest_ms(tries: u32, asked_ms: Option<i64>, entropy: &mut dyn Entropy) -> i64 {
    let jitter = |bound: u64, entropy: &mut dyn Entropy| entropy.below(bound).cast_signed();
    let doubled = REST_MS.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(REST_MS_MAX);
    let own_ms = doubled / 2 + jitter((doubled / 2).cast_unsigned() + 1, entropy);
    match asked_ms {
        None => own_ms,
        Some(asked_ms) => own_ms.max(asked_ms.clamp(0, ASKED_MS_MAX) + jitter(SPREAD_MS, entropy)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Half;

    impl Entropy for Half {
        fn next_u64(&mut self) -> u64 {
            0
        }
    }

    fn at(ms: i64) -> Now {
        Now { mono_ms: ms, wall_ms: 1_000_000 + ms }
    }

    fn fail(desk: &Desk, turn: &Turn, whose: Whose, asked_ms: Option<i64>, ms: i64) -> Trouble {
        desk.failed(turn, whose, "why".to_owned(), asked_ms, at(ms), &mut Half)
    }

    #[test]
    fn rests_double_up_to_a_bound_and_are_never_shorter_than_was_asked() {
        let all: Vec<_> = (1..=9).map(|tries| rest_ms(tries, None, &mut Half)).collect();
        assert_eq!(all, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000]);
        assert_eq!(rest_ms(u32::MAX, None, &mut Half), REST_MS_MAX / 2);
        assert_eq!(rest_ms(1, Some(7_000), &mut Half), 7_000);
        assert_eq!(rest_ms(1, Some(i64::MAX), &mut Half), ASKED_MS_MAX);
        assert_eq!(rest_ms(9, Some(-5), &mut Half), 30_000);
    }

    #[test]
    fn one_repository_is_asked_once_at_a_time_and_few_of_a_forge() {
        let desk = Arc::new(Desk::default());
        let turns: Vec<_> =
            (0..9).filter_map(|it| desk.begin("gh", &format!("a/{it}"), at(0))).collect();
        assert_eq!(turns.len(), AT_ONCE_MAX);
        let other = desk.begin("gl", "a/0", at(0));
        assert!(other.is_some(), "another forge is not kept waiting");
        assert!(desk.begin("gl", "a/0", at(0)).is_none());
        drop((turns, other));
        assert!(
            desk.begin("gh", "a/0", at(0)).is_some() && desk.begin("gl", "a/0", at(0)).is_some()
        );
    }

    #[test]
    fn a_failing_repository_rests_alone_and_a_failing_forge_with_all_of_its() {
        let desk = Arc::new(Desk::default());
        let turn = desk.begin("gh", "a/1", at(0)).unwrap();
        fail(&desk, &turn, Whose::Repository, None, 0);
        drop(turn);
        assert!(
            desk.begin("gh", "a/1", at(249)).is_none()
                && desk.begin("gh", "a/1", at(250)).is_some()
        );
        let turn = desk.begin("gh", "a/2", at(0)).unwrap();
        let trouble = fail(&desk, &turn, Whose::Forge, Some(9_000), 0);
        assert_eq!((trouble.tries, trouble.until_wall_ms), (1, 1_009_000));
        drop(turn);
        assert!(!desk.has_room("gh", at(8_999)) && desk.has_room("gl", at(0)));
        assert_eq!(desk.next_in_ms(at(0)), Some(250));
        assert_eq!(desk.trouble("gh", "a/3").unwrap().error, "why");
        // One finds out whether it is there again; then all may ask.
        let first = desk.begin("gh", "a/3", at(9_000)).unwrap();
        assert!(desk.begin("gh", "a/4", at(9_000)).is_none());
        assert_eq!(fail(&desk, &first, Whose::Forge, None, 9_000).tries, 2);
        drop(first);
        let first = desk.begin("gh", "a/3", at(9_500)).unwrap();
        assert_eq!(desk.is_well(&first).unwrap().tries, 2);
        assert!(desk.begin("gh", "a/4", at(9_500)).is_some());
    }
}
