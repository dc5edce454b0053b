//! What is told of a session where it was started: each text is an entry of the batch in which it was said.
//!
//! Replies of an agent that come together go as one text, up to what the other side takes in one; what is longer is
//! cut at line ends into entries with numbers. Nothing is shortened and nothing left out.

use crate::dispatch::scheduler::Scheduler;
use crate::model::{
    MessageKind, Now, OutboxEntry, OutboxPayload, SessionId, SessionSays, readable,
};

/// Between two replies that go as one text.
const APART: &str = "\n\n";

/// What an agent said in one batch, as far as it is told.
#[derive(Default)]
pub(super) struct Spoken(Vec<(SessionSays, i64, String)>);

impl Spoken {
    /// Adds what was said as that message.
    pub(super) fn add(&mut self, kind: MessageKind, sequence: i64, text: &str) {
        let says = match kind {
            MessageKind::Reply => SessionSays::Reply,
            MessageKind::ApprovalRequest => SessionSays::ApprovalRequest,
            _ => return,
        };
        match self.0.last_mut() {
            Some((SessionSays::Reply, last, so_far)) if says == SessionSays::Reply => {
                so_far.push_str(APART);
                so_far.push_str(text);
                *last = sequence;
            }
            _ => self.0.push((says, sequence, text.to_owned())),
        }
    }
}

impl Scheduler {
    /// Whether a session answers anywhere.
    pub(super) fn answers(&self, id: SessionId) -> bool {
        self.sessions.get(id).is_some_and(|row| row.reply_to.is_some())
    }

    /// Tells what an agent said in one batch.
    pub(super) fn tell_spoken(&mut self, now: Now, id: SessionId, spoken: Spoken) {
        for (says, sequence, text) in spoken.0 {
            self.tell_session(now, id, says, sequence, &text);
        }
    }

    /// Tells something of a live session where it answers, if it does and that is told there.
    pub(super) fn tell_session(
        &mut self,
        now: Now,
        id: SessionId,
        says: SessionSays,
        sequence: i64,
        text: &str,
    ) {
        let Some(row) = self.sessions.get(id) else { return };
        let Some(to) = row.reply_to.clone().filter(|to| says.is_told(to.on)) else { return };
        let (tenant_id, workload_id) = (row.tenant_id, row.workload_id);
        let mut texts = pieces(text, usize::try_from(to.units_max).unwrap_or(usize::MAX));
        texts.retain(|text| !readable(text).trim().is_empty());
        // A request is asked and a start is told without a text too; an answer that is none is not.
        if texts.is_empty() && matches!(says, SessionSays::Started | SessionSays::ApprovalRequest) {
            texts.push("");
        }
        let parts = u32::try_from(texts.len()).unwrap_or(u32::MAX);
        for (part, text) in (1..).zip(texts) {
            self.add_outbox(OutboxEntry {
                target: to.target.clone(),
                tenant_id,
                workload_id,
                session_id: Some(id),
                job_id: None,
                payload: OutboxPayload::Session {
                    says,
                    sequence,
                    part: (part, parts),
                    text: text.into(),
                },
                created_at_ms: now.wall_ms,
            });
        }
    }
}

/// A text in pieces of at most so many UTF-16 units, cut at line ends where there are some. Blank lines around a piece
/// are nobody's.
fn pieces(text: &str, units_max: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let end = fitting(rest, units_max);
        let cut = match rest.get(..end).and_then(|fits| fits.rfind('\n')) {
            Some(line_end) if end < rest.len() && line_end > 0 => line_end,
            _ => end,
        };
        let (piece, more) = rest.split_at(cut);
        pieces.push(piece.trim_end());
        rest = more.trim_start_matches(['\r', '\n']);
    }
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

/// Where a text of at most so many units ends: behind one character at least.
fn fitting(text: &str, units_max: usize) -> usize {
    let mut units = 0;
    for (at, it) in text.char_indices() {
        units += it.len_utf16();
        if units > units_max && at > 0 {
            return at;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_long_text_is_cut_at_line_ends_and_a_long_line_where_it_must_be() {
        assert_eq!(pieces("one\ntwo\nthree", 8), ["one\ntwo", "three"]);
        assert_eq!(pieces("abcdefgh\nij", 4), ["abcd", "efgh", "ij"]);
        assert_eq!(pieces("  one  \n", 100), ["one"]);
        assert_eq!(pieces(" \n\n ", 3), [""; 0]);
        // A character of two units that does not fit at all is not lost either.
        assert_eq!(pieces("\u{1f600}a", 1), ["\u{1f600}", "a"]);
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_no_piece_is_too_long(text in "[a-z \n\u{1f600}]{0,200}", max in 2_usize..40) {
            let pieces = pieces(&text, max);
            let without = |text: &str| text.split_whitespace().collect::<String>();
            prop_assert_eq!(without(&pieces.concat()), without(&text));
            for piece in pieces {
                prop_assert!(!piece.is_empty() && piece.encode_utf16().count() <= max);
            }
        }
    }

    #[test]
    fn replies_that_follow_each_other_are_one_text_and_a_request_is_one_of_its_own() {
        use MessageKind::{ApprovalRequest, Progress, Reply};
        let mut spoken = Spoken::default();
        let said =
            [(Reply, "a"), (Progress, "x"), (Reply, "b"), (ApprovalRequest, "may I"), (Reply, "c")];
        (1..).zip(said).for_each(|(at, (kind, text))| spoken.add(kind, at, text));
        let told: Vec<_> = spoken.0.iter().map(|(says, at, text)| (*says, *at, &**text)).collect();
        let asks = (SessionSays::ApprovalRequest, 4, "may I");
        assert_eq!(told, [(SessionSays::Reply, 3, "a\n\nb"), asks, (SessionSays::Reply, 5, "c")]);
    }
}
