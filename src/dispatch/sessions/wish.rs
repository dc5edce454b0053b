//! What an event wants of a live session, but to start one: to join it, to answer its agent, to end it.
//!
//! Where that cannot be, nothing is wrong with the delivery: it says why, and is ignored.

use crate::dispatch::command::Refusal;
use crate::dispatch::scheduler::Scheduler;
use crate::model::{Now, PlannedWorkload, Session, SessionId, SessionWish, Untrusted};

/// How much of a name is in the reason of an end.
const NAME_CHARS_MAX: usize = 100;

impl Scheduler {
    /// Why nothing comes of a planned session now, whoever wants it; `None` where something may.
    pub(in crate::dispatch) fn session_unmet(&self, planned: &PlannedWorkload) -> Option<String> {
        let wanted = planned.session.as_deref()?;
        if wanted.wish == SessionWish::Talk {
            return None;
        }
        let live = wanted.key.as_deref();
        let live = live.and_then(|key| self.sessions.with_key(planned.tenant_id, key));
        let Some(row) = live.and_then(|id| self.sessions.get(id)) else {
            return Some(no_session(wanted.wish).to_owned());
        };
        if let Err(refusal) = self.check_may_join(row.id, planned) {
            return Some(refusal.to_string());
        }
        match wanted.wish {
            SessionWish::Answer { request, approve } => request_of(row, request, approve).err(),
            _ => None,
        }
    }

    /// Does to a live session what is wanted; returns the number of the message that it became.
    pub(super) fn fulfil(
        &mut self,
        now: Now,
        id: SessionId,
        wish: SessionWish,
        author: &str,
        message: Untrusted,
    ) -> Result<i64, Refusal> {
        match wish {
            SessionWish::Talk | SessionWish::Join => self.say(now, id, author, message),
            SessionWish::Answer { request, approve } => {
                let request = request_of(self.live_session(id)?, request, approve);
                let request = request.map_err(|why| Refusal::WrongState(why.into()))?;
                self.answer_request(now, id, request, (approve, message), author)
            }
            SessionWish::End => {
                let who = author.chars().filter(|c| !c.is_control()).take(NAME_CHARS_MAX);
                let reason = format!("ended by {}", who.collect::<String>());
                self.end_session(now, id, author, &reason)
            }
        }
    }
}

/// What there is to say where no session has the key.
pub(super) fn no_session(wish: SessionWish) -> &'static str {
    match wish {
        SessionWish::Talk | SessionWish::Join => "no session is live there to join",
        SessionWish::Answer { .. } => "no session is live there whose agent could be answered",
        SessionWish::End => "no session is live there to stop",
    }
}

/// The request that is meant. Whoever approves says which: another may have come since the one that they read.
///
/// # Errors
///
/// There is none, or several; what to write instead.
fn request_of(row: &Session, wanted: Option<i64>, approve: bool) -> Result<i64, String> {
    let (id, open) = (row.id, &row.approvals);
    match (wanted, open.as_slice()) {
        (Some(number), open) if open.contains(&number) => Ok(number),
        (None, [only]) if !approve => Ok(*only),
        (_, []) => Err(format!("session {id} has no request that waits for an answer")),
        (wanted, open) => {
            let open = open.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            Err(match wanted {
                Some(number) => format!("session {id} has no request {number}: {open} wait"),
                None => format!("say which request of session {id} is meant: {open}"),
            })
        }
    }
}
