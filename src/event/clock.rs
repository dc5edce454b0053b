//! The event of a time that a trigger named: made by the server's own clock and by nobody else.
//!
//! It says whose time it is, so that asking the triggers again (a replay, another instance) has the same answer.
//! What jobs see of it is `github.event.schedule`, as on GitHub:
//! <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>.

use serde_json::{Map, Value};

use super::{Address, Event, EventKind, Subject};
use crate::event::ChangeSet;
use crate::model::{Trust, TrustLevel};

/// The kind of these events.
pub const KIND: &str = "schedule";
/// Their source, which no configured source may be called.
pub const SOURCE: &str = "schedule";

/// A time of a trigger that has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Tick<'a> {
    /// The trigger's name.
    pub trigger: &'a str,
    /// The expression, as it is written.
    pub cron: &'a str,
    /// By whose clocks.
    pub zone: &'a str,
    /// The scheduled time, as RFC 3339 has it.
    pub time: &'a str,
}

impl Tick<'_> {
    /// What its delivery says: the body, as a JSON object.
    pub fn payload(&self) -> Map<String, Value> {
        let Self { trigger, cron, zone, time } = *self;
        let said = [("schedule", cron), ("trigger", trigger), ("zone", zone), ("time", time)];
        said.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
    }

    /// The event. It is trusted: whoever writes the configuration or the folder of workflow files said so.
    pub fn event(&self) -> Event {
        Event {
            source: SOURCE.to_owned(),
            kind: EventKind::from(KIND.to_owned()),
            action: None,
            repository: None,
            actor: None,
            subject: Subject::default(),
            chat: None,
            address: Address::Everybody,
            git_ref: None,
            base_ref: None,
            head_ref: None,
            sha: None,
            changes: ChangeSet::Unknown,
            labels: Vec::new(),
            label: None,
            inputs: self.payload(),
            causation_depth: 0,
            trust: Trust::new(TrustLevel::Trusted, "the server's configuration names the time"),
        }
    }
}

/// Whose time an event tells; `None` when the server's clock did not make it.
pub fn read(event: &Event) -> Option<Tick<'_>> {
    if event.source != SOURCE || event.kind.as_str() != KIND {
        return None;
    }
    let text = |key: &str| event.inputs.get(key).and_then(Value::as_str);
    Some(Tick {
        trigger: text("trigger")?,
        cron: text("schedule")?,
        zone: text("zone")?,
        time: text("time")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_the_clock_says_whose_time_it_is_and_no_other_event_does() {
        let tick = Tick {
            trigger: "nightly",
            cron: "30 2 * * *",
            zone: "UTC",
            time: "2026-11-22T02:30:00Z",
        };
        let event = tick.event();
        assert_eq!(read(&event), Some(tick));
        assert_eq!(event.inputs["schedule"], "30 2 * * *");
        assert_eq!(event.trust.level, TrustLevel::Trusted);
        let forged = Event { source: "api".to_owned(), ..event };
        assert_eq!(read(&forged), None);
    }
}
