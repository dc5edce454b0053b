//! Times at which a trigger starts something by itself.
//!
//! ```text
//! text -> unix | quartz -> Fields --(zone: what becomes of it when a clock is set)--> moments
//!                                    moments, the last one handled, now -> due: fire, pass over, wait
//! ```
//!
//! All of it is pure: the same text, zone and moment give the same answer on every instance. Who asks when, and
//! what a firing is, stands in `api`; that each comes once, in `dispatch`.

mod config;
pub mod dry;
mod due;
mod error;
mod fields;
mod quartz;
mod unix;
mod words;
mod zone;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

pub use config::{Missed, TimeConfig, Timed};
pub use due::{ON_TIME_MS, Passed, Standing, Step};
pub use error::Fault;
use fields::Fields;

/// The longest expression, in bytes.
pub const EXPRESSION_BYTES_MAX: usize = 256;
/// The longest name of a zone, in bytes.
const ZONE_BYTES_MAX: usize = 64;

/// In which form a time is written.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Syntax {
    /// The five fields of POSIX, as GitHub has them.
    #[default]
    Unix,
    /// Six or seven fields, with seconds, 1 is Sunday.
    Quartz,
}

impl Syntax {
    /// The name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unix => "unix",
            Self::Quartz => "quartz",
        }
    }
}

/// A checked expression with its zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    text: String,
    syntax: Syntax,
    zone_name: String,
    zone: TimeZone,
    fields: Fields,
}

impl Schedule {
    /// Reads an expression; `zone` is a name of the time zone database, as `Europe/Berlin`.
    ///
    /// # Errors
    /// The first thing that is wrong with either.
    pub fn new(text: &str, syntax: Syntax, zone: &str) -> Result<Self, Fault> {
        if text.len() > EXPRESSION_BYTES_MAX {
            let message = format!("it has {} bytes, at most {EXPRESSION_BYTES_MAX}", text.len());
            return Err(Fault::new(message, "write several schedules instead"));
        }
        let text = text.trim_matches([' ', '\t']);
        if let Some(odd) =
            text.chars().find(|it| !it.is_ascii_graphic() && !matches!(it, ' ' | '\t'))
        {
            let message = format!("it has the character {odd:?}");
            return Err(Fault::new(message, "write it with letters, digits and spaces of ASCII"));
        }
        let fields = match syntax {
            Syntax::Unix => unix::read(text)?,
            Syntax::Quartz => quartz::read(text)?,
        };
        let (zone_name, zone) = known_zone(zone)?;
        let text =
            text.split([' ', '\t']).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ");
        Ok(Self { text, syntax, zone_name, zone, fields })
    }

    /// The expression, with single spaces.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// In which form it is written.
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// The name of its zone.
    pub fn zone(&self) -> &str {
        &self.zone_name
    }

    /// Expression, form and zone: with another one it is another schedule.
    pub fn definition(&self) -> String {
        format!("{} {} {}", self.syntax.as_str(), self.zone_name, self.text)
    }

    /// The first time after `wall_ms`; `None` when there is none in a hundred years.
    pub fn next_after(&self, wall_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(wall_ms).ok()?;
        zone::next_after(&self.fields, &self.zone, after).map(Timestamp::as_millisecond)
    }

    /// The first times after `wall_ms`, at most `count`.
    pub fn next(&self, wall_ms: i64, count: usize) -> Vec<i64> {
        let first = self.next_after(wall_ms);
        std::iter::successors(first, |last| self.next_after(*last)).take(count).collect()
    }

    /// What it says in plain words: `at 02:30 on Monday to Friday, Europe/Berlin`.
    pub fn words(&self) -> String {
        format!("{}, {}", words::words(&self.fields), self.zone_name)
    }

    /// A moment as clocks of its zone show it, with the distance to UTC: `2026-03-29T03:00:00+02:00`.
    pub fn local(&self, wall_ms: i64) -> String {
        let Ok(at) = Timestamp::from_millisecond(wall_ms) else { return format!("{wall_ms} ms") };
        at.display_with_offset(self.zone.to_offset(at)).to_string()
    }
}

/// A zone with its proper name.
fn known_zone(name: &str) -> Result<(String, TimeZone), Fault> {
    let hint = "write a name of the time zone database, as `Europe/Berlin` or `UTC`";
    let shown: String = name.chars().take(ZONE_BYTES_MAX).collect();
    let unknown = || Fault::new(format!("no time zone `{}`", shown.escape_debug()), hint);
    if name.is_empty() || name.len() > ZONE_BYTES_MAX || name.eq_ignore_ascii_case("Etc/Unknown") {
        return Err(unknown());
    }
    let zone = TimeZone::get(name).map_err(|_| unknown())?;
    Ok((zone.iana_name().unwrap_or(name).to_owned(), zone))
}

#[cfg(test)]
mod tests;
