//! Whether the driver was away for so long that runners could not be heard: pure, all times are
//! arguments.
//!
//! ```text
//!  the driver     looks   looks   looks |--- stopped, or the machine suspended ---| looks
//!  a runner         beat              beat     nobody answers                       beat
//!                                                                                   ^ not late: it gets
//!                                                                                     one full term
//! ```
//!
//! A process that was stopped, a machine that was suspended, a commit that took very long: afterwards
//! every lease is overdue, and no runner is to blame. So the driver looks at the clock at least every
//! [`Absence::rest_ms`], and where it finds that it looked [`Absence::max_ms`] ago or longer, all terms
//! begin anew, as after a load ([`crate::dispatch::Scheduler::listen_again`]). Where several servers share
//! a database a leader that was away for its term has lost the seat, and loads.

use crate::dispatch::Settings;

/// The part of the shortest term that the driver may be away: whoever is heard of three times in
/// a term has lost one of them at most.
const PART: i64 = 3;
/// A shorter absence is none, however short the terms are: a busy machine has such.
const LEAST_MS: i64 = 500;
/// The driver looks at the clock at least so often.
const REST_MAX_MS: i64 = 1_000;

/// How long the driver may be away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Absence {
    /// After so many milliseconds without a look nobody is judged by his silence.
    max_ms: i64,
}

impl Absence {
    /// By the terms that runners have.
    pub(super) fn of(settings: &Settings) -> Self {
        let term_ms =
            settings.lease_ms.min(settings.heartbeat_timeout_ms).min(settings.ack_window_ms);
        Self { max_ms: (term_ms / PART).max(LEAST_MS) }
    }

    /// How long the driver may rest while nothing happens: so long that its rest is no absence.
    pub(super) fn rest_ms(self) -> i64 {
        (self.max_ms / 2).min(REST_MAX_MS)
    }

    /// For how long it was away, when it looked last at the first time and looks again at the second
    /// (monotonic); `None` where that was no absence.
    pub(super) fn between(self, looked_at_ms: i64, now_ms: i64) -> Option<i64> {
        Some(now_ms.saturating_sub(looked_at_ms)).filter(|away_ms| *away_ms >= self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absence(lease_ms: i64, heartbeat_timeout_ms: i64, ack_window_ms: i64) -> Absence {
        let times =
            Settings { lease_ms, heartbeat_timeout_ms, ack_window_ms, ..Settings::default() };
        Absence::of(&times)
    }

    #[test]
    fn a_third_of_the_shortest_term_is_an_absence() {
        for absence in [
            absence(15_000, 60_000, 60_000),
            absence(60_000, 15_000, 60_000),
            absence(60_000, 60_000, 15_000),
        ] {
            assert_eq!(absence.between(7_000, 7_000 + 4_999), None);
            assert_eq!(absence.between(7_000, 7_000 + 5_000), Some(5_000));
        }
    }

    #[test]
    fn a_runner_that_missed_one_heartbeat_by_it_still_has_its_lease() {
        // Three heartbeats in a term: one just before the driver goes, as long an absence as is not
        // noticed, and the next one at its time.
        let (lease_ms, interval_ms) = (60_000, 20_000);
        let away_ms = absence(lease_ms, lease_ms, lease_ms).max_ms - 1;
        assert!(interval_ms + away_ms < lease_ms);
    }

    #[test]
    fn to_rest_is_no_absence_and_neither_is_a_busy_moment() {
        for term_ms in [1, 300, 1_500, 15_000, 3_600_000, i64::MAX] {
            let absence = absence(term_ms, term_ms, term_ms);
            assert!((1..=REST_MAX_MS).contains(&absence.rest_ms()));
            assert_eq!(absence.between(0, absence.rest_ms() + LEAST_MS / 2 - 1), None);
        }
    }

    #[test]
    fn a_clock_that_stands_still_or_goes_back_is_no_absence() {
        let absence = absence(1_500, 1_500, 1_500);
        assert_eq!(absence.between(9_000, 9_000), None);
        assert_eq!(absence.between(i64::MAX, i64::MIN), None);
        assert_eq!(absence.between(i64::MIN, i64::MAX), Some(i64::MAX));
    }
}
