//! Six or seven fields, with seconds: second, minute, hour, day of the month, month, day of the week, and perhaps year.
//!
//! A dialect of its own, as the library `cron` reads it (<https://docs.rs/cron>): 1 is Sunday and 7 Saturday, `?` is `*`, and a
//! day must be both, of the month and of the week. Fields are taken apart here first, because the library also takes
//! fields without spaces between them. When they come is worked out as for the other syntax, not by the library.

use std::str::FromStr as _;

use cron::TimeUnitSpec;

use super::error::Fault;
use super::fields::{DayRule, Fields, span};
use super::unix;

const NAMES: [&str; 7] =
    ["second", "minute", "hour", "day of the month", "month", "day of the week", "year"];

/// The last year that the dialect knows.
const YEAR_MAX: i16 = 2100;

/// Reads an expression without spaces around it.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn read(text: &str) -> Result<Fields, Fault> {
    if text.starts_with('@') {
        return unix::read(text);
    }
    let parts: Vec<&str> = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect();
    if !matches!(parts.len(), 6 | 7) {
        let hint = match parts.len() {
            5 => "five fields are `syntax = \"unix\"`",
            _ => {
                "write second, minute, hour, day of the month, month and day of the week, as in `0 30 2 ? * MON-FRI`"
            }
        };
        return Err(Fault::new(format!("it has {} fields instead of 6 or 7", parts.len()), hint));
    }
    for (part, name) in parts.iter().zip(NAMES) {
        check(part, name)?;
    }
    let whole = cron::Schedule::from_str(&parts.join(" "));
    let schedule = whole.map_err(|_| wrong_field(&parts))?;
    let runs = |at: usize| parts[at].split(',').any(runs_with_the_clock);
    let (seconds, minutes, hours) =
        (bits(schedule.seconds()), bits(schedule.minutes()), bits(schedule.hours()));
    let years = schedule.years();
    let years =
        (!years.is_all()).then(|| years.iter().filter_map(|it| i16::try_from(it).ok()).collect());
    Ok(Fields {
        seconds,
        minutes,
        hours,
        days: bits(schedule.days_of_month()),
        months: bits(schedule.months()),
        // 1 is Sunday.
        weekdays: bits(schedule.days_of_week()) >> 1,
        years,
        year_max: YEAR_MAX,
        day_rule: DayRule::Both,
        is_running: (0..3).any(runs)
            || [seconds, minutes].contains(&span(0, 59))
            || hours == span(0, 23),
    })
}

/// Whether a part of a field is `*`, or a step that begins at one number.
fn runs_with_the_clock(item: &str) -> bool {
    item.starts_with('*') || (item.contains('/') && !item.contains('-'))
}

/// Refuses what no field has.
fn check(part: &str, name: &str) -> Result<(), Fault> {
    let known = |it: char| it.is_ascii_alphanumeric() || "*?,-/".contains(it);
    if !part.chars().all(known) || part.split(',').any(str::is_empty) {
        let hint = "it takes numbers, names, `*`, `?`, `,`, `-` and `/`, with one comma between two of them";
        return Err(Fault::new(format!("{name}: `{part}` is not understood"), hint));
    }
    Ok(())
}

/// Which of the fields the library does not take.
fn wrong_field(parts: &[&str]) -> Fault {
    let is_wrong = |at: &usize| {
        let mut alone = ["*"; 7];
        alone[*at] = parts[*at];
        cron::Schedule::from_str(&alone.join(" ")).is_err()
    };
    let limits = [
        "0 to 59",
        "0 to 59",
        "0 to 23",
        "1 to 31",
        "1 to 12 or JAN to DEC",
        "1 (Sunday) to 7 or SUN to SAT",
        "1970 to 2100",
    ];
    match (0..parts.len()).find(is_wrong) {
        Some(at) => Fault::new(
            format!("{}: `{}` is not understood", NAMES[at], parts[at]),
            format!(
                "it takes {}, ranges from the smaller to the larger, and steps of 1 or more",
                limits[at]
            ),
        ),
        None => Fault::new("it is not understood", "write it as in `0 30 2 ? * MON-FRI`"),
    }
}

fn bits(unit: &impl TimeUnitSpec) -> u64 {
    unit.iter().filter(|number| *number < 64).fold(0, |bits, number| bits | 1 << number)
}
