//! Words that do something to a session instead of being said in it: `approve`, `reject`, `stop`.
//!
//! They count right after the agent was called, and only in these forms, so that `approve of this` and
//! `stop doing that` are said as they are.

/// What somebody wants done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order<'t> {
    /// `approve`, `approve 3`, `reject 3 because ...`: a request of the agent is answered.
    Answer {
        /// Its number; the only one that waits where absent.
        request: Option<i64>,
        /// Whether the agent may.
        approve: bool,
        /// What else was said.
        note: &'t str,
    },
    /// `stop`: the session ends.
    Stop,
}

impl<'t> Order<'t> {
    /// Reads one from what follows the call; `None` for anything else.
    pub fn read(words: &'t str) -> Option<Self> {
        let words = words.trim();
        let (word, rest) = words.split_once(char::is_whitespace).unwrap_or((words, ""));
        let word = word.trim_end_matches(['.', '!', ',', ':']);
        let approve = word.eq_ignore_ascii_case("approve");
        if !approve && !word.eq_ignore_ascii_case("reject") {
            let is_stop = word.eq_ignore_ascii_case("stop") && rest.trim().is_empty();
            return is_stop.then_some(Self::Stop);
        }
        let rest = rest.trim_start();
        if rest.is_empty() {
            return Some(Self::Answer { request: None, approve, note: "" });
        }
        let (number, note) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let request = number_of(number)?;
        Some(Self::Answer { request: Some(request), approve, note: note.trim() })
    }
}

/// `3`, `#3` or `3,`. One that is too long is the number of no request.
fn number_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('#').unwrap_or(text).trim_end_matches(['.', '!', ',', ':']);
    let is_number = !digits.is_empty() && digits.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(request: Option<i64>, approve: bool, note: &str) -> Option<Order<'_>> {
        Some(Order::Answer { request, approve, note })
    }

    #[test]
    fn a_request_is_answered_by_its_number_or_as_the_only_one() {
        assert_eq!(Order::read("approve"), answer(None, true, ""));
        assert_eq!(Order::read(" Approve #3 "), answer(Some(3), true, ""));
        assert_eq!(
            Order::read("reject 3, because of\nthat"),
            answer(Some(3), false, "because of\nthat")
        );
        assert_eq!(Order::read("reject."), answer(None, false, ""));
        assert_eq!(Order::read("approve 99999999999999999999"), answer(Some(i64::MAX), true, ""));
        assert_eq!(Order::read("STOP!"), Some(Order::Stop));
    }

    #[test]
    fn anything_else_is_said_as_it_is() {
        for words in [
            "",
            "approve of it",
            "approved",
            "approve -1",
            "reject this 3",
            "stop doing that",
            "stopp",
            "please stop",
            "approve 3x",
            "approve #",
            "stop 3",
        ] {
            assert_eq!(Order::read(words), None, "{words}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_without_a_fault(words in "(approve|reject|stop)?[ \\n#0-9a-z\u{0}é]{0,30}") {
            if let Some(Order::Answer { note, .. }) = Order::read(&words) {
                prop_assert!(words.contains(note));
            }
        }
    }
}
