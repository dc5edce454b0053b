//! What is wrong with the terms of a planned workload, whoever planned it: numbers that let nothing
//! run, names that name nothing, and demands that cannot be met together.
//!
//! What only a configuration knows (which resources there are, which pools) is not asked here.

use std::fmt;

use super::{PlanError, PlannedJob, PlannedWorkload};
use crate::model::{GroupTerms, MatrixTerms, PendingPolicy, RUN_ID, RunnerRequirements};

/// The longest name of a group, resource, region, key or label, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The most entries of a list of labels, regions, preferences, resources or needs.
const LIST_ENTRIES_MAX: usize = 256;
/// The most jobs that one job needs.
const NEEDS_MAX: usize = 4_096;
/// The greatest weight of a preference, and its negative the least.
const WEIGHT_MAX: i32 = 100;

/// One thing that is wrong with what a workload or a job of it asks for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TermsFault {
    /// The job; `None` for the workload as a whole.
    pub job: Option<String>,
    /// The key that is wrong, as people write it.
    pub key: &'static str,
    /// What is wrong with it.
    pub message: String,
}

impl fmt::Display for TermsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.job.iter().try_for_each(|job| write!(f, "job `{job}`: "))?;
        write!(f, "{}: {}", self.key, self.message)
    }
}

/// What holds already where jobs come to: the group of the whole workload, and of the jobs that are
/// there the terms that several share.
#[derive(Clone, Debug, Default)]
pub struct Company<'a> {
    /// The group of the workload as a whole.
    pub whole: Option<&'a GroupTerms>,
    /// Groups of jobs that are there, each once.
    groups: Vec<&'a GroupTerms>,
    /// Matrices of jobs that are there, each once.
    matrices: Vec<&'a MatrixTerms>,
}

impl<'a> Company<'a> {
    /// Of a workload with this group and these jobs' groups and matrices.
    pub fn new(
        whole: Option<&'a GroupTerms>,
        groups: impl Iterator<Item = &'a GroupTerms>,
        matrices: impl Iterator<Item = &'a MatrixTerms>,
    ) -> Self {
        let mut company = Self { whole, ..Self::default() };
        for group in groups {
            company.group(group);
        }
        for matrix in matrices {
            company.matrix(matrix);
        }
        company
    }

    /// What is known of the group of that key: this, when nothing is.
    fn group(&mut self, group: &'a GroupTerms) -> &'a GroupTerms {
        let known = self.groups.iter().find(|known| known.key == group.key).copied();
        known.unwrap_or_else(|| {
            self.groups.push(group);
            group
        })
    }

    /// The same of a matrix.
    fn matrix(&mut self, matrix: &'a MatrixTerms) -> &'a MatrixTerms {
        let known = self.matrices.iter().find(|known| known.key == matrix.key).copied();
        known.unwrap_or_else(|| {
            self.matrices.push(matrix);
            matrix
        })
    }
}

/// Everything that is wrong with the terms of jobs that come into a company: of a new workload, or
/// of one that is open.
pub fn faults_of_jobs<'a>(
    jobs: &'a [PlannedJob],
    open: bool,
    mut company: Company<'a>,
) -> Vec<TermsFault> {
    let mut faults = Faults { job: None, found: Vec::new() };
    for job in jobs {
        faults.job = Some(job);
        faults.requirements(&job.requirements);
        faults.terms(job);
        if !open && !job.terms.late_needs.is_empty() {
            let late = job.terms.late_needs.join(", ");
            faults.add("needs", format!("`{late}` can only join a workload that is open"));
        }
    }
    for job in jobs {
        faults.job = Some(job);
        faults.shared(job, &mut company);
    }
    faults.found
}

impl PlannedJob {
    /// Whether its deadline is after `now_ms`, wall milliseconds: for work that somebody submits
    /// and can submit otherwise.
    ///
    /// # Errors
    ///
    /// [`PlanError::Terms`] when it is not.
    pub fn check_deadline(&self, now_ms: i64) -> Result<(), PlanError> {
        let past = self.terms.deadline_ms.filter(|at_ms| *at_ms <= now_ms);
        let Some(at_ms) = past else { return Ok(()) };
        let at = jiff::Timestamp::from_millisecond(at_ms)
            .map_or_else(|_| format!("{at_ms} ms"), |at| at.to_string());
        let message = format!("{at} is not in the future");
        let job = Some(self.name.clone());
        Err(PlanError::Terms(TermsFault { job, key: "deadline", message }))
    }
}

impl PlannedWorkload {
    /// Everything that is wrong with its terms and those of its jobs.
    pub fn faults(&self) -> Vec<TermsFault> {
        let mut faults = Faults { job: None, found: Vec::new() };
        let whole = self.terms.group.as_ref();
        if let Some(group) = whole {
            faults.group(group);
        }
        faults.parallel(self.terms.max_parallel);
        let company = Company { whole, ..Company::default() };
        faults.found.extend(faults_of_jobs(&self.jobs, self.open, company));
        faults.found
    }

