//! `bench lifecycle`: durable lifecycles in a second, without HTTP.

use std::path::{Path, PathBuf};

use clap::Args;

use super::{figure, ranged};
use crate::bench::{LifecycleOptions, LifecycleReport, lifecycle};
use crate::cli::CliError;
use crate::cli::console::Console;
use crate::cli::table::{page, rows};

/// How much to measure, and on which disk.
#[derive(Clone, Debug, Args)]
pub(super) struct LifecycleArgs {
    /// Clients at the same time, parted by commas; each of them is measured by itself
    #[arg(long, value_name = "N,..", value_delimiter = ',', default_values_t = [16, 256, 2_048], value_parser = clap::value_parser!(u32).range(1..=100_000))]
    clients: Vec<u32>,
    /// Lifecycles of each client in a round
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    lifecycles: u32,
    /// How often each number of clients is measured
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Where to make a folder for the database: on the disk that the server will use
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(super) async fn run(args: LifecycleArgs, console: &mut Console) -> Result<(), CliError> {
    let folder = temporary(&args.dir, console)?;
    let options = LifecycleOptions {
        folder: folder.path().to_owned(),
        clients: args.clients.iter().map(|clients| *clients as usize).collect(),
        rounds: args.rounds as usize,
        lifecycles: args.lifecycles as usize,
    };
    let report = lifecycle(&options, |what| console.remark(what)).await?;
    console.report(&report, table)
}

/// A folder in that one, which goes away with the value.
pub(super) fn temporary(dir: &Path, console: &mut Console) -> Result<tempfile::TempDir, CliError> {
    let fail = |source| CliError::File { path: dir.to_owned(), source };
    let folder = tempfile::Builder::new().prefix("dispatchyard-bench-").tempdir_in(dir);
    let folder = folder.map_err(fail)?;
    if is_in_memory(folder.path()) {
        console.remark(&format!(
            "{} is in memory, not on a disk: name a folder on the disk with --dir",
            dir.display()
        ));
    }
    Ok(folder)
}

/// Whether files of a folder are in memory (tmpfs, ramfs), where a flush costs nothing.
fn is_in_memory(folder: &Path) -> bool {
    // The magic numbers of statfs(2).
    rustix::fs::statfs(folder).is_ok_and(|it| matches!(it.f_type, 0x0102_1994 | 0x8584_58f6))
}

fn table(report: &LifecycleReport) -> String {
    let lines = report.rows.iter().map(|row| {
        vec![
            row.clients.to_string(),
            row.lifecycles.to_string(),
            ranged(row.per_s),
            figure(row.commands_per_transaction),
            figure(row.lifecycles_per_transaction),
        ]
    });
    let header = ["CLIENTS", "LIFECYCLES", "PER SECOND", "COMMANDS/COMMIT", "LIFECYCLES/COMMIT"];
    let note = format!(
        "synchronous={}; median and range of {} rounds; `cargo bench --bench lifecycle` has the \
         same beside raw SQL",
        report.synchronous, report.rounds
    );
    page([rows(&header, lines, "none"), note])
}
