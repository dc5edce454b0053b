//! A log's lines with their times, as the API tells them, and how a log that was cut off is read on: pure.
//!
//! `2026-01-01T00:00:00.000000000Z TEXT`. A log can be asked for from a time on, in whole seconds, so what is told again
//! begins with lines that were told before: these are known by their time and their text, and left out. It is
//! asked for from a second earlier than needed, because the lines of two outputs can stand in another order than that of
//! their times. Where a log has no times it is told from its beginning.

use std::collections::VecDeque;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

/// A line that is longer than this is passed on in parts.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// So many lines are known again; of more, those whose time has passed are.
const KNOWN_MAX: usize = 50_000;

/// A log that is read, perhaps in several pieces.
#[derive(Default)]
pub(super) struct Lines {
    /// What was passed on and may be told again, in order.
    known: VecDeque<Known>,
    /// The same of earlier pieces, as far as it was not told again yet.
    before: VecDeque<Known>,
    /// The time of the last line that was passed on.
    latest: Option<Timestamp>,
    /// Lines until then were passed on, and are not known any more.
    forgotten: Option<Timestamp>,
    /// The beginning of the line that is being read.
    head: Vec<u8>,
    /// It is behind its beginning: so many bytes of it are still left out.
    tail: Option<usize>,
}

/// A line that was passed on.
#[derive(Clone, Copy)]
struct Known {
    time: Option<Timestamp>,
    /// Of its beginning, with the time.
    hash: [u8; 16],
    /// How much of it was passed on behind its beginning.
    tail_bytes: usize,
}

impl Lines {
    /// From when on the rest is to be asked for; `None` for all of it.
    pub(super) fn since(&self) -> Option<Timestamp> {
        Timestamp::from_second(self.latest?.as_second() - 1).ok()
    }

    /// The rest begins to be told.
    pub(super) fn begin_again(&mut self) {
        self.head.clear();
        self.tail = None;
        let mut known = std::mem::take(&mut self.known);
        known.append(&mut self.before);
        self.before = known;
    }

    /// Takes bytes in; appends what was not told before to `out`, without times.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
            let mut part = &bytes[..end.unwrap_or(bytes.len())];
            if let Some(left_out) = &mut self.tail {
                let skipped = part.len().min(*left_out);
                *left_out -= skipped;
                out.extend_from_slice(&part[skipped..]);
                if let Some(line) = self.known.back_mut() {
                    line.tail_bytes += part.len() - skipped;
                }
            } else {
                let room = HEAD_BYTES_MAX - self.head.len();
                part = &part[..part.len().min(room)];
                self.head.extend_from_slice(part);
                if part.ends_with(b"\n") || self.head.len() == HEAD_BYTES_MAX {
                    self.tail = Some(self.pass(out));
                }
            }
            bytes = &bytes[part.len()..];
            if part.ends_with(b"\n") {
                self.tail = None;
            }
        }
    }

    /// Passes on what has no line end: nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        if !self.head.is_empty() && self.tail.is_none() {
            self.pass(out);
        }
    }

    /// Passes the beginning of a line on, unless that was done before: then it tells how much of the rest was, too.
    fn pass(&mut self, out: &mut Vec<u8>) -> usize {
        let head = std::mem::take(&mut self.head);
        let (time, text) = split(&head);
        let time = time.or(self.latest);
        let mut hash = [0; 16];
        hash.copy_from_slice(&Sha256::digest(&head)[..16]);
        if !self.before.is_empty() && time.is_some() && time <= self.forgotten {
            return usize::MAX;
        }
        if let Some(at) = self.before.iter().position(|line| line.hash == hash) {
            // What stood before it and is not told any more was taken away there.
            if let Some(line) = self.before.drain(..=at).next_back() {
                self.known.push_back(line);
                return line.tail_bytes;
            }
        }
        if time > self.latest {
            self.before.clear();
        }
        out.extend_from_slice(text);
        self.latest = time.max(self.latest);
        self.known.push_back(Known { time, hash, tail_bytes: 0 });
        self.forget();
        0
    }

    /// Forgets what is not told again.
    fn forget(&mut self) {
        let since = self.since();
        while let Some(first) = self.known.front() {
            if since.is_some() && first.time < since {
                self.known.pop_front();
            } else if self.known.len() > KNOWN_MAX {
                self.forgotten = first.time.max(self.forgotten);
                self.known.pop_front();
            } else {
                return;
            }
        }
    }
}

