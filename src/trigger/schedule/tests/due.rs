//! Missed times, pauses, jitter and clocks that jump: what is to be done about a schedule at a moment.

use super::super::{Missed, Passed, Standing, Step, Timed};
use super::{Schedule, Syntax, ms};

fn hourly(missed: Missed, jitter_ms: u32) -> Timed {
    let schedule = Schedule::new("0 * * * *", Syntax::Unix, "UTC").unwrap();
    Timed { name: "t#1".to_owned(), schedule, missed, jitter_ms }
}

fn at(time: &str) -> i64 {
    ms(&format!("2026-05-04T{time}Z"))
}

fn standing(handled: &str, now: &str) -> Standing {
    Standing { handled_ms: at(handled), now_ms: at(now), is_paused: false, missed_max: 3 }
}

/// All steps up to the one that waits, each in a word, as if each was taken at once.
fn steps(timed: &Timed, mut standing: Standing) -> String {
    let mut told = Vec::new();
    loop {
        let (word, handled_ms) = match timed.step(standing) {
            Step::Wait(_) => break,
            Step::Held(count) => {
                told.push(format!("{count} held"));
                break;
            }
            Step::Restart => ("restart".to_owned(), standing.now_ms),
            Step::Fire { at_ms, was_missed } => {
                let word = if was_missed { "late" } else { "on time" };
                (format!("{} {word}", timed.schedule.local(at_ms)), at_ms)
            }
            Step::Pass { through_ms, count, why } => {
                let why = if why == Passed::Paused { "paused" } else { "missed" };
                (format!("{count} {why}"), through_ms)
            }
        };
        assert!(handled_ms > standing.handled_ms || word == "restart", "it goes on");
        told.push(word.replace("2026-05-04T", "").replace("+00:00", ""));
        standing.handled_ms = handled_ms;
    }
    told.join(", ")
}

#[test]
fn a_time_comes_when_it_is_due_and_not_before() {
    let timed = hourly(Missed::Skip, 0);
    assert_eq!(timed.step(standing("01:00:00", "01:59:59")), Step::Wait(Some(at("02:00:00"))));
    let fire = Step::Fire { at_ms: at("02:00:00"), was_missed: false };
    assert_eq!(timed.step(standing("01:00:00", "02:00:00")), fire);
    assert_eq!(timed.step(standing("01:00:00", "02:01:00")), fire, "a minute late is on time");
    assert_eq!(timed.step(standing("02:00:00", "02:00:00")), Step::Wait(Some(at("03:00:00"))));
}

#[test]
fn what_was_missed_comes_as_the_policy_says() {
    let missed = |missed| steps(&hourly(missed, 0), standing("01:00:00", "09:30:00"));
    insta::assert_snapshot!(missed(Missed::Skip), @"8 missed");
    insta::assert_snapshot!(missed(Missed::Once), @"7 missed, 09:00:00 late");
    insta::assert_snapshot!(missed(Missed::All), @"5 missed, 07:00:00 late, 08:00:00 late, 09:00:00 late");
    // The last of them is on time.
    let ends = |missed| steps(&hourly(missed, 0), standing("01:00:00", "04:00:10"));
    insta::assert_snapshot!(ends(Missed::Skip), @"2 missed, 04:00:00 on time");
    insta::assert_snapshot!(ends(Missed::Once), @"2 missed, 04:00:00 on time");
    insta::assert_snapshot!(ends(Missed::All), @"02:00:00 late, 03:00:00 late, 04:00:00 on time");
}

#[test]
fn a_pause_passes_times_over_or_keeps_them_as_the_policy_says() {
    let paused = |missed| {
        let standing = Standing { is_paused: true, ..standing("01:00:00", "03:30:00") };
        steps(&hourly(missed, 0), standing)
    };
    assert_eq!(paused(Missed::Skip), "2 paused");
    assert_eq!(paused(Missed::Once), "2 held");
    assert_eq!(paused(Missed::All), "2 held");
}

#[test]
fn a_clock_that_goes_back_fires_nothing_again_and_is_believed_after_a_day() {
    let timed = hourly(Missed::All, 0);
    assert_eq!(timed.step(standing("09:00:00", "03:30:00")), Step::Wait(Some(at("10:00:00"))));
    let far =
        Standing { handled_ms: at("09:00:00") + 86_400_000, ..standing("09:00:00", "08:59:59") };
    assert_eq!(timed.step(far), Step::Restart);
}

#[test]
fn a_long_absence_of_a_schedule_of_seconds_costs_little() {
    let schedule = Schedule::new("* * * * * *", Syntax::Quartz, "UTC").unwrap();
    let timed =
        |missed| Timed { name: "s#1".to_owned(), schedule: schedule.clone(), missed, jitter_ms: 0 };
    let gone =
        Standing { handled_ms: ms("2016-01-01T00:00:00Z"), ..standing("00:00:00", "12:00:00") };
    let told = steps(&timed(Missed::Once), gone);
    assert_eq!(told, "1000 missed, 12:00:00 on time");
    assert_eq!(
        steps(&timed(Missed::All), gone),
        "1000 missed, 11:59:58 on time, 11:59:59 on time, 12:00:00 on time"
    );
    assert!(steps(&timed(Missed::Skip), gone).starts_with("1000 missed, 11:59:00 on time"));
}

#[test]
fn jitter_never_takes_a_time_behind_the_next_one() {
    let schedule = Schedule::new("*/5 * * * *", Syntax::Unix, "UTC").unwrap();
    let name = "t#1".to_owned();
    let timed = Timed { name, schedule, missed: Missed::Skip, jitter_ms: 3_600_000 };
    let five = 300_000;
    let due: Vec<i64> = (0..500).map(|at| at * five + timed.jitter(at * five)).collect();
    assert!(due.is_sorted());
    assert!((0..500).any(|at| timed.jitter(at * five) == five), "the bound is reached");
}

#[test]
fn jitter_is_the_same_everywhere_stays_in_its_bounds_and_spreads() {
    let timed = hourly(Missed::Skip, 600_000);
    let all: Vec<i64> = (0..1_000).map(|hour| timed.jitter(hour * 3_600_000)).collect();
    assert_eq!(
        all,
        (0..1_000).map(|hour| timed.clone().jitter(hour * 3_600_000)).collect::<Vec<_>>()
    );
    assert!(all.iter().all(|it| (0..=600_000).contains(it)));
    let below = all.iter().filter(|it| **it < 300_000).count();
    assert!((400..600).contains(&below), "{below} of 1000 are in the first half");
    let other = Timed { name: "u#1".to_owned(), ..timed.clone() };
    assert_ne!(timed.jitter(at("02:00:00")), other.jitter(at("02:00:00")));
    let due = at("02:00:00") + timed.jitter(at("02:00:00"));
    assert_eq!(timed.step(standing("01:00:00", "02:00:00")), Step::Wait(Some(due)));
    let then = Standing { now_ms: due, ..standing("01:00:00", "02:00:00") };
    assert_eq!(timed.step(then), Step::Fire { at_ms: at("02:00:00"), was_missed: false });
}
