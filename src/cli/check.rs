//! `check`: everything that is wrong with a configuration, without starting anything.

use std::path::PathBuf;

use clap::Args;

use super::console::Console;
use super::{CliError, Global, labels};
use crate::app;
use crate::app::dry::Dry;
use crate::config::{Config, ConfigErrors, DEFAULT_FILE, environment};

/// What to check.
#[derive(Clone, Debug, Args)]
pub struct CheckArgs {
    /// The configuration file
    #[arg(default_value = DEFAULT_FILE, env = "DISPATCHYARD_CONFIG")]
    config: PathBuf,
    /// Print every key with the value that is in force, and who set it
    #[arg(long)]
    effective: bool,
    /// Ask the server of --server too, whether its runners have all labels that jobs want
    #[arg(long)]
    runners: bool,
}

pub(super) async fn run(
    args: &CheckArgs,
    global: &Global,
    console: &mut Console,
) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment())?;
    config.check_exposure().map_err(ConfigErrors::from)?;
    let workflows = app::check_rules(&config)?;
    for warning in app::warnings(&config, console.now_ms())? {
        console.remark(&format!("warning: {warning}"));
    }
    // Where a file is checked the secrets need not be: no reason to fail.
    match config.load_secrets(|name| std::env::var(name).ok()) {
        Ok(secrets) => {
            secrets.warnings.iter().for_each(|text| console.remark(&format!("warning: {text}")));
        }
        Err(errors) => {
            for error in errors.iter() {
                console.remark(&format!("warning: the server would not start here: {error}"));
            }
        }
    }
    if args.runners {
        for missing in labels::missing(&Dry::new(&config)?, &global.client()?).await? {
            let labels::Missing { label, wanted_by } = missing;
            console.remark(&format!(
                "warning: {wanted_by} wants the label `{label}`, which no runner has"
            ));
        }
    }
    if args.effective {
        return console.line(config.effective().trim_end());
    }
    let (sources, triggers) = (config.sources.len(), config.triggers.len());
    let of_repositories = config.sources.iter().filter(|source| source.workflows.is_some()).count();
    let of_repositories = match of_repositories {
        0 => String::new(),
        many => format!(", and those of the repositories of {many} sources"),
    };
    console.line(&format!(
        "{} is fine: sources {sources}, triggers {triggers}, workflows {}{of_repositories}",
        args.config.display(),
        workflows.len()
    ))
}
