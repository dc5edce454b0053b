//! What a schedule says, without zones: which days, and which times of these.
//!
//! Both syntaxes become this, so that what follows from it is worked out in one place.

use jiff::civil::{Date, DateTime, Time};

/// After so many years without a match there is none: the longest wait for a day that comes is 40 years, for
/// a 29 February on a given day of the week around the year 2100.
const YEARS_MAX: i16 = 100;

/// Sets of numbers as bits, each number at its own place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Fields {
    /// 0 to 59.
    pub(super) seconds: u64,
    /// 0 to 59.
    pub(super) minutes: u64,
    /// 0 to 23.
    pub(super) hours: u64,
    /// Days of the month, 1 to 31.
    pub(super) days: u64,
    /// 1 to 12.
    pub(super) months: u64,
    /// Days of the week, 0 is Sunday.
    pub(super) weekdays: u64,
    /// `None` for all.
    pub(super) years: Option<Vec<i16>>,
    /// The last year that has any.
    pub(super) year_max: i16,
    /// How the two kinds of days go together.
    pub(super) day_rule: DayRule,
    /// Whether its times are steps of a running clock (`*`, `*/15`) and no times of the day that people named.
    pub(super) is_running: bool,
}

/// How days of the month and of the week go together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum DayRule {
    /// A day is both.
    Both,
    /// A day is one of the two.
    Either,
}

/// All numbers from `min` to `max`.
pub(super) fn span(min: u32, max: u32) -> u64 {
    (min..=max).fold(0, |bits, number| bits | 1 << number)
}

/// The numbers of a set, in order.
pub(super) fn numbers(bits: u64) -> impl Iterator<Item = u32> {
    (0..64).filter(move |number| bits & 1 << number != 0)
}

/// The first number of a set from `from` on.
fn first_from(bits: u64, from: u32) -> Option<u32> {
    let left = bits.checked_shr(from)?;
    (left != 0).then(|| from + left.trailing_zeros())
}

impl Fields {
    /// The first time at `from` or after it; `None` when there is none in a hundred years.
    pub(super) fn next(&self, from: DateTime) -> Option<DateTime> {
        let (date, time) = (from.date(), from.time());
        if self.has(date)
            && let Some(found) =
                self.time_from(number(time.hour()), number(time.minute()), number(time.second()))
        {
            return Some(DateTime::from_parts(date, found));
        }
        let first = self.time_from(0, 0, 0)?;
        let found = self.day_from(date.tomorrow().ok()?)?;
        Some(DateTime::from_parts(found, first))
    }

    /// The first of its times of a day from one on.
    fn time_from(&self, hour: u32, minute: u32, second: u32) -> Option<Time> {
        let mut at_hour = first_from(self.hours, hour)?;
        let mut from_minute = if at_hour == hour { minute } else { 0 };
        loop {
            if let Some(at_minute) = first_from(self.minutes, from_minute) {
                let is_first = at_hour == hour && at_minute == minute;
                match first_from(self.seconds, if is_first { second } else { 0 }) {
                    Some(at_second) => return time(at_hour, at_minute, at_second),
                    None if !is_first => return None,
                    None => from_minute = at_minute + 1,
                }
            } else {
                at_hour = first_from(self.hours, at_hour + 1)?;
                from_minute = 0;
            }
        }
    }

    fn day_from(&self, from: Date) -> Option<Date> {
        let mut date = from;
        while date.year() <= from.year().saturating_add(YEARS_MAX) {
            if !self.has_year(date.year()) {
                let year = self.years.as_ref()?.iter().copied().find(|year| *year > date.year())?;
                date = Date::new(year, 1, 1).ok()?;
            } else if self.months & 1 << number(date.month()) == 0 {
                date = date.last_of_month().tomorrow().ok()?;
            } else if self.has(date) {
                return Some(date);
            } else {
                date = date.tomorrow().ok()?;
            }
        }
        None
    }

    fn has_year(&self, year: i16) -> bool {
        year <= self.year_max && self.years.as_ref().is_none_or(|years| years.contains(&year))
    }

    fn has(&self, date: Date) -> bool {
        let day = self.days & 1 << number(date.day()) != 0;
        let weekday = self.weekdays & 1 << number(date.weekday().to_sunday_zero_offset()) != 0;
        let is_day = match self.day_rule {
            DayRule::Both => day && weekday,
            DayRule::Either => day || weekday,
        };
        is_day && self.months & 1 << number(date.month()) != 0 && self.has_year(date.year())
    }
}

/// A part of a date or of a time, which is never negative.
fn number(part: i8) -> u32 {
    u32::from(part.unsigned_abs())
}

fn time(hour: u32, minute: u32, second: u32) -> Option<Time> {
    let part = |part: u32| i8::try_from(part).ok();
    Time::new(part(hour)?, part(minute)?, part(second)?, 0).ok()
}
