//! What is told of a step that failed: which one, how it ended, how long it ran, and its last lines. Pure
//! but for the lock.
//!
//! ```text
//! step `test` failed with exit code 101
//! it was step 3 of 5, and ran 12.4 s; its last lines:
//!   ...
//! ```
//!
//! The first line stands alone: tables of jobs show no more of it.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// How many lines are kept of what a process writes.
const LINES_MAX: usize = 20;
/// The most characters of one of them.
const LINE_CHARS_MAX: usize = 300;
/// The most characters of all that is told; the server keeps 4,000.
const TEXT_CHARS_MAX: usize = 3_500;

/// The last lines of one process's output, as they went into the log: masked.
#[derive(Debug, Default)]
pub(in crate::agent_runner) struct Tail(Mutex<VecDeque<String>>);

impl Tail {
    /// One line more.
    pub(in crate::agent_runner) fn push(&self, line: &str) {
        if line.trim().is_empty() {
            return;
        }
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES_MAX {
            lines.pop_front();
        }
        lines.push_back(shortened(line));
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

fn shortened(line: &str) -> String {
    let mut chars = line.chars();
    let mut text: String = chars.by_ref().take(LINE_CHARS_MAX).collect();
    if chars.next().is_some() {
        text.push('…');
    }
    text
}

/// What is told of a step that failed with `error` before there was a process.
pub(super) fn not_started(error: &str, (at, count): (usize, usize)) -> String {
    let error = error.replace(['\n', '\r'], " ");
    format!("{error}\nit was step {} of {count}, and was not started", at + 1)
}

/// What is told of a step that failed with `error`: which one of how many, from 0, and how long it ran.
pub(super) fn text(error: &str, (at, count): (usize, usize), ran_ms: i64, tail: &Tail) -> String {
    let mut text = error.replace(['\n', '\r'], " ");
    let seconds = ran_ms.max(0) as f64 / 1_000.0;
    let _ = write!(text, "\nit was step {} of {count}, and ran {seconds:.1} s", at + 1);
    let lines = tail.lines();
    let mut room = TEXT_CHARS_MAX.saturating_sub(text.chars().count());
    // The last lines say most.
    let fits = |line: &&String| {
        let chars = line.chars().count() + 3;
        let fits = chars <= room;
        room = room.saturating_sub(chars);
        fits
    };
    let kept = lines.iter().rev().take_while(fits).count();
    if kept > 0 {
        text.push_str("; its last lines:");
        for line in &lines[lines.len() - kept..] {
            text.push_str("\n  ");
            text.push_str(line);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_first_line_says_what_happened_and_the_rest_where_to_look() {
        let tail = Tail::default();
        for line in ["compiling", "", "error: no such file"] {
            tail.push(line);
        }
        insta::assert_snapshot!(text("step `build` failed with exit code 1", (1, 3), 1_250, &tail), @r"
        step `build` failed with exit code 1
        it was step 2 of 3, and ran 1.2 s; its last lines:
          compiling
          error: no such file
        ");
        let quiet = text("step `a` failed", (0, 1), -5, &Tail::default());
        assert_eq!(quiet, "step `a` failed\nit was step 1 of 1, and ran 0.0 s");
    }

    proptest! {
        #[test]
        fn however_much_was_written_the_text_is_bounded_and_ends_with_the_end(
            lines in prop::collection::vec("[a-z\u{e9}]{1,600}", 1..60), error in ".{0,300}",
        ) {
            let tail = Tail::default();
            lines.iter().for_each(|line| tail.push(line));
            let text = text(&error, (0, 1), 0, &tail);
            prop_assert!(text.chars().count() <= TEXT_CHARS_MAX + 100);
            prop_assert!(text.lines().count() <= LINES_MAX + 2);
            let last = shortened(lines.last().expect("one"));
            prop_assert!(text.ends_with(&last));
        }
    }
}
