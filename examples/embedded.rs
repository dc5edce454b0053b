//! A program that has the queue in itself: two executors, a route, and work that waits for other work.
//!
//! No server beside it, no runner, no file to write: `cargo run --example embedded`.

use dispatchyard::DefaultRunner;
use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::executor::{ExecutionResult, FunctionExecutor, TaskContext, TaskReadyEvent};
use serde_json::json;

/// Says where it ran, and what the jobs before it left.
async fn run(event: TaskReadyEvent, ctx: TaskContext) -> Result<ExecutionResult, String> {
    let context = ctx.load().await.map_err(|error| error.to_string())?;
    ctx.log(format!("attempt {} of {}\n", event.attempt, event.max_attempts)).await;
    let before: Vec<_> = context.needs.into_keys().collect();
    Ok(ExecutionResult::success([("name", event.name), ("after", before.join(", "))]))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    nightly().await
}

#[expect(clippy::print_stdout, reason = "an example shows what comes of it")]
async fn nightly() -> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let database = folder.path().join("jobs.db");
    let runner = DefaultRunner::builder()
        .database_url(format!("sqlite:{}", database.display()))
        .routing_config(
            RoutingConfig::new("default").with_rule(RoutingRule::new("**::gpu::**", "gpu")),
        )
        .executor("gpu", FunctionExecutor::new("gpu", 1, run))
        .function(run)
        .build()
        .await?;

    let work = json!({ "steps": [] });
    let made = runner
        .submit(
            serde_json::from_value(json!({
                "name": "nightly",
                "jobs": [
                    { "name": "prepare", "work": work },
                    { "name": "train", "needs": ["prepare"], "namespace": "gpu", "work": work },
                    { "name": "report", "needs": ["train"], "work": work },
                ],
            }))?,
            Some("nightly-1"),
        )
        .await?;
    let ended = runner.ended(made.workload_id).await?;
    println!("workload {} is {}", ended.workload.id, ended.workload.state.as_str());
    for job in &ended.jobs {
        println!("{}: {:?}", job.name, runner.job(job.id).await?.outputs);
    }
    for executor in runner.executors() {
        println!("{}: {} jobs", executor.name, executor.metrics.total_executed);
    }
    let done: Vec<_> = runner.executors().iter().map(|it| it.metrics.total_executed).collect();
    runner.stop().await;
    assert_eq!((ended.workload.state.as_str(), done), ("completed", vec![2, 1]));
    Ok(())
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn what_the_example_says_is_so() {
        super::nightly().await.unwrap();
    }
}
