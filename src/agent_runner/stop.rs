//! How a runner is told to leave: levels, each of which is reached once and stays.

use tokio_util::sync::CancellationToken;

/// Tells a running [`super::run`] to leave, from any task; clones share the levels.
///
/// `drain` takes nothing new and finishes what runs; `force` (which implies `drain`) stops the
/// work now and gives its leases back.
#[derive(Clone, Debug, Default)]
pub struct RunnerStop {
    /// Nothing new is taken.
    finish: CancellationToken,
    drain: CancellationToken,
    force: CancellationToken,
}

impl RunnerStop {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take nothing new, finish what runs however long that takes, then leave.
    pub(super) fn finish(&self) {
        self.finish.cancel();
    }

    /// Take nothing new, finish what runs within `drain_timeout_ms`, then leave.
    pub fn drain(&self) {
        self.finish.cancel();
        self.drain.cancel();
    }

    /// Stop the work now, give it back as `drained`, then leave.
    pub fn force(&self) {
        self.drain();
        self.force.cancel();
    }

    /// A stop of its own that also follows this one: the server's `drain` must not reach the
    /// caller's other runners.
    pub(super) fn child(&self) -> Self {
        Self {
            finish: self.finish.child_token(),
            drain: self.drain.child_token(),
            force: self.force.child_token(),
        }
    }

    /// Whether nothing new is taken.
    pub(super) fn is_draining(&self) -> bool {
        self.finish.is_cancelled()
    }

    pub(super) async fn draining(&self) {
        self.finish.cancelled().await;
    }

    /// Somebody wants it to leave soon.
    pub(super) async fn told_to_leave(&self) {
        self.drain.cancelled().await;
    }

    pub(super) async fn forced(&self) {
        self.force.cancelled().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_of_the_child_leaves_the_parent_alone_and_not_the_other_way_round() {
        let parent = RunnerStop::new();
        let (first, second) = (parent.child(), parent.child());
        first.drain();
        assert!(first.is_draining() && !parent.is_draining() && !second.is_draining());
        parent.force();
        assert!(second.is_draining() && second.force.is_cancelled());
    }
}
