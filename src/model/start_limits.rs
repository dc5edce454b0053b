//! How often a trigger may start something.

/// So many starts within a time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StartLimit {
    /// How many, at least 1.
    pub starts: u32,
    /// Within how many milliseconds.
    pub window_ms: i64,
}

/// The limits of one trigger, for one event.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct StartLimits {
    /// What the event is about, as one key; events about nothing that has a name count together.
    pub subject: Box<str>,
    /// How often it may start something for that.
    pub per_subject: Option<StartLimit>,
    /// How often it may start something at all, before it is stopped until somebody looks.
    pub breaker: Option<StartLimit>,
}
