//! What a trigger starts: a workflow by name, or an agent.

use std::ops::Range;

use toml::Spanned;

use super::error::Faults;
use super::{AgentConfig, Approve, CallWord, RuleConfig, SessionStart, Template};

/// The longest profile name or label, in bytes.
const NAME_BYTES_MAX: usize = 100;
/// The most labels of one list.
const LABELS_MAX: usize = 50;

/// What a trigger starts.
#[derive(Clone, Debug)]
pub enum Start {
    /// A workflow of the workflow folder. Whether it exists, [`crate::intake::Rules`] finds out.
    Workflow {
        /// Its name.
        name: String,
        /// Where the config names it.
        span: Range<usize>,
    },
    /// A session of a coding agent.
    Agent(AgentStart),
}

/// A session of a coding agent, checked.
#[derive(Clone, Debug)]
pub struct AgentStart {
    /// Which of the runner's profiles.
    pub profile: String,
    /// What the agent is asked.
    pub prompt: Template,
    /// Labels that the runner must have.
    pub runs_on: Vec<String>,
    /// The conversation that it is part of.
    pub session: Option<SessionStart>,
}

impl Start {
    /// What `config` starts; what is wrong with it goes to `faults`.
    pub(super) fn compile(config: &RuleConfig, faults: &mut Faults<'_>) -> Option<Self> {
        let place = config.name.span();
        match (&config.workflow, &config.agent) {
            (Some(workflow), None) => {
                let (name, span) = (workflow.get_ref().clone(), workflow.span());
                Some(Self::Workflow { name, span })
            }
            (None, Some(agent)) => {
                let allow = config.allow.as_ref().map(Spanned::get_ref);
                if agent.follow && allow.is_some_and(|it| it.approval != Approve::Never) {
                    faults.add_with_hint(
                        place,
                        "agent.follow: with `allow.approval` whatever people write would wait for somebody",
                        "leave one of them out",
                    );
                }
                AgentStart::compile(agent, faults).map(Self::Agent)
            }
            (None, None) => {
                faults.add_with_hint(
                    place,
                    "it starts nothing",
                    "add `workflow = \"...\"` or `agent = { profile = \"...\", prompt = \"...\" }`",
                );
                None
            }
            (Some(_), Some(_)) => {
                faults.add_with_hint(
                    place,
                    "it starts both a workflow and an agent",
                    "write two triggers",
                );
                None
            }
        }
    }
}

impl AgentStart {
    fn compile(config: &AgentConfig, faults: &mut Faults<'_>) -> Option<Self> {
        check_profile(&config.profile, faults);
        check_labels("agent.runs_on", &config.runs_on, config.profile.span(), faults);
        let session = session(config, faults);
        match Template::compile(config.prompt.get_ref()) {
            Ok(prompt) => {
                let profile = config.profile.get_ref().clone();
                Some(Self { profile, prompt, runs_on: config.runs_on.clone(), session })
            }
            Err(error) => {
                faults.add(config.prompt.span(), format!("agent.prompt: {error}"));
                None
            }
        }
    }
}

/// The conversation that an agent's trigger means.
fn session(config: &AgentConfig, faults: &mut Faults<'_>) -> Option<SessionStart> {
    let command = config.command.as_ref().and_then(|word| {
        CallWord::parse(word.get_ref())
            .map_err(|why| faults.add(word.span(), format!("agent.command: {why}")))
            .ok()
    });
    match (&config.session, &config.command) {
        (None, None) if config.follow => {
            let hint = "add `session = \"subject\"`";
            let message = "agent.follow is of a session, and there is none";
            faults.add_with_hint(config.profile.span(), message, hint);
            None
        }
        (None, None) => None,
        (None, Some(word)) => {
            let hint = "add `session = \"subject\"`";
            faults.add_with_hint(
                word.span(),
                "agent.command is of a session, and there is none",
                hint,
            );
            None
        }
        (Some(by), _) if by.get_ref() == "subject" => {
            Some(SessionStart { command, follow: config.follow })
        }
        (Some(by), _) => {
            let message = format!("agent.session `{}` is not known", by.get_ref());
            faults.add_with_hint(
                by.span(),
                message,
                "`subject`: one for each issue, pull request or conversation in a chat",
            );
            None
        }
    }
}

/// A profile is looked up by its name on the runner, so it is a plain name.
fn check_profile(profile: &Spanned<String>, faults: &mut Faults<'_>) {
    let name = profile.get_ref();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > NAME_BYTES_MAX || !name.chars().all(plain) {
        faults.add_with_hint(
            profile.span(),
            format!("agent.profile `{name}` is not a profile's name"),
            format!("use letters, digits, `-` and `_`, at most {NAME_BYTES_MAX} bytes"),
        );
    }
}

/// Checks a list of labels or logins, none of which may be empty.
pub(super) fn check_labels(
    key: &str,
    labels: &[String],
    span: Range<usize>,
    faults: &mut Faults<'_>,
) {
    if labels.len() > LABELS_MAX {
        faults
            .add(span.clone(), format!("{key} has {} entries, at most {LABELS_MAX}", labels.len()));
    }
    if let Some(label) =
        labels.iter().find(|label| label.trim().is_empty() || label.len() > NAME_BYTES_MAX)
    {
        faults.add_with_hint(
            span,
            format!("{key} has `{label}`"),
            format!("an entry is from 1 to {NAME_BYTES_MAX} bytes long"),
        );
    }
}
