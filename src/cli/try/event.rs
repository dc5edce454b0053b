//! `try event`: what a delivery says, what each trigger says of it, and the jobs that would be; or,
//! of lines, what deliveries say.
//!
//! The delivery is read as its source would read it, if its signature were right; of an insecure
//! source it is as little trusted as there.

use std::path::PathBuf;

use axum::http::HeaderMap;
use clap::Args;
use serde::Serialize;

use super::super::CliError;
use super::super::console::Console;
use super::super::deliveries::verdicts;
use super::super::list::{joined, name_of, or_dash};
use super::super::table::{fields, page, rows};
use super::super::time::span;
use super::lines::Lines;
use crate::app::dry::{Dry, Tried, TriedWorkload};
use crate::config::{Config, DEFAULT_FILE, SourceConfig, environment};
use crate::event::Event;
use crate::webhook::Provider;
use crate::webhook::dry::{SourceSays, Understood, add, read};

/// The delivery to try, or lines of them.
#[derive(Clone, Debug, Args)]
pub struct TryEventArgs {
    /// The body: a file as the provider sends it
    #[arg(required_unless_present = "jsonl", conflicts_with = "jsonl")]
    file: Option<PathBuf>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "DISPATCHYARD_CONFIG", default_value = DEFAULT_FILE)]
    config: PathBuf,
    /// The configured source that it would be sent to; need not be said where there is one
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// The kind of event as the provider calls it, for the header that says it: push, pull_request, ...
    #[arg(long, visible_alias = "kind", value_name = "EVENT")]
    event: Option<String>,
    /// A header of the delivery, once for each
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Print JSON, as with `-o json`
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) lines: Lines,
}

/// What a delivery says and would start.
#[derive(Debug, Serialize)]
struct TriedDelivery {
    /// Each event that it tells of.
    events: Vec<TriedEvent>,
    /// What it is where it tells of none.
    #[serde(skip_serializing_if = "Option::is_none")]
    instead: Option<String>,
}

#[derive(Debug, Serialize)]
struct TriedEvent {
    event: Event,
    #[serde(flatten)]
    tried: Tried,
}

pub(super) fn run(args: &TryEventArgs, console: &mut Console) -> Result<(), CliError> {
    let Some(file) = &args.file else {
        return args.lines.answer(crate::webhook::dry::event, console);
    };
    let config = Config::load(&args.config, environment())?;
    let source = source(&config, args.source.as_deref())?;
    let dry = Dry::new(&config)?;
    let body =
        std::fs::read(file).map_err(|source| CliError::File { path: file.clone(), source })?;
    let headers = headers(source.kind, args).map_err(wrong_header)?;
    let says = match source.insecure && source.secrets.is_empty() {
        true => SourceSays::Insecure,
        false => SourceSays::Signed,
    };
    let understood =
        read(&source.name, &source.reader(), &says, headers, &body).map_err(|error| {
            CliError::Usage {
                message: format!("the source `{}` does not understand it: {error}", source.name),
                hint:
                    "say what kind of event it is with --event, or name its headers with --header"
                        .to_owned(),
            }
        })?;
    let (events, instead) = match understood {
        Understood::Events(events) if events.is_empty() => {
            (events, Some("it tells of nothing that happened".to_owned()))
        }
        Understood::Events(events) => (events, None),
        Understood::Ping => (Vec::new(), Some("a ping: the hook is set up".to_owned())),
        Understood::Challenge(_) => {
            (Vec::new(), Some("the provider asks for our address, and is answered".to_owned()))
        }
    };
    let now_ms = console.now_ms();
    let tried =
        |event: Event| TriedEvent { tried: dry.try_event(&event, Some(&body), now_ms), event };
    let delivery = TriedDelivery { events: events.into_iter().map(tried).collect(), instead };
    if args.json {
        let text = serde_json::to_string(&delivery).map_err(std::io::Error::from)?;
        return console.line(&text);
    }
    console.report(&delivery, table)
}

/// The source of that name, or the only one.
fn source<'c>(config: &'c Config, name: Option<&str>) -> Result<&'c SourceConfig, CliError> {
    let found = match (name, &config.sources[..]) {
        (None, [only]) => Some(only),
        (None, _) => None,
        (Some(name), sources) => sources.iter().find(|source| source.name == name),
    };
    found.ok_or_else(|| CliError::Usage {
        message: match name {
            Some(name) => format!("no source is called `{name}`"),
            None => "it is not clear which source it would be sent to".to_owned(),
        },
        hint: format!(
            "name one with --source: {}",
            joined(config.sources.iter().map(|source| &source.name))
        ),
    })
}

/// The headers that were named, and the one that says the kind of event.
fn headers(kind: Provider, args: &TryEventArgs) -> Result<HeaderMap, String> {
    let mut headers = HeaderMap::new();
    for header in &args.headers {
        let (name, value) =
            header.split_once(':').ok_or_else(|| format!("`{header}` is not `Name: value`"))?;
        add(&mut headers, name.trim(), value.trim())?;
    }
    if let Some(event) = &args.event {
        let name = kind.event_header().ok_or_else(|| {
            format!("a delivery of `{}` has no header for --event", kind.as_str())
        })?;
        add(&mut headers, name, event)?;
    }
    Ok(headers)
}

fn wrong_header(message: String) -> CliError {
    let hint = "write headers as --header 'X-GitHub-Event: push'".to_owned();
    CliError::Usage { message, hint }
}

fn table(delivery: &TriedDelivery) -> String {
    let events = delivery.events.iter().map(|it| one(&it.event, &it.tried));
    page(events.chain(delivery.instead.clone()))
}

