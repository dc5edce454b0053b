//! How long a failed job waits before its next try.

use crate::model::Entropy;

/// Exponential backoff with full jitter: a random time between 0 and `base_ms` doubled for each
/// earlier retry, at most `max_ms`. A base of 0 means at once.
///
/// Full jitter spreads the retries of jobs that failed together over the whole interval, which
/// keeps a recovered dependency from being hit by all of them at the same moment.
pub fn backoff_ms(base_ms: i64, retry_count: u32, max_ms: i64, entropy: &mut dyn Entropy) -> i64 {
    if base_ms <= 0 {
        return 0;
    }
    let doublings = retry_count.saturating_sub(1).min(40);
    let ceiling = base_ms.saturating_mul(1 << doublings).min(max_ms).max(1);
    i64::try_from(entropy.below(ceiling.unsigned_abs() + 1)).unwrap_or(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed(u64);

    impl Entropy for Fixed {
        fn next_u64(&mut self) -> u64 {
            self.0
        }
    }

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let ceilings = [1, 2, 3, 4, 5, 60].map(|retry| {
            (0..2_000).map(|draw| backoff_ms(100, retry, 1_000, &mut Fixed(draw))).max()
        });
        assert_eq!(ceilings.map(Option::unwrap), [100, 200, 400, 800, 1_000, 1_000]);
    }

    #[test]
    fn a_base_of_zero_is_at_once() {
        assert_eq!(backoff_ms(0, 7, 1_000, &mut Fixed(u64::MAX)), 0);
    }
}
