//! `report`: what ended lately, how long it took and what it cost, by tenant, pool and trigger.

use clap::{Args, ValueEnum};

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::list::joined;
use super::table::{fields, page, rows};
use super::time::{moment, precise, rfc3339};
use crate::api::wire::{ReportFigures, ReportRow, ReportView};

/// About what.
#[derive(Clone, Debug, Args)]
pub struct ReportArgs {
    /// Where the span begins: so long ago (90m, 24h, 7d), or at a time (2026-11-21T08:00:00Z)
    #[arg(long, value_name = "SPAN|TIME", default_value = "7d")]
    since: String,
    /// Where it ends, written the same way; now when absent
    #[arg(long, value_name = "SPAN|TIME")]
    until: Option<String>,
    /// One table instead of three
    #[arg(long, value_name = "WHAT")]
    by: Option<By>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum By {
    /// Whose the jobs were
    Tenant,
    /// Where they ran
    Pool,
    /// What started them
    Trigger,
}

impl By {
    fn as_str(self) -> &'static str {
        match self {
            Self::Tenant => "tenant",
            Self::Pool => "pool",
            Self::Trigger => "trigger",
        }
    }
}

pub(super) async fn run(
    args: ReportArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let answer = client.get(&["report"], &query(&args, console.now_ms())?).await?;
    console.show(&answer, |report, _| table(report))
}

fn query(args: &ReportArgs, now_ms: i64) -> Result<Vec<(&'static str, String)>, CliError> {
    let since_ms = moment("--since", &args.since, now_ms)?;
    let until = args.until.as_ref().map(|text| moment("--until", text, now_ms)).transpose()?;
    let until_ms = until.unwrap_or(now_ms);
    if since_ms >= until_ms {
        return Err(CliError::Usage {
            message: format!(
                "--since is {}, which is not before --until, {}",
                rfc3339(since_ms),
                rfc3339(until_ms)
            ),
            hint: "name an earlier begin: --since 7d".to_owned(),
        });
    }
    let mut query = vec![("since_ms", since_ms.to_string())];
    // Without it the server's own clock says what is now.
    query.extend(until.map(|ms| ("until_ms", ms.to_string())));
    query.extend(args.by.map(|by| ("by", by.as_str().to_owned())));
    Ok(query)
}

fn table(report: &ReportView) -> String {
    let cut = (!report.complete).then(|| {
        let why = match report.pruned_until_ms {
            Some(_) => "history before that is kept no longer",
            None => "there was no time to read more",
        };
        format!("cut short: it covers what ended since {}: {why}", rfc3339(report.covers_since_ms))
    });
    let span = fields([
        ("since", rfc3339(report.since_ms)),
        ("until", rfc3339(report.until_ms)),
        ("jobs ended", report.total.jobs_ended.to_string()),
        ("went back", retries(&report.total)),
    ]);
    let group = |what, rows: &Option<Vec<ReportRow>>, nameless: &str| {
        rows.as_ref().map_or_else(String::new, |rows| one(what, rows, nameless))
    };
    page([
        span,
        cut.unwrap_or_default(),
        group("TENANT", &report.tenants, "(unknown)"),
        group("POOL", &report.pools, "(no runner)"),
        group("TRIGGER", &report.triggers, "(submitted)"),
    ])
}

/// Why attempts went back to the queue, and how many.
fn retries(figures: &ReportFigures) -> String {
    joined(figures.retries.iter().map(|(why, many)| format!("{many} {why}")))
}