    /// Whether every deadline is after `now_ms`: see [`PlannedJob::check_deadline`].
    ///
    /// # Errors
    ///
    /// [`PlanError::Terms`] for the first that is not.
    pub fn check_deadlines(&self, now_ms: i64) -> Result<(), PlanError> {
        self.jobs.iter().try_for_each(|job| job.check_deadline(now_ms))
    }
}

struct Faults<'a> {
    job: Option<&'a PlannedJob>,
    found: Vec<TermsFault>,
}

impl Faults<'_> {
    fn add(&mut self, key: &'static str, message: impl Into<String>) {
        let job = self.job.map(|job| job.name.clone());
        self.found.push(TermsFault { job, key, message: message.into() });
    }

    /// Refuses a name that is empty, too long, or has control characters.
    fn name(&mut self, key: &'static str, name: &str) {
        if let Some(message) = name_fault(name) {
            self.add(key, message);
        }
    }

    fn count(&mut self, key: &'static str, many: usize) {
        if many > LIST_ENTRIES_MAX {
            self.add(key, format!("{many} entries, at most {LIST_ENTRIES_MAX}"));
        }
    }

    fn group(&mut self, group: &GroupTerms) {
        match group.key.trim().is_empty() {
            true => self.add("group", "a group needs a key"),
            // The number that takes its place is no longer than this.
            false => self.name("group", &group.key.replace(RUN_ID, "0")),
        }
        if group.limit == 0 {
            self.add("group", "the limit 0 lets nothing run");
        }
        if group.cancel_in_progress && group.pending == (PendingPolicy::Queue { max: 0 }) {
            self.add("group", "it cancels what runs in order to wait, and lets nobody wait");
        }
    }

    /// Terms that several jobs share must be the same for all of them.
    fn shared<'a>(&mut self, job: &'a PlannedJob, company: &mut Company<'a>) {
        if let Some(group) = &job.terms.group {
            let key = &group.key;
            if company.whole.is_some_and(|whole| whole.key == *key) {
                let message = format!("it would wait for its workload, which is in `{key}`");
                self.add("group", message);
            }
            let known = company.group(group);
            if known.limit != group.limit {
                let (one, other) = (known.limit, group.limit);
                self.add("group", format!("`{key}` has the limits {one} and {other}"));
            }
        }
        if let Some(matrix) = &job.terms.matrix
            && company.matrix(matrix) != matrix
        {
            self.add("matrix", format!("`{}` has different terms in two jobs", matrix.key));
        }
    }

    fn parallel(&mut self, max_parallel: Option<u32>) {
        if max_parallel == Some(0) {
            self.add("max_parallel", "0 lets nothing run");
        }
    }

    fn terms(&mut self, job: &PlannedJob) {
        let terms = &job.terms;
        if job.waits_for_a_failure_of_nothing() {
            self.add("run_if", PlannedJob::FAILURE_OF_NOTHING);
        }
        if let Some(group) = &terms.group {
            self.group(group);
        }
        if let Some(matrix) = &terms.matrix {
            self.name("matrix", &matrix.key);
            if matrix.max_parallel == Some(0) {
                self.add("matrix", "max_parallel 0 lets nothing run");
            }
        }
        // A matrix in a list of needs stands for all of its jobs.
        let needs = job.needs.len() + terms.late_needs.len();
        if needs > NEEDS_MAX {
            self.add("needs", format!("{needs} entries, at most {NEEDS_MAX}"));
        }
        self.count("needs_workloads", terms.needs_workloads.len());
        for (key, span_ms) in
            [("max_wait", terms.max_wait_ms), ("queue_timeout", terms.queue_timeout_ms)]
        {
            if let Some(span_ms) = span_ms.filter(|span_ms| *span_ms < 1) {
                self.add(key, format!("{span_ms} ms is less than 1 ms"));
            }
        }
        if let Some(namespace) = &terms.namespace {
            let segments = namespace.split("::");
            self.count("namespace", segments.clone().count());
            segments.for_each(|segment| self.name("namespace", segment));
        }
        let placement = &terms.placement;
        let spread = placement.spread.as_ref().map(|spread| &spread.key);
        for (key, name) in [
            ("affinity", placement.affinity.as_ref()),
            ("anti_affinity", placement.anti_affinity.as_ref()),
            ("spread", spread),
        ] {
            if let Some(name) = name {
                self.name(key, name);
            }
        }
    }

    fn requirements(&mut self, needs: &RunnerRequirements) {
        self.labels(&needs.labels);
        self.count("region", needs.required_regions.len().max(needs.preferred_regions.len()));
        for region in needs.required_regions.iter().chain(&needs.preferred_regions) {
            self.name("region", region);
        }
        self.count("preferred", needs.preferred.len());
        for preference in &needs.preferred {
            if let Some(message) = label_fault(&preference.label) {
                self.add("preferred", message);
            }
            if preference.weight.abs() > WEIGHT_MAX {
                let weight = preference.weight;
                self.add("preferred", format!("the weight {weight} is not from -100 to 100"));
            }
        }
        self.count("resources", needs.resources.len());
        for (at, need) in needs.resources.iter().enumerate() {
            self.name("resources", &need.name);
            if need.units == 0 {
                self.add("resources", format!("0 units of `{}`", need.name));
            }
            if needs.resources[..at].iter().any(|earlier| earlier.name == need.name) {
                self.add("resources", format!("`{}` is named twice", need.name));
            }
        }
    }

    fn labels(&mut self, labels: &[Box<str>]) {
        self.count("labels", labels.len());
        for label in labels {
            if let Some(message) = label_fault(label) {
                self.add("labels", message);
            }
        }
        for forbidden in labels.iter().filter_map(|term| term.strip_prefix('!')) {
            let required = labels.iter().filter(|term| !term.starts_with('!'));
            if let Some(both) = required.into_iter().find(|term| meets(term, forbidden)) {
                self.add("labels", format!("`{both}` is required, and `!{forbidden}` forbids it"));
            }
        }
    }
}

