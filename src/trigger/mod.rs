//! Rules that say which events start work.
//!
//! ```text
//! [[trigger]] in the config -> RuleConfig -> Trigger::compile -> Trigger::decide(event) -> Verdict
//! ```
//!
//! A rule is checked once, when the configuration is loaded; deciding about an event then cannot
//! fail, reads nothing but the event, and always names the clause that decided. Joining a rule
//! with the workflow it starts is [`crate::intake`]'s part. [`dry`] asks the same filters without a
//! configuration.
//!
//! Who may start what a rule starts is a table of it, [`Allow`], that is asked when the rule wants the event.
//! A trigger can also start by itself, at the times of a [`schedule`]: each makes an event of its own.
//! What people write calls agents by [`command`](CallWord); which session they call, `session` says.

mod allow;
mod command;
mod decide;
pub mod dry;
mod error;
mod filters;
mod github;
mod limits;
mod on;
mod on_json;
mod order;
mod overrides;
mod pattern;
mod reach;
mod rule;
pub mod schedule;
mod select;
mod session;
mod start;
mod succession;
mod template;

pub(crate) use allow::is_account;
pub use allow::{Allow, AllowConfig, Approve, Said, Standing};
pub use command::CallWord;
pub use decide::Trigger;
pub use error::RuleError;
pub use filters::{Filters, Verdict};
pub use limits::{BreakerConfig, Limits, RateConfig};
pub use on::{EventFilter, On};
pub use order::Order;
pub use overrides::Overrides;
pub use pattern::{ListError, PATTERN_BYTES_MAX, PATTERNS_MAX, Pattern, PatternError, PatternList};
pub use reach::contradictions;
pub use rule::{AgentConfig, RuleConfig};
pub use schedule::{Schedule, TimeConfig, Timed};
pub use session::{Call, SessionStart, origin, subject_key};
pub use start::{AgentStart, Start};
pub use succession::{DebounceConfig, Latest, SupersedeConfig};
pub use template::{
    PLACEHOLDERS_MAX, TEMPLATE_BYTES_MAX, Template, TemplateError, VALUE_BYTES_MAX,
};
