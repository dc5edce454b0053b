//! The five fields of POSIX: minute, hour, day of the month, month, day of the week.
//!
//! What POSIX says: <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html>. Beyond it what GitHub's page
//! has, <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>: steps, also after a
//! single number (`20/15` is every 15 from 20 on), and names of months and days. 7 is Sunday too, and `@daily` and
//! its like are short for five fields, as crontab(5) has them.
//!
//! Days of the month and of the week: with a `*` in one of the two the other decides, else a day is one of the two.

use super::error::Fault;
use super::fields::{DayRule, Fields, span};

/// One of the five.
pub(super) struct Field {
    /// What people call it.
    name: &'static str,
    min: u32,
    /// The largest number that may be written.
    max: u32,
    /// The last number of `*`.
    last: u32,
    names: &'static [&'static str],
}

const MONTHS: &[&str] =
    &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, last: 59, names: &[] },
    Field { name: "hour", min: 0, max: 23, last: 23, names: &[] },
    Field { name: "day of the month", min: 1, max: 31, last: 31, names: &[] },
    Field { name: "month", min: 1, max: 12, last: 12, names: MONTHS },
    Field { name: "day of the week", min: 0, max: 7, last: 6, names: DAYS },
];

const SHORT: [(&str, &str); 7] = [
    ("@hourly", "0 * * * *"),
    ("@daily", "0 0 * * *"),
    ("@midnight", "0 0 * * *"),
    ("@weekly", "0 0 * * 0"),
    ("@monthly", "0 0 1 * *"),
    ("@yearly", "0 0 1 1 *"),
    ("@annually", "0 0 1 1 *"),
];

/// What an expression that begins with `@` is short for.
///
/// # Errors
/// It is none of them.
pub(super) fn short(text: &str) -> Result<&'static str, Fault> {
    let found = SHORT.iter().find(|(name, _)| name.eq_ignore_ascii_case(text));
    found.map(|(_, fields)| *fields).ok_or_else(|| {
        let known = SHORT.map(|(name, _)| name).join(", ");
        Fault::new(format!("`{text}` is no time"), format!("known are {known}"))
    })
}

/// Reads an expression without spaces around it.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read(text: &str) -> Result<Fields, Fault> {
    let text = if text.starts_with('@') { short(text)? } else { text };
    let parts: Vec<&str> = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect();
    let Ok([minutes, hours, days, months, weekdays]) = <[&str; 5]>::try_from(parts.as_slice())
    else {
        let hint = match parts.len() {
            6 | 7 => "an expression with seconds is `syntax = \"quartz\"`",
            _ => {
                "write minute, hour, day of the month, month and day of the week, as in `30 2 * * 1-5`"
            }
        };
        return Err(Fault::new(format!("it has {} fields instead of 5", parts.len()), hint));
    };
    let read = |at: usize, part: &str| FIELDS[at].read(part);
    let (minutes, by_minute) = read(0, minutes)?;
    let (hours, by_hour) = read(1, hours)?;
    let both = days == "*" || weekdays == "*";
    let (days, months, weekdays) = (read(2, days)?.0, read(3, months)?.0, read(4, weekdays)?.0);
    Ok(Fields {
        seconds: 1,
        minutes,
        hours,
        days,
        months,
        // 7 is Sunday too.
        weekdays: (weekdays | weekdays >> 7) & span(0, 6),
        years: None,
        year_max: i16::MAX,
        day_rule: if both { DayRule::Both } else { DayRule::Either },
        is_running: by_minute || by_hour,
    })
}

impl Field {
    /// The numbers of a field, and whether it runs with the clock.
    fn read(&self, text: &str) -> Result<(u64, bool), Fault> {
        let (mut bits, mut is_running) = (0, false);
        for item in text.split(',') {
            if item.is_empty() {
                let hint = "write numbers with one comma between two of them";
                return Err(Fault::new(
                    format!("{}: `{text}` has an empty place", self.name),
                    hint,
                ));
            }
            let (base, step) = match item.split_once('/') {
                None => (item, None),
                Some((base, step)) => (base, Some(self.step(item, step)?)),
            };
            let (first, last) = match base.split_once('-') {
                _ if base == "*" => (self.min, self.last),
                Some((first, last)) => (self.number(item, first)?, self.number(item, last)?),
                None => {
                    let first = self.number(item, base)?;
                    (first, if step.is_some() { self.last.max(first) } else { first })
                }
            };
            if first > last {
                let hint = "the smaller one goes first; a list can have both parts: `22-23,0-5`";
                let message = format!("{}: `{item}` goes backwards", self.name);
                return Err(Fault::new(message, hint));
            }
            is_running |= base == "*" || (step.is_some() && !base.contains('-'));
            let step = usize::try_from(step.unwrap_or(1)).unwrap_or(usize::MAX);
            bits |= (first..=last).step_by(step).fold(0, |bits, number| bits | 1 << number);
        }
        Ok((bits, is_running || bits == span(self.min, self.last)))
    }

    fn step(&self, item: &str, text: &str) -> Result<u32, Fault> {
        let wrong = |hint| Fault::new(format!("{}: `{item}` has no step", self.name), hint);
        match digits(text) {
            Some(0) => Err(wrong("a step is 1 or more")),
            Some(step) => Ok(step),
            None => Err(wrong("write a number after the `/`, as in `*/15`")),
        }
    }

    fn number(&self, item: &str, text: &str) -> Result<u32, Fault> {
        let Self { name, min, max, names, .. } = self;
        if let Some(number) = digits(text) {
            return match (*min..=*max).contains(&number) {
                true => Ok(number),
                false => {
                    let message = format!("{name}: {number} is not from {min} to {max}");
                    Err(Fault::new(message, self.hint(number)))
                }
            };
        }
        if let Some(at) = names.iter().position(|known| known.eq_ignore_ascii_case(text)) {
            return Ok(min + u32::try_from(at).unwrap_or(0));
        }
        let message = format!("{name}: `{item}` is not understood");
        let has = |list: &[&str]| list.iter().any(|known| known.eq_ignore_ascii_case(text));
        let hint = match names.first() {
            _ if text.is_empty() => "a number is missing".to_owned(),
            None if has(MONTHS) || has(DAYS) => {
                "names stand for months and days of the week only".to_owned()
            }
            Some(_) if has(MONTHS) || has(DAYS) => format!(
                "that name belongs to the other field; here {} begin with {}",
                name_of(names),
                names[0]
            ),
            Some(first) => format!(
                "it takes numbers, {first} and the other names of three letters, `*`, `,`, `-` and `/`"
            ),
            None => "it takes numbers, `*`, `,`, `-` and `/`".to_owned(),
        };
        Err(Fault::new(message, hint))
    }

    fn hint(&self, number: u32) -> String {
        match (self.name, number) {
            ("hour", 24) => "midnight is 0".to_owned(),
            ("minute", 60) => "a full hour is 0; every hour is `0 * * * *`".to_owned(),
            _ => format!("write a number from {} to {}", self.min, self.max),
        }
    }
}

fn name_of(names: &[&str]) -> &'static str {
    if names.len() == 12 { "months" } else { "days" }
}

/// A number of up to four digits, and nothing else.
fn digits(text: &str) -> Option<u32> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}
