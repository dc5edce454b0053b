//! The kinds of decisions that are measured by themselves.

/// How many kinds of decisions there are.
pub(super) const STEPS: usize = Step::Other as usize + 1;

/// A kind of decision that is told apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// A runner with room asks.
    Poll,
    /// A runner whose slots are full, and that asks for more, ends a job.
    Complete,
    /// A job comes for which a runner waits.
    SubmitToWaiting,
    /// A job comes that has to wait.
    Submit,
    /// A job comes that has to wait, and asks whether it starts in time.
    SubmitWithin,
    /// A runner says that it lives.
    Heartbeat,
    /// Somebody asks why a job waits and when it starts.
    Explain,
    /// Somebody asks for advice: what of that is done on the scheduler's thread.
    Excerpt,
    /// All that is not told: starts, further polls.
    Other,
}

impl Step {
    /// Those that are told, in that order.
    pub const TOLD: [Self; 8] = [
        Self::Poll,
        Self::Complete,
        Self::SubmitToWaiting,
        Self::Submit,
        Self::SubmitWithin,
        Self::Heartbeat,
        Self::Explain,
        Self::Excerpt,
    ];

    /// What it is called.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Poll => "poll -> assignment",
            Self::Complete => "complete -> next assignment",
            Self::SubmitToWaiting => "submit -> waiting runner",
            Self::Submit => "submit -> queue",
            Self::SubmitWithin => "submit with max_wait",
            Self::Heartbeat => "heartbeat",
            Self::Explain => "explain and forecast",
            Self::Excerpt => "excerpt for advice",
            Self::Other => "other",
        }
    }
}
