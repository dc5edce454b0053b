//! How far run times stray from what was expected, for percentiles.

/// A histogram of ratios of what was observed to what was expected. Buckets are an eighth of an
/// octave wide, so a percentile is off by a sixteenth at most; their order needs no logarithm.
/// Only buckets that weigh something are kept.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Tails {
    /// Bucket and weight, in the order of buckets.
    pub(super) weights: Vec<(u8, f64)>,
}

impl Tails {
    /// The most that all observations weigh together, so that old ones are forgotten.
    pub(super) const WINDOW: f64 = 200.0;
    /// A bucket that weighs less is dropped.
    const LEAST: f64 = 0.01;
    /// Ratio 1 as a fixed-point number: the middle of its bucket.
    const ONE: f64 = 1_088.0;
    /// The greatest fixed-point number: about a thousand times what was expected.
    const MOST: f64 = (1 << 20) as f64 - 1.0;
    /// One more than the last bucket.
    pub(super) const BUCKETS: u8 = 20 * 8;

    /// Adds an observation.
    pub(super) fn add(&mut self, ratio: f64) {
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let keep = ((Self::WINDOW - 1.0) / total.max(1.0)).min(1.0);
        for (_, weight) in &mut self.weights {
            *weight *= keep;
        }
        self.weights.retain(|(_, weight)| *weight >= Self::LEAST);
        let bucket = Self::bucket(ratio);
        match self.weights.binary_search_by_key(&bucket, |(bucket, _)| *bucket) {
            Ok(at) => self.weights[at].1 += 1.0,
            Err(at) => self.weights.insert(at, (bucket, 1.0)),
        }
    }

    /// The ratio under which that share of observations lies; 1 when there are none.
    pub(super) fn percentile(&self, share: f64) -> f64 {
        let [value] = self.percentiles([share]);
        value
    }

    /// Several at once, for shares that ascend.
    pub(super) fn percentiles<const N: usize>(&self, shares: [f64; N]) -> [f64; N] {
        let total: f64 = self.weights.iter().map(|(_, weight)| weight).sum();
        let last = self.weights.last().map_or(1.0, |(bucket, _)| Self::middle(*bucket));
        let (mut below, mut weights) = (0.0, self.weights.iter());
        let mut at = last;
        shares.map(|share| {
            while below < total * share {
                let Some((bucket, weight)) = weights.next() else { return last };
                below += weight;
                at = Self::middle(*bucket);
            }
            at
        })
    }

    fn bucket(ratio: f64) -> u8 {
        let fixed = (ratio * Self::ONE).clamp(1.0, Self::MOST) as u32;
        let octave = fixed.ilog2();
        let eighth = if octave >= 3 { fixed >> (octave - 3) } else { fixed << (3 - octave) } & 7;
        u8::try_from(octave * 8 + eighth).unwrap_or(Self::BUCKETS - 1)
    }

    fn middle(bucket: u8) -> f64 {
        let octave = f64::from(1_u32 << (bucket / 8).min(20));
        octave * (8.5 + f64::from(bucket % 8)) / 8.0 / Self::ONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_always_as_expected_has_every_percentile_at_one() {
        let mut tails = Tails::default();
        assert_eq!(tails.percentile(0.5), 1.0);
        for _ in 0..1_000 {
            tails.add(1.0);
        }
        assert_eq!([0.01, 0.5, 0.95].map(|share| tails.percentile(share)), [1.0; 3]);
    }

    #[test]
    fn percentiles_are_close_and_forget() {
        let mut tails = Tails::default();
        for at in 1..=200 {
            tails.add(f64::from(at) / 100.0);
        }
        for (share, exact) in [(0.1, 0.2), (0.5, 1.0), (0.95, 1.9)] {
            let off = tails.percentile(share) / exact;
            assert!((0.92..1.08).contains(&off), "{share}: {off}");
        }
        for _ in 0..2_000 {
            tails.add(3.0);
        }
        assert!(tails.percentile(0.05) > 2.8);
        assert!(tails.weights.len() < 5, "{tails:?}");
    }

    #[test]
    fn any_ratio_has_its_bucket() {
        for ratio in [0.0, f64::MIN_POSITIVE, 1e-3, 1.0, 1e3, f64::MAX, f64::INFINITY] {
            let bucket = Tails::bucket(ratio);
            assert!(bucket < Tails::BUCKETS && Tails::middle(bucket).is_finite(), "{ratio}");
        }
    }
}
