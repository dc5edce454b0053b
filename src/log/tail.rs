//! Where a log ends, and what an append to it comes to. Pure; the same for every place that logs are in.

use super::jobs::Appended;
use super::{LogError, marker};
use crate::store::LogRow;

/// Most bytes that are written at once: a longer append is written piece by piece, so that no row of a
/// database is longer than that and the line about a truncation.
pub(super) const PIECE_BYTES_MAX: usize = 262_144;

/// What a log's end tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Tail {
    /// Bytes of the job in the log: the next offset.
    pub(super) kept: u64,
    /// Bytes of the log: with the marker, if there is one.
    pub(super) log_bytes: u64,
    /// Whether the log takes no more.
    pub(super) sealed: bool,
}

/// What is to be done for an append.
#[derive(PartialEq, Eq, Debug)]
pub(super) enum Step {
    /// Nothing more: this is the answer.
    Done(Appended),
    /// Bytes before it are missing.
    Gap,
    /// Write these bytes at the end; then look again.
    Write {
        bytes: Vec<u8>,
        /// How many bytes of the job there are after that.
        kept: u64,
    },
}

impl Tail {
    /// Whether the marker is there.
    pub(super) fn truncated(self) -> bool {
        self.log_bytes > self.kept
    }

    /// The next step of an append. Bytes that are there already are skipped, bytes over the limit dropped.
    ///
    /// # Errors
    /// [`LogError::Sealed`].
    pub(super) fn step(
        self,
        offset: u64,
        bytes: &[u8],
        log_bytes_max: u64,
    ) -> Result<Step, LogError> {
        let end = offset.saturating_add(bytes.len() as u64);
        if self.truncated() {
            let next_offset = end.max(self.kept);
            return Ok(Step::Done(Appended { next_offset, truncated: true }));
        }
        let Some(known) = self.kept.checked_sub(offset) else { return Ok(Step::Gap) };
        let known = usize::try_from(known).unwrap_or(usize::MAX);
        let fresh = bytes.get(known..).unwrap_or_default();
        if fresh.is_empty() {
            return Ok(Step::Done(Appended { next_offset: self.kept, truncated: false }));
        }
        if self.sealed {
            return Err(LogError::Sealed { next_offset: self.kept });
        }
        let room = usize::try_from(log_bytes_max.saturating_sub(self.kept)).unwrap_or(usize::MAX);
        let piece = &fresh[..fresh.len().min(PIECE_BYTES_MAX)];
        let fits = &piece[..piece.len().min(room)];
        let kept = self.kept + fits.len() as u64;
        let mut bytes = fits.to_vec();
        if fits.len() < piece.len() {
            bytes.extend_from_slice(marker::after(kept).as_bytes());
        }
        Ok(Step::Write { bytes, kept })
    }

    /// Where it ends when these bytes were written.
    pub(super) fn with(self, bytes: &[u8], kept: u64) -> Self {
        Self { kept, log_bytes: self.log_bytes + bytes.len() as u64, ..self }
    }
}

impl From<LogRow> for Tail {
    fn from(row: LogRow) -> Self {
        Self { kept: row.kept_bytes, log_bytes: row.log_bytes, sealed: row.sealed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_append_is_cut_into_pieces_and_marked_only_where_the_limit_is() {
        let whole = vec![b'x'; 2 * PIECE_BYTES_MAX + 10];
        let limit = PIECE_BYTES_MAX as u64 + 5;
        let mut tail = Tail::default();
        let mut written = Vec::new();
        let done = loop {
            match tail.step(0, &whole, limit).unwrap() {
                Step::Write { bytes, kept } => {
                    tail = tail.with(&bytes, kept);
                    written.push(bytes.len());
                }
                other => break other,
            }
        };
        let marker = marker::after(limit);
        assert_eq!(written, [PIECE_BYTES_MAX, 5 + marker.len()]);
        let end = whole.len() as u64;
        assert_eq!(done, Step::Done(Appended { next_offset: end, truncated: true }));
        assert_eq!((tail.kept, tail.truncated()), (limit, true));
    }
}
