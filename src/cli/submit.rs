//! `submit`, `join`: workloads and jobs out of a file or from standard input, as the API takes them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::Value;

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::global::read_text;
use super::list::{joined, or_dash};
use super::outlook;
use super::table::{fields, page, rows};
use crate::api::wire::{BatchResponse, JoinResponse, SubmitResponse};
use crate::model::WorkloadId;

/// What to submit.
#[derive(Clone, Debug, Args)]
pub struct SubmitArgs {
    /// A file with the body of `POST /api/v1/workloads`, as JSON; `-` for standard input
    file: PathBuf,
    /// The file is `{"items": [..]}`: many workloads, each made or refused by itself
    #[arg(long)]
    batch: bool,
    /// The same key twice is one submission: safe to repeat when no answer came
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<String>,
}

/// What joins what.
#[derive(Clone, Debug, Args)]
pub struct JoinArgs {
    /// The open workload's number
    workload: WorkloadId,
    /// A file with `{"jobs": [..]}`, the jobs as in a submission; `-` for standard input
    file: PathBuf,
    /// The same key twice is one join: safe to repeat when no answer came
    #[arg(long, value_name = "KEY", value_parser = key)]
    key: Option<String>,
}

pub(super) async fn run(
    args: SubmitArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let body = body(&args.file)?;
    if args.batch {
        let path = ["workloads", "batch"];
        let answer = client.post_once(&path, &body, args.key.as_deref()).await?;
        return console.show(&answer, |response, _| many(response));
    }
    let answer = client.post_once(&["workloads"], &body, args.key.as_deref()).await?;
    console.show(&answer, |response, _| one(response))
}

pub(super) async fn join(
    args: JoinArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let id = args.workload.to_string();
    let path = ["workloads", &id, "jobs"];
    let answer = client.post_once(&path, &body(&args.file)?, args.key.as_deref()).await?;
    console.show(&answer, |response: &JoinResponse, _| {
        let joined = fields([
            ("workload", response.workload_id.to_string()),
            ("jobs", joined(&response.jobs)),
            ("duplicate", yes_or_no(response.duplicate)),
        ]);
        page([joined, outlook::table(&response.outlooks), next(response.workload_id)])
    })
}

/// A text as an idempotency key, as the server takes it.
fn key(text: &str) -> Result<String, String> {
    let good =
        (1..=200).contains(&text.len()) && text.bytes().all(|it| (b' '..=b'~').contains(&it));
    good.then(|| text.to_owned()).ok_or_else(|| "a key is 1 to 200 ASCII characters".to_owned())
}

/// The JSON of a file, or of standard input.
fn body(path: &Path) -> Result<Value, CliError> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        let read = std::io::stdin().read_to_string(&mut text);
        read.map_err(|source| CliError::File { path: path.to_owned(), source })?;
        text
    } else {
        read_text(path)?
    };
    serde_json::from_str(&text).map_err(|error| CliError::Usage {
        message: format!("{} is not JSON: {error}", path.display()),
        hint: r#"a workload is {"name": "w", "jobs": [{"name": "a", "work": {"steps": [{"run": "make"}]}}]}"#
            .to_owned(),
    })
}

fn one(response: &SubmitResponse) -> String {
    let made = fields([
        ("workload", response.workload_id.to_string()),
        ("duplicate", yes_or_no(response.duplicate)),
    ]);
    page([made, outlook::table(&response.outlooks), next(response.workload_id)])
}

fn many(response: &BatchResponse<SubmitResponse>) -> String {
    let lines = response.items.iter().enumerate().map(|(at, item)| {
        vec![
            (at + 1).to_string(),
            item.status.to_string(),
            or_dash(item.body.as_ref().map(|made| made.workload_id)),
            or_dash(item.error.as_ref().map(|problem| &problem.detail)),
        ]
    });
    rows(&["ITEM", "STATUS", "WORKLOAD", "ERROR"], lines, "no items")
}

fn next(id: WorkloadId) -> String {
    format!("next: dispatchyard workloads {id}")
}

fn yes_or_no(it: bool) -> String {
    if it { "yes" } else { "no" }.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_of_a_batch_has_its_line() {
        let response: BatchResponse<SubmitResponse> = serde_json::from_value(serde_json::json!({
            "items": [
                { "status": 201, "body": { "workload_id": 7, "duplicate": false } },
                { "status": 422, "error": {
                    "type": "urn:dispatchyard:invalid", "title": "t", "status": 422,
                    "detail": "two jobs are called `a`",
                } },
            ],
        }))
        .unwrap();
        insta::assert_snapshot!(many(&response), @r#"
        ITEM  STATUS  WORKLOAD  ERROR
        1     201     7         -
        2     422     -         two jobs are called `a`
        "#);
    }
}
