//! `run`: start a workflow of the server's folder by hand.

use clap::Args;
use serde_json::{Map, Value};

use super::client::Client;
use super::console::Console;
use super::{CliError, send};
use crate::api::wire::RunRequest;
use crate::ask::Ask;
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
    /// How urgent the jobs are, instead of what the workflow says
    #[arg(long, value_name = "LEVEL")]
    priority: Option<JobPriority>,
    /// Any other key of `x-dispatch`, instead of what the workflow says; the value is JSON or text:
    /// `max_wait=2m`, `skills=["rust"]`; once for each
    #[arg(long = "dispatch", value_name = "KEY=VALUE", value_parser = asked)]
    dispatch: Vec<Ask>,
    /// An input, for the jobs; once for each
    #[arg(long = "input", value_name = "NAME=VALUE", value_parser = input)]
    inputs: Vec<(String, String)>,
}

fn input(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// One key of an ask. Text that is no JSON is itself: nobody quotes twice for a shell.
pub(super) fn asked(text: &str) -> Result<Ask, String> {
    let (key, value) = text.split_once('=').ok_or("write it as KEY=VALUE")?;
    let value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
    let ask = Map::from_iter([(key.to_owned(), value)]);
    serde_json::from_value(Value::Object(ask)).map_err(|error| error.to_string())
}

pub(super) async fn run(
    args: RunArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let pairs = args.inputs.into_iter().map(|(name, value)| (name, Value::String(value)));
    let own = Ask { priority: args.priority, ..Ask::default() };
    let body = RunRequest {
        git_ref: args.git_ref,
        repository: args.repository,
        inputs: pairs.collect::<Map<_, _>>(),
        ask: args.dispatch.iter().fold(own, |ask, more| ask.or(more)),
    };
    let answer = client.post(&["workflows", &args.workflow, "run"], &body).await?;
    console.show(&answer, |accepted, _| send::accepted(accepted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ask::{Names, Span};

    #[test]
    fn a_key_of_x_dispatch_is_json_or_text() {
        assert_eq!(asked("max_wait=2m").unwrap().max_wait, Some(Span(120_000)));
        assert_eq!(asked("gpu=true").unwrap().gpu, Some(1));
        let skills = asked(r#"skills=["rust", "gpu"]"#).unwrap().skills;
        assert_eq!(skills, Some(Names(vec!["rust".to_owned(), "gpu".to_owned()])));
        assert_eq!(asked("group=deploy=eu").unwrap().group.unwrap().key, "deploy=eu");
        assert!(asked("max_weight=2m").unwrap_err().starts_with("unknown field `max_weight`"));
        assert!(asked("max_wait").is_err());
    }
}
