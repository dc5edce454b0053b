//! `model`: what was learned of run times; for admins of all tenants.

use clap::{Args, Subcommand};

use super::client::Client;
use super::console::Console;
use super::list::joined;
use super::table::{fields, page, rows};
use super::{CliError, terms};
use crate::api::wire::{LearnedClass, LearnedTimes, ModelView, TrainRequest, Trained};
use crate::model::RunnerId;

/// What to do with it.
#[derive(Clone, Debug, Subcommand)]
pub enum ModelVerb {
    /// How long jobs run, by what they require and by runner
    Show(ShowArgs),
    /// Forget it, and learn it anew from the last attempts that ended
    Train(TrainArgs),
    /// Forget it: until enough is learned again, the least loaded runner gets a job
    Reset,
}

/// Which part of it.
#[derive(Clone, Debug, Args)]
pub struct ShowArgs {
    /// The most classes and the most runners to show
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Classes older than this one; the end of a page says which
    #[arg(long, value_name = "CLASS")]
    before: Option<i64>,
}

/// From what.
#[derive(Clone, Debug, Args)]
pub struct TrainArgs {
    /// How many attempts; 20000 when it is not said, at most 50000
    #[arg(long, value_name = "N")]
    attempts: Option<u32>,
}

pub(super) async fn run(
    verb: ModelVerb,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let learned = |trained: &Trained, _| format!("learned from {} runs", trained.runs);
    match verb {
        ModelVerb::Show(args) => {
            let limit = args.limit.map(|limit| ("limit", limit.to_string()));
            let before = args.before.map(|before| ("before", before.to_string()));
            let query: Vec<_> = limit.into_iter().chain(before).collect();
            let answer = client.get(&["model"], &query).await?;
            console.show(&answer, |model, _| table(model))
        }
        ModelVerb::Train(args) => {
            let body = TrainRequest { attempts: args.attempts };
            let answer = client.post(&["model", "train"], &body).await?;
            console.show(&answer, learned)
        }
        ModelVerb::Reset => {
            let answer = client.post(&["model", "reset"], &serde_json::json!({})).await?;
            console.show(&answer, learned)
        }
    }
}

fn table(model: &ModelView) -> String {
    let glance = fields([("runs", model.runs.to_string()), ("entries", model.entries.to_string())]);
    let classes = model.classes.iter().flat_map(of_class);
    let header = ["CLASS", "REQUIRES", "RUNNER", "RUNS", "MEAN", "P50", "P95", "FAILS"];
    let speeds = model
        .runners
        .iter()
        .map(|it| vec![name(it.runner_id, it.runner.as_deref()), format!("{} %", it.time_percent)]);
    let next = model.next_before.as_ref();
    let next = next.map(|id| format!("older: dispatchyard model show --before {id}"));
    page([
        glance,
        rows(&header, classes, "nothing is learned yet"),
        rows(&["RUNNER", "TIME OF WHAT IS USUAL"], speeds, ""),
        next.unwrap_or_default(),
    ])
}

fn of_class(class: &LearnedClass) -> Vec<Vec<String>> {
    let line = |id: String, requires: String, runner: String, times: &LearnedTimes| {
        let failing = f64::from(times.failure_permille) / 10.0;
        vec![
            id,
            requires,
            runner,
            times.runs.to_string(),
            seconds(times.mean_ms),
            seconds(times.p50_ms),
            seconds(times.p95_ms),
            format!("{failing:.1} %"),
        ]
    };
    let requires =
        format!("{} in {}", terms::requirements(&class.requirements), joined(&class.pools));
    let all = line(class.class_id.to_string(), requires, "all".to_owned(), &class.times);
    let on = class.runners.iter().map(|on| {
        line(String::new(), String::new(), name(on.runner_id, on.runner.as_deref()), &on.times)
    });
    std::iter::once(all).chain(on).collect()
}

fn name(id: RunnerId, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{name} ({id})"),
        None => format!("{id}, gone"),
    }
}

fn seconds(ms: i64) -> String {
    format!("{:.1} s", ms as f64 / 1_000.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{LearnedOn, LearnedRunner};
    use crate::model::{ClassId, RunnerRequirements};

    #[test]
    fn what_was_learned_is_shown_by_class_and_runner() {
        let times = |mean_ms| LearnedTimes {
            mean_ms,
            p50_ms: mean_ms,
            p95_ms: 2 * mean_ms,
            runs: 10,
            failure_permille: 25,
        };
        let class = LearnedClass {
            class_id: ClassId(4),
            requirements: RunnerRequirements {
                labels: vec!["linux".into()],
                ..RunnerRequirements::default()
            },
            pools: vec!["default".to_owned()],
            times: times(1_500),
            runners: vec![LearnedOn { runner_id: RunnerId(2), runner: None, times: times(3_000) }],
        };
        let fast = LearnedRunner {
            runner_id: RunnerId(1),
            runner: Some("fast".to_owned()),
            time_percent: 50,
        };
        let model = ModelView {
            runs: 10,
            entries: 3,
            classes: vec![class],
            runners: vec![fast],
            next_before: Some("4".to_owned()),
        };
        insta::assert_snapshot!(table(&model), @r#"
        runs     10
        entries  3

        CLASS  REQUIRES          RUNNER   RUNS  MEAN   P50    P95    FAILS
        4      linux in default  all      10    1.5 s  1.5 s  3.0 s  2.5 %
                                 2, gone  10    3.0 s  3.0 s  6.0 s  2.5 %

        RUNNER    TIME OF WHAT IS USUAL
        fast (1)  50 %

        older: dispatchyard model show --before 4
        "#);
    }
}
