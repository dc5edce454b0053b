//! What this process knows of the attempts that it looks after: where each is.
//!
//! An entry is there as long as anybody here has the attempt's context, or until it is taken. So nothing stays
//! of an attempt whose task was ended in the middle, when another server leads, say.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::context::{ContextWatch, TaskContext};

/// By the attempts' keys.
pub(super) struct Begun<T>(Mutex<BTreeMap<String, (ContextWatch, T)>>);

impl<T> Default for Begun<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Clone> Begun<T> {
    /// All that anybody still looks after.
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, (ContextWatch, T)>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, (ctx, _)| ctx.is_held());
        all
    }

    /// Keeps it; `true` when nothing was known of the attempt.
    pub(super) fn insert(&self, ctx: &TaskContext, what: T) -> bool {
        self.all().insert(ctx.event().attempt_key.clone(), (ctx.watch(), what)).is_none()
    }

    pub(super) fn get(&self, attempt_key: &str) -> Option<T> {
        self.all().get(attempt_key).map(|(_, what)| what.clone())
    }

    pub(super) fn contains(&self, attempt_key: &str) -> bool {
        self.all().contains_key(attempt_key)
    }

    /// The attempt is over.
    pub(super) fn take(&self, attempt_key: &str) -> Option<T> {
        self.all().remove(attempt_key).map(|(_, what)| what)
    }
}
