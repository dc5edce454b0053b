//! The rows of sessions, written from the meaning of each change.

use std::collections::BTreeMap;

use dispatchyard::model::{
    Change, Direction, Session, SessionDay, SessionId, SessionMessage, SessionState, TenantId,
};

#[derive(Default)]
pub(crate) struct Talks {
    pub(crate) live: BTreeMap<SessionId, Session>,
    pub(crate) ended: BTreeMap<SessionId, Session>,
    pub(crate) days: BTreeMap<TenantId, SessionDay>,
    pub(crate) messages: BTreeMap<SessionId, Vec<SessionMessage>>,
}

impl Talks {
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
            Change::SessionSpent(day) => drop(self.days.insert(day.tenant_id, day)),
            other => return Some(other),
        }
        None
    }
}