/// A line's time, and what follows it. Text without one is all text.
fn split(line: &[u8]) -> (Option<Timestamp>, &[u8]) {
    let read = || {
        let at = line.iter().take(40).position(|byte| *byte == b' ')?;
        let time = std::str::from_utf8(&line[..at]).ok()?.parse().ok()?;
        Some((Some(time), &line[at + 1..]))
    };
    read().unwrap_or((None, line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The log of a container: three lines a second, two of which have the same time.
    fn log(texts: &[String]) -> Vec<(Timestamp, String)> {
        let lines = texts.iter().enumerate().map(|(at, text)| {
            let (second, part) = (1_767_225_600 + at as i64 / 3, at % 3 / 2);
            let time = Timestamp::new(second, 500_000_000 * part as i32).unwrap();
            (time, format!("{time} {text}\n"))
        });
        lines.collect()
    }

    fn told(log: &[(Timestamp, String)], since: Option<Timestamp>) -> Vec<u8> {
        let lines = log.iter().filter(|(time, _)| since.is_none_or(|since| *time >= since));
        lines.flat_map(|(_, line)| line.bytes()).collect()
    }

    fn text(bytes: &[u8]) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    proptest! {
        #[test]
        fn a_log_that_is_cut_anywhere_is_told_once(
            texts in prop::collection::vec("[ab]{0,3}", 0..20),
            cuts in prop::collection::vec((0_usize..200, 1_usize..30), 0..5),
        ) {
            let log = log(&texts);
            let (mut lines, mut out) = (Lines::default(), Vec::new());
            for (end, piece) in cuts.into_iter().chain([(usize::MAX, 7)]) {
                lines.begin_again();
                let all = told(&log, lines.since());
                for part in all[..end.min(all.len())].chunks(piece) {
                    lines.push(part, &mut out);
                }
            }
            lines.finish(&mut out);
            let wanted: String = texts.iter().map(|text| format!("{text}\n")).collect();
            prop_assert_eq!(text(&out), wanted);
        }
    }

    #[test]
    fn what_was_rotated_away_takes_nothing_with_it() {
        let texts: Vec<_> = (0..9).map(|at| format!("line {at}")).collect();
        let log = log(&texts);
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.push(&told(&log[..6], None), &mut out);
        lines.begin_again();
        lines.push(&told(&log[5..], lines.since()), &mut out);
        assert_eq!(text(&out).lines().collect::<Vec<_>>(), texts);
    }

    #[test]
    fn lines_without_times_and_without_ends_are_passed_on() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        lines.push(b"plain\nno time here\nhalf", &mut out);
        assert_eq!((lines.since(), text(&out).as_str()), (None, "plain\nno time here\n"));
        lines.begin_again();
        lines.push(b"plain\nno time here\nhalf of it\nplain\n2026-01-01T00:00:00Z", &mut out);
        lines.finish(&mut out);
        let wanted = "plain\nno time here\nhalf of it\nplain\n2026-01-01T00:00:00Z";
        assert_eq!(text(&out), wanted);
    }

    #[test]
    fn a_line_that_is_too_long_to_keep_is_read_on_where_it_was_cut() {
        let long = "x".repeat(3 * HEAD_BYTES_MAX);
        let whole = format!("2026-01-01T00:00:00.5Z {long}y\n2026-01-01T00:00:01Z next\n");
        for cut in [10, HEAD_BYTES_MAX - 1, HEAD_BYTES_MAX, HEAD_BYTES_MAX + 9, whole.len() - 30] {
            let (mut lines, mut out) = (Lines::default(), Vec::new());
            lines.push(&whole.as_bytes()[..cut], &mut out);
            lines.begin_again();
            lines.push(whole.as_bytes(), &mut out);
            assert!(text(&out) == format!("{long}y\nnext\n"), "{cut}: {}", out.len());
        }
    }

    #[test]
    fn what_is_known_is_bounded() {
        let (mut lines, mut out) = (Lines::default(), Vec::new());
        let line = |at: i32| {
            let time = Timestamp::new(1_767_225_600, at).unwrap();
            format!("{time} {at}\n")
        };
        let all: String = (1..KNOWN_MAX as i32 + 100).map(line).collect();
        lines.push(all.as_bytes(), &mut out);
        assert_eq!(lines.known.len(), KNOWN_MAX);
        let before = out.clone();
        lines.begin_again();
        lines.push(all.as_bytes(), &mut out);
        assert!(out == before, "nothing is told twice");
    }
}
