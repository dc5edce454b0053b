//! `pauses`: what gives out no jobs, by whom and why.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{page, rows, visible};
use super::time::age;
use crate::api::wire::{List, PauseView};

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["pauses"], &[]).await?;
    console.show(&answer, table)
}

fn table(list: &List<PauseView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|pause| {
        vec![pause.scope.clone(), pause.author.clone(), age(now_ms, pause.at_ms), reason(pause)]
    });
    let hint = list.items.first().map_or_else(String::new, |pause| {
        format!("to lift one: dispatchyard resume {}", visible(&pause.scope))
    });
    page([rows(&["PAUSED", "BY", "AGE", "REASON"], lines, "nothing is paused"), hint])
}

/// One pause, in words.
pub(super) fn sentence(pause: &PauseView) -> String {
    let PauseView { scope, author, .. } = pause;
    visible(&format!("{scope} is paused by {author}: {}", reason(pause)))
}

/// Why, with what a breaker said besides.
fn reason(pause: &PauseView) -> String {
    match &pause.breaker {
        None => pause.reason.clone(),
        Some(breaker) => format!("{}; its breaker stopped it too: {breaker}", pause.reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_shows_by_whom_and_why_and_how_it_is_lifted() {
        let pause = PauseView {
            scope: "pool:gpu".to_owned(),
            author: "ops".to_owned(),
            reason: "driver\nupdate".to_owned(),
            at_ms: 0,
            breaker: None,
        };
        assert_eq!(sentence(&pause), "pool:gpu is paused by ops: driver update");
        let both = PauseView { breaker: Some("too many".to_owned()), ..pause.clone() };
        let told = "pool:gpu is paused by ops: driver update; its breaker stopped it too: too many";
        assert_eq!(sentence(&both), told);
        let list = List { items: vec![pause], next_before: None };
        insta::assert_snapshot!(table(&list, 60_000), @r#"
        PAUSED    BY   AGE  REASON
        pool:gpu  ops  60s  driver update

        to lift one: dispatchyard resume pool:gpu
        "#);
        let none = List { items: Vec::new(), next_before: None };
        assert_eq!(table(&none, 0), "nothing is paused");
    }
}
