//! `advise`: what would shorten waits most.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::table::{fields, page, rows};
use super::time::span;
use crate::api::wire::AdviceView;

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["advice"], &[]).await?;
    console.show(&answer, |advice, _| table(advice))
}

fn table(advice: &AdviceView) -> String {
    let stuck = match advice.jobs_stuck {
        0 => String::new(),
        stuck => format!(", {stuck} of them more than {}", span(advice.horizon_ms)),
    };
    let glance = fields([
        ("waiting jobs", advice.jobs_waiting.to_string()),
        ("played", format!("the first {}", advice.jobs_played)),
        ("mean wait", format!("{}{stuck}", span(advice.wait_ms_mean))),
        ("tried", format!("{} changes", advice.tried)),
    ]);
    let suggestions = advice.suggestions.iter().map(|it| {
        vec![
            span(it.saved_ms_total),
            span(it.saved_ms_mean),
            it.jobs_freed.to_string(),
            it.text.clone(),
        ]
    });
    let nothing = match advice.jobs_waiting {
        0 => "no job waits",
        _ => "nothing that was tried would help",
    };
    page([glance, rows(&["SAVES", "EACH", "FREES", "CHANGE"], suggestions, nothing)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::SuggestionView;

    fn advice() -> AdviceView {
        AdviceView {
            jobs_waiting: 1_200,
            jobs_played: 1_000,
            wait_ms_total: 600_000_000,
            wait_ms_mean: 600_000,
            jobs_stuck: 3,
            horizon_ms: 86_400_000,
            tried: 7,
            suggestions: vec![SuggestionView {
                code: "uncordon".to_owned(),
                text: "uncordon runner big".to_owned(),
                runner_id: None,
                saved_ms_total: 300_000_000,
                saved_ms_mean: 300_000,
                jobs_freed: 3,
            }],
        }
    }

    #[test]
    fn advice_says_what_each_change_saves() {
        insta::assert_snapshot!(table(&advice()), @r#"
        waiting jobs  1200
        played        the first 1000
        mean wait     10m, 3 of them more than 24h
        tried         7 changes

        SAVES  EACH  FREES  CHANGE
        3d     5m    3      uncordon runner big
        "#);
    }

    #[test]
    fn that_nothing_would_help_is_said() {
        let told = table(&AdviceView { suggestions: Vec::new(), ..advice() });
        assert!(told.ends_with("nothing that was tried would help"), "{told}");
    }
}
