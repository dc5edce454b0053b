//! `explain`: why a job waits, or why it ended as it did; or why all wait that do.

use clap::Args;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::{joined, or_dash};
use super::outlook;
use super::table::{fields, page, rows, visible};
use super::time::span;
use crate::api::wire::{ExplainAllView, ExplainView, LaneView};
use crate::model::JobId;

/// Which job, or all.
#[derive(Clone, Debug, Args)]
pub struct ExplainArgs {
    /// The job's number
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    job: Option<JobId>,
    /// Count all waiting jobs by what keeps them back
    #[arg(long)]
    all: bool,
    /// The most gates and lanes to show
    #[arg(long, value_name = "N", requires = "all")]
    limit: Option<u32>,
}

pub(super) async fn run(
    args: ExplainArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let Some(job) = args.job else {
        let limit = args.limit.map(|limit| ("limit", limit.to_string()));
        let answer = client.get(&["explain"], limit.as_slice()).await?;
        return console.show(&answer, |view, _| all(view));
    };
    let answer = client.get(&["jobs", &job.to_string(), "explain"], &[]).await?;
    console.show(&answer, |view, _| sentences(view))
}

fn sentences(view: &ExplainView) -> String {
    let reasons = view.reasons.iter().map(|it| format!("  {}: {}", it.code, visible(&it.text)));
    let head = format!("job {} is {}", view.job_id, view.state);
    let start = outlook::start(&view.forecast).map(|start| format!("  {start}"));
    std::iter::once(head).chain(reasons).chain(start).collect::<Vec<_>>().join("\n")
}

fn all(view: &ExplainAllView) -> String {
    let glance = fields([
        ("waiting jobs", view.waiting_jobs.to_string()),
        ("of these ready", view.ready_jobs.to_string()),
    ]);
    let gates = view.gates.iter().map(|gate| {
        vec![
            gate.code.clone(),
            or_dash(gate.key.as_ref()),
            or_dash(gate.tenant.as_ref()),
            gate.jobs.to_string(),
        ]
    });
    let lanes = view.lanes.iter().map(|lane| {
        vec![
            wanted(lane),
            joined(&lane.pools),
            lane.tenant.clone(),
            lane.level.to_string(),
            lane.jobs.to_string(),
            lane.first_job_id.to_string(),
            span(lane.first_waited_ms),
            joined(lane.reasons.iter().map(|reason| &reason.text)),
        ]
    });
    let header = ["REQUIRES", "POOLS", "TENANT", "LEVEL", "JOBS", "FIRST", "WAITED", "WHY"];
    let cut = match view.truncated {
        true => "there is more than could be counted in one question: numbers may be too small",
        false => "",
    };
    page([
        glance,
        rows(&["GATE", "WHICH", "TENANT", "JOBS"], gates, "no closed gates"),
        rows(&header, lanes, "no ready jobs"),
        cut.to_owned(),
    ])
}

/// What tells a lane's jobs from others, in few words.
fn wanted(lane: &LaneView) -> String {
    let needs = &lane.requirements;
    let mut words: Vec<String> = needs.labels.iter().map(ToString::to_string).collect();
    words.extend([&needs.architecture, &needs.os].into_iter().flatten().map(ToString::to_string));
    let amounts = [
        ("cores", needs.min_cpu_cores),
        ("GB", needs.min_memory_gb),
        ("gpu", needs.gpu),
        ("docker", u32::from(needs.requires_docker)),
    ];
    let some = amounts.into_iter().filter(|(_, amount)| *amount > 0);
    words.extend(some.map(|(what, amount)| format!("{amount} {what}")));
    words.extend(needs.resources.iter().map(|need| format!("{} {}", need.units, need.name)));
    joined(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{Estimate, ExplainReason, ForecastView, GateView};
    use crate::model::{JobPriority, JobStateKind, RunnerRequirements};

    fn reason(code: &str, text: &str) -> ExplainReason {
        ExplainReason { code: code.into(), text: text.into() }
    }

    #[test]
    fn every_reason_has_its_code_and_its_sentence() {
        let view = ExplainView {
            job_id: JobId(7),
            state: JobStateKind::Blocked,
            reasons: vec![reason("blocked_by", "waits for job 6"), reason("busy", "1 of 1 busy")],
            forecast: ForecastView {
                start_estimate: Some(Estimate { p50_ms: 5_000, p95_ms: 9_000 }),
                ..ForecastView::default()
            },
        };
        insta::assert_snapshot!(sentences(&view), @r#"
        job 7 is blocked
          blocked_by: waits for job 6
          busy: 1 of 1 busy
          start expected in 5s (p50), in 9s (p95)
        "#);
    }

    #[test]
    fn gates_and_lanes_have_their_counts() {
        let lane = LaneView {
            requirements: RunnerRequirements {
                labels: vec!["linux".into()],
                gpu: 2,
                ..RunnerRequirements::default()
            },
            pools: vec!["fast".to_owned()],
            tenant: "acme".to_owned(),
            level: JobPriority::High,
            jobs: 12,
            first_job_id: JobId(4),
            first_waited_ms: 61_000,
            reasons: vec![reason("busy", "1 of 1 runners that fit are busy")],
        };
        let gate = GateView {
            code: "group_held".to_owned(),
            key: Some("deploy".to_owned()),
            tenant: Some("acme".to_owned()),
            jobs: 3,
        };
        let view = ExplainAllView {
            waiting_jobs: 15,
            ready_jobs: 12,
            gates: vec![gate],
            lanes: vec![lane],
            truncated: false,
        };
        insta::assert_snapshot!(all(&view), @r#"
        waiting jobs    15
        of these ready  12

        GATE        WHICH   TENANT  JOBS
        group_held  deploy  acme    3

        REQUIRES      POOLS  TENANT  LEVEL  JOBS  FIRST  WAITED  WHY
        linux, 2 gpu  fast   acme    high   12    4      61s     1 of 1 runners that fit are busy
        "#);
    }
}