/// Whether every runner that has `required` has something that `forbidden` names.
fn meets(required: &str, forbidden: &str) -> bool {
    let any_value = |key: &str| {
        let rest = required.strip_prefix(key).and_then(|rest| rest.strip_prefix('='));
        rest.is_some_and(|value| !value.is_empty())
    };
    required == forbidden || forbidden.strip_suffix("=*").is_some_and(any_value)
}

fn name_fault(name: &str) -> Option<String> {
    let chars = name.chars().count();
    if name.trim().is_empty() {
        return Some("a name is empty".to_owned());
    }
    if chars > NAME_CHARS_MAX {
        return Some(format!("a name has {chars} characters, at most {NAME_CHARS_MAX}"));
    }
    let control = name.chars().any(char::is_control);
    control.then(|| format!("`{}` has control characters", name.escape_debug()))
}

/// What is wrong with a label term: `linux`, `disk=ssd`, `disk=*`, any of them after `!`.
fn label_fault(term: &str) -> Option<String> {
    let label = term.strip_prefix('!').unwrap_or(term);
    match label {
        "" => Some(format!("`{term}` names no label")),
        "=*" => Some(format!("`{term}` has no key before `=*`")),
        _ if label.starts_with('!') => Some(format!("`{term}` has `!` twice")),
        _ => name_fault(label),
    }
}

#[cfg(test)]
mod tests;
