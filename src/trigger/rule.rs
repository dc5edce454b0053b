//! A trigger as the configuration writes it.
//!
//! Nothing is checked here beyond names and types of keys; [`super::Trigger::compile`] does the
//! rest, with the positions that [`Spanned`] keeps. Positions exist only when the text is read
//! with `toml::from_str`: a `toml::Value` in between loses them and is refused by `toml` itself.

use serde::{Deserialize, Serialize};
use toml::Spanned;

use super::{
    AllowConfig, BreakerConfig, DebounceConfig, On, Overrides, RateConfig, SupersedeConfig,
};
use crate::ask::Ask;
use crate::model::JobPriority;

/// One `[[trigger]]`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleConfig {
    /// Its name, unique among the triggers.
    pub name: Spanned<String>,
    /// The one source whose events it looks at; all of them when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// Whose work it starts; that of the source, or of whoever sent the event, when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Spanned<String>>,
    /// Which kinds of events it wants, with GitHub's filters; what its workflow's file says when absent.
    #[serde(default, skip_serializing_if = "On::is_empty")]
    pub on: On,
    /// The workflow that it starts: a file of the workflow folder, without `.yml`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Spanned<String>>,
    /// The agent that it starts instead of a workflow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent: Option<AgentConfig>,
    /// Logins whose events it wants, compared without regard to case; everybody's when absent. A
    /// filter, not a permission: a login can be given up and taken by somebody else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actors: Option<Vec<String>>,
    /// Labels of which the subject has at least one, compared without regard to case. For
    /// `labeled` and `unlabeled` the label that changed must be one of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<Vec<String>>,
    /// Who may start it; everybody when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow: Option<Spanned<AllowConfig>>,
    /// How often it starts something for one pull request, issue or ref; without bound when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateConfig>,
    /// After how many starts it is stopped until an operator resumes it; never when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerConfig>,
    /// Whether what it starts waits until nothing newer comes for the same; not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub debounce: Option<DebounceConfig>,
    /// Whether what it starts takes the place of older work for the same; not when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supersede: Option<SupersedeConfig>,
    /// How urgent its jobs are, instead of what the workflow says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<JobPriority>,
    /// Minutes that one attempt may run, instead of what the workflow says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_minutes: Option<u32>,
    /// Charged failures that may be followed by another try, instead of what the workflow says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_retries: Option<u32>,
    /// The first backoff in milliseconds, instead of what the workflow says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_ms: Option<u32>,
    /// Whatever else it asks for its jobs, instead of what the workflow says: the keys of
    /// `x-dispatch`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dispatch: Option<Spanned<Ask>>,
}

impl RuleConfig {
    /// The trigger that a workflow file is by itself: it starts the file on the events that the file names.
    pub fn of_file(name: String, workflow: String, on: On) -> Self {
        Self {
            name: Spanned::new(0..0, name),
            source: None,
            tenant: None,
            on,
            workflow: Some(Spanned::new(0..0, workflow)),
            agent: None,
            actors: None,
            labels: None,
            allow: None,
            rate: None,
            breaker: None,
            debounce: None,
            supersede: None,
            priority: None,
            timeout_minutes: None,
            max_retries: None,
            backoff_ms: None,
            dispatch: None,
        }
    }

    /// What it decides about the jobs it starts. Its own keys outrank those under `dispatch`.
    pub fn overrides(&self) -> Overrides {
        let own = Ask {
            priority: self.priority,
            max_retries: self.max_retries,
            backoff_ms: self.backoff_ms,
            ..Ask::default()
        };
        let ask = match &self.dispatch {
            Some(dispatch) => own.or(dispatch.get_ref()),
            None => own,
        };
        Overrides { timeout_minutes: self.timeout_minutes, ask }
    }

    /// Where it says what it decides: under `dispatch`, or as a whole.
    pub fn overrides_span(&self) -> std::ops::Range<usize> {
        self.dispatch.as_ref().map_or_else(|| self.name.span(), Spanned::span)
    }
}

/// An agent that a trigger starts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentConfig {
    /// Which of the runner's profiles: the runner's own config has the command behind it.
    pub profile: Spanned<String>,
    /// What the agent is asked; see [`super::Template`].
    pub prompt: Spanned<String>,
    /// Labels that the runner must have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runs_on: Vec<String>,
    /// `subject`: one conversation for each issue, pull request, or channel or thread of a chat, which later events
    /// join. Without it each event starts an agent of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<Spanned<String>>,
    /// Whether comments and messages that do not call the agent join the live session of what they are about. They
    /// never start one. Default false.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub follow: bool,
    /// The word by which comments, messages and new issues call the agent in a session, `/agent` or `@name`; what
    /// follows it is what the agent is told. Labels and assignments need none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Spanned<String>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Config {
        trigger: Vec<RuleConfig>,
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line_and_the_allowed_keys() {
        let text = "[[trigger]]\nname = \"ci\"\non = \"push\"\nworkflows = \"ci\"\n";
        insta::assert_snapshot!(toml::from_str::<Config>(text).unwrap_err(), @"
        TOML parse error at line 4, column 1
          |
        4 | workflows = \"ci\"
          | ^^^^^^^^^
        unknown field `workflows`, expected one of `name`, `source`, `tenant`, `on`, `workflow`, `agent`, `actors`, `labels`, `allow`, `rate`, `breaker`, `debounce`, `supersede`, `priority`, `timeout_minutes`, `max_retries`, `backoff_ms`, `dispatch`
        ");
    }

    #[test]
    fn names_keep_their_position() {
        let text = "[[trigger]]\nname = \"ci\"\non = \"push\"\nworkflow = \"build\"\n";
        let config: Config = toml::from_str(text).unwrap();
        let workflow = config.trigger[0].workflow.as_ref().unwrap();
        assert_eq!(&text[workflow.span()], "\"build\"");
    }

    #[test]
    fn a_rule_can_be_written_out_again() {
        let text =
            "[[trigger]]\nname = \"ci\"\nworkflow = \"w\"\n[trigger.on.push]\ntags = [\"v*\"]\n";
        let config: Config = toml::from_str(text).unwrap();
        let written = toml::to_string(&config.trigger[0]).unwrap();
        assert_eq!(written, "name = \"ci\"\nworkflow = \"w\"\n\n[on.push]\ntags = [\"v*\"]\n");
    }
}