fn one(what: &str, groups: &[ReportRow], nameless: &str) -> String {
    let lines = groups.iter().map(|ReportRow { name, figures }| {
        let (wait, run) = (&figures.wait_ms, &figures.run_ms);
        let times = |count: u64, of: [u64; 3]| match count {
            0 => ["-", "-", "-"].map(str::to_owned),
            _ => of.map(precise),
        };
        let mut line = vec![
            name.clone().unwrap_or_else(|| nameless.to_owned()),
            figures.jobs_ended.to_string(),
            figures.failed.to_string(),
            percent(figures.failure_share),
            figures.retries.values().sum::<u64>().to_string(),
        ];
        line.extend(times(wait.count, [wait.p50, wait.p95, wait.max]));
        line.extend(times(run.count, [run.p50, run.p95, run.max]));
        line.push(percent(figures.sla.share));
        line.push(format!("{:.1}", figures.runner_minutes));
        line.push(format!("{:.2}", figures.cost_micros as f64 / 1e6));
        line
    });
    let header = [
        what,
        "ENDED",
        "FAILED",
        "SHARE",
        "WENT BACK",
        "WAIT P50",
        "P95",
        "MAX",
        "RUN P50",
        "P95",
        "MAX",
        "SLA MET",
        "MINUTES",
        "COST",
    ];
    rows(&header, lines, &format!("{what}: nothing ended"))
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}%", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{Percentiles, SlaFigures};

    fn args(since: &str, until: Option<&str>) -> ReportArgs {
        let until = until.map(str::to_owned);
        ReportArgs { since: since.to_owned(), until, by: Some(By::Pool) }
    }

    #[test]
    fn a_span_is_asked_for_in_milliseconds_and_bad_ones_are_told_apart() {
        let now_ms = 1_763_712_000_000;
        let asked = query(&args("7d", Some("1h")), now_ms).unwrap();
        let (since, until) = ((now_ms - 604_800_000).to_string(), (now_ms - 3_600_000).to_string());
        assert_eq!(asked, [("since_ms", since), ("until_ms", until), ("by", "pool".to_owned())]);
        let wrong = |since, until| query(&args(since, until), now_ms).unwrap_err().to_string();
        assert_eq!(wrong("banana", None), "--since `banana` is neither a span like 7d nor a time");
        assert!(wrong("1h", Some("2h")).contains("is not before --until, 2025-11-21T06:00:00Z"));
        assert!(wrong("2026-11-21T08:00:00Z", None).contains("is not before --until"));
        assert!(wrong("7d", Some("-1d")).starts_with("--until `-1d`"));
    }

    #[test]
    fn a_report_has_a_table_of_each_kind_and_says_when_it_was_cut() {
        let figures = ReportFigures {
            jobs_ended: 12,
            completed: 9,
            failed: 3,
            failure_share: Some(0.25),
            attempts: 13,
            retries: [("failed".to_owned(), 1), ("lease_lost".to_owned(), 2)].into(),
            wait_ms: Percentiles { count: 13, p50: 12, p90: 90, p95: 950, p99: 1_000, max: 1_500 },
            run_ms: Percentiles {
                count: 13,
                p50: 61_000,
                p90: 90_000,
                p95: 95_000,
                p99: 99_000,
                max: 5_400_000,
            },
            sla: SlaFigures { jobs: 4, met: 3, share: Some(0.75) },
            runner_minutes: 14.25,
            cost_micros: 1_234_567,
            ..ReportFigures::default()
        };
        let row = |name: Option<&str>, figures: &ReportFigures| ReportRow {
            name: name.map(str::to_owned),
            figures: figures.clone(),
        };
        let report = ReportView {
            since_ms: 1_763_107_200_000,
            until_ms: 1_763_712_000_000,
            complete: false,
            covers_since_ms: 1_763_200_000_000,
            pruned_until_ms: None,
            total: figures.clone(),
            tenants: Some(vec![row(Some("acme"), &figures)]),
            pools: None,
            triggers: Some(vec![row(None, &ReportFigures::default())]),
        };
        insta::assert_snapshot!(table(&report), @r#"
        since       2025-11-14T08:00:00Z
        until       2025-11-21T08:00:00Z
        jobs ended  12
        went back   1 failed, 2 lease_lost

        cut short: it covers what ended since 2025-11-15T09:46:40Z: there was no time to read more

        TENANT  ENDED  FAILED  SHARE  WENT BACK  WAIT P50  P95    MAX   RUN P50  P95  MAX  SLA MET  MINUTES  COST
        acme    12     3       25.0%  3          12ms      950ms  1.5s  61s      95s  90m  75.0%    14.2     1.23

        TRIGGER      ENDED  FAILED  SHARE  WENT BACK  WAIT P50  P95  MAX  RUN P50  P95  MAX  SLA MET  MINUTES  COST
        (submitted)  0      0       -      0          -         -    -    -        -    -    -        0.0      0.00
        "#);
    }
}
