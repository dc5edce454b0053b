//! From times of a wall clock to moments: what a schedule means on the two days a year on which a clock is set.
//!
//! - A time that the clock leaves out comes right after the gap, once, whatever else falls there.
//! - A time that the clock shows twice comes once, at its first.
//! - What runs with the clock (every hour, every 15 minutes) comes in both hours of an overlap, and in a gap not at
//!   all: it goes by time that passes.
//!
//! The rule is that of cron(8), <https://manpages.debian.org/bookworm/cron/cron.8.en.html>.

use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp};

use super::fields::Fields;

/// The first moment after `after`; `None` when there is none in a hundred years.
pub(super) fn next_after(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    match fields.is_running {
        true => running(fields, zone, after),
        false => fixed(fields, zone, after),
    }
}

/// Of times of the day: the clock's times in their order, each at its own moment.
fn fixed(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let mut wall = whole_seconds(zone.to_datetime(after));
    loop {
        let found = fields.next(wall)?;
        let at = moment(zone, found)?;
        if at > after {
            return Some(at);
        }
        wall = a_second_later(found)?;
    }
}

/// The first moment at which the clock shows this time or a later one.
fn moment(zone: &TimeZone, wall: DateTime) -> Option<Timestamp> {
    match zone.to_ambiguous_timestamp(wall).offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(wall).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(wall).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            // As if the clock had gone on: that is after the moment at which it was set.
            let passed = before.to_timestamp(wall).ok()?;
            let just_after = passed.checked_add(Span::new().seconds(1)).ok()?;
            zone.preceding(just_after).next().map(|set| set.timestamp())
        }
    }
}

/// Of a running clock: between two moments at which the clock is set its times follow each other.
fn running(fields: &Fields, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let offset = zone.to_offset(after);
    let mut wall = a_second_later(whole_seconds(offset.to_datetime(after)))?;
    let mut began = after;
    loop {
        let offset = zone.to_offset(began);
        let found = fields.next(wall)?;
        let at = offset.to_timestamp(found).ok()?;
        match zone.following(began).next() {
            Some(set) if at >= set.timestamp() => {
                began = set.timestamp();
                wall = set.offset().to_datetime(began);
            }
            _ => return Some(at),
        }
    }
}

fn whole_seconds(wall: DateTime) -> DateTime {
    let time = wall.time();
    wall.date().at(time.hour(), time.minute(), time.second(), 0)
}

fn a_second_later(wall: DateTime) -> Option<DateTime> {
    wall.checked_add(Span::new().seconds(1)).ok()
}
