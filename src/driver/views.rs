//! What the driver publishes after each commit, for everyone to read without asking it.

use std::sync::RwLock;
use std::sync::atomic::{AtomicI64, Ordering};

use rustc_hash::FxHashMap;
use tokio::sync::{Notify, watch};

use super::credentials::{Credentials, Hashes};
use super::records::RecordStream;
use super::sessions::SessionBoard;
use super::undecided::Undecided;
use crate::dispatch::{LeaseChange, LeaseOwner, Output};
use crate::model::{LeaseRef, LeaseToken, Nonce, Now, RunnerId};
use crate::store::Leader;

/// What the server is able to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ServerState {
    /// The rows are being read.
    Loading = 0,
    /// Everything works.
    Running = 1,
    /// The database cannot be written; it is tried again and again.
    StoreUnavailable = 2,
    /// The process is about to end.
    Stopping = 3,
    /// Another instance leads, or none does; this one decides nothing.
    Standby = 4,
}

impl ServerState {
    /// The state in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Loading => "loading",
            Self::Running => "running",
            Self::StoreUnavailable => "store unavailable",
            Self::Stopping => "stopping",
            Self::Standby => "standby",
        }
    }
}

/// Who leads, as this instance sees it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// This one does.
    pub leads: bool,
    /// Who does, where several servers share the database; `None` when nobody does.
    pub leader: Option<Leader>,
}

/// The published views. Written by the driver alone, and only after a commit.
#[derive(Debug)]
pub struct Views {
    state: watch::Sender<ServerState>,
    standing: watch::Sender<Standing>,
    /// Until when (monotonic) the leader may speak without another sign of the database.
    trusted_until_ms: AtomicI64,
    /// What other instances are configured with, where that is something else.
    drift: RwLock<Option<String>>,
    /// There is news of the seat.
    seat_news: Notify,
    epoch: AtomicI64,
    last_commit_at_ms: AtomicI64,
    leases: RwLock<FxHashMap<LeaseToken, LeaseOwner>>,
    credentials: RwLock<Credentials>,
    /// Of runners that were ordered: by which token one registers.
    invitations: RwLock<Credentials>,
    /// What happened.
    pub records: RecordStream,
    /// Live sessions.
    pub sessions: SessionBoard,
    /// Jobs that wait for a decision from outside.
    pub undecided: Undecided,
    /// Rung when something is to be told to others outside.
    pub outbox: Notify,
}

impl Views {
    /// Views before the first load; `records_max` bounds the ring of records.
    pub fn new(records_max: usize) -> Self {
        Self {
            state: watch::Sender::new(ServerState::Loading),
            standing: watch::Sender::new(Standing { leads: true, leader: None }),
            trusted_until_ms: AtomicI64::new(i64::MAX),
            drift: RwLock::default(),
            seat_news: Notify::new(),
            epoch: AtomicI64::new(0),
            last_commit_at_ms: AtomicI64::new(0),
            leases: RwLock::default(),
            credentials: RwLock::default(),
            invitations: RwLock::default(),
            records: RecordStream::new(records_max),
            sessions: SessionBoard::default(),
            undecided: Undecided::default(),
            outbox: Notify::new(),
        }
    }

    /// What the server is able to do.
    pub fn state(&self) -> ServerState {
        *self.state.borrow()
    }

    /// The same, to wait for another one.
    pub fn watch_state(&self) -> watch::Receiver<ServerState> {
        self.state.subscribe()
    }

    pub(super) fn set_state(&self, state: ServerState) {
        self.state.send_if_modified(|known| std::mem::replace(known, state) != state);
    }

    /// Whether no other server can share the database.
    pub fn is_alone(&self) -> bool {
        self.trusted_until_ms() == i64::MAX
    }

    /// Who leads.
    pub fn standing(&self) -> Standing {
        self.standing.borrow().clone()
    }

    /// The same, to wait for a change.
    pub fn watch_standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Whether calls are answered here: it decides, or somebody else does to whom they are passed on. Who has just
    /// taken the seat has to load first.
    pub fn is_ready(&self) -> bool {
        let standing = self.standing.borrow();
        match self.state() {
            ServerState::Running => true,
            ServerState::Standby => !standing.leads && standing.leader.is_some(),
            ServerState::Loading | ServerState::StoreUnavailable | ServerState::Stopping => false,
        }
    }

    /// Whether what only the leader knows may be told now: this instance leads, and by its own clock no
    /// other one can.
    pub fn may_speak(&self, now: Now) -> bool {
        self.standing.borrow().leads && now.mono_ms < self.trusted_until_ms()
    }

    /// Who has the seat may be somebody else now: whoever keeps an eye on it is to look at once.
    pub fn look_at_seat(&self) {
        self.seat_news.notify_one();
    }

    pub(super) async fn seat_news(&self) {
        self.seat_news.notified().await;
    }

    /// What to tell an operator of instances that are configured otherwise.
    pub fn drift(&self) -> Option<String> {
        self.drift.read().unwrap_or_else(|broken| broken.into_inner()).clone()
    }

    pub(super) fn set_drift(&self, drift: Option<String>) {
        *self.drift.write().unwrap_or_else(|broken| broken.into_inner()) = drift;
    }

    /// There can be others from now on.
    pub(super) fn share(&self) {
        self.trust_until(0);
        self.stand(Standing::default());
    }

    pub(super) fn stand(&self, standing: Standing) {
        self.standing.send_if_modified(|known| {
            let is_new = *known != standing;
            *known = standing;
            is_new
        });
    }

