//! Times as the configuration writes them, and as they are checked.

use std::ops::Range;

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{Schedule, Syntax};
use crate::trigger::error::{Faults, RuleError};
use crate::trigger::{On, RuleConfig};

/// The longest jitter: an hour.
const JITTER_MS_MAX: u32 = 3_600_000;
/// The most times of one trigger.
const TIMES_MAX: usize = 100;
/// The kind of the events that times make.
const EVENT: &str = "schedule";

/// One time under `on.schedule`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TimeConfig {
    /// When: five fields, or six with `syntax = "quartz"`.
    pub cron: Spanned<String>,
    /// By the clocks of which zone; `UTC` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// In which form `cron` is written.
    #[serde(default)]
    pub syntax: Syntax,
    /// What becomes of times that passed while nothing could be started.
    #[serde(default)]
    pub missed: Missed,
    /// By how many milliseconds it may come later, another number for each time. Default 0, at most an hour.
    #[serde(default)]
    pub jitter_ms: u32,
}

/// What becomes of times that passed while no server was there, while its clock was wrong, or in a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Missed {
    /// They are passed over.
    #[default]
    Skip,
    /// The latest of them comes late, and stands for all.
    Once,
    /// Each of them comes late, up to `schedule_missed_max`.
    All,
}

impl Missed {
    /// The name in configurations.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skip => "skip",
            Self::Once => "once",
            Self::All => "all",
        }
    }
}

/// A checked time of a trigger.
#[derive(Clone, Debug)]
pub struct Timed {
    /// What it is called: the trigger's name with its place in the list, `nightly#1`.
    pub name: String,
    /// When.
    pub schedule: Schedule,
    /// What becomes of times that passed.
    pub missed: Missed,
    /// By how much it may come later.
    pub jitter_ms: u32,
}

impl TimeConfig {
    /// What is wrong with the times of an `on` that is no trigger's yet, each with its place under `on`.
    pub fn faults(on: &On) -> Vec<RuleError> {
        let mut faults = Faults { trigger: "on", found: Vec::new() };
        Timed::check(on.times().unwrap_or_default(), "on", &(0..0), &mut faults);
        faults.found
    }

    /// A time of a workflow file, which knows only these two.
    pub(in crate::trigger) fn of_file(cron: String, zone: Option<String>) -> Self {
        let cron = Spanned::new(0..0, cron);
        Self { cron, zone, syntax: Syntax::default(), missed: Missed::default(), jitter_ms: 0 }
    }
}

impl On {
    /// The times under `schedule`; `None` where it is not there.
    fn times(&self) -> Option<&[TimeConfig]> {
        let found = self.0.iter().find(|(name, _)| name == EVENT)?;
        Some(&found.1.times)
    }
}

impl Timed {
    /// Checks the times of a trigger.
    pub(in crate::trigger) fn read(config: &RuleConfig, faults: &mut Faults<'_>) -> Vec<Self> {
        let Some(times) = config.on.times() else { return Vec::new() };
        let place = config.name.span();
        if times.is_empty() {
            let hint = "write them: on = { schedule = [{ cron = \"30 2 * * 1-5\", zone = \"Europe/Berlin\" }] }";
            faults.add_with_hint(place.clone(), "on.schedule has no times", hint);
        }
        Self::check(times, config.name.get_ref(), &place, faults)
    }

    /// Checks times: those of the trigger with that name, at `place`.
    fn check(
        times: &[TimeConfig],
        name: &str,
        place: &Range<usize>,
        faults: &mut Faults<'_>,
    ) -> Vec<Self> {
        if times.len() > TIMES_MAX {
            let message = format!("on.schedule has {} times, at most {TIMES_MAX}", times.len());
            faults.add_with_hint(place.clone(), message, "make several triggers of them");
            return Vec::new();
        }
        let mut found = Vec::with_capacity(times.len());
        for (at, time) in times.iter().enumerate() {
            let span = match time.cron.span() {
                span if span.is_empty() => place.clone(),
                span => span,
            };
            let zone = time.zone.as_deref().unwrap_or("UTC");
            match Schedule::new(time.cron.get_ref(), time.syntax, zone) {
                Err(fault) => {
                    let message = format!("on.schedule[{at}]: {}", fault.message);
                    faults.add_with_hint(span.clone(), message, fault.hint);
                }
                Ok(schedule) => {
                    let name = format!("{name}#{}", at + 1);
                    let (missed, jitter_ms) = (time.missed, time.jitter_ms);
                    found.push(Self { name, schedule, missed, jitter_ms });
                }
            }
            if time.jitter_ms > JITTER_MS_MAX {
                let message = format!(
                    "on.schedule[{at}]: jitter_ms {} is over {JITTER_MS_MAX}",
                    time.jitter_ms
                );
                faults.add_with_hint(span, message, "an hour is the most");
            }
        }
        found
    }
}
