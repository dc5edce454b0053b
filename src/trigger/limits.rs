//! How often a trigger may start something: the keys `rate` and `breaker`.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::RuleConfig;
use super::error::Faults;
use crate::event::Event;
use crate::model::{StartLimit, StartLimits};

/// The most starts that are counted.
const STARTS_MAX: u32 = 10_000;
/// The longest time in which they are: 30 days.
const WINDOW_MS_MAX: i64 = 2_592_000_000;

/// `rate`: how often it starts something for one pull request, issue or ref.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateConfig {
    /// How often.
    pub per_subject: u32,
    /// Within how many milliseconds.
    pub window_ms: i64,
}

/// `breaker`: after how many starts it is stopped until somebody looks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakerConfig {
    /// How many.
    pub starts: u32,
    /// Within how many milliseconds.
    pub window_ms: i64,
}

/// Both, checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Limits {
    per_subject: Option<StartLimit>,
    breaker: Option<StartLimit>,
}

impl Limits {
    /// Checks what a trigger says of them.
    pub(super) fn compile(config: &RuleConfig, faults: &mut Faults<'_>) -> Self {
        let place = config.name.span();
        let rate = config.rate.map(|it| (it.per_subject, it.window_ms));
        let breaker = config.breaker.map(|it| (it.starts, it.window_ms));
        Self {
            per_subject: check("rate", "per_subject", rate, &place, faults),
            breaker: check("breaker", "starts", breaker, &place, faults),
        }
    }

    /// What they are for an event; `None` where nothing is bounded.
    pub fn of(&self, event: &Event) -> Option<StartLimits> {
        let Self { per_subject, breaker } = *self;
        let subject = per_subject.and_then(|_| conversation(event));
        // What is about nothing that has a name is no more of it than anything else.
        let per_subject = per_subject.filter(|_| subject.is_some());
        (per_subject.is_some() || breaker.is_some()).then(|| StartLimits {
            subject: subject.unwrap_or_default().into(),
            per_subject,
            breaker,
        })
    }
}

/// What it is about: of what was said in a chat the conversation.
fn conversation(event: &Event) -> Option<String> {
    let in_chat = event.chat.as_ref().map(|place| place.session_key(&event.source));
    in_chat.or_else(|| event.subject_key())
}

fn check(
    key: &str,
    count: &str,
    said: Option<(u32, i64)>,
    place: &Range<usize>,
    faults: &mut Faults<'_>,
) -> Option<StartLimit> {
    let (starts, window_ms) = said?;
    if !(1..=STARTS_MAX).contains(&starts) {
        faults.add(place.clone(), format!("{key}.{count}: {starts} is not from 1 to {STARTS_MAX}"));
    }
    if !(1..=WINDOW_MS_MAX).contains(&window_ms) {
        let message = format!("{key}.window_ms: {window_ms} is not from 1 to {WINDOW_MS_MAX}");
        faults.add(place.clone(), message);
    }
    Some(StartLimit { starts, window_ms })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rest: &str) -> Result<Limits, String> {
        let text = format!("name = 't'\non = 'push'\nworkflow = 'w'\n{rest}");
        let config: RuleConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut faults = Faults { trigger: "t", found: Vec::new() };
        let limits = Limits::compile(&config, &mut faults);
        let told: Vec<_> = faults.found.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(limits) } else { Err(told.join("; ")) }
    }

    #[test]
    fn limits_are_counted_for_what_the_event_is_about() {
        let event: Event = serde_json::from_value(serde_json::json!({
            "source": "gh", "kind": "push", "ref": "refs/heads/main", "repository": { "id": 5, "full_name": "a/b" },
        }))
        .unwrap();
        assert_eq!(limits("").unwrap().of(&event), None);
        let of =
            limits("rate = { per_subject = 5, window_ms = 60000 }").unwrap().of(&event).unwrap();
        assert_eq!((of.per_subject.unwrap().starts, of.breaker), (5, None));
        assert_eq!(of.subject.replace('\u{1e}', " "), "gh 5 refs/heads/main");
        let of = limits("breaker = { starts = 9, window_ms = 1 }").unwrap().of(&event).unwrap();
        assert_eq!((of.breaker.unwrap().starts, &*of.subject), (9, ""));
    }

    #[test]
    fn what_cannot_be_counted_is_refused() {
        for (rest, why) in [
            (
                "rate = { per_subject = 0, window_ms = 1 }",
                "rate.per_subject: 0 is not from 1 to 10000",
            ),
            ("breaker = { starts = 10001, window_ms = 1 }", "breaker.starts: 10001 is not from 1"),
            ("breaker = { starts = 1, window_ms = 0 }", "breaker.window_ms: 0 is not from 1"),
            ("rate = { per_subject = 1 }", "missing field `window_ms`"),
        ] {
            let told = limits(rest).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
