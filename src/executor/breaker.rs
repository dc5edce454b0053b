//! When an executor that cannot be reached is left alone, and when it is tried again: pure.
//!
//! ```text
//! closed --cannot be reached, or failures in a row--> open --its time is over--> half open
//! half open --a job went well--> closed        half open --again--> open, for twice as long
//! ```

use crate::model::Entropy;

/// How patient a breaker is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BreakerSettings {
    /// So many failures in a row open it that are not certain: time-outs, answers of 500 and above.
    pub failures_max: u32,
    /// How long it is open the first time.
    pub open_ms: i64,
    /// How long at most.
    pub open_ms_max: i64,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self { failures_max: 5, open_ms: 1_000, open_ms_max: 60_000 }
    }
}

/// Where a breaker stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum BreakerState {
    /// Jobs pass.
    Closed,
    /// None does, until this time (mono).
    Open {
        /// When one may.
        until_ms: i64,
    },
    /// One does, to see.
    HalfOpen,
}

impl BreakerState {
    /// The name that people and programs read.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open { .. } => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One executor's.
#[derive(Clone, Debug)]
pub(super) struct Breaker {
    settings: BreakerSettings,
    state: BreakerState,
    /// Failures in a row that were not certain.
    failures: u32,
    /// How often it was opened since jobs went well.
    opened: u32,
}

impl Breaker {
    /// A closed one.
    pub(super) fn new(settings: BreakerSettings) -> Self {
        Self { settings, state: BreakerState::Closed, failures: 0, opened: 0 }
    }

    /// Where it stands.
    pub(super) fn state(&self) -> BreakerState {
        self.state
    }

    /// A job could not be handed over. `certain` when nothing can have begun there: refused, reset. Says
    /// until when (mono) it is open, if that is news. `retry_after_ms` is what the other side asks for.
    pub(super) fn failed(
        &mut self,
        mono_ms: i64,
        certain: bool,
        retry_after_ms: Option<i64>,
        entropy: &mut dyn Entropy,
    ) -> Option<i64> {
        self.failures += 1;
        let opens = match self.state {
            BreakerState::Open { .. } => false,
            BreakerState::HalfOpen => true,
            BreakerState::Closed => certain || self.failures >= self.settings.failures_max,
        };
        opens.then(|| {
            let doubled = self.settings.open_ms.saturating_mul(1 << self.opened.min(20));
            let longest = self.settings.open_ms_max;
            let open_ms = doubled.min(longest).max(1);
            // Up to a tenth more, so that many do not come back in the same moment.
            let jitter_ms = entropy.below(open_ms.unsigned_abs() / 10 + 1) as i64;
            let asked_ms = retry_after_ms.unwrap_or(0).clamp(0, longest);
            self.opened += 1;
            let until_ms = mono_ms + asked_ms.max(open_ms + jitter_ms);
            self.state = BreakerState::Open { until_ms };
            until_ms
        })
    }

    /// A job was handed over, or the executor said that it is there. Says whether that closes it.
    pub(super) fn succeeded(&mut self) -> bool {
        (self.failures, self.opened) = (0, 0);
        std::mem::replace(&mut self.state, BreakerState::Closed) != BreakerState::Closed
    }

    /// Time passes. Says whether it is half open from now on.
    pub(super) fn look(&mut self, mono_ms: i64) -> bool {
        let is_over = matches!(self.state, BreakerState::Open { until_ms } if mono_ms >= until_ms);
        if is_over {
            self.state = BreakerState::HalfOpen;
        }
        is_over
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dispatch::tests::yard::Seeded;

    fn open(breaker: &mut Breaker, mono_ms: i64, certain: bool) -> Option<i64> {
        breaker.failed(mono_ms, certain, None, &mut Seeded(1)).map(|until_ms| until_ms - mono_ms)
    }

    #[test]
    fn what_is_certain_opens_it_at_once_and_what_is_not_after_some() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        for _ in 1..5 {
            assert_eq!(open(&mut breaker, 0, false), None);
        }
        assert!(open(&mut breaker, 0, false).is_some());
        breaker.succeeded();
        for _ in 1..5 {
            assert_eq!(open(&mut breaker, 0, false), None, "they are counted anew");
        }
        breaker.succeeded();
        let open_ms = open(&mut breaker, 0, true).unwrap();
        assert!((1_000..=1_100).contains(&open_ms), "{open_ms}");
        assert_eq!(open(&mut breaker, 1, true), None, "it is open");
    }

    #[test]
    fn it_is_open_for_longer_each_time_until_a_job_goes_well() {
        let mut breaker = Breaker::new(BreakerSettings::default());
        let mut now_ms = 0;
        for at_least_ms in [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000] {
            let open_ms = open(&mut breaker, now_ms, true).unwrap();
            assert!((at_least_ms..=at_least_ms / 10 * 11).contains(&open_ms), "{open_ms}");
            assert!(!breaker.look(now_ms + open_ms - 1));
            assert!(breaker.look(now_ms + open_ms));
            assert_eq!(breaker.state(), BreakerState::HalfOpen);
            now_ms += open_ms;
        }
        assert!(breaker.succeeded());
        assert!(!breaker.succeeded());
        assert!(open(&mut breaker, now_ms, true).unwrap() <= 1_100);
    }

    #[test]
    fn what_the_other_side_asks_for_is_kept_within_bounds() {
        let asked = |retry_after_ms| {
            let mut breaker = Breaker::new(BreakerSettings::default());
            breaker.failed(0, true, Some(retry_after_ms), &mut Seeded(1)).unwrap()
        };
        assert_eq!(asked(30_000), 30_000);
        assert_eq!(asked(86_400_000), 60_000);
        assert!(asked(-5) >= 1_000);
    }
}