fn one(event: &Event, tried: &Tried) -> String {
    let text = |value: Option<&crate::model::Untrusted>| or_dash(value.map(|it| it.as_data()));
    let action = event.action.as_ref().map(|action| format!(" {action}"));
    let glance = fields([
        ("event", format!("{}{}", event.kind.as_str(), action.unwrap_or_default())),
        ("source", event.source.clone()),
        ("repository", or_dash(event.repository.as_ref().map(|it| &it.full_name))),
        ("actor", or_dash(event.actor.as_ref().map(|it| &it.login))),
        ("ref", text(event.git_ref.as_ref())),
        ("base ref", text(event.base_ref.as_ref())),
        ("labels", joined(&event.labels)),
        ("trust", format!("{}: {}", name_of(event.trust.level), event.trust.reason)),
    ]);
    let ignored = tried.ignored.as_ref().map(|why| format!("nothing is started: {why}"));
    let started = tried.workloads.iter().map(workload);
    let left_out = tried.left_out.clone();
    page(
        [glance, verdicts(&tried.triggers)]
            .into_iter()
            .chain(started)
            .chain(ignored)
            .chain(left_out),
    )
}

fn workload(workload: &TriedWorkload) -> String {
    let TriedWorkload { trigger, kind, name, tenant, jobs } = workload;
    let head = format!("{trigger} starts the {kind} {name} of the tenant {tenant}:");
    let lines = jobs.iter().map(|job| {
        vec![
            job.name.clone(),
            joined(&job.needs),
            job.priority.as_str().to_owned(),
            or_dash(job.route.as_ref()),
            joined(&job.executors),
            joined(&job.pools),
            joined(&job.labels),
            span(job.timeout_ms),
        ]
    });
    let header = ["JOB", "NEEDS", "PRIORITY", "ROUTE", "EXECUTORS", "POOLS", "LABELS", "TIMEOUT"];
    format!("{head}\n{}", rows(&header, lines, "no jobs"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::OutputFormat;
    use crate::cli::console::tests::Paper;
    use crate::clock::ManualClock;

    const CONFIG: &str = "
        [[source]]
        name = 'github'
        secrets = [{ env = 'NOT_NEEDED_HERE' }]
        [[trigger]]
        name = 'ci'
        workflow = 'build'
        on.push.branches = ['main']
        [[trigger]]
        name = 'review'
        agent = { profile = 'demo', prompt = 'look' }
        on = 'pull_request'
        [[route]]
        name = 'tests'
        match = '**::test'
        priority = 'low'
    ";
    const WORKFLOW: &str = "
jobs:
  build: { runs-on: linux, steps: [{ run: make }] }
  test: { needs: build, runs-on: linux, steps: [{ run: make test }] }
";

    fn tried(more: &[&str]) -> Result<String, String> {
        let home = tempfile::tempdir().unwrap();
        let config = home.path().join("d.toml");
        std::fs::create_dir(home.path().join("workflows")).unwrap();
        std::fs::write(home.path().join("workflows/build.yml"), WORKFLOW).unwrap();
        std::fs::write(&config, CONFIG).unwrap();
        #[derive(clap::Parser)]
        struct Line {
            #[command(flatten)]
            args: TryEventArgs,
        }
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/github/push.json");
        let words = ["try", fixture, "--config", config.to_str().unwrap()];
        let line = words.iter().chain(more);
        let args = <Line as clap::Parser>::try_parse_from(line).map_err(|it| it.to_string())?.args;
        let paper = Paper::default();
        let clock = ManualClock::default();
        let table = OutputFormat::Table;
        let mut console = Console::with_writers(table, clock, paper.clone(), Paper::default());
        run(&args, &mut console).map_err(|error| error.to_string())?;
        Ok(paper.text())
    }

    #[test]
    fn a_delivery_shows_its_event_the_verdicts_and_the_jobs() {
        insta::assert_snapshot!(tried(&["--event", "push"]).unwrap(), @"
        event       push
        source      github
        repository  octo-org/example
        actor       octo-dev
        ref         refs/heads/main
        base ref    -
        labels      -
        trust       trusted: only writers can change refs

        TRIGGER  MATCHED  WORKLOAD  WHY
        ci       yes      -         branch `main` matches `main` of branches
        review   no       -         event `push` is not wanted

        ci starts the workflow build of the tenant default:
        JOB    NEEDS  PRIORITY  ROUTE  EXECUTORS  POOLS    LABELS  TIMEOUT
        build  -      normal    -      runners    default  linux   6h
        test   build  low       tests  runners    default  linux   6h
        ");
        let as_header = tried(&["--header", "X-GitHub-Event: push", "--source", "github"]);
        assert_eq!(as_header, tried(&["--kind", "push"]));
    }

    #[test]
    fn programs_get_json() {
        let text = tried(&["--event", "push", "--json"]).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let event = &json["events"][0];
        assert_eq!(event["event"]["kind"], "push");
        assert_eq!(event["triggers"][0]["matched"], true);
        assert_eq!(event["workloads"][0]["jobs"][1]["route"], "tests");
        let ping: serde_json::Value =
            serde_json::from_str(&tried(&["--event", "ping", "--json"]).unwrap()).unwrap();
        assert_eq!(ping["instead"], "a ping: the hook is set up");
    }

    #[test]
    fn what_is_not_understood_says_what_to_name() {
        let told = tried(&[]).unwrap_err();
        assert!(told.contains("x-github-event"), "{told}");
        let told = tried(&["--event", "push", "--source", "gitlab"]).unwrap_err();
        assert_eq!(told, "no source is called `gitlab`");
        let told = tried(&["--header", "push"]).unwrap_err();
        assert_eq!(told, "`push` is not `Name: value`");
        assert!(tried(&["--jsonl"]).is_err(), "a file and lines");
    }
}
