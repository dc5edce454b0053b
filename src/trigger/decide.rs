//! A checked trigger, and its decision about one event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::error::Faults;
use super::select::shown;
use super::session::MENTION;
use super::start::check_labels;
use super::{
    AgentStart, Allow, Filters, Latest, Limits, Overrides, RuleConfig, RuleError, Start, Timed,
    Verdict,
};
use crate::event::{Address, Event, EventKind, clock};
use crate::model::Member;

/// A checked trigger.
#[derive(Clone, Debug)]
pub struct Trigger {
    /// Its name.
    pub name: String,
    /// What it starts.
    pub start: Start,
    /// What it decides about the jobs it starts.
    pub overrides: Overrides,
    /// Who may start it; `None` for everybody.
    pub allow: Option<Allow>,
    /// When it starts by itself.
    pub times: Vec<Timed>,
    /// How often it may start something.
    pub limits: Limits,
    /// Whose place takes what it starts.
    pub latest: Option<Latest>,
    source: Option<String>,
    filters: Filters,
    /// In lower case; `None` for everybody.
    actors: Option<Vec<String>>,
    /// In lower case; `None` for any.
    labels: Option<Vec<String>>,
}

impl Trigger {
    /// Checks a configured trigger; `teams` are the lists of accounts that it may name.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it.
    pub fn compile(
        config: &RuleConfig,
        teams: &BTreeMap<Box<str>, Vec<Member>>,
    ) -> Result<Self, Vec<RuleError>> {
        let place = config.name.span();
        let mut faults = Faults { trigger: config.name.get_ref(), found: Vec::new() };
        if config.name.get_ref().trim().is_empty() {
            faults.add(place.clone(), "its name is empty");
        }
        for (name, _) in &config.on.0 {
            check_event_name(name, place.clone(), &mut faults);
        }
        let filters = Filters::read(&config.on, &place, &mut faults);
        let times = Timed::read(config, &mut faults);
        let mut lower = |key, list: &Option<Vec<String>>| {
            let list = list.as_ref()?;
            if list.is_empty() {
                let hint = "leave the key out to want any";
                faults.add_with_hint(place.clone(), format!("{key} is empty"), hint);
            }
            check_labels(key, list, place.clone(), &mut faults);
            Some(list.iter().map(|it| it.to_lowercase()).collect())
        };
        let (actors, labels) = (lower("actors", &config.actors), lower("labels", &config.labels));
        let overrides = config.overrides();
        for fault in overrides.faults() {
            faults.add(config.overrides_span(), fault.to_string());
        }
        let allow = config.allow.as_ref();
        let allow = allow.and_then(|allow| Allow::compile(allow, teams, &mut faults));
        let limits = Limits::compile(config, &mut faults);
        let latest = Latest::compile(config, &mut faults);
        let start = Start::compile(config, &mut faults);
        match start {
            Some(start) if faults.found.is_empty() => {
                let (name, source) = (config.name.get_ref().clone(), config.source.clone());
                Ok(Self {
                    name,
                    start,
                    overrides,
                    allow,
                    times,
                    limits,
                    latest,
                    source,
                    filters,
                    actors,
                    labels,
                })
            }
            _ => Err(faults.found),
        }
    }

    /// Whether the trigger wants `event`.
    pub fn decide(&self, event: &Event) -> Verdict {
        self.wants(event).into()
    }

    /// The clauses, cheapest first; the first that refuses decides.
    fn wants(&self, event: &Event) -> Result<Cow<'static, str>, Cow<'static, str>> {
        // Nobody sent it, so there is nothing of a sender to look at.
        if event.kind.as_str() == clock::KIND {
            return self.wants_time(event);
        }
        if let Some(source) = self.source.as_ref().filter(|it| **it != event.source) {
            return Err(format!("source {} is not `{source}`", shown(&event.source)).into());
        }
        let select = self.filters.of(event)?;
        self.wants_actor(event)?;
        self.wants_label(event)?;
        let why = select.wants(event).map_err(Cow::from)?;
        if let Start::Agent(AgentStart { session: Some(session), .. }) = &self.start {
            // Slack tells of a mention twice, and it is said once.
            let twice = matches!(event.address, Address::Mentioned { .. });
            if twice && self.filters.want(MENTION) {
                return Err(
                    "it names us, which comes as `app_mention` too and is said there".into()
                );
            }
            session.call(event)?;
        }
        Ok(why)
    }

    /// A time is that of one trigger, and only the server's clock tells of it.
    fn wants_time(&self, event: &Event) -> Result<Cow<'static, str>, Cow<'static, str>> {
        let Some(tick) = clock::read(event) else {
            return Err("only the server's own clock makes events of this kind".into());
        };
        if tick.trigger != self.name {
            return Err(format!("it is the time of the trigger {}", shown(tick.trigger)).into());
        }
        if self.times.iter().any(|timed| timed.schedule.text() == tick.cron) {
            Ok(format!("it is the time of `{}`", tick.cron).into())
        } else {
            Err("its times are others now".into())
        }
    }

    fn wants_actor(&self, event: &Event) -> Result<(), Cow<'static, str>> {
        let Some(actors) = &self.actors else { return Ok(()) };
        match &event.actor {
            None => Err("the event names no actor".into()),
            Some(actor) if contains(actors, &actor.login) => Ok(()),
            Some(actor) => {
                Err(format!("actor {} is none of {}", shown(&actor.login), actors.join(", "))
                    .into())
            }
        }
    }

    fn wants_label(&self, event: &Event) -> Result<(), Cow<'static, str>> {
        let Some(wanted) = &self.labels else { return Ok(()) };
        // One delivery comes per changed label: a subject that has a wanted label already must
        // not start work again when somebody adds another.
        if let (Some("labeled" | "unlabeled"), Some(label)) =
            (event.action.as_deref(), event.label.as_deref())
        {
            return contains(wanted, label).then_some(()).ok_or_else(|| {
                let (label, wanted) = (shown(label), wanted.join(", "));
                format!("the label that changed, {label}, is none of {wanted}").into()
            });
        }
        event.labels.iter().any(|label| contains(wanted, label)).then_some(()).ok_or_else(|| {
            format!("the subject has none of the labels {}", wanted.join(", ")).into()
        })
    }
}

/// Whether `lower`, in lower case, has `name` in any case.
fn contains(lower: &[String], name: &str) -> bool {
    lower.iter().any(|it| it.chars().eq(name.chars().flat_map(char::to_lowercase)))
}

/// Refuses event names that can never come.
fn check_event_name(name: &str, place: std::ops::Range<usize>, faults: &mut Faults<'_>) {
    let hint = match EventKind::from(name.to_owned()).as_str() {
        "workflow_call" => "one workflow cannot call another yet",
        "pull_request_target" => {
            "GitHub sends `pull_request` to webhooks; workflows and prompts never come from the \
             pull request anyway"
        }
        name if name.is_empty() || name.len() > 100 => "a name is from 1 to 100 bytes long",
        name if name.contains(|c: char| !(c.is_ascii_alphanumeric() || "_-.:".contains(c))) => {
            "a name has letters, digits and `_-.:`"
        }
        _ => return,
    };
    faults.add_with_hint(place, format!("event `{name}` never comes"), hint);
}

#[cfg(test)]
pub(super) mod tests;
