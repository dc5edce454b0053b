//! Whose token is whose, by their hashes.

use rustc_hash::FxHashMap;

use crate::model::RunnerId;

/// Runners with the hash of a token that is new, or (`None`) that is none any more.
pub(super) type Hashes = Vec<(RunnerId, Option<Box<str>>)>;

/// Hashes of runners' tokens, found by either side.
#[derive(Debug, Default)]
pub(super) struct Credentials {
    by_hash: FxHashMap<Box<str>, RunnerId>,
    by_runner: FxHashMap<RunnerId, Box<str>>,
}

impl Credentials {
    /// Whose token has that hash.
    pub(super) fn runner(&self, hash: &str) -> Option<RunnerId> {
        self.by_hash.get(hash).copied()
    }

    /// Notes the hash of a runner's token, or (`None`) that it has none any more.
    pub(super) fn set(&mut self, runner_id: RunnerId, hash: Option<Box<str>>) {
        if let Some(old) = self.by_runner.remove(&runner_id) {
            self.by_hash.remove(&old);
        }
        if let Some(hash) = hash {
            self.by_hash.insert(hash.clone(), runner_id);
            self.by_runner.insert(runner_id, hash);
        }
    }
}
