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
//! Not here: cron (a schedule makes events of its own) and comment commands.

mod decide;
pub mod dry;
mod error;
mod filters;
mod github;
mod on;
mod on_json;
mod overrides;
mod pattern;
mod reach;
mod rule;
mod select;
mod start;
mod template;

pub use decide::Trigger;
pub use error::RuleError;
pub use filters::{Filters, Verdict};
pub use on::{EventFilter, On};
pub use overrides::Overrides;
pub use pattern::{ListError, PATTERN_BYTES_MAX, PATTERNS_MAX, Pattern, PatternError, PatternList};
pub use reach::contradictions;
pub use rule::{AgentConfig, RuleConfig};
pub use start::{AgentStart, Start};
pub use template::{
    PLACEHOLDERS_MAX, TEMPLATE_BYTES_MAX, Template, TemplateError, VALUE_BYTES_MAX,
};
