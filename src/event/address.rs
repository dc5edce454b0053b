//! Whom something is meant for that somebody wrote in a chat.

use serde::{Deserialize, Serialize};

/// Whom it is meant for. What is said begins at `words_at` of the subject's body, a place in bytes: before it
/// stands the name by which we were called.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Address {
    /// Whoever reads it.
    #[default]
    Everybody,
    /// Us: a command, a direct conversation, or a message that names us.
    Us {
        /// Where what is said begins.
        words_at: usize,
    },
    /// Us too, in a message of which the provider tells a second time as an `app_mention`.
    Mentioned {
        /// Where what is said begins.
        words_at: usize,
    },
}

impl Address {
    /// What is said, of a text that is addressed so.
    pub fn words(self, text: &str) -> &str {
        let words_at = match self {
            Self::Everybody => 0,
            Self::Us { words_at } | Self::Mentioned { words_at } => words_at,
        };
        text.get(words_at..).unwrap_or(text).trim()
    }

    /// Whether it is meant for whoever reads it.
    pub fn is_everybody(&self) -> bool {
        *self == Self::Everybody
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_begin_behind_the_name_and_a_wrong_place_is_none() {
        assert_eq!(Address::Everybody.words(" <@U1> a "), "<@U1> a");
        assert_eq!(Address::Us { words_at: 5 }.words("<@U1> a "), "a");
        assert_eq!(Address::Us { words_at: 1 }.words("é"), "é");
        assert_eq!(Address::Mentioned { words_at: 99 }.words("a"), "a");
    }
}
