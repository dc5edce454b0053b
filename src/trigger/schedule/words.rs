//! A schedule in plain words: "at 02:30 on Monday to Friday".

use super::fields::{DayRule, Fields, numbers, span};

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];
/// Of more times of the day than these the fields are told instead.
const TIMES_MAX: usize = 6;

/// The words, without the zone.
pub(super) fn words(fields: &Fields) -> String {
    let mut words = times(fields);
    if let Some(days) = days(fields) {
        words.push_str(&days);
    }
    if fields.months != span(1, 12) {
        let months = list(fields.months, &|month| MONTHS[at(month - 1, 12)].to_owned());
        words.push_str(&format!(" in {months}"));
    }
    if let Some(years) = &fields.years {
        let years: Vec<_> = years.iter().take(5).map(ToString::to_string).collect();
        let more = if fields.years.as_ref().is_some_and(|all| all.len() > 5) { ", .." } else { "" };
        words.push_str(&format!(" of {}{more}", years.join(", ")));
    }
    words
}

fn times(fields: &Fields) -> String {
    let Fields { seconds, minutes, hours, .. } = fields;
    let (by_second, by_minute, by_hour) =
        (*seconds == span(0, 59), *minutes == span(0, 59), *hours == span(0, 23));
    let count = |bits: &u64| bits.count_ones() as usize;
    if count(seconds) * count(minutes) * count(hours) <= TIMES_MAX {
        return format!("at {}", joined(&all_times(fields)));
    }
    let of_hours = match by_hour {
        true => String::new(),
        false => format!(
            " of the {} {}",
            if hours.count_ones() == 1 { "hour" } else { "hours" },
            list(*hours, &|hour| hour.to_string())
        ),
    };
    let seconds_told = match every(*seconds, "second") {
        _ if *seconds == 1 => None,
        Some(every) => Some(every),
        None => Some(format!("at second {}", list(*seconds, &|it| it.to_string()))),
    };
    let minutes_told = match (every(*minutes, "minute"), seconds_told.is_some()) {
        (Some(_), true) if by_minute => None,
        (Some(every), false) => Some(every),
        (_, true) => Some(format!("of minute {}", list(*minutes, &|it| it.to_string()))),
        (None, false) if by_hour && *minutes == 1 => Some("every hour".to_owned()),
        (None, false) if by_hour => {
            Some(format!("at minute {} of every hour", list(*minutes, &|it| it.to_string())))
        }
        (None, false) => Some(format!("at minute {}", list(*minutes, &|it| it.to_string()))),
    };
    debug_assert!(!(by_second && seconds_told.is_none()));
    let parts: Vec<_> = seconds_told.into_iter().chain(minutes_told).collect();
    format!("{}{of_hours}", parts.join(" "))
}

/// `every minute`, `every 15 minutes`: where the steps are equal all around the clock.
fn every(bits: u64, unit: &str) -> Option<String> {
    let mut all = numbers(bits);
    let (first, second) = (all.next()?, all.next()?);
    let step = second - first;
    let is_regular = first == 0
        && 60 % step == 0
        && bits == (0..60).step_by(at(step, 61)).fold(0, |bits, it| bits | 1 << it);
    match step {
        _ if !is_regular => None,
        1 => Some(format!("every {unit}")),
        step => Some(format!("every {step} {unit}s")),
    }
}

fn all_times(fields: &Fields) -> Vec<String> {
    let mut times = Vec::new();
    for hour in numbers(fields.hours) {
        for minute in numbers(fields.minutes) {
            for second in numbers(fields.seconds) {
                times.push(match fields.seconds {
                    1 => format!("{hour:02}:{minute:02}"),
                    _ => format!("{hour:02}:{minute:02}:{second:02}"),
                });
            }
        }
    }
    times
}

fn days(fields: &Fields) -> Option<String> {
    let of_month = || format!("day {} of the month", list(fields.days, &|day| day.to_string()));
    let of_week = |word: &str| match fields.weekdays {
        // Saturday and Sunday stand beside each other.
        0b100_0001 => format!("{word}Saturday and {word}Sunday"),
        bits => list(bits, &|day| format!("{word}{}", WEEKDAYS[at(day, 7)])),
    };
    match (fields.days != span(1, 31), fields.weekdays != span(0, 6)) {
        _ if fields.day_rule == DayRule::Either => {
            Some(format!(" on {} and on every {}", of_month(), of_week("")))
        }
        (false, false) => None,
        (true, false) => Some(format!(" on {}", of_month())),
        (false, true) => Some(format!(" on {}", of_week(""))),
        (true, true) => Some(format!(" on {} where that is {}", of_month(), of_week("a "))),
    }
}

/// `1, 3 and 5 to 9`.
fn list(bits: u64, name: &dyn Fn(u32) -> String) -> String {
    let mut parts: Vec<(u32, u32)> = Vec::new();
    for number in numbers(bits) {
        match parts.last_mut() {
            Some((_, last)) if *last + 1 == number => *last = number,
            _ => parts.push((number, number)),
        }
    }
    let parts = parts.into_iter().flat_map(|(first, last)| match last - first {
        0 => vec![name(first)],
        1 => vec![name(first), name(last)],
        _ => vec![format!("{} to {}", name(first), name(last))],
    });
    joined(&parts.collect::<Vec<_>>())
}

fn joined(parts: &[String]) -> String {
    match parts {
        [] => "never".to_owned(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// A number as a place among `len`.
fn at(number: u32, len: usize) -> usize {
    usize::try_from(number).unwrap_or(0).min(len - 1)
}
