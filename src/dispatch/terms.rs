//! What may be wrong with the terms of jobs that join a workload. What is wrong with a whole plan is
//! said by [`crate::model::PlannedWorkload::check`]; here it keeps a mistake from
//! becoming a wait that nobody can end.

use rustc_hash::FxHashMap;

use super::command::Refusal;
use super::group::check_group;
use crate::model::{JobTerms, MatrixTerms, PlannedJob};

fn invalid(text: String) -> Refusal {
    Refusal::Invalid(text.into())
}

/// Checks the terms of jobs that come to those whose matrices are given.
///
/// # Errors
///
/// [`Refusal::Invalid`] with the first thing that is wrong.
pub(super) fn check_jobs<'a>(
    jobs: &'a [PlannedJob],
    mut matrices: FxHashMap<&'a str, &'a MatrixTerms>,
) -> Result<(), Refusal> {
    for PlannedJob { name, terms, .. } in jobs {
        let whose = format!("job `{name}`");
        check_group(&whose, terms.group.as_ref())?;
        if let Some(matrix) = &terms.matrix {
            check_max_parallel(&whose, matrix.max_parallel)?;
            if matrix.key.is_empty() {
                return Err(invalid(format!("{whose} is of a matrix without a key")));
            }
            if *matrices.entry(&matrix.key).or_insert(matrix) != matrix {
                let key = &matrix.key;
                return Err(invalid(format!(
                    "{whose} says otherwise than another job what holds for matrix `{key}`"
                )));
            }
        }
        check_times(&whose, terms)?;
    }
    Ok(())
}

fn check_times(whose: &str, terms: &JobTerms) -> Result<(), Refusal> {
    match terms.queue_timeout_ms {
        Some(ms @ ..1) => Err(invalid(format!("{whose} has a queue timeout of {ms} ms"))),
        _ => Ok(()),
    }
}

fn check_max_parallel(whose: &str, max: Option<u32>) -> Result<(), Refusal> {
    match max {
        Some(0) => Err(invalid(format!("{whose} lets 0 jobs run at once"))),
        _ => Ok(()),
    }
}

/// Sorts the needs of jobs into those that `is_known` and those that may join later, and names each
/// once.
pub(super) fn sort_needs(jobs: &mut [PlannedJob], is_known: impl Fn(&str) -> bool) {
    for PlannedJob { needs, terms, .. } in jobs {
        let mut all: Vec<String> = std::mem::take(needs);
        all.extend(std::mem::take(&mut terms.late_needs).into_iter().map(String::from));
        for need in all {
            match is_known(&need) {
                true if needs.contains(&need) => {}
                true => needs.push(need),
                false if terms.late_needs.iter().any(|late| **late == need) => {}
                false => terms.late_needs.push(need.into()),
            }
        }
    }
}
