//! How busy something was lately: the time of slots that were in use, over a sliding window.

/// One part of the window, in milliseconds.
const BUCKET_MS: i64 = 30_000;
/// Parts of the window: one is being filled, so it covers five minutes and a bit.
const BUCKETS: usize = 11;

/// How much slot time was used, of how much time.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct BusyTime {
    /// Milliseconds of slots in use: two slots for a second are 2,000.
    pub used_ms: u64,
    /// Milliseconds that the window covers.
    pub over_ms: u64,
}

impl BusyTime {
    /// The part of `slots` that was in use, 0 to 1; 0 when nothing is known yet.
    pub fn share_of(self, slots: u64) -> f64 {
        let all = self.over_ms.saturating_mul(slots);
        // There may have been more slots a while ago.
        if all == 0 { 0.0 } else { (self.used_ms as f64 / all as f64).min(1.0) }
    }
}

/// Keeps the time of slots that are in use. Each change costs a few additions.
#[derive(Clone, Debug)]
pub struct BusyMeter {
    /// When it began to look (mono).
    began_ms: i64,
    /// Up to when the buckets are right (mono).
    at_ms: i64,
    used: u64,
    /// Used milliseconds by the number of the bucket, modulo their count.
    buckets: [u64; BUCKETS],
}

impl BusyMeter {
    /// Nothing is in use from now on.
    pub fn new(mono_ms: i64) -> Self {
        Self { began_ms: mono_ms, at_ms: mono_ms, used: 0, buckets: [0; BUCKETS] }
    }

    /// So many slots are in use from now on.
    pub fn set(&mut self, mono_ms: i64, used: u64) {
        self.advance(mono_ms);
        self.used = used;
    }

    /// When how many slots are in use was set last, or it began to look (mono).
    pub fn changed_at_ms(&self) -> i64 {
        self.at_ms
    }

    /// What was used in the last five minutes, or since it began to look.
    pub fn time(&self, mono_ms: i64) -> BusyTime {
        let mut now = self.clone();
        now.advance(mono_ms);
        let window_ms = (BUCKETS as i64 - 1) * BUCKET_MS + now.at_ms.rem_euclid(BUCKET_MS);
        let over_ms = (now.at_ms - now.began_ms).min(window_ms);
        BusyTime { used_ms: now.buckets.iter().sum(), over_ms: over_ms.max(0).unsigned_abs() }
    }

    fn advance(&mut self, mono_ms: i64) {
        if mono_ms - self.at_ms > BUCKETS as i64 * BUCKET_MS {
            self.buckets = [0; BUCKETS];
            self.at_ms = mono_ms - BUCKETS as i64 * BUCKET_MS;
        }
        while self.at_ms < mono_ms {
            let bucket = self.at_ms.div_euclid(BUCKET_MS);
            let until_ms = ((bucket + 1) * BUCKET_MS).min(mono_ms);
            *self.bucket(bucket) += self.used * (until_ms - self.at_ms).unsigned_abs();
            self.at_ms = until_ms;
            if until_ms.rem_euclid(BUCKET_MS) == 0 {
                *self.bucket(bucket + 1) = 0;
            }
        }
    }

    fn bucket(&mut self, number: i64) -> &mut u64 {
        let at = usize::try_from(number.rem_euclid(BUCKETS as i64)).unwrap_or(0);
        &mut self.buckets[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_last_minutes() {
        let mut meter = BusyMeter::new(1_000);
        assert!(meter.time(1_000).share_of(2).abs() < f64::EPSILON);
        meter.set(2_000, 1);
        meter.set(5_000, 2);
        meter.set(9_000, 0);
        assert_eq!(meter.time(11_000), BusyTime { used_ms: 3_000 + 8_000, over_ms: 10_000 });
        assert!((meter.time(11_000).share_of(2) - 0.55).abs() < 1e-9);
        // Five minutes later nothing of it is left.
        let later = meter.time(400_000);
        assert_eq!(later.used_ms, 0);
        assert!((300_000..330_000).contains(&later.over_ms), "{later:?}");
    }

    #[test]
    fn what_goes_on_for_long_is_busy_all_the_time() {
        let mut meter = BusyMeter::new(0);
        meter.set(0, 3);
        for at_ms in [1, 29_999, 30_000, 30_001, 329_999, 330_000, 700_001, 9_999_999] {
            let time = meter.time(at_ms);
            assert_eq!(time.used_ms, 3 * time.over_ms, "after {at_ms} ms");
            assert!((time.share_of(4) - 0.75).abs() < 1e-9);
            meter.set(at_ms, 3);
        }
        // A clock that does not move, or slots that went away, make no share above one.
        assert_eq!(meter.time(9_999_999), meter.time(9_999_998));
        assert!((meter.time(9_999_999).share_of(1) - 1.0).abs() < f64::EPSILON);
    }
}
