//! What is wrong with the terms of a planned workload, whoever planned it: numbers that let nothing
//! run, names that name nothing, and demands that cannot be met together.
//!
//! What only a configuration knows (which resources there are, which pools) is not asked here.

use std::fmt;

use super::{PlanError, PlannedJob, PlannedWorkload};
use crate::model::{GroupTerms, MatrixTerms, RunnerRequirements};

/// The longest name of a group, resource, region, key or label, in characters.
const NAME_CHARS_MAX: usize = 200;
/// The most entries of a list of labels, regions, preferences, resources or needs.
const LIST_ENTRIES_MAX: usize = 256;
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

impl PlannedWorkload {
    /// Everything that is wrong with its terms and those of its jobs.
    pub fn faults(&self) -> Vec<TermsFault> {
        let mut faults = Faults { job: None, found: Vec::new() };
        if let Some(group) = &self.terms.group {
            faults.group(group);
        }
        faults.parallel(self.terms.max_parallel);
        for job in &self.jobs {
            faults.job = Some(job);
            faults.requirements(&job.requirements);
            faults.terms(job);
            if !self.open && !job.terms.late_needs.is_empty() {
                let late = job.terms.late_needs.join(", ");
                faults.add("needs", format!("`{late}` can only join a workload that is open"));
            }
        }
        self.shared(&mut faults);
        faults.found
    }

    /// Whether every deadline is after `now_ms`, wall milliseconds: for work that somebody submits
    /// and can submit otherwise.
    ///
    /// # Errors
    ///
    /// [`PlanError::Terms`] for the first that is not.
    pub fn check_deadlines(&self, now_ms: i64) -> Result<(), PlanError> {
        let past = self.jobs.iter().find_map(|job| {
            let at_ms = job.terms.deadline_ms.filter(|at_ms| *at_ms <= now_ms)?;
            Some((job.name.clone(), at_ms))
        });
        let Some((job, at_ms)) = past else { return Ok(()) };
        let at = jiff::Timestamp::from_millisecond(at_ms)
            .map_or_else(|_| format!("{at_ms} ms"), |at| at.to_string());
        let message = format!("{at} is not in the future");
        Err(PlanError::Terms(TermsFault { job: Some(job), key: "deadline", message }))
    }

