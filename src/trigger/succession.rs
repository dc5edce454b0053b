//! Whose place takes what a trigger starts: the keys `debounce` and `supersede`.
//!
//! Both are about what was started for the same: the pull request, issue or ref of the event, or what `key` makes of
//! it. A template that comes to nothing for an event names nothing, and its work stands alone. What becomes of older
//! work is decided in `dispatch`.

use serde::{Deserialize, Serialize};

use super::error::Faults;
use super::{RuleConfig, Template};
use crate::event::Event;
use crate::model::{Quiet, Succession, TrustLevel};

/// The longest wait: 7 days.
const WAIT_MS_MAX: i64 = 604_800_000;
/// The longest key, in bytes. Cutting it would make one of two.
const KEY_BYTES_MAX: usize = 1_000;

/// `debounce`: what it starts waits until nothing newer comes for the same, which takes its place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DebounceConfig {
    /// What it is about; see [`Template`]. The subject of the event when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// For how many milliseconds nothing must have come.
    pub quiet_ms: i64,
    /// How many milliseconds are waited at most after the first. Ten times `quiet_ms` when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<i64>,
}

/// `supersede`: what it starts takes the place of what waits still for the same.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SupersedeConfig {
    /// What it is about; see [`Template`]. The subject of the event when absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Whether what runs for the same is cancelled too. Default false.
    pub running: bool,
}

/// Both, checked.
#[derive(Clone, Debug)]
pub struct Latest {
    /// `None`: the subject.
    key: Option<Template>,
    quiet: Option<Quiet>,
    running: bool,
}

impl Latest {
    /// Checks what a trigger says of them.
    pub(super) fn compile(config: &RuleConfig, faults: &mut Faults<'_>) -> Option<Self> {
        let (debounce, supersede) = (config.debounce.as_ref(), config.supersede.as_ref());
        let (name, key) = match (debounce, supersede) {
            (None, None) => return None,
            (Some(debounce), None) => ("debounce", debounce.key.as_ref()),
            (None, Some(supersede)) => ("supersede", supersede.key.as_ref()),
            (Some(debounce), Some(supersede)) => {
                if debounce.key != supersede.key {
                    let hint = "what waits is replaced by both: write the same key in both, or leave it out of both";
                    let message = "debounce.key and supersede.key are not the same";
                    faults.add_with_hint(config.name.span(), message, hint);
                }
                ("debounce", debounce.key.as_ref())
            }
        };
        let place = config.name.span();
        if config.agent.as_ref().is_some_and(|agent| agent.session.is_some()) {
            let hint =
                "leave it out: an agent in a session hears of each event, in one piece of work";
            faults.add_with_hint(place.clone(), format!("{name} is not for a session"), hint);
        }
        let key = key.and_then(|text| {
            let faulty = |error| faults.add(place, format!("{name}.key: {error}"));
            Template::compile(text).map_err(faulty).ok()
        });
        let quiet = debounce.map(|it| quiet(it, config, faults));
        Some(Self { key, quiet, running: supersede.is_some_and(|it| it.running) })
    }

    /// What it comes to for an event; `None` where that is about nothing that has a name.
    pub fn of(&self, event: &Event) -> Option<Succession> {
        let key = match &self.key {
            Some(template) => {
                let filled = template.fill(event);
                let text = filled.as_data().trim();
                if text.is_empty() {
                    return None;
                }
                // Nobody else vouches for what a source says.
                [event.source.as_str(), text].join("\u{1e}")
            }
            None => event.subject_key()?,
        };
        let trusted = event.trust.level == TrustLevel::Trusted;
        let Self { quiet, running, .. } = *self;
        (key.len() <= KEY_BYTES_MAX).then(|| Succession {
            key: key.into(),
            trusted,
            running,
            quiet,
        })
    }
}

