//! Rules that say which events start work.
//!
//! ```text
//! [[trigger]] in the config -> RuleConfig -> Trigger::compile -> Trigger::decide(event) -> Verdict
//! ```
//!
//! A rule is checked once, when the configuration is loaded; deciding about an event then cannot
//! fail, reads nothing but the event, and always names the clause that decided. Joining a rule
//! with the workflow it starts is [`crate::intake`]'s part.
//!
//! Not here: cron (a schedule makes events of its own) and comment commands.

mod decide;
mod error;
mod filter;
mod on;
mod overrides;
mod rule;
mod select;
mod start;
mod template;

pub use decide::{Trigger, Verdict};
pub use error::RuleError;
pub use filter::{
    PATTERN_BYTES_MAX, PATTERNS_MAX, Pattern, PatternError, PatternList, WILD_TOKENS_MAX,
};
pub use on::{EventFilter, On};
pub use overrides::Overrides;
pub use rule::{AgentConfig, RuleConfig};
pub use start::{AgentStart, Start};
pub use template::{
    PLACEHOLDERS_MAX, TEMPLATE_BYTES_MAX, Template, TemplateError, VALUE_BYTES_MAX,
};