    pub(super) fn trusted_until_ms(&self) -> i64 {
        self.trusted_until_ms.load(Ordering::Acquire)
    }

    pub(super) fn trust_until(&self, mono_ms: i64) {
        self.trusted_until_ms.store(mono_ms, Ordering::Release);
    }

    /// Forgets what only a leader knows.
    pub(super) fn step_down(&self) {
        self.leases.write().unwrap_or_else(|broken| broken.into_inner()).clear();
        for hashes in [&self.credentials, &self.invitations] {
            *hashes.write().unwrap_or_else(|broken| broken.into_inner()) = Credentials::default();
        }
        self.undecided.clear();
        self.sessions.clear();
        self.epoch.store(0, Ordering::Release);
        self.set_state(ServerState::Standby);
    }

    /// The scheduler's epoch; 0 before the first load.
    pub fn epoch(&self) -> i64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// When the last batch was committed (wall); `None` before the first.
    pub fn last_commit_at_ms(&self) -> Option<i64> {
        Some(self.last_commit_at_ms.load(Ordering::Acquire)).filter(|at_ms| *at_ms > 0)
    }

    /// Whose a live lease is, if the caller named both halves and is its owner.
    pub fn lease(&self, lease: LeaseRef) -> Option<LeaseOwner> {
        self.lease_of(lease.token, lease.nonce).filter(|owner| owner.runner_id == lease.runner_id)
    }

    /// The same for whoever has no name and knows both halves: an executor's backend that calls back.
    pub fn lease_of(&self, token: LeaseToken, nonce: Nonce) -> Option<LeaseOwner> {
        self.owner_of(token).filter(|owner| owner.nonce == nonce)
    }

    /// The owner of a live lease, for whoever holds proof of it against that.
    pub fn owner_of(&self, token: LeaseToken) -> Option<LeaseOwner> {
        self.leases.read().unwrap_or_else(|broken| broken.into_inner()).get(&token).copied()
    }

    /// The registered runner whose token has this SHA-256, in hex.
    pub fn runner_by_token_hash(&self, hash: &str) -> Option<RunnerId> {
        let credentials = self.credentials.read().unwrap_or_else(|broken| broken.into_inner());
        credentials.runner(hash)
    }

    /// The runner that was ordered with a token that has this SHA-256, in hex.
    pub fn ordered_by_token_hash(&self, hash: &str) -> Option<RunnerId> {
        let invitations = self.invitations.read().unwrap_or_else(|broken| broken.into_inner());
        invitations.runner(hash)
    }

    /// Replaces everything with what a load found, each view in one step: a runner that asks in
    /// between is never told that it is unknown.
    pub(super) fn begin_epoch(&self, epoch: i64, loaded: Output) {
        let begun = loaded.leases.iter().filter_map(|change| match change {
            LeaseChange::Began(token, owner) => Some((*token, *owner)),
            LeaseChange::Ended(..) => None,
        });
        let (mut known, mut invited) = (Credentials::default(), Credentials::default());
        loaded.credentials.into_iter().for_each(|(runner_id, hash)| known.set(runner_id, hash));
        loaded.invitations.into_iter().for_each(|(runner_id, hash)| invited.set(runner_id, hash));
        self.sessions.begin_epoch(&loaded.sessions);
        *self.leases.write().unwrap_or_else(|broken| broken.into_inner()) = begun.collect();
        *self.credentials.write().unwrap_or_else(|broken| broken.into_inner()) = known;
        *self.invitations.write().unwrap_or_else(|broken| broken.into_inner()) = invited;
        self.records.begin_epoch(epoch);
        self.epoch.store(epoch, Ordering::Release);
        // Whoever is told is told of this epoch.
        self.undecided.begin_epoch(&loaded.undecided);
        self.set_state(ServerState::Running);
    }

    pub(super) fn committed(&self, wall_ms: i64) {
        self.last_commit_at_ms.store(wall_ms, Ordering::Release);
    }

    pub(super) fn apply_leases(&self, changes: &[LeaseChange]) {
        if changes.is_empty() {
            return;
        }
        let mut leases = self.leases.write().unwrap_or_else(|broken| broken.into_inner());
        for change in changes {
            match *change {
                LeaseChange::Began(token, owner) => drop(leases.insert(token, owner)),
                LeaseChange::Ended(token, _) => drop(leases.remove(&token)),
            }
        }
    }

    pub(super) fn apply_credentials(&self, changes: Hashes, invitations: Hashes) {
        for (known, changes) in [(&self.credentials, changes), (&self.invitations, invitations)] {
            if changes.is_empty() {
                continue;
            }
            let mut known = known.write().unwrap_or_else(|it| it.into_inner());
            changes.into_iter().for_each(|(runner_id, hash)| known.set(runner_id, hash));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_taken_the_seat_and_not_loaded_yet_is_not_ready() {
        let views = Views::new(1);
        let leader =
            Leader { instance_id: "a".into(), name: "a".into(), advertised_url: None, since_ms: 0 };
        let stands = |leads, leader: Option<&Leader>| {
            views.stand(Standing { leads, leader: leader.cloned() });
            views.is_ready()
        };
        views.set_state(ServerState::Standby);
        assert!(!stands(false, None), "nobody leads");
        assert!(stands(false, Some(&leader)), "another one does");
        assert!(!stands(true, Some(&leader)));
        views.set_state(ServerState::Running);
        assert!(views.is_ready());
        views.set_state(ServerState::StoreUnavailable);
        assert!(!views.is_ready());
    }
}
