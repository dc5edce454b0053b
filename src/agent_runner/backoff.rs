//! How long to wait before a call is repeated.

use std::time::Duration;

use crate::model::Entropy;

/// What a server may ask for at most by `Retry-After`: a typing error there must not put a fleet
/// to sleep for a day.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(60);

/// Delays that double up to a cap. Half of each is fixed, so that it is never zero, and half is
/// random, so that a fleet does not come back all at once.
#[derive(Debug)]
pub(super) struct Backoff {
    next_ms: u64,
    max_ms: u64,
}

impl Backoff {
    pub(super) fn new(initial_ms: u64, max_ms: u64) -> Self {
        Self { next_ms: initial_ms.max(1), max_ms: max_ms.max(initial_ms).max(1) }
    }

    /// The next delay: at least what the server asked for, within reason.
    pub(super) fn delay(
        &mut self,
        retry_after: Option<Duration>,
        entropy: &mut dyn Entropy,
    ) -> Duration {
        let full = self.next_ms;
        self.next_ms = full.saturating_mul(2).min(self.max_ms);
        let jitter = Duration::from_millis(entropy.below(full.div_ceil(2) + 1));
        let fixed = Duration::from_millis(full.div_ceil(2));
        retry_after.map_or(fixed, |asked| fixed.max(asked.min(RETRY_AFTER_MAX))) + jitter
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Fixed(u64);

    impl Entropy for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn the_server_is_heard_but_not_for_a_day() {
        let mut backoff = Backoff::new(100, 1_000);
        let asked = Duration::from_secs(7);
        assert_eq!(backoff.delay(Some(asked), &mut Fixed(0)), asked);
        let day = Duration::from_secs(86_400);
        assert_eq!(backoff.delay(Some(day), &mut Fixed(0)), RETRY_AFTER_MAX);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_zero_and_never_over_the_cap(
            initial in 0_u64..5_000, max in 0_u64..20_000, random: u64, tries in 1_usize..40,
        ) {
            let mut backoff = Backoff::new(initial, max);
            let cap = max.max(initial).max(1) + 2;
            for _ in 0..tries {
                let delay = backoff.delay(None, &mut Fixed(random));
                prop_assert!(delay > Duration::ZERO);
                prop_assert!(delay <= Duration::from_millis(cap), "{delay:?} over {cap} ms");
            }
        }
    }
}
