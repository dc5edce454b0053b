//! Whose place new work takes: of several events about the same only the newest needs its work done.
//!
//! Part of a workload's terms, so it is stored with it. What of it becomes of older work is decided in `dispatch`.

use serde::{Deserialize, Serialize};

/// What older work a workload takes the place of, and how long it waits for newer work to take its own.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Succession {
    /// What it is about: of one trigger and tenant those with the same are one line. Not empty.
    pub key: Box<str>,
    /// Whether the event that caused it is trusted: what is not takes no place of what is.
    pub trusted: bool,
    /// Whether work that has begun is cancelled too.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub running: bool,
    /// How long it waits until nothing newer has come; `None` when it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet: Option<Quiet>,
}

/// A wait for nothing newer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quiet {
    /// For how long nothing newer must have come.
    pub quiet_ms: i64,
    /// The most that is waited after the first whose place was taken.
    pub max_ms: i64,
    /// When that came (wall milliseconds); the scheduler says it.
    #[serde(default)]
    pub first_at_ms: i64,
}

impl Succession {
    /// Whether it may take the place of older work of its line.
    pub fn may_replace(&self, older: &Self) -> bool {
        self.trusted || !older.trusted
    }

    /// Until when it waits that comes now (wall milliseconds); 0 when it does not wait.
    pub fn quiet_until_ms(&self, now_ms: i64) -> i64 {
        let Some(quiet) = self.quiet else { return 0 };
        let until_ms = now_ms.saturating_add(quiet.quiet_ms);
        let latest_ms = quiet.first_at_ms.saturating_add(quiet.max_ms);
        Some(until_ms.min(latest_ms)).filter(|at_ms| *at_ms > now_ms).unwrap_or(0)
    }

    /// It takes the place of these, the oldest of which sets how long it may wait.
    pub fn follow<'a>(&mut self, now_ms: i64, older: impl Iterator<Item = &'a Self>) {
        let Some(quiet) = &mut self.quiet else { return };
        let firsts = older.filter_map(|it| it.quiet).map(|it| it.first_at_ms);
        quiet.first_at_ms = firsts.chain([now_ms]).min().unwrap_or(now_ms);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quiet(quiet_ms: i64, max_ms: i64) -> Succession {
        let quiet = Some(Quiet { quiet_ms, max_ms, first_at_ms: 0 });
        Succession { key: "k".into(), trusted: true, running: false, quiet }
    }

    #[test]
    fn what_is_not_trusted_takes_no_place_of_what_is() {
        let trusted = quiet(1, 1);
        let stranger = Succession { trusted: false, ..trusted.clone() };
        assert!(trusted.may_replace(&stranger) && trusted.may_replace(&trusted));
        assert!(stranger.may_replace(&stranger) && !stranger.may_replace(&trusted));
    }

    #[test]
    fn without_a_wait_it_comes_at_once() {
        let at_once = Succession { quiet: None, ..quiet(1, 1) };
        assert_eq!(at_once.quiet_until_ms(5), 0);
    }

    #[test]
    fn it_is_written_as_little_as_it_says() {
        let plain = Succession { quiet: None, ..quiet(1, 1) };
        let text = serde_json::to_string(&plain).unwrap();
        assert_eq!(text, r#"{"key":"k","trusted":true}"#);
        assert_eq!(serde_json::from_str::<Succession>(&text).unwrap(), plain);
    }

    proptest! {
        /// However often something newer comes, the newest begins within `max_ms` of the first, and not before
        /// nothing came for `quiet_ms`, unless the most is over.
        #[test]
        fn a_line_is_quiet_for_long_enough_and_never_for_too_long(
            quiet_ms in 1i64..50,
            more_ms in 0i64..200,
            gaps in prop::collection::vec(0i64..60, 1..30),
        ) {
            let max_ms = quiet_ms + more_ms;
            let (mut now_ms, mut last): (i64, Option<(Succession, i64)>) = (1_000, None);
            for gap in gaps {
                now_ms += gap;
                // Its time came before the next did: it is not replaced any more.
                last = last.filter(|(_, until_ms)| *until_ms > now_ms);
                let mut next = quiet(quiet_ms, max_ms);
                next.follow(now_ms, last.iter().map(|(it, _)| it));
                let first_ms = last.as_ref().map_or(now_ms, |(it, _)| it.quiet.unwrap().first_at_ms);
                prop_assert_eq!(next.quiet.unwrap().first_at_ms, first_ms);
                let until_ms = next.quiet_until_ms(now_ms);
                let due_ms = if until_ms == 0 { now_ms } else { until_ms };
                prop_assert!(due_ms <= first_ms + max_ms);
                prop_assert!(due_ms == now_ms + quiet_ms || due_ms == first_ms + max_ms);
                last = (until_ms != 0).then_some((next, until_ms));
            }
        }
    }
}
