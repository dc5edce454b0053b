//! Cuts a stream of bytes into lines of bounded length. Pure.

/// The longest line; a longer one goes on in the next.
pub(super) const LINE_BYTES_MAX: usize = 16 * 1024;

/// Collects bytes until a line is complete.
#[derive(Debug, Default)]
pub(super) struct LineSplitter {
    /// The beginning of a line whose end has not arrived; shorter than the maximum.
    partial: Vec<u8>,
}

impl LineSplitter {
    /// Takes bytes in; hands each line that they complete to `line`, without its line end.
    pub(super) fn push(&mut self, bytes: &[u8], mut line: impl FnMut(&str)) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.partial.extend_from_slice(piece);
            if self.partial.last() == Some(&b'\n') {
                self.partial.pop();
                if self.partial.last() == Some(&b'\r') {
                    self.partial.pop();
                }
                self.take_full(&mut line);
                line(&String::from_utf8_lossy(&self.partial));
                self.partial.clear();
            } else {
                self.take_full(&mut line);
            }
        }
    }

    /// Hands over what has no line end.
    pub(super) fn finish(&mut self, mut line: impl FnMut(&str)) {
        if !self.partial.is_empty() {
            line(&String::from_utf8_lossy(&self.partial));
            self.partial.clear();
        }
    }

    fn take_full(&mut self, line: &mut impl FnMut(&str)) {
        while self.partial.len() > LINE_BYTES_MAX {
            let cut = char_start(&self.partial, LINE_BYTES_MAX);
            line(&String::from_utf8_lossy(&self.partial[..cut]));
            self.partial.drain(..cut);
        }
    }
}

/// The last place at or before `at` where a character may begin: continuation bytes of UTF-8 look
/// like `10xxxxxx`, and a character has at most three of them.
fn char_start(bytes: &[u8], at: usize) -> usize {
    let is_start = |place: &usize| bytes[*place] & 0b1100_0000 != 0b1000_0000;
    (at.saturating_sub(3)..=at).rev().find(is_start).filter(|place| *place > 0).unwrap_or(at)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(pieces: &[&[u8]]) -> Vec<String> {
        let (mut splitter, mut lines) = (LineSplitter::default(), Vec::new());
        for piece in pieces {
            splitter.push(piece, |line| lines.push(line.to_owned()));
        }
        splitter.finish(|line| lines.push(line.to_owned()));
        lines
    }

    #[test]
    fn lines_may_arrive_in_pieces_with_either_line_end_and_broken_characters() {
        assert_eq!(split(&[b"on", b"e\r\ntw", b"o\n\n\xff!"]), ["one", "two", "", "\u{fffd}!"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_line_is_too_long(
            text in "[a-z\u{e9}\u{20ac}\u{1f600}]{0,9000}", size in 1_usize..5_000,
        ) {
            let pieces: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
            let lines = split(&pieces);
            prop_assert!(lines.iter().all(|line| line.len() <= LINE_BYTES_MAX));
            prop_assert_eq!(lines.concat(), text);
        }
    }
}
