//! `match`, also `try match`: who could run what is not there yet, and what the others lack.

use clap::Args;

use super::super::CliError;
use super::super::client::Client;
use super::super::console::Console;
use super::super::list::{joined, name_of};
use super::super::run::asked;
use super::super::table::{fields, page, rows};
use crate::api::wire::{MatchView, SubmitRequirements};
use crate::ask::{Ask, Names};

/// What is required of a runner.
#[derive(Clone, Debug, Args)]
pub struct MatchArgs {
    /// Label terms, all of which must hold: `linux`, `disk=ssd`, `disk=*`, `!spot`
    labels: Vec<String>,
    /// The pool, or the pools in order, whose runners may take it
    #[arg(long, value_name = "NAME")]
    pool: Vec<String>,
    /// Any other key of `x-dispatch`; the value is JSON or text: `gpu=1`, `skills=["rust"]`; once for
    /// each
    #[arg(long = "dispatch", value_name = "KEY=VALUE", value_parser = asked)]
    dispatch: Vec<Ask>,
    /// The most runners to show
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
}

pub(in crate::cli) async fn run(
    args: MatchArgs,
    client: &Client,
    console: &mut Console,
) -> Result<(), CliError> {
    let pool = (!args.pool.is_empty()).then_some(Names(args.pool));
    let own = Ask { pool, ..Ask::default() };
    let body = SubmitRequirements {
        labels: args.labels,
        ask: args.dispatch.iter().fold(own, |ask, more| ask.or(more)),
    };
    let limit = args.limit.map(|limit| ("limit", limit.to_string()));
    let answer = client.post_query(&["match"], limit.as_slice(), &body).await?;
    console.show(&answer, |view, _| table(view))
}

fn table(view: &MatchView) -> String {
    let verdict = match (&view.impossible, view.verdict.as_str()) {
        (Some(why), _) => format!("impossible: {why}"),
        (None, "now") => "a runner can take it now".to_owned(),
        (None, "later") => "only runners that are busy or away can take it".to_owned(),
        (None, _) => "no runner can take it".to_owned(),
    };
    let count = format!("{} now, {} later, {} never", view.now, view.later, view.never);
    let lines = view.runners.iter().map(|runner| {
        vec![
            runner.id.to_string(),
            runner.name.clone(),
            runner.pool.clone(),
            name_of(runner.state),
            format!("{} of {}", runner.slots_free, runner.slots_total),
            runner.can.clone(),
            joined(&runner.lacks),
        ]
    });
    let header = ["RUNNER", "NAME", "POOL", "STATE", "FREE", "CAN", "LACKS"];
    let more = if view.truncated { "not all runners were looked at" } else { "" };
    page([
        fields([("verdict", verdict), ("runners", count)]),
        rows(&header, lines, "no runners"),
        more.to_owned(),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::MatchedRunner;
    use crate::model::{RunnerId, RunnerState};

    #[test]
    fn who_can_run_it_stands_before_who_lacks_something() {
        let can = MatchedRunner {
            id: RunnerId(7),
            name: "big".to_owned(),
            pool: "default".to_owned(),
            state: RunnerState::Online,
            can: "now".to_owned(),
            slots_free: 1,
            slots_total: 2,
            lacks: Vec::new(),
        };
        let cannot = MatchedRunner {
            id: RunnerId(3),
            name: "small".to_owned(),
            can: "never".to_owned(),
            lacks: vec!["lacks label `gpu`".to_owned(), "does not run `linux`".to_owned()],
            ..can.clone()
        };
        let view = MatchView {
            verdict: "now".to_owned(),
            impossible: None,
            now: 1,
            later: 0,
            never: 1,
            runners: vec![can, cannot],
            truncated: false,
        };
        insta::assert_snapshot!(table(&view), @r#"
        verdict  a runner can take it now
        runners  1 now, 0 later, 1 never

        RUNNER  NAME   POOL     STATE   FREE    CAN    LACKS
        7       big    default  online  1 of 2  now    -
        3       small  default  online  1 of 2  never  lacks label `gpu`, does not run `linux`
        "#);
    }
}
