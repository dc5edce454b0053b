//! `jobs`: the unit that is queued and assigned, and the history of one of them.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::{ListArgs, how_to_go_on, name_of, or_dash};
use super::table::{fields, page, rows, visible};
use super::terms;
use super::time::{age, precise, rfc3339, rfc3339_or_dash};
use crate::api::wire::{AttemptView, JobDetail, JobView, List, RecordView};
use crate::model::{JobId, signal_name};

/// Which jobs.
#[derive(Clone, Debug, Args)]
pub struct JobsArgs {
    /// One job, with its attempts and its history
    id: Option<JobId>,
    #[command(flatten)]
    list: ListArgs,
}

pub(super) async fn run(
    args: JobsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    match args.id {
        Some(id) => {
            let answer = client.get(&["jobs", &id.to_string()], &[]).await?;
            console.show(&answer, |job, _| detail(job))
        }
        None => {
            let answer = client.get(&["jobs"], &args.list.query()).await?;
            console.show(&answer, |list: &List<JobView>, now_ms| {
                page([table(&list.items, now_ms), how_to_go_on("jobs", list)])
            })
        }
    }
}

/// Jobs, one a line.
pub(super) fn table(jobs: &[JobView], now_ms: i64) -> String {
    let lines = jobs.iter().map(|job| {
        vec![
            job.id.to_string(),
            job.workload_id.to_string(),
            job.name.clone(),
            state(job),
            job.priority.to_string(),
            job.attempt.to_string(),
            or_dash(job.runner_id),
            age(now_ms, job.queued_at_ms),
        ]
    });
    let header = ["JOB", "WORKLOAD", "NAME", "STATE", "PRIORITY", "ATTEMPT", "RUNNER", "AGE"];
    rows(&header, lines, "no jobs")
}

/// The state, with what the state alone does not say.
fn state(job: &JobView) -> String {
    if !job.state.is_terminal() && job.cancel_requested_at_ms.is_some() {
        return format!("{} (cancelling)", job.state);
    }
    if job.unschedulable {
        return format!("{} (no runner fits)", job.state);
    }
    job.state.to_string()
}

/// All fields of one job.
pub(super) fn one(job: &JobView) -> String {
    fields([
        ("job", job.id.to_string()),
        ("name", job.name.clone()),
        ("workload", job.workload_id.to_string()),
        ("state", state(job)),
        ("reason", or_dash(job.reason.map(|reason| reason.sentence()))),
        ("priority", job.priority.to_string()),
        ("attempt", job.attempt.to_string()),
        ("retries", format!("{} of {}", job.retry_count, job.max_retries)),
        ("runner", or_dash(job.runner_id)),
        ("queued", rfc3339(job.queued_at_ms)),
        ("started", rfc3339_or_dash(job.started_at_ms)),
        ("ended", rfc3339_or_dash(job.ended_at_ms)),
    ])
}

fn detail(detail: &JobDetail) -> String {
    let outputs = detail.outputs.iter().map(|(name, value)| vec![name.clone(), value.clone()]);
    page([
        one(&detail.job),
        fields(terms::of_job(detail)),
        attempts(&detail.attempts),
        post_mortem(&detail.attempts),
        rows(&["OUTPUT", "VALUE"], outputs, ""),
        history(&detail.records),
    ])
}

/// An exit code and a signal look different: a shell's 137 is not a SIGKILL.
fn exit(attempt: &AttemptView) -> String {
    let Some(signal) = attempt.signal else { return or_dash(attempt.exit_code) };
    signal_name(signal).map_or_else(|| format!("signal {signal}"), str::to_owned)
}

fn attempts(attempts: &[AttemptView]) -> String {
    let lines = attempts.iter().map(|attempt| {
        let requeued = attempt.requeue_reason.map(|reason| format!(" ({})", reason.as_str()));
        vec![
            attempt.number.to_string(),
            attempt.runner_id.to_string(),
            attempt.pool.clone(),
            format!("{}{}", name_of(attempt.outcome), requeued.unwrap_or_default()),
            exit(attempt),
            rfc3339(attempt.assigned_at_ms),
            millis(attempt.waited_ms),
            attempt.ran_ms.map_or_else(|| "-".to_owned(), millis),
            money(attempt.cost_micros),
            or_dash(attempt.error.as_ref().and_then(|error| error.lines().next())),
        ]
    });
    let header = [
        "ATTEMPT", "RUNNER", "POOL", "OUTCOME", "EXIT", "ASSIGNED", "WAITED", "RAN", "COST",
        "ERROR",
    ];
    rows(&header, lines, "")
}

/// What the latest attempt says of its end beyond the line in the table.
fn post_mortem(attempts: &[AttemptView]) -> String {
    let Some(last) = attempts.last() else { return String::new() };
    let error = last.error.as_deref().unwrap_or_default();
    let Some((first, more)) = error.split_once('\n') else { return String::new() };
    let head = format!("attempt {}: {}", last.number, visible(first));
    let lines = more.lines().map(|line| format!("  {}", visible(line)));
    std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
}

fn millis(ms: i64) -> String {
    precise(ms.max(0).unsigned_abs())
}

/// A price; a dash where nothing is charged.
fn money(micros: u64) -> String {
    if micros == 0 { "-".to_owned() } else { format!("{:.4}", micros as f64 / 1e6) }
}

