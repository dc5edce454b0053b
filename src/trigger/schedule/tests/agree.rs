//! Two dialects and another reader of one of them, where they mean the same.

use proptest::prelude::*;

use super::{Schedule, Syntax, ms};

/// A field of numbers, in forms that all readers have.
fn field(min: u32, max: u32) -> impl Strategy<Value = String> {
    let number = min..=max;
    let range = (min..=max, min..=max).prop_map(|(a, b)| format!("{}-{}", a.min(b), a.max(b)));
    prop_oneof![
        2 => Just("*".to_owned()),
        3 => number.clone().prop_map(|it| it.to_string()),
        1 => range.clone(),
        1 => (range, 1..=max.min(9)).prop_map(|(range, step)| format!("{range}/{step}")),
        1 => (1..=max.min(9)).prop_map(|step| format!("*/{step}")),
        1 => proptest::collection::vec(number, 2..4)
            .prop_map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")),
    ]
}

/// Days of the week as the other dialect counts them.
fn shifted(field: &str) -> String {
    let (days, step) = field.split_once('/').map_or((field, ""), |(days, step)| (days, step));
    let up = |number: &str| {
        number.parse::<u32>().map_or_else(|_| number.to_owned(), |it| (it + 1).to_string())
    };
    let days: Vec<String> =
        days.split(',').map(|part| part.split('-').map(up).collect::<Vec<_>>().join("-")).collect();
    let slash = if step.is_empty() { "" } else { "/" };
    format!("{}{slash}{step}", days.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn both_dialects_agree_where_they_mean_the_same(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        weekday in field(0, 6), by_week in any::<bool>(), after_hours in 0..200_000_i64,
    ) {
        // One says "or" of the two kinds of days and the other says "and", so one of them is `*`.
        let (day, weekday) = if by_week { ("*".to_owned(), weekday) } else { (day, "*".to_owned()) };
        let (question, weekday_2) = match by_week {
            true => ("?".to_owned(), shifted(&weekday)),
            false => (day.clone(), "?".to_owned()),
        };
        let after = ms("2015-01-01T00:00:00Z") + after_hours * 3_600_000;
        let unix = Schedule::new(&format!("{minute} {hour} {day} {month} {weekday}"), Syntax::Unix, "Europe/Berlin").unwrap();
        let quartz = Schedule::new(&format!("0 {minute} {hour} {question} {month} {weekday_2}"), Syntax::Quartz, "Europe/Berlin").unwrap();
        prop_assert_eq!(unix.next(after, 4), quartz.next(after, 4));
    }

    #[test]
    fn another_reader_of_five_fields_finds_the_same_times(
        minute in field(0, 59), hour in field(0, 23), day in field(1, 31), month in field(1, 12),
        weekday in field(0, 7), after_hours in 0..200_000_i64,
    ) {
        let text = format!("{minute} {hour} {day} {month} {weekday}");
        let ours = Schedule::new(&text, Syntax::Unix, "UTC").unwrap();
        let theirs = croner::parser::CronParser::new().parse(&text).unwrap();
        let mut after = ms("2015-01-01T00:00:00Z") + after_hours * 3_600_000;
        for _ in 0..4 {
            let zoned = jiff::Timestamp::from_millisecond(after).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
            let next = theirs.find_next_occurrence(&zoned, false).ok();
            let next = next.map(|it| it.timestamp().as_millisecond()).filter(|it| *it < ms("2090-01-01T00:00:00Z"));
            prop_assert_eq!(ours.next_after(after).filter(|it| *it < ms("2090-01-01T00:00:00Z")), next, "{}", text);
            let Some(next) = next else { break };
            after = next;
        }
    }

    #[test]
    fn no_text_does_harm(text in "[-0-9*,/@?A-Z ]{0,24}", raw in ".{0,40}", after in any::<i64>()) {
        for text in [text, raw] {
            for syntax in [Syntax::Unix, Syntax::Quartz] {
                if let Ok(schedule) = Schedule::new(&text, syntax, "America/New_York") {
                    let next = schedule.next_after(after);
                    prop_assert!(next.is_none_or(|next| next > after));
                    prop_assert!(!schedule.words().is_empty());
                }
            }
        }
    }
}