    /// Terms that several jobs share must be the same for all of them.
    fn shared<'a>(&'a self, faults: &mut Faults<'a>) {
        let whole = self.terms.group.as_ref();
        let (mut groups, mut matrices): (Vec<&GroupTerms>, Vec<&MatrixTerms>) = Default::default();
        for job in &self.jobs {
            faults.job = Some(job);
            if let Some(group) = &job.terms.group {
                if whole.is_some_and(|whole| whole.key == group.key) {
                    let key = &group.key;
                    faults.add(
                        "group",
                        format!("it would wait for its workload, which is in `{key}`"),
                    );
                }
                match groups.iter().find(|known| known.key == group.key) {
                    None => groups.push(group),
                    Some(known) if known.limit != group.limit => {
                        let (key, one, other) = (&group.key, known.limit, group.limit);
                        faults.add("group", format!("`{key}` has the limits {one} and {other}"));
                    }
                    Some(_) => {}
                }
            }
            if let Some(matrix) = &job.terms.matrix {
                match matrices.iter().find(|known| known.key == matrix.key) {
                    None => matrices.push(matrix),
                    Some(known) if *known != matrix => {
                        let message = format!("`{}` has different terms in two jobs", matrix.key);
                        faults.add("matrix", message);
                    }
                    Some(_) => {}
                }
            }
        }
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
            false => self.name("group", &group.key),
        }
        if group.limit == 0 {
            self.add("group", "the limit 0 lets nothing run");
        }
    }

    fn parallel(&mut self, max_parallel: Option<u32>) {
        if max_parallel == Some(0) {
            self.add("max_parallel", "0 lets nothing run");
        }
    }

    fn terms(&mut self, job: &PlannedJob) {
        let terms = &job.terms;
        if let Some(group) = &terms.group {
            self.group(group);
        }
        if let Some(matrix) = &terms.matrix {
            self.name("matrix", &matrix.key);
            if matrix.max_parallel == Some(0) {
                self.add("matrix", "max_parallel 0 lets nothing run");
            }
        }
        self.count("needs", job.needs.len() + terms.late_needs.len());
        self.count("needs_workloads", terms.needs_workloads.len());
        for (key, span_ms) in
            [("max_wait", terms.max_wait_ms), ("queue_timeout", terms.queue_timeout_ms)]
        {
            if let Some(span_ms) = span_ms.filter(|span_ms| *span_ms < 1) {
                self.add(key, format!("{span_ms} ms is less than 1 ms"));
            }
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
mod tests {
    use super::super::tests::workload;
    use super::*;
    use crate::model::{JobTerms, PendingPolicy, Preference, ResourceNeed, WorkloadTerms};

    fn group(key: &str, limit: u32) -> Option<GroupTerms> {
        let pending = PendingPolicy::Latest;
        Some(GroupTerms { key: key.into(), limit, cancel_in_progress: false, pending })
    }

    /// What is said of a workload of two jobs whose first one was changed.
    fn said(change: impl FnOnce(&mut PlannedWorkload)) -> Vec<String> {
        let mut planned = workload(&[("a", &[]), ("b", &[])]);
        change(&mut planned);
        let said: Vec<_> = planned.faults().iter().map(ToString::to_string).collect();
        let checked = planned.check(9);
        assert_eq!(matches!(checked, Err(PlanError::Terms(_))), !said.is_empty());
        said
    }

    fn requires(change: impl FnOnce(&mut RunnerRequirements)) -> Vec<String> {
        said(|planned| {
            let needs = &mut planned.jobs[0].requirements;
            change(needs);
            *needs = needs.clone().normalised();
        })
    }

    fn terms(change: impl FnOnce(&mut JobTerms)) -> Vec<String> {
        said(|planned| change(&mut planned.jobs[0].terms))
    }

    #[test]
    fn a_group_needs_a_key_and_a_limit() {
        let whole =
            |group| said(|planned| planned.terms = WorkloadTerms { group, ..Default::default() });
        assert_eq!(whole(group("", 1)), ["group: a group needs a key"]);
        assert_eq!(
            terms(|it| it.group = group("g", 0)),
            ["job `a`: group: the limit 0 lets nothing run"]
        );
        assert_eq!(whole(group("g", 1)), [""; 0]);
    }

    #[test]
    fn one_group_has_one_limit_and_a_job_does_not_wait_for_its_own_workload() {
        let two = said(|planned| {
            planned.jobs[0].terms.group = group("g", 1);
            planned.jobs[1].terms.group = group("g", 2);
        });
        assert_eq!(two, ["job `b`: group: `g` has the limits 1 and 2"]);
        let own = said(|planned| {
            planned.terms.group = group("g", 1);
            planned.jobs[0].terms.group = group("g", 1);
        });
        assert_eq!(own, ["job `a`: group: it would wait for its workload, which is in `g`"]);
    }

    #[test]
    fn jobs_of_one_matrix_agree() {
        let matrix =
            |max_parallel| Some(MatrixTerms { key: "m".into(), max_parallel, fail_fast: false });
        let differ = said(|planned| {
            planned.jobs[0].terms.matrix = matrix(Some(1));
            planned.jobs[1].terms.matrix = matrix(Some(2));
        });
        assert_eq!(differ, ["job `b`: matrix: `m` has different terms in two jobs"]);
        let zero = ["job `a`: matrix: max_parallel 0 lets nothing run"];
        assert_eq!(terms(|it| it.matrix = matrix(Some(0))), zero);
        let whole = said(|planned| planned.terms.max_parallel = Some(0));
        assert_eq!(whole, ["max_parallel: 0 lets nothing run"]);
    }

    #[test]
    fn spans_are_at_least_a_millisecond() {
        assert_eq!(
            terms(|it| it.max_wait_ms = Some(0)),
            ["job `a`: max_wait: 0 ms is less than 1 ms"]
        );
        let timeout = terms(|it| it.queue_timeout_ms = Some(-5));
        assert_eq!(timeout, ["job `a`: queue_timeout: -5 ms is less than 1 ms"]);
    }

    #[test]
    fn a_label_term_names_a_label_and_is_not_required_and_forbidden() {
        let labels = |labels: &[&str]| {
            requires(|it| it.labels = labels.iter().map(|label| (*label).into()).collect())
        };
        assert_eq!(
            labels(&["linux", "disk=ssd", "disk=*", "!spot", "!gpu=*", "!disk=hdd"]),
            [""; 0]
        );
        assert_eq!(labels(&["!"]), ["job `a`: labels: `!` names no label"]);
        assert_eq!(labels(&["=*"]), ["job `a`: labels: `=*` has no key before `=*`"]);
        assert_eq!(labels(&["!!x"]), ["job `a`: labels: `!!x` has `!` twice"]);
        let both = "is required, and";
        for pair in [["x", "!X"], ["disk=ssd", "!disk=*"], ["disk=*", "!disk=*"], ["a=b", "!a=b"]] {
            let said = labels(&pair);
            assert!(said.len() == 1 && said[0].contains(both), "{said:?}");
        }
    }

    #[test]
    fn weights_regions_and_resources_are_bounded() {
        let preferred = Preference { label: "ssd".into(), weight: -101 };
        assert_eq!(
            requires(|it| it.preferred = vec![preferred]),
            ["job `a`: preferred: the weight -101 is not from -100 to 100"]
        );
        assert_eq!(
            requires(|it| it.required_regions = vec!["".into()]),
            ["job `a`: region: a name is empty"]
        );
        let need = |name: &str, units| ResourceNeed { name: name.into(), units };
        assert_eq!(
            requires(|it| it.resources = vec![need("gpu", 0)]),
            ["job `a`: resources: 0 units of `gpu`"]
        );
        assert_eq!(
            requires(|it| it.resources = vec![need("gpu", 1), need("gpu", 2)]),
            ["job `a`: resources: `gpu` is named twice"]
        );
    }

    #[test]
    fn lists_and_names_have_an_end() {
        let many = requires(|it| it.labels = (0..257).map(|at| format!("l{at}").into()).collect());
        assert_eq!(many, ["job `a`: labels: 257 entries, at most 256"]);
        let long = terms(|it| it.group = group(&"x".repeat(201), 1));
        assert_eq!(long, ["job `a`: group: a name has 201 characters, at most 200"]);
        let odd = terms(|it| it.placement.affinity = Some("a\nb".into()));
        assert_eq!(odd, ["job `a`: affinity: `a\\nb` has control characters"]);
    }
}
