//! `logs`: what a job wrote, at once or as it is written.

use clap::Args;

use super::client::Client;
use super::console::Console;
use super::follow::Follower;
use super::{CliError, list};
use crate::api::wire::sse::SseEvent;
use crate::api::wire::{LogChunk, LogEnd};
use crate::model::JobId;

/// Which log.
#[derive(Clone, Debug, Args)]
pub struct LogsArgs {
    /// The job's number
    job: JobId,
    /// Go on until the job has ended, also over a restart of the server
    #[arg(short, long)]
    follow: bool,
    /// The try, from 1; the last one when absent
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
}

pub(super) async fn run(
    args: LogsArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let job = args.job.to_string();
    let path = ["jobs", &job, "logs"];
    let query: Vec<_> =
        args.attempt.map(|number| ("attempt", number.to_string())).into_iter().collect();
    if !args.follow {
        let answer = client.get(&path, &query).await?;
        return console.raw(&answer.text);
    }
    let mut follower = Follower::new(client, &path, query);
    loop {
        let event = follower.next().await?;
        if console.is_json() {
            console.line(&event.data)?;
        }
        match Piece::of(client, &event)? {
            Piece::Text(chunk) if !console.is_json() => console.raw(&chunk.text)?,
            Piece::End(end) => {
                let kept = match end.removed {
                    true => "; its log is kept no longer, and the end of it is missing here",
                    false => "",
                };
                console.remark(&format!("job {job} ended: {}{kept}", list::name_of(end.state)));
                return Ok(());
            }
            Piece::Text(_) | Piece::Other => {}
        }
    }
}

enum Piece {
    Text(LogChunk),
    End(LogEnd),
    /// An event that this version does not know.
    Other,
}

impl Piece {
    fn of(client: &Client, event: &SseEvent) -> Result<Self, CliError> {
        let read = match event.event.as_str() {
            "log" => serde_json::from_str(&event.data).map(Self::Text),
            "end" => serde_json::from_str(&event.data).map(Self::End),
            _ => Ok(Self::Other),
        };
        read.map_err(|source| CliError::NotUnderstood { server: client.server(), source })
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;

    use super::*;
    use crate::cli::OutputFormat;
    use crate::cli::client::tests::serve;
    use crate::cli::console::tests::Paper;
    use crate::clock::ManualClock;

    const STREAM: &str = concat!(
        "id: 1-3\nevent: log\ndata: {\"attempt\":1,\"offset\":0,\"text\":\"one\"}\n\n",
        "event: later-version\ndata: ?\n\n",
        "id: 1-8\nevent: log\ndata: {\"attempt\":1,\"offset\":3,\"text\":\"\\rtwo\\n\"}\n\n",
        "event: end\ndata: {\"state\":\"failed\"}\n\n",
    );

    /// What a followed stream comes to: what was printed, and remarked.
    async fn follow(stream: &'static str) -> (String, String) {
        let router = Router::new().route("/api/v1/jobs/7/logs", get(move || async move { stream }));
        let client = Client::new(&serve(router).await, None).unwrap();
        let (out, remarks) = (Paper::default(), Paper::default());
        let clock = ManualClock::default();
        let mut console =
            Console::with_writers(OutputFormat::Table, clock, out.clone(), remarks.clone());
        let args = LogsArgs { job: JobId(7), follow: true, attempt: None };
        run(args, &client, &mut console).await.unwrap();
        (out.text(), remarks.text())
    }

    #[tokio::test]
    async fn a_followed_log_is_printed_as_the_job_wrote_it() {
        let (out, remarks) = follow(STREAM).await;
        assert_eq!(out, "one\rtwo\n");
        assert_eq!(remarks, "job 7 ended: failed\n");
    }

    #[tokio::test]
    async fn a_log_that_went_meanwhile_is_not_taken_for_a_whole_one() {
        let stream = "event: end\ndata: {\"state\":\"completed\",\"removed\":true}\n\n";
        let (_, remarks) = follow(stream).await;
        assert!(
            remarks.starts_with("job 7 ended: completed; its log is kept no longer"),
            "{remarks}"
        );
    }
}
