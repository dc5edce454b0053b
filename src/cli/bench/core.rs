//! `bench core`: time per decision, heartbeats and memory, with every policy on.

use clap::Args;

use super::{figure, ranged};
use crate::bench::{CoreOptions, CoreReport, Size, core};
use crate::cli::CliError;
use crate::cli::console::Console;
use crate::cli::table::{fields, page, rows};

/// How large a server to measure.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct CoreArgs {
    /// Jobs that wait
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = within(1, 10_000_000))]
    jobs: u64,
    /// Registered runners
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = within(2, 1_000_000))]
    runners: u64,
    /// Kinds of requirements; no more than runners
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = within(2, 10_000))]
    classes: u64,
    /// Tenants
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = within(1, 10_000))]
    tenants: u64,
    /// Decisions of each kind in each round
    #[arg(long, value_name = "N", default_value_t = 5_000, value_parser = within(1, 10_000_000))]
    decisions: u64,
    /// How often each kind is measured
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = within(1, 100))]
    rounds: u64,
}

fn within(min: u64, max: u64) -> clap::builder::RangedU64ValueParser<u64> {
    clap::value_parser!(u64).range(min..=max)
}

pub(super) fn run(args: &CoreArgs, console: &mut Console) -> Result<(), CliError> {
    let CoreArgs { jobs, runners, classes, tenants, decisions, rounds } = *args;
    if runners < classes {
        return Err(CliError::Usage {
            message: format!("{runners} runners cannot serve {classes} classes"),
            hint: format!("--runners {classes} or more, or fewer --classes"),
        });
    }
    let [jobs, runners, classes, tenants, rounds] =
        [jobs, runners, classes, tenants, rounds].map(|number| number as usize);
    let size = Size { jobs, runners, classes, tenants };
    let options = CoreOptions { size, decisions, rounds };
    let report = core(options, |what| console.remark(what))?;
    console.report(&report, table)
}

fn table(report: &CoreReport) -> String {
    let Size { jobs, runners, classes, tenants } = report.size;
    let mb = |mb: Option<f64>| mb.map_or_else(|| "unknown".to_owned(), |mb| format!("{mb:.0} MB"));
    let of_world = report.resident_loaded_mb.zip(report.resident_before_mb);
    let of_world = of_world.map(|(after, before)| after - before);
    let glance = fields([
        ("jobs, runners", format!("{jobs} waiting, {runners} registered")),
        ("classes, tenants", format!("{classes}, {tenants}")),
        ("load", format!("{:.0} ms", report.load_ms)),
        ("memory", format!("{}, {} of the process", mb(of_world), mb(report.resident_loaded_mb))),
        ("memory at the end", mb(report.resident_end_mb)),
        ("heartbeats/s", ranged(report.heartbeats_per_s)),
        ("jobs held back", report.jobs_held.to_string()),
    ]);
    let decisions = report.decisions.iter().map(|it| {
        vec![
            it.what.clone(),
            it.decisions.to_string(),
            it.assigned.to_string(),
            figure(it.p50_us),
            ranged(it.p99_us),
            figure(it.p999_us),
            figure(it.max_us),
        ]
    });
    let header = ["DECISION", "COUNT", "ASSIGNED", "P50 US", "P99 US", "P99.9 US", "MAX US"];
    let note = format!("medians of {} rounds; max is that of the best round", report.rounds);
    page([glance, rows(&header, decisions, "none"), note])
}
