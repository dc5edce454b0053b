//! What a measurement is told in: percentiles of many values, the median and the range of a few.

use serde::{Deserialize, Serialize};

/// Percentiles of many values, in the unit of the values.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: f64,
    /// 99 of 100 are at most this.
    pub p99: f64,
    /// 999 of 1,000 are at most this.
    pub p999: f64,
    /// The largest.
    pub max: f64,
}

impl Percentiles {
    /// Of these values, which are sorted by it; all 0 when there are none.
    pub fn of(values: &mut [f64]) -> Self {
        values.sort_unstable_by(f64::total_cmp);
        let at = |share: f64| {
            let index = (values.len() as f64 * share) as usize;
            values.get(index.min(values.len().saturating_sub(1))).copied().unwrap_or(0.0)
        };
        Self { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1.0) }
    }
}

/// What a few rounds of the same measurement gave.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Range {
    /// The smallest.
    pub min: f64,
    /// The one in the middle; of an even number the larger one.
    pub median: f64,
    /// The largest.
    pub max: f64,
}

impl Range {
    /// Of these rounds; all 0 when there are none.
    pub fn of(rounds: impl IntoIterator<Item = f64>) -> Self {
        let mut rounds: Vec<_> = rounds.into_iter().collect();
        rounds.sort_unstable_by(f64::total_cmp);
        let at = |index: usize| rounds.get(index).copied().unwrap_or(0.0);
        Self { min: at(0), median: at(rounds.len() / 2), max: at(rounds.len().saturating_sub(1)) }
    }
}

/// Memory of a process that is in RAM, in megabytes (10^6 bytes): this one, or the one with that
/// id. `None` where the system does not tell.
pub fn resident_mb(process: Option<u32>) -> Option<f64> {
    let name = process.map_or_else(|| "self".to_owned(), |id| id.to_string());
    let status = std::fs::read_to_string(format!("/proc/{name}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1.024e-3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_the_sorted_values() {
        let mut values: Vec<f64> = (0..1_000).rev().map(f64::from).collect();
        let figures = Percentiles::of(&mut values);
        assert_eq!(figures, Percentiles { p50: 500.0, p99: 990.0, p999: 999.0, max: 999.0 });
        assert_eq!(Percentiles::of(&mut []), Percentiles::default());
    }

    #[test]
    fn a_range_has_the_round_in_the_middle() {
        assert_eq!(Range::of([3.0, 1.0, 2.0]), Range { min: 1.0, median: 2.0, max: 3.0 });
        assert_eq!(Range::of([]), Range::default());
    }

    #[test]
    fn this_process_has_memory() {
        assert!(resident_mb(None).is_none_or(|mb| mb > 1.0));
        assert!(resident_mb(Some(std::process::id())).is_none_or(|mb| mb > 1.0));
        assert_eq!(resident_mb(Some(u32::MAX)), None);
    }
}
