//! The program: arguments in, exit code out. 0 is done, 1 refused or failed, 2 wrong arguments or
//! configuration.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use dispatchyard::cli::bench::BenchArgs;
use dispatchyard::cli::console::Console;
use dispatchyard::cli::dev::DevArgs;
use dispatchyard::cli::runner::RunnerArgs;
use dispatchyard::cli::serve::ServeArgs;
use dispatchyard::cli::{CliError, Global, Verb};
use dispatchyard::clock::SystemClock;
use dispatchyard::telemetry::{self, LogFormat};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Webhooks in, jobs out to your own runners, nothing lost.
#[derive(Debug, Parser)]
#[command(name = "dispatchyard", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server
    Serve(ServeArgs),
    /// Run a server with one local runner, to try things out
    Dev(DevArgs),
    /// Run a process that takes jobs
    Runner(RunnerArgs),
    /// Measure this machine, to say how large a server it can be
    Bench(BenchArgs),
    #[command(flatten)]
    Client(Verb),
}

fn main() -> ExitCode {
    // The one TLS provider; only a second installation fails, and this is the first.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to do when standard error is gone as well.
            let _ = tell(&error, &mut std::io::stderr());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let mut console = Console::new(cli.global.output, SystemClock::new());
    match cli.command {
        Command::Client(verb) => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(dispatchyard::cli::run(verb, &cli.global, &mut console))
        }
        Command::Serve(args) => stay(dispatchyard::cli::serve::run(&args), true),
        Command::Dev(args) => {
            let logs = args.logs;
            stay(dispatchyard::cli::dev::run(args, &mut console), logs)
        }
        Command::Bench(args) => {
            stay(dispatchyard::cli::bench::run(args, &cli.global, &mut console), false)
        }
        Command::Runner(args) => stay(dispatchyard::cli::runner::run(args, &cli.global), true),
    }
}

/// Runs a process that stays, with log lines if they are wanted.
fn stay(process: impl Future<Output = Result<(), CliError>>, logs: bool) -> Result<(), CliError> {
    if logs {
        telemetry::init(LogFormat::detect())?;
    }
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(process)
}

fn tell(error: &CliError, out: &mut impl Write) -> std::io::Result<()> {
    writeln!(out, "error: {error}")?;
    if let Some(hint) = error.hint() {
        writeln!(out, "  hint: {hint}")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_contradict_nothing() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_verb_reads_as_the_readme_writes_it() {
        for line in [
            "status -o json",
            "deliveries --limit 5 --state ignored",
            "workloads 3",
            "logs 7 --follow --attempt 2",
            "cancel 7 --reason slow",
            "cancel --workload 3",
            "requeue 7 --reason lost --avoid-runner",
            "run ci --ref refs/heads/main --input a=b",
            "send push.json --event push --source github --secret-env HOOK_SECRET",
            "check d.toml --effective",
            "bench core --jobs 1000000 --runners 10000 -o json",
            "bench fleet --runners 300 --leases 5000 --seconds 120",
            "--server http://127.0.0.1:1 --token-file t jobs",
        ] {
            let words = std::iter::once("dispatchyard").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_ok(), "{line}");
        }
        for line in ["cancel", "cancel 7 --workload 3", "send f --event push", "jobs seven"] {
            let words = std::iter::once("dispatchyard").chain(line.split(' '));
            assert!(Cli::try_parse_from(words).is_err(), "{line}");
        }
    }

    #[test]
    fn an_error_is_told_with_what_to_type_next() {
        let mut told = Vec::new();
        let error =
            CliError::Usage { message: "no".to_owned(), hint: "try `dispatchyard dev`".to_owned() };
        tell(&error, &mut told).unwrap();
        assert_eq!(String::from_utf8_lossy(&told), "error: no\n  hint: try `dispatchyard dev`\n");
    }
}
