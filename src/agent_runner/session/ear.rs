//! Hears the lines of an agent's output, after secrets are masked in it, and hands them on.

use tokio::sync::mpsc;

/// The longest line that is understood; of a longer one nobody is told but the log.
pub(super) const LINE_BYTES_MAX: usize = 256 * 1024;
/// What takes the place of a longer one.
const TOO_LONG: &str = "(a line of more than 256 KiB is in the log alone)";

/// The end of a pipe of lines. When nobody listens any more, lines go nowhere.
#[derive(Debug)]
pub(in crate::agent_runner) struct Ear {
    lines: mpsc::Sender<String>,
    partial: Vec<u8>,
    /// The line is too long, and its end has not come.
    skips: bool,
}

impl Ear {
    pub(super) fn new(lines: mpsc::Sender<String>) -> Self {
        Self { lines, partial: Vec::new(), skips: false }
    }

    /// Takes bytes in. Waits while whoever listens has too many lines already.
    pub(in crate::agent_runner) async fn push(&mut self, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            if !self.skips {
                self.partial.extend_from_slice(piece);
            }
            if self.partial.len() > LINE_BYTES_MAX {
                self.skips = true;
                self.partial.clear();
            }
            if piece.last() == Some(&b'\n') {
                self.finish().await;
            }
        }
    }

    /// The output is over, or pauses for good: what has no line end is a line.
    pub(in crate::agent_runner) async fn finish(&mut self) {
        let line = match std::mem::take(&mut self.skips) {
            true => TOO_LONG.to_owned(),
            false => String::from_utf8_lossy(&self.partial).into_owned(),
        };
        self.partial.clear();
        let line = line.trim_end_matches(['\n', '\r']);
        if !line.is_empty() {
            let _ = self.lines.send(line.to_owned()).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_come_whole_and_too_long_ones_not_at_all() {
        let (sender, mut lines) = mpsc::channel(10);
        let mut ear = Ear::new(sender);
        ear.push(b"on").await;
        ear.push(b"e\r\ntwo\n\n").await;
        for _ in 0..5 {
            ear.push(&vec![b'x'; 100_000]).await;
        }
        ear.push(b"\nlast").await;
        ear.finish().await;
        drop(ear);
        let mut heard = Vec::new();
        while let Some(line) = lines.recv().await {
            heard.push(line);
        }
        assert_eq!(heard, ["one", "two", TOO_LONG, "last"]);
    }
}
