//! The rows of sessions, written from the meaning of each change.

use std::collections::{BTreeMap, BTreeSet};

use dispatchyard::model::{
    Change, Direction, MessageKind, OutboxEntry, OutboxPayload, PrunedSession, Session, SessionDay,
    SessionId, SessionMessage, SessionSays, SessionState, TenantId,
};

#[derive(Default)]
pub(crate) struct Talks {
    pub(crate) live: BTreeMap<SessionId, Session>,
    pub(crate) ended: BTreeMap<SessionId, Session>,
    pub(crate) days: BTreeMap<TenantId, SessionDay>,
    pub(crate) messages: BTreeMap<SessionId, Vec<SessionMessage>>,
    /// Up to which message each session was told where it was started.
    pub(crate) told: BTreeMap<SessionId, BTreeSet<i64>>,
}

impl Talks {
    /// Forgets ended sessions, whole or a piece of each.
    pub(crate) fn forget(&mut self, pieces: &[PrunedSession]) {
        for piece in pieces {
            assert!(!self.live.contains_key(&piece.id), "session {} is live", piece.id);
            let row = self.ended.get(&piece.id).expect("it was there");
            assert_eq!(row.ended_at_ms, Some(piece.ended_at_ms));
            if let Some(said) = self.messages.get_mut(&piece.id) {
                said.retain(|message| message.sequence > piece.up_to);
            }
            if piece.whole {
                self.ended.remove(&piece.id);
                let left = self.messages.remove(&piece.id).unwrap_or_default();
                assert!(left.is_empty(), "messages of session {} have no session", piece.id);
            }
        }
    }

    /// Writes a change, and gives back what is about something else.
    pub(crate) fn apply(&mut self, change: Change) -> Option<Change> {
        match change {
            Change::SessionInserted(row) => {
                let same = |it: &&Session| it.tenant_id == row.tenant_id && it.key == row.key;
                assert!(self.live.values().find(same).is_none(), "two live ones have one key");
                assert!(self.live.insert(row.id, *row).is_none());
            }
            Change::SessionUpdated(row) => {
                assert!(self.live.remove(&row.id).is_some(), "session {} is not live", row.id);
                let of =
                    if row.state == SessionState::Ended { &mut self.ended } else { &mut self.live };
                of.insert(row.id, *row);
            }
            Change::SessionSaid(message) => {
                let said = self.messages.entry(message.session_id).or_default();
                assert_eq!(message.sequence, said.len() as i64 + 1, "without gaps");
                said.push(*message);
            }
            Change::SessionDelivered(it) => {
                let said = self.messages.get_mut(&it.session_id).expect("something was said");
                assert!(it.after < it.up_to && it.up_to <= said.len() as i64);
                let reached = it.after + 1..=it.up_to;
                for message in said.iter_mut().filter(|message| reached.contains(&message.sequence))
                {
                    if message.direction == Direction::In {
                        message.lease = Some(it.lease);
                    }
                }
            }
            Change::OutboxAdded(entry) if entry.session_id.is_some() => self.tell(&entry),
            Change::SessionSpent(day) => drop(self.days.insert(day.tenant_id, day)),
            other => return Some(other),
        }
        None
    }

    /// What is told was said before, by the session that answers there.
    fn tell(&mut self, entry: &OutboxEntry) {
        let id = entry.session_id.expect("it is of one");
        let row = self.live.get(&id).expect("a session that ended says nothing");
        assert_eq!(row.reply_to.as_ref().map(|to| &to.target), Some(&entry.target));
        let OutboxPayload::Session { says, sequence, .. } = entry.payload else {
            panic!("{entry:?}");
        };
        let said = &self.messages[&id][sequence as usize - 1];
        let wanted = match said.kind {
            MessageKind::Reply => says == SessionSays::Reply,
            MessageKind::ApprovalRequest => says == SessionSays::ApprovalRequest,
            MessageKind::Note => matches!(says, SessionSays::Note | SessionSays::Ended),
            _ => says == SessionSays::Started,
        };
        assert!(wanted, "{entry:?} of {said:?}");
        if says != SessionSays::Started {
            assert!(self.told.entry(id).or_default().insert(sequence), "told twice: {entry:?}");
        }
    }

    /// Everything that is to be told was.
    pub(crate) fn all_is_told(&self) {
        let rows = self.live.values().chain(self.ended.values());
        for row in rows.filter(|row| row.reply_to.is_some()) {
            let none = BTreeSet::new();
            let told = self.told.get(&row.id).unwrap_or(&none);
            for message in self.messages.get(&row.id).into_iter().flatten() {
                let is_told = match message.kind {
                    MessageKind::ApprovalRequest | MessageKind::Note => {
                        told.contains(&message.sequence)
                    }
                    // With those behind it, at most.
                    MessageKind::Reply => told.range(message.sequence..).next().is_some(),
                    _ => true,
                };
                assert!(is_told, "nobody was told {message:?}");
            }
        }
    }
}
