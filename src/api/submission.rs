//! From a submission to a planned workload: names are looked up, and all that is wrong in it is
//! refused with the job and the key before the scheduler hears of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::caller::Caller;
use super::error::ApiError;
use super::state::Shared;
use super::wire::{SubmitJob, SubmitRequest, SubmitRequirements};
use crate::ask::{Ask, Fault, Later, Level};
use crate::model::{
    JobSpec, JobWork, OutboxTarget, PlannedJob, PlannedWorkload, ReportOn, ReportTo, RetryPolicy,
    Trust, TrustLevel,
};
use crate::report::CallbackError;

/// The workload that a request asks for at `now_ms`, wall milliseconds.
///
/// # Errors
///
/// [`ApiError::BadRequest`] with the first thing that is wrong.
pub(super) fn plan(
    state: &Shared,
    caller: &Caller,
    request: SubmitRequest,
    traceparent: Option<&str>,
    now_ms: i64,
) -> Result<PlannedWorkload, ApiError> {
    let SubmitRequest { name, kind, open, jobs, callback_url, ask } = request;
    check_name("name", &name)?;
    sound(None, &ask, Level::Workload)?;
    let mut terms = ask.workload_terms();
    terms.report.extend(report_to(state, callback_url)?);
    Ok(PlannedWorkload {
        kind,
        name,
        trigger: String::new(),
        tenant_id: caller.starts_for(),
        session: None,
        terms,
        open,
        jobs: plan_jobs(state, caller, jobs, &ask.for_jobs(), traceparent, now_ms)?,
    })
}

/// Where a workload is reported that was started by a request with that `callback_url`.
///
/// # Errors
///
/// [`ApiError::BadRequest`] when it cannot be called back.
pub(super) fn report_to(
    state: &Shared,
    callback_url: Option<String>,
) -> Result<Option<ReportTo>, ApiError> {
    let Some(url) = callback_url else { return Ok(None) };
    let rulebook = state.rulebook();
    let callbacks = rulebook.reports.callbacks.as_ref().ok_or(CallbackError::NoSecret);
    let checked = callbacks.and_then(|callbacks| callbacks.check(&url));
    checked.map_err(|error| ApiError::BadRequest(error.to_string()))?;
    Ok(Some(ReportTo { target: OutboxTarget::Callback { url: url.into() }, on: ReportOn::All }))
}

/// The jobs that a request asks for; what one of them does not say, `defaults` says.
///
/// # Errors
///
/// [`ApiError::BadRequest`] with the first thing that is wrong.
pub(super) fn plan_jobs(
    state: &Shared,
    caller: &Caller,
    jobs: Vec<SubmitJob>,
    defaults: &Ask,
    traceparent: Option<&str>,
    now_ms: i64,
) -> Result<Vec<PlannedJob>, ApiError> {
    let plan = |job: SubmitJob| {
        if let Some(fault) = job.work.fault() {
            return Err(ApiError::BadRequest(format!("job `{}`: {fault}", job.name)));
        }
        let (mut job, later) = plan_job(state, caller, job, defaults, traceparent)?;
        later.settle(&mut job, now_ms, None);
        job.check_deadline(now_ms).map_err(|error| ApiError::BadRequest(error.to_string()))?;
        Ok(job)
    };
    jobs.into_iter().map(plan).collect()
}

/// A job that only requires something, to ask who could run it.
///
/// # Errors
///
/// [`ApiError::BadRequest`] with the first thing that is wrong.
pub(super) fn plan_match(
    state: &Shared,
    caller: &Caller,
    requirements: SubmitRequirements,
) -> Result<PlannedJob, ApiError> {
    let job = SubmitJob {
        name: "match".to_owned(),
        needs: Vec::new(),
        needs_workloads: Vec::new(),
        matrix: None,
        requirements,
        work: JobWork::Steps(Vec::new()),
        env: BTreeMap::new(),
        timeout_ms: None,
        not_before_ms: None,
        ask: Ask::default(),
    };
    plan_job(state, caller, job, &Ask::default(), None).map(|(job, _)| job)
}

fn plan_job(
    state: &Shared,
    caller: &Caller,
    job: SubmitJob,
    workload: &Ask,
    traceparent: Option<&str>,
) -> Result<(PlannedJob, Later), ApiError> {
    check_name("job name", &job.name)?;
    let ask = job.ask.or(&job.requirements.ask);
    sound(Some(&job.name), &ask, Level::Job)?;
    let ask = ask.or(workload);
    let resolved = ask
        .resolve(&job.requirements.labels, &state.catalogue)
        .map_err(|found| refused(Some(&job.name), found))?;
    let defaults = &state.scheduler;
    let timeout_ms = job.timeout_ms.unwrap_or_else(|| defaults.timeout_ms());
    let not_before_ms = job.not_before_ms.unwrap_or(0);
    if timeout_ms < 1 || not_before_ms < 0 {
        let name = &job.name;
        let text = format!("job `{name}`: timeout_ms is at least 1, not_before_ms is not negative");
        return Err(ApiError::BadRequest(text));
    }
    caller.must_be_allowed(resolved.priority)?;
    let mut terms = resolved.terms;
    (terms.needs_workloads, terms.matrix) = (job.needs_workloads, job.matrix);
    let planned = PlannedJob {
        name: job.name,
        needs: job.needs,
        requirements: resolved.requirements,
        priority: resolved.priority,
        timeout_ms,
        retry: RetryPolicy {
            max_retries: ask.max_retries.unwrap_or(defaults.max_retries),
            backoff_ms: ask.backoff_ms.map_or(defaults.backoff_ms, Into::into),
        },
        not_before_ms,
        terms,
        spec: Arc::new(JobSpec {
            work: job.work,
            env: job.env,
            trust: Trust::new(TrustLevel::Trusted, format!("submitted by {}", caller.author())),
            traceparent: traceparent.map(str::to_owned),
            workflow: None,
        }),
    };
    Ok((planned, resolved.later))
}

fn sound(job: Option<&str>, ask: &Ask, level: Level) -> Result<(), ApiError> {
    let found = ask.faults(level);
    if found.is_empty() { Ok(()) } else { Err(refused(job, found)) }
}

fn refused(job: Option<&str>, found: Vec<Fault>) -> ApiError {
    let told = found.into_iter().map(|found| found.of_job(job).to_string());
    ApiError::BadRequest(told.collect::<Vec<_>>().join("; "))
}

fn check_name(what: &str, name: &str) -> Result<(), ApiError> {
    let chars = name.chars().count();
    if chars == 0 || chars > 200 || name.chars().any(char::is_control) {
        return Err(ApiError::BadRequest(format!("`{what}` is 1 to 200 printable characters")));
    }
    Ok(())
}
