//! A whole executor of one's own: jobs are handed over as files in a folder, and another program takes them from
//! there. `cargo run --example spool_executor`.
//!
//! ```text
//! todo/job-7-attempt-1.json   written once, whole, by rename: what is to be done
//! done/job-7-attempt-1.json   written by the other program: how it ended
//! ```
//!
//! The work goes on when the server ends, so this is a durable executor: the file's name is the attempt's, it is
//! written at most once, and after a restart it says what became of the attempt.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use dispatchyard::DefaultRunner;
use dispatchyard::executor::router::RoutingConfig;
use dispatchyard::executor::{
    Adopted, DispatchError, DurableExecutor, ExecutionResult, ExecutorMetrics, Tally, TaskContext,
    TaskReadyEvent,
};
use serde_json::json;

/// How often the folder is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How many jobs lie there at once.
const MAX_CONCURRENT: u32 = 4;

struct Spool {
    folder: PathBuf,
    tally: Tally,
}

impl Spool {
    fn new(folder: PathBuf) -> std::io::Result<Self> {
        for name in ["todo", "done"] {
            std::fs::create_dir_all(folder.join(name))?;
        }
        Ok(Self { folder, tally: Tally::default() })
    }

    fn file(&self, folder: &str, attempt: &str) -> PathBuf {
        self.folder.join(folder).join(format!("{attempt}.json"))
    }

    /// How an attempt ended, if it has.
    fn ended(&self, attempt: &str) -> Option<ExecutionResult> {
        let text = std::fs::read_to_string(self.file("done", attempt)).ok()?;
        let read = serde_json::from_str(&text);
        Some(read.unwrap_or_else(|error| ExecutionResult::failed(format!("{attempt}: {error}"))))
    }
}

#[async_trait]
impl DurableExecutor for Spool {
    fn name(&self) -> &str {
        "spool"
    }

    fn metrics(&self) -> ExecutorMetrics {
        self.tally.metrics(MAX_CONCURRENT.into())
    }

    async fn start(
        &self,
        event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<String, DispatchError> {
        // Nothing was handed over: the job goes to the next executor of its route.
        let away = |what: String| DispatchError::unavailable(what);
        let context = ctx.load().await.map_err(|error| away(error.to_string()))?;
        let todo = json!({ "event": event, "context": context }).to_string();
        let (file, draft) = (self.file("todo", &event.attempt_key), self.file("todo", "draft"));
        let draft = draft.with_extension(&event.attempt_key);
        std::fs::write(&draft, todo)
            .map_err(|error| away(format!("{}: {error}", draft.display())))?;
        std::fs::rename(&draft, &file).map_err(|error| away(error.to_string()))?;
        ctx.log(format!("handed over as {}\n", file.display())).await;
        Ok(event.attempt_key.clone())
    }

    async fn watch(
        &self,
        external_ref: &str,
        _event: &TaskReadyEvent,
        ctx: &TaskContext,
    ) -> Result<ExecutionResult, DispatchError> {
        let busy = self.tally.begin();
        let result = loop {
            if let Some(result) = self.ended(external_ref) {
                break result;
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = ctx.cancelled() => {
                    // The other program looks for the file before it begins.
                    let _ = std::fs::remove_file(self.file("todo", external_ref));
                    break ExecutionResult::cancelled();
                }
            }
        };
        busy.ended(result.status);
        Ok(result)
    }

    async fn adopt(
        &self,
        _external_ref: Option<&str>,
        event: &TaskReadyEvent,
        _ctx: &TaskContext,
    ) -> Adopted {
        let attempt = &event.attempt_key;
        match self.ended(attempt) {
            Some(result) => Adopted::Ended(result),
            None if self.file("todo", attempt).exists() => Adopted::Running,
            None => Adopted::Gone,
        }
    }
}

/// The other program: does one job, when there is one.
fn do_one(folder: &std::path::Path) -> std::io::Result<bool> {
    for file in std::fs::read_dir(folder.join("todo"))? {
        let file = file?;
        if file.path().extension().is_some_and(|extension| extension == "json") {
            let todo: serde_json::Value = serde_json::from_slice(&std::fs::read(file.path())?)?;
            let result = ExecutionResult::success([("did", todo["event"]["name"].to_string())]);
            // First how it ended, then that nothing is to be done: in between it is both.
            std::fs::write(
                folder.join("done").join(file.file_name()),
                serde_json::to_vec(&result)?,
            )?;
            std::fs::remove_file(file.path())?;
            return Ok(true);
        }
    }
    Ok(false)
}

#[expect(clippy::print_stdout, reason = "an example shows what comes of it")]
async fn spooled() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let spool = folder.path().join("spool");
    let start = async || {
        DefaultRunner::builder()
            .database_url(format!("sqlite:{}", folder.path().join("jobs.db").display()))
            .routing_config(RoutingConfig::new("spool"))
            .durable_executor("spool", Spool::new(spool.clone())?, MAX_CONCURRENT)
            .build()
            .await
            .map_err(Box::<dyn std::error::Error>::from)
    };
    let runner = start().await?;
    let jobs = json!([{ "name": "a", "work": { "steps": [] } }]);
    let request = serde_json::from_value(json!({ "name": "example", "jobs": jobs }))?;
    let made = runner.submit(request, None).await?;
    while !std::fs::read_dir(spool.join("todo"))?.any(|it| {
        it.is_ok_and(|it| it.path().extension().is_some_and(|extension| extension == "json"))
    }) {
        tokio::time::sleep(LOOK).await;
    }
    // The server ends, the work goes on, and the next server finds out how it ended.
    runner.stop().await;
    do_one(&spool)?;
    let runner = start().await?;
    let ended = runner.ended(made.workload_id).await?;
    let job = runner.job(ended.jobs[0].id).await?;
    println!(
        "{} after {} attempt: {:?}",
        ended.workload.state.as_str(),
        job.attempts.len(),
        job.outputs
    );
    runner.stop().await;
    assert_eq!((job.attempts.len(), &*job.outputs["did"]), (1, "\"a\""));
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    spooled().await
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_the_example_says_is_so() {
        super::spooled().await.unwrap();
    }
}
