//! `run`: start a workflow of the server's folder by hand.

use clap::Args;
use serde_json::{Map, Value};

use super::client::Client;
use super::console::Console;
use super::{CliError, send};
use crate::api::wire::RunRequest;
use crate::model::JobPriority;

/// What to start.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// The workflow's name: its file's, without `.yml`
    workflow: String,
    /// The ref that the jobs are told
    #[arg(long = "ref", value_name = "REF")]
    git_ref: Option<String>,
    /// The repository that the jobs are told
    #[arg(long, value_name = "OWNER/NAME")]
    repository: Option<String>,
    /// How urgent the jobs are, where the workflow does not say
    #[arg(long, value_name = "LEVEL")]
    priority: Option<JobPriority>,
    /// An input, for the jobs; once for each
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    inputs: Vec<(String, String)>,
}

fn input(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

pub(super) async fn run(
    args: RunArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let pairs = args.inputs.into_iter().map(|(name, value)| (name, Value::String(value)));
    let body = RunRequest {
        git_ref: args.git_ref,
        repository: args.repository,
        priority: args.priority,
        inputs: pairs.collect::<Map<_, _>>(),
    };
    let answer = client.post(&["workflows", &args.workflow, "run"], &body).await?;
    console.show(&answer, |accepted, _| send::accepted(accepted))
}