fn history(records: &[RecordView]) -> String {
    let lines = records.iter().map(|record| {
        vec![
            rfc3339(record.at_ms),
            record.name.clone(),
            or_dash(record.author.as_ref()),
            record.detail.clone(),
        ]
    });
    rows(&["TIME", "RECORD", "BY", "DETAIL"], lines, "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        AttemptOutcome, EndReason, GroupTerms, HeldUnits, JobPriority, JobStateKind, JobTerms,
        LeaseToken, PendingPolicy, Placement, RequeueReason, ResourceNeed, RunIf, RunnerId,
        RunnerRequirements, WorkloadId,
    };

    fn job() -> JobView {
        JobView {
            id: JobId(7),
            workload_id: WorkloadId(3),
            name: "build".to_owned(),
            state: JobStateKind::Running,
            reason: None,
            unschedulable: false,
            priority: JobPriority::High,
            attempt: 2,
            retry_count: 0,
            max_retries: 1,
            runner_id: Some(RunnerId(1)),
            queued_at_ms: 1_763_712_000_000,
            started_at_ms: Some(1_763_712_001_000),
            ended_at_ms: None,
            cancel_requested_at_ms: Some(1_763_712_002_000),
        }
    }

    #[test]
    fn a_job_that_is_being_cancelled_says_so() {
        insta::assert_snapshot!(table(&[job()], 1_763_712_030_000), @r#"
        JOB  WORKLOAD  NAME   STATE                 PRIORITY  ATTEMPT  RUNNER  AGE
        7    3         build  running (cancelling)  high      2        1       30s
        "#);
    }

    #[test]
    fn one_job_shows_its_attempts_and_history() {
        let detail_view = JobDetail {
            job: JobView {
                state: JobStateKind::Failed,
                reason: Some(EndReason::Poisoned),
                ended_at_ms: Some(1_763_712_060_000),
                cancel_requested_at_ms: None,
                ..job()
            },
            needs: vec!["lint".to_owned()],
            requirements: RunnerRequirements {
                labels: vec!["linux".into()],
                min_memory_gb: 8,
                requires_docker: true,
                required_regions: vec!["eu".into(), "us".into()],
                resources: vec![ResourceNeed { name: "licence".into(), units: 2 }],
                ..RunnerRequirements::default()
            },
            pools: vec!["fast".to_owned(), "general".to_owned()],
            terms: JobTerms {
                run_if: RunIf::Always,
                group: Some(GroupTerms {
                    key: "deploy".into(),
                    limit: 1,
                    cancel_in_progress: true,
                    pending: PendingPolicy::Latest,
                }),
                deadline_ms: Some(1_763_712_900_000),
                max_wait_ms: Some(90_000),
                placement: Placement {
                    affinity: Some("app".into()),
                    anti_affinity: Some("db".into()),
                    ..Placement::default()
                },
                ..JobTerms::default()
            },
            units: HeldUnits([("licence".into(), vec![0, 2])].into()),
            attempts: vec![AttemptView {
                number: 1,
                run: 1,
                lease: LeaseToken(9),
                runner_id: RunnerId(1),
                pool: "fast".to_owned(),
                waited_ms: 2_500,
                ran_ms: None,
                cost_micros: 1_458,
                assigned_at_ms: 1_763_712_000_000,
                started_at_ms: None,
                ended_at_ms: 1_763_712_015_000,
                outcome: AttemptOutcome::Requeued,
                requeue_reason: Some(RequeueReason::LeaseLost),
                exit_code: None,
                signal: Some(9),
                error: Some(
                    "step `a` failed\nit ran 1.2 s; its last lines:\n  b\u{1b}[1m".to_owned(),
                ),
            }],
            outputs: [("version".to_owned(), "1.2".to_owned())].into(),
            records: vec![RecordView {
                name: "job.requeued".to_owned(),
                at_ms: 1_763_712_015_000,
                delivery_id: None,
                workload_id: None,
                job_id: Some(JobId(7)),
                runner_id: None,
                attempt: Some(1),
                author: None,
                detail: "lease_lost".to_owned(),
            }],
        };
        insta::assert_snapshot!(detail(&detail_view), @r#"
        job       7
        name      build
        workload  3
        state     failed
        reason    infrastructure failed under it more often than infra_retries_max
        priority  high
        attempt   2
        retries   0 of 1
        runner    1
        queued    2025-11-21T08:00:00Z
        started   2025-11-21T08:00:01Z
        ended     2025-11-21T08:01:00Z

        needs      lint
        requires   linux, min_memory_gb 8, requires_docker
        runs if    all that it needs have ended
        pools      fast, general
        regions    eu or us
        resources  2 of licence, holds 0 and 2
        group      deploy, 1 at once, only the latest waits, cancels the older
        deadline   2025-11-21T08:15:00Z
        max wait   90s
        placement  near app; away from db

        ATTEMPT  RUNNER  POOL  OUTCOME                EXIT     ASSIGNED              WAITED  RAN  COST    ERROR
        1        1       fast  requeued (lease_lost)  SIGKILL  2025-11-21T08:00:00Z  2.5s    -    0.0015  step `a` failed

        attempt 1: step `a` failed
          it ran 1.2 s; its last lines:
            b\u{1b}[1m

        OUTPUT   VALUE
        version  1.2

        TIME                  RECORD        BY  DETAIL
        2025-11-21T08:00:15Z  job.requeued  -   lease_lost
        "#);
    }
}
