//! What a job or a workload asks of the scheduler, as people read it.

use super::list::{joined, name_of};
use super::table::visible;
use super::time::{rfc3339, span};
use crate::api::wire::{JobDetail, WorkloadDetail};
use crate::model::{
    GroupTerms, JobTerms, PendingPolicy, RunIf, RunnerRequirements, Succession, WorkloadTerms,
};

type Lines = Vec<(&'static str, String)>;

/// What the workload asks for as a whole; only what it does ask.
pub(super) fn of_workload(detail: &WorkloadDetail) -> Lines {
    let WorkloadTerms { group, max_parallel, fail_fast, title, report: _, succession } =
        &detail.terms;
    let mut lines = Lines::new();
    lines.extend(title.as_ref().map(|title| ("title", title.to_string())));
    lines.extend(detail.open.then(|| ("open", "jobs may join it".to_owned())));
    lines.extend(group.as_ref().map(|it| ("group", self::group(it))));
    lines.extend(succession.as_ref().map(|it| ("replaces", self::succession(it))));
    lines.extend(max_parallel.map(|max| ("at once", format!("at most {max} jobs"))));
    lines.extend(fail_fast.then(|| ("fail fast", "the first failure cancels the rest".to_owned())));
    lines
}

/// What older work it takes the place of.
fn succession(succession: &Succession) -> String {
    let what = if succession.running { "what waits or runs" } else { "what waits" };
    let key = visible(&succession.key);
    match succession.quiet {
        None => format!("{what} for `{key}`"),
        Some(it) => format!("{what} for `{key}`, when nothing came for {}", span(it.quiet_ms)),
    }
}

/// What the job requires and asks for beside; only what it does ask.
pub(super) fn of_job(detail: &JobDetail) -> Lines {
    let (terms, needs) = (&detail.terms, &detail.requirements);
    let mut lines: Lines =
        vec![("needs", joined(needed(detail))), ("requires", requirements(needs))];
    let mut some = |name, value: Option<String>| lines.extend(value.map(|value| (name, value)));
    some("runs if", (terms.run_if != RunIf::default()).then(|| run_if(terms.run_if).to_owned()));
    some("pools", (!detail.pools.is_empty()).then(|| joined(&detail.pools)));
    some("regions", regions(needs));
    let preferred = needs.preferred.iter().map(|it| format!("{} ({})", it.label, it.weight));
    some("prefers", Some(preferred.collect::<Vec<_>>()).filter(|it| !it.is_empty()).map(joined));
    some("resources", resources(detail));
    some("group", terms.group.as_ref().map(group));
    some("matrix", matrix(terms));
    some("deadline", terms.deadline_ms.map(rfc3339));
    some("max wait", terms.max_wait_ms.map(span));
    some("queue timeout", terms.queue_timeout_ms.map(span));
    some("namespace", terms.namespace.as_deref().map(str::to_owned));
    some("placement", placement(terms));
    let may_fail = "it counts as completed for all others when it fails";
    some("may fail", terms.allow_failure.then(|| may_fail.to_owned()));
    lines
}

fn needed(detail: &JobDetail) -> Vec<String> {
    let late = detail.terms.late_needs.iter().map(|name| format!("{name} (may join)"));
    let workloads = detail.terms.needs_workloads.iter().map(|id| format!("workload {id}"));
    detail.needs.iter().cloned().chain(late).chain(workloads).collect()
}

pub(super) fn requirements(needs: &RunnerRequirements) -> String {
    let mut parts: Vec<String> = needs.labels.iter().map(ToString::to_string).collect();
    parts.extend([&needs.architecture, &needs.os].into_iter().flatten().map(ToString::to_string));
    let amounts = [
        ("min_memory_gb", needs.min_memory_gb),
        ("min_cpu_cores", needs.min_cpu_cores),
        ("gpu", needs.gpu),
    ];
    let amounts = amounts.into_iter().filter(|(_, amount)| *amount > 0);
    parts.extend(amounts.map(|(name, amount)| format!("{name} {amount}")));
    parts.extend(needs.requires_docker.then(|| "requires_docker".to_owned()));
    joined(parts)
}

fn run_if(run_if: RunIf) -> &'static str {
    match run_if {
        RunIf::Success => "all that it needs completed",
        RunIf::Failure => "one that it needs failed",
        RunIf::Always => "all that it needs have ended",
        RunIf::Never => "never: its condition is false",
        RunIf::Decide => "all that it needs have ended, and its condition is true then",
    }
}

fn regions(needs: &RunnerRequirements) -> Option<String> {
    let (must, better) = (&needs.required_regions, &needs.preferred_regions);
    match (must.is_empty(), better.is_empty()) {
        (true, true) => None,
        (true, false) => Some(format!("better {}", better.join(", then "))),
        (false, true) => Some(must.join(" or ")),
        (false, false) => Some(format!("{}; better {}", must.join(" or "), better.join(", then "))),
    }
}

/// What it needs of each resource, and which units it has.
fn resources(detail: &JobDetail) -> Option<String> {
    let lines = detail.requirements.resources.iter().map(|need| {
        let held = detail.units.0.get(&need.name).filter(|units| !units.is_empty());
        let held = held.map(|units| {
            let units: Vec<_> = units.iter().map(ToString::to_string).collect();
            format!(", holds {}", units.join(" and "))
        });
        format!("{} of {}{}", need.units, need.name, held.unwrap_or_default())
    });
    Some(lines.collect::<Vec<_>>().join("; ")).filter(|text| !text.is_empty())
}

pub(super) fn group(group: &GroupTerms) -> String {
    let waiting = match group.pending {
        PendingPolicy::Latest => ", only the latest waits".to_owned(),
        PendingPolicy::Queue { max: u32::MAX } => String::new(),
        PendingPolicy::Queue { max } => format!(", at most {max} wait"),
    };
    let cancels = if group.cancel_in_progress { ", cancels the older" } else { "" };
    format!("{}, {} at once{waiting}{cancels}", group.key, group.limit)
}

fn matrix(terms: &JobTerms) -> Option<String> {
    let matrix = terms.matrix.as_ref()?;
    let at_once = matrix.max_parallel.map(|max| format!(", at most {max} at once"));
    let fails = if matrix.fail_fast { ", the first failure cancels the rest" } else { "" };
    Some(format!("{}{}{fails}", matrix.key, at_once.unwrap_or_default()))
}

fn placement(terms: &JobTerms) -> Option<String> {
    let placement = &terms.placement;
    let near = placement.affinity.as_ref().map(|key| {
        let must = if placement.affinity_required { "only with" } else { "near" };
        format!("{must} {key}")
    });
    let away = placement.anti_affinity.as_ref().map(|key| format!("away from {key}"));
    let spread = placement.spread.as_ref();
    let spread = spread.map(|it| format!("{} spread by {}", it.key, name_of(it.over)));
    Some(near.into_iter().chain(away).chain(spread).collect::<Vec<_>>().join("; "))
        .filter(|text| !text.is_empty())
}
