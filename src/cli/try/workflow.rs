//! `try workflow`: the jobs that a workflow file becomes for an event, and what each `if` decided.

use std::path::PathBuf;

use axum::http::HeaderMap;
use clap::Args;
use serde_json::{Map, Value};

use super::super::CliError;
use super::super::console::Console;
use super::super::list::{joined, or_dash};
use super::super::table::{fields, page, rows};
use super::super::terms;
use super::super::time::span;
use crate::app::dry::Dry;
use crate::config::{Config, environment};
use crate::event::{Event, OwnEvent};
use crate::model::{Catalogue, Trust, TrustLevel};
use crate::webhook::dry::{SourceSays, Understood, add, read};
use crate::webhook::{Provider, Reader, stored_json};
use crate::workflow::dry::{TriedFile, TriedFileJob, file};
use crate::workflow::{Defaults, File, Policy};

/// The workflow file and the event to try it with.
#[derive(Clone, Debug, Args)]
pub struct TryWorkflowArgs {
    /// The workflow file
    file: PathBuf,
    /// The body of the event's delivery, as the provider sends it; without one it is a start by hand
    #[arg(long, value_name = "FILE")]
    event: Option<PathBuf>,
    /// The kind of event as the provider calls it
    #[arg(long, value_name = "EVENT", default_value = "push")]
    kind: String,
    /// The provider whose delivery it is
    #[arg(long, value_name = "PROVIDER", default_value = "github")]
    provider: String,
    /// The ref of a start by hand
    #[arg(
        long = "ref",
        value_name = "REF",
        default_value = "refs/heads/main",
        conflicts_with = "event"
    )]
    git_ref: String,
    /// An input of a start by hand, once for each
    #[arg(long = "input", value_name = "NAME=VALUE", conflicts_with = "event")]
    inputs: Vec<String>,
    /// The configuration whose pools, resources and variables the file may name
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON, as with `-o json`
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &TryWorkflowArgs, console: &mut Console) -> Result<(), CliError> {
    let unread = |path: &PathBuf| {
        let path = path.clone();
        move |source| CliError::File { path, source }
    };
    let dry = args.config.as_ref().map(|path| Dry::new(&Config::load(path, environment())?));
    let dry = dry.transpose()?;
    let (defaults, catalogue) = match &dry {
        Some(dry) => (*dry.defaults(), dry.catalogue().clone()),
        None => (Defaults::default(), Catalogue::default()),
    };
    let text = std::fs::read_to_string(&args.file).map_err(unread(&args.file))?;
    let name = args.file.file_name().unwrap_or_default().to_string_lossy();
    let parsed = parsed(&name, &text, defaults.policy, &catalogue)?;
    let (event, body) = match &args.event {
        Some(path) => {
            let body = std::fs::read(path).map_err(unread(path))?;
            (said(args, &body)?, Some(body))
        }
        None => (by_hand(args)?, None),
    };
    let payload = body.as_deref().and_then(stored_json);
    let tried =
        file(&parsed, &event, payload.as_ref(), &defaults, &catalogue).map_err(|message| {
            let hint = "mend the file, or try it with the event that it is for".to_owned();
            CliError::Usage { message: format!("{name} cannot be planned: {message}"), hint }
        })?;
    if args.json {
        let text = serde_json::to_string(&tried).map_err(std::io::Error::from)?;
        return console.line(&text);
    }
    console.report(&tried, table)
}

fn parsed(name: &str, text: &str, policy: Policy, catalogue: &Catalogue) -> Result<File, CliError> {
    let wrong = |faults: Vec<crate::workflow::FileError>| CliError::Usage {
        message: faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        hint: "mend the file at these places".to_owned(),
    };
    let file = File::parse(name, text, policy).map_err(wrong)?;
    file.check(catalogue).map_err(wrong)?;
    Ok(file)
}

/// The event that a body tells of.
fn said(args: &TryWorkflowArgs, body: &[u8]) -> Result<Event, CliError> {
    let wrong = |message: String| CliError::Usage {
        message,
        hint: "say what the body is with --kind and --provider".to_owned(),
    };
    let provider: Provider = args
        .provider
        .parse()
        .map_err(|_| wrong(format!("no provider is called `{}`", args.provider)))?;
    let mut headers = HeaderMap::new();
    if let Some(name) = provider.event_header() {
        add(&mut headers, name, &args.kind).map_err(wrong)?;
    }
    let reader = Reader { provider, ..Reader::default() };
    let name = provider.as_str();
    match read(name, &reader, &SourceSays::Signed, headers, body).map_err(wrong)? {
        Understood::Events(events) => events.into_iter().next(),
        Understood::Ping | Understood::Challenge(_) => None,
    }
    .ok_or_else(|| wrong("the body tells of nothing that happened".to_owned()))
}

fn by_hand(args: &TryWorkflowArgs) -> Result<Event, CliError> {
    let wrong = |message: String| CliError::Usage {
        message,
        hint: "write --input NAME=VALUE and --ref refs/heads/NAME".to_owned(),
    };
    let mut inputs = Map::new();
    for input in &args.inputs {
        let (name, value) =
            input.split_once('=').ok_or_else(|| wrong(format!("`{input}` is not NAME=VALUE")))?;
        inputs.insert(name.to_owned(), Value::String(value.to_owned()));
    }
    let own = OwnEvent {
        source: "cli".into(),
        kind: "workflow_dispatch".into(),
        git_ref: Some(args.git_ref.clone()),
        inputs,
        trust: Trust::new(TrustLevel::Trusted, "tried by hand"),
        ..OwnEvent::default()
    };
    own.into_event().map_err(|error| wrong(error.to_string()))
}

fn table(tried: &TriedFile) -> String {
    let starts = tried.starts.as_ref().map(|on| match on.run {
        true => format!("yes: {}", on.why),
        false => format!("no: {}", on.why),
    });
    let glance = fields([
        ("workflow", tried.workflow.clone()),
        ("title", or_dash(tried.title.as_ref())),
        ("starts by its `on`", or_dash(starts)),
        ("group", or_dash(tried.group.as_ref().map(terms::group))),
    ]);
    let line = |job: &TriedFileJob| {
        let mut more = Vec::new();
        more.extend(job.max_parallel.map(|max| format!("at most {max} at once")));
        more.extend(
            (job.matrix.is_some() && !job.fail_fast).then(|| "all run to their end".to_owned()),
        );
        more.extend(job.allow_failure.then(|| "may fail".to_owned()));
        more.extend(job.group.as_ref().map(|group| format!("group {}", terms::group(group))));
        vec![
            job.name.clone(),
            joined(&job.needs),
            joined(&job.labels),
            span(job.timeout_ms),
            job.runs.clone(),
            joined(more),
        ]
    };
    let header = ["JOB", "NEEDS", "LABELS", "TIMEOUT", "RUNS", "MORE"];
    page([glance, rows(&header, tried.jobs.iter().map(line), "no jobs")])
}
