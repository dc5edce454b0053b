//! What an event wants of the session that it names.

/// What is wanted of a session. Whether there is a live one is the scheduler's to know.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum SessionWish {
    /// To be told the message; one is started where none is live.
    #[default]
    Talk,
    /// To be told the message, where one is live; none is started.
    Join,
    /// That a request of its agent is answered; the message is the note.
    Answer {
        /// The number of the request. Where absent the only one that waits is rejected; nothing is approved so.
        request: Option<i64>,
        /// Whether the agent may.
        approve: bool,
    },
    /// That it ends.
    End,
}
