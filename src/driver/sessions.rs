//! Live sessions, as whoever waits for their messages sees them: published after each commit. Texts are in the
//! rows; here is how far they go.

use std::sync::{PoisonError, RwLock};

use rustc_hash::FxHashMap;
use tokio::sync::watch;

use crate::dispatch::SessionPulse;
use crate::model::{JobId, SessionId, SessionState};

/// Live sessions. Written by the driver, and only after a commit.
#[derive(Debug, Default)]
pub struct SessionBoard(RwLock<Board>);

#[derive(Debug, Default)]
struct Board {
    sessions: FxHashMap<SessionId, watch::Sender<SessionPulse>>,
    by_job: FxHashMap<JobId, SessionId>,
}

impl SessionBoard {
    /// News of a live session: how it stands, and a bell for more. The bell's sender is gone when nothing more
    /// comes.
    pub fn watch(&self, id: SessionId) -> Option<watch::Receiver<SessionPulse>> {
        let board = self.0.read().unwrap_or_else(PoisonError::into_inner);
        board.sessions.get(&id).map(watch::Sender::subscribe)
    }

    /// The same of the session that a live job carries out.
    pub fn watch_job(&self, id: JobId) -> Option<watch::Receiver<SessionPulse>> {
        let board = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let session = board.by_job.get(&id)?;
        board.sessions.get(session).map(watch::Sender::subscribe)
    }

    /// These have news.
    pub(super) fn apply(&self, pulses: &[SessionPulse]) {
        if pulses.is_empty() {
            return;
        }
        let mut board = self.0.write().unwrap_or_else(PoisonError::into_inner);
        pulses.iter().for_each(|pulse| board.apply(*pulse));
    }

    /// These are all that live.
    pub(super) fn begin_epoch(&self, pulses: &[SessionPulse]) {
        let mut board = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let live: FxHashMap<_, _> = pulses.iter().map(|pulse| (pulse.id, ())).collect();
        board.sessions.retain(|id, _| live.contains_key(id));
        board.by_job.clear();
        pulses.iter().for_each(|pulse| board.apply(*pulse));
    }

    /// This instance does not know them any more.
    pub(super) fn clear(&self) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Board::default();
    }
}

impl Board {
    fn apply(&mut self, pulse: SessionPulse) {
        let before = self.sessions.get(&pulse.id).and_then(|known| known.borrow().job_id);
        if let Some(job_id) = before.filter(|job_id| Some(*job_id) != pulse.job_id) {
            self.by_job.remove(&job_id);
        }
        if pulse.state == SessionState::Ended {
            if let Some(known) = self.sessions.remove(&pulse.id) {
                known.send_replace(pulse);
            }
            return;
        }
        if let Some(job_id) = pulse.job_id {
            self.by_job.insert(job_id, pulse.id);
        }
        match self.sessions.get(&pulse.id) {
            Some(known) => drop(known.send_replace(pulse)),
            None => drop(self.sessions.insert(pulse.id, watch::Sender::new(pulse))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantId;

    fn pulse(state: SessionState, said: i64, job: Option<i64>) -> SessionPulse {
        let (id, tenant_id, job_id) = (SessionId(1), TenantId::DEFAULT, job.map(JobId));
        SessionPulse { id, tenant_id, state, said, last_sequence: said, job_id }
    }

    #[test]
    fn whoever_waits_hears_of_messages_of_another_job_and_of_the_end() {
        let board = SessionBoard::default();
        board.apply(&[pulse(SessionState::Starting, 1, Some(7))]);
        let mut news = board.watch_job(JobId(7)).unwrap();
        news.borrow_and_update();
        board.apply(&[pulse(SessionState::Starting, 2, Some(8))]);
        assert!(news.has_changed().unwrap());
        assert_eq!(news.borrow_and_update().said, 2);
        assert!(board.watch_job(JobId(7)).is_none() && board.watch_job(JobId(8)).is_some());
        board.apply(&[pulse(SessionState::Ended, 3, None)]);
        assert_eq!(news.borrow().state, SessionState::Ended);
        assert!(news.has_changed().is_err(), "nothing follows");
        assert!(board.watch(SessionId(1)).is_none());
    }

    #[test]
    fn a_load_keeps_the_bells_of_sessions_that_live() {
        let board = SessionBoard::default();
        board.apply(&[pulse(SessionState::Running, 1, Some(7))]);
        let news = board.watch(SessionId(1)).unwrap();
        board.begin_epoch(&[pulse(SessionState::Idle, 2, None)]);
        assert_eq!(news.borrow().said, 2);
        assert!(board.watch_job(JobId(7)).is_none());
        board.begin_epoch(&[]);
        assert!(news.has_changed().is_err());
    }
}
