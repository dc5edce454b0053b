//! The smallest runner that will do, so that large ones stay free for large jobs.

use super::{Candidate, Score, SelectionPolicy, Wanted};

/// Prefers the runner with the least left over once the job is on it: cores, memory, graphics
/// processors and slots, added up in what a core is worth.
#[derive(Clone, Copy, Debug, Default)]
pub struct BestFit;

impl BestFit {
    /// What is worth what, in thousandths of a core. Four gigabytes beside a core are the common
    /// size of a machine. A graphics processor outweighs everything else together: a job that
    /// needs none must not take the place beside one while there is another.
    const CORE: i64 = 1_000;
    const MEMORY_GB: i64 = 250;
    const SLOT: i64 = 1_000;
    const GPU: i64 = 1 << 32;

    /// The most of anything that is counted: runners say themselves what they have, and the sum
    /// must not overflow.
    const REST_MAX: u32 = 1_000_000;

    fn left_over(wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> i64 {
        let needs = wanted.requirements;
        let (cores, memory_gb, gpu) = candidate.left;
        let standing = &candidate.standing;
        let slots = standing.slots.saturating_sub(standing.used);
        let rest = |has: u32, takes: u32| i64::from(has.saturating_sub(takes).min(Self::REST_MAX));
        rest(cores, needs.min_cpu_cores) * Self::CORE
            + rest(memory_gb, needs.min_memory_gb) * Self::MEMORY_GB
            + rest(gpu, needs.gpu) * Self::GPU
            + rest(slots, 1) * Self::SLOT
    }
}

impl SelectionPolicy for BestFit {
    fn looks_at_jobs(&self) -> bool {
        true
    }

    fn score(&self, wanted: &Wanted<'_>, candidate: &Candidate<'_>) -> Score {
        Score::new(wanted, candidate, -Self::left_over(wanted, candidate))
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Runner, chosen, wanted};
    use super::*;
    use crate::model::RunnerRequirements;

    fn machine(cores: u32, memory_gb: u32, gpu: u32, slots: u32, used: u32) -> Runner {
        Runner { left: (cores, memory_gb, gpu), slots, used, ..Runner::default() }
    }

    #[test]
    fn a_small_job_leaves_the_large_machine_alone() {
        let runners = [machine(32, 128, 0, 4, 0), machine(4, 16, 0, 4, 0)];
        let small = RunnerRequirements { min_cpu_cores: 2, ..Default::default() };
        assert_eq!(chosen(&BestFit, &wanted(&small), &runners), 1);
    }

    #[test]
    fn jobs_are_packed_and_slots_count() {
        let runners = [machine(8, 32, 0, 8, 0), machine(8, 32, 0, 8, 5), machine(8, 32, 0, 2, 0)];
        let none = RunnerRequirements::default();
        assert_eq!(chosen(&BestFit, &wanted(&none), &runners), 2);
        assert_eq!(chosen(&BestFit, &wanted(&none), &runners[..2]), 1);
    }

    #[test]
    fn a_graphics_processor_is_spared_and_used_up_by_those_that_need_it() {
        let runners = [machine(4, 16, 1, 1, 0), machine(64, 256, 0, 1, 0), machine(4, 16, 4, 1, 0)];
        let none = RunnerRequirements::default();
        assert_eq!(chosen(&BestFit, &wanted(&none), &runners), 1);
        let one = RunnerRequirements { gpu: 1, ..Default::default() };
        let with_gpu = [runners[2].clone(), runners[0].clone()];
        assert_eq!(chosen(&BestFit, &wanted(&one), &with_gpu), 1);
    }
}