fn quiet(debounce: &DebounceConfig, config: &RuleConfig, faults: &mut Faults<'_>) -> Quiet {
    let quiet_ms = debounce.quiet_ms;
    let max_ms = debounce.max_ms.unwrap_or(quiet_ms.saturating_mul(10).min(WAIT_MS_MAX));
    for (key, ms) in [("quiet_ms", quiet_ms), ("max_ms", max_ms)] {
        if !(1..=WAIT_MS_MAX).contains(&ms) {
            let message = format!("debounce.{key}: {ms} is not from 1 to {WAIT_MS_MAX}");
            faults.add(config.name.span(), message);
        }
    }
    if max_ms < quiet_ms {
        let message = format!("debounce.max_ms: {max_ms} is less than quiet_ms {quiet_ms}");
        faults.add_with_hint(config.name.span(), message, "raise max_ms, or lower quiet_ms");
    }
    Quiet { quiet_ms, max_ms, first_at_ms: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn latest(rest: &str) -> Result<Option<Latest>, String> {
        let text = format!("name = 't'\non = 'push'\n{rest}");
        let config: RuleConfig = toml::from_str(&text).map_err(|error| error.to_string())?;
        let mut faults = Faults { trigger: "t", found: Vec::new() };
        let latest = Latest::compile(&config, &mut faults);
        let told: Vec<_> = faults.found.iter().map(ToString::to_string).collect();
        if told.is_empty() { Ok(latest) } else { Err(told.join("; ")) }
    }

    fn event(more: &serde_json::Value) -> Event {
        let mut all =
            serde_json::json!({ "source": "gh", "kind": "push", "ref": "refs/heads/main" });
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        serde_json::from_value(all).unwrap()
    }

    fn repository() -> serde_json::Value {
        serde_json::json!({ "repository": { "id": 5, "full_name": "a/b" } })
    }

    #[test]
    fn what_it_is_about_is_the_subject_or_what_the_key_says() {
        let of = |rest: &str, event: &Event| {
            let latest = latest(rest).unwrap().unwrap();
            latest.of(event).map(|it| it.key.replace('\u{1e}', " "))
        };
        let (full, bare) = (event(&repository()), event(&serde_json::json!({})));
        assert_eq!(of("supersede = {}", &full).as_deref(), Some("gh 5 refs/heads/main"));
        assert_eq!(of("supersede = {}", &bare), None);
        let by_key = "debounce = { key = 'deploy {{ event.repository }}', quiet_ms = 5 }";
        assert_eq!(of(by_key, &full).as_deref(), Some("gh deploy a/b"));
        assert_eq!(of(by_key, &bare).as_deref(), Some("gh deploy"));
        let nothing = "supersede = { key = '{{ event.number }}' }";
        assert_eq!(of(nothing, &full), None, "it comes to nothing");
        let long =
            serde_json::json!({ "subject": { "kind": "issue", "title": "x".repeat(2_000) } });
        assert_eq!(of("supersede = { key = '{{ event.title }}' }", &event(&long)), None);
    }

    #[test]
    fn what_is_said_is_what_it_comes_to() {
        let full = event(&repository());
        let of = |rest: &str| latest(rest).unwrap().unwrap().of(&full).unwrap();
        let both = of("debounce = { quiet_ms = 5, max_ms = 9 }\nsupersede = { running = true }");
        assert_eq!(both.quiet, Some(Quiet { quiet_ms: 5, max_ms: 9, first_at_ms: 0 }));
        assert!(both.running && !both.trusted);
        assert_eq!(of("debounce = { quiet_ms = 5 }").quiet.unwrap().max_ms, 50);
        let plain = of("supersede = {}");
        assert_eq!((plain.quiet, plain.running), (None, false));
        assert!(latest("").unwrap().is_none());
    }

    #[test]
    fn what_cannot_be_is_refused() {
        for (rest, why) in [
            ("debounce = { quiet_ms = 0 }", "debounce.quiet_ms: 0 is not from 1 to 604800000"),
            (
                "debounce = { quiet_ms = 9, max_ms = 8 }",
                "debounce.max_ms: 8 is less than quiet_ms 9",
            ),
            ("debounce = { max_ms = 8 }", "missing field `quiet_ms`"),
            ("supersede = { key = '{{ event.sah }}' }", "supersede.key: unknown placeholder"),
            ("supersede = { key = '' }", "supersede.key: it is empty"),
            ("supersede = { keys = 'a' }", "unknown field `keys`"),
            (
                "debounce = { quiet_ms = 1, key = 'a' }\nsupersede = {}",
                "debounce.key and supersede.key are not the same; what waits is replaced by both",
            ),
            (
                "debounce = { quiet_ms = 1 }\nagent = { profile = 'p', prompt = 'x', session = 'subject' }",
                "debounce is not for a session; leave it out",
            ),
        ] {
            let told = latest(rest).unwrap_err();
            assert!(told.contains(why), "{told}");
        }
    }
}
