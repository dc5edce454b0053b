//! A mean and a share of failures that follow change.

/// What many observations come to. The last [`Tally::WINDOW`] or so decide: each new one takes
/// weight from all before it.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub(super) struct Tally {
    /// The mean of what was timed.
    pub(super) mean: f64,
    /// The weight of that mean, in observations.
    pub(super) timed: f64,
    /// The weight of all observations, timed or not.
    pub(super) runs: f64,
    /// That of failures among them.
    pub(super) failed: f64,
    /// How many there ever were.
    pub(super) total: u64,
}

impl Tally {
    /// The most that observations weigh together.
    pub(super) const WINDOW: f64 = 32.0;
    /// What a guess weighs beside observations.
    pub(super) const GUESS: f64 = 2.0;

    /// Nothing observed yet, and a mean to begin with.
    pub(super) fn guessed(mean: f64) -> Self {
        Self { mean, timed: 1.0, ..Self::default() }
    }

    /// Adds an observation. What was known before keeps the share `keep` of its weight.
    pub(super) fn note(&mut self, value: Option<f64>, failed: bool, keep: f64) {
        let most = Self::WINDOW - 1.0;
        let keep = if self.runs * keep > most { most / self.runs } else { keep };
        for weight in [&mut self.timed, &mut self.runs, &mut self.failed] {
            *weight *= keep;
        }
        self.total += 1;
        self.runs += 1.0;
        self.failed += f64::from(u8::from(failed));
        if let Some(value) = value {
            self.timed += 1.0;
            self.mean += (value - self.mean) / self.timed;
        }
    }

    /// The mean, drawn towards a guess while there are few observations, or old ones.
    pub(super) fn mean_beside(&self, guess: f64, keep: f64) -> f64 {
        let timed = self.timed * keep;
        (timed * self.mean + Self::GUESS * guess) / (timed + Self::GUESS)
    }

    /// The share of failures, drawn towards a guess in the same way.
    pub(super) fn failed_beside(&self, guess: f64, keep: f64) -> f64 {
        (self.failed * keep + Self::GUESS * guess) / (self.runs * keep + Self::GUESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_is_plain_at_first_and_then_follows_change() {
        let mut tally = Tally::default();
        for value in [10.0, 20.0, 30.0] {
            tally.note(Some(value), false, 1.0);
        }
        assert_eq!((tally.mean, tally.total), (20.0, 3));
        for _ in 0..200 {
            tally.note(Some(100.0), false, 1.0);
        }
        assert!((tally.mean - 100.0).abs() < 1.0 && tally.runs <= Tally::WINDOW, "{tally:?}");
    }

    #[test]
    fn what_is_not_kept_makes_room_for_the_guess() {
        let mut tally = Tally::default();
        for _ in 0..20 {
            tally.note(Some(300.0), true, 1.0);
        }
        assert!(tally.mean_beside(100.0, 1.0) > 280.0 && tally.failed_beside(0.0, 1.0) > 0.9);
        assert_eq!((tally.mean_beside(100.0, 0.0), tally.failed_beside(0.25, 0.0)), (100.0, 0.25));
    }
}
