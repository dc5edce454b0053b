//! `schedules`: when triggers start by themselves, and what became of the last times.

use super::CliError;
use super::client::Client;
use super::console::Console;
use super::pauses::sentence;
use super::table::{page, rows};
use super::time::age;
use crate::api::wire::{List, ScheduleView};

pub(super) async fn run(client: &Client, console: &mut Console) -> Result<(), CliError> {
    let answer = client.get(&["schedules"], &[]).await?;
    console.show(&answer, table)
}

fn table(list: &List<ScheduleView>, now_ms: i64) -> String {
    let lines = list.items.iter().map(|it| {
        let next = it.next.first().map_or_else(|| "never".to_owned(), |next| next.local.clone());
        let last = it.last.as_ref().map_or_else(
            || "-".to_owned(),
            |last| match last.delivery_id {
                Some(id) => format!("{} {id}", last.utc),
                None => last.utc.clone(),
            },
        );
        vec![it.name.clone(), it.words.clone(), next, last, it.missed.clone(), state(it)]
    });
    let header = ["SCHEDULE", "WHEN", "NEXT", "LAST", "MISSED", "STATE"];
    let notes = list.items.iter().filter_map(|it| {
        let passed = it.passed.as_ref()?;
        Some(format!("{}, {} ago: {}", it.name, age(now_ms, passed.at_ms), passed.note))
    });
    let notes: Vec<_> = notes.collect();
    page([rows(&header, lines, "no trigger has a time of its own"), notes.join("\n")])
}

fn state(it: &ScheduleView) -> String {
    match (&it.paused, it.held) {
        (None, _) => "on".to_owned(),
        (Some(pause), None) => sentence(pause),
        (Some(pause), Some(held)) => format!("{}; {held} wait for its end", sentence(pause)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::{LastTime, NextTime, PassedTimes, PauseView};

    #[test]
    fn a_schedule_shows_its_words_its_next_and_last_time_and_who_paused_it() {
        let schedule = ScheduleView {
            name: "nightly#1".to_owned(),
            trigger: "nightly".to_owned(),
            cron: "30 2 * * 1-5".to_owned(),
            syntax: "unix".to_owned(),
            zone: "Europe/Berlin".to_owned(),
            words: "at 02:30 on Monday to Friday, Europe/Berlin".to_owned(),
            next: vec![NextTime {
                at_ms: 3,
                utc: "2026-11-23T01:30:00Z".to_owned(),
                local: "2026-11-23T02:30:00+01:00".to_owned(),
            }],
            handled_ms: Some(2),
            last: Some(LastTime {
                at_ms: 1,
                utc: "2026-11-20T01:30:00Z".to_owned(),
                delivery_id: None,
            }),
            missed: "once".to_owned(),
            jitter_ms: 0,
            paused: Some(PauseView {
                scope: "trigger:nightly".to_owned(),
                author: "ops".to_owned(),
                reason: "disk".to_owned(),
                at_ms: 0,
                breaker: None,
            }),
            held: Some(2),
            passed: Some(PassedTimes {
                count: 3,
                note: "3 times passed over".to_owned(),
                at_ms: 0,
            }),
        };
        let list = List { items: vec![schedule], next_before: None };
        insta::assert_snapshot!(table(&list, 60_000), @"
        SCHEDULE   WHEN                                         NEXT                       LAST                  MISSED  STATE
        nightly#1  at 02:30 on Monday to Friday, Europe/Berlin  2026-11-23T02:30:00+01:00  2026-11-20T01:30:00Z  once    trigger:nightly is paused by ops: disk; 2 wait for its end

        nightly#1, 60s ago: 3 times passed over
        ");
        let none = List { items: Vec::new(), next_before: None };
        assert_eq!(table(&none, 0), "no trigger has a time of its own");
    }
}
