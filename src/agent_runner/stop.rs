//! How a runner is told to leave: two levels, each of which is reached once and stays.

use tokio_util::sync::CancellationToken;

/// Tells a running [`super::run`] to leave, from any task; clones share the levels.
///
/// `drain` takes nothing new and finishes what runs; `force` (which implies `drain`) stops the
/// work now and gives its leases back.
#[derive(Clone, Debug, Default)]
pub struct RunnerStop {
    drain: CancellationToken,
    force: CancellationToken,
}

impl RunnerStop {
    /// Nothing asked yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Take nothing new, finish what runs, then leave.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Stop the work now, give it back as `drained`, then leave.
    pub fn force(&self) {
        self.drain.cancel();
        self.force.cancel();
    }

    /// A stop of its own that also follows this one: the server's `drain` must not reach the
    /// caller's other runners.
    pub(super) fn child(&self) -> Self {
        Self { drain: self.drain.child_token(), force: self.force.child_token() }
    }

    pub(super) fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }

    pub(super) async fn draining(&self) {
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
