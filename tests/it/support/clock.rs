//! A clock on the wall that somebody moves, beside one that nobody can.

use std::sync::atomic::{AtomicI64, Ordering};

use dispatchyard::clock::{Clock, SystemClock};
use dispatchyard::model::Now;

/// The machine's clocks; that on the wall is put forward or back.
#[derive(Debug, Default)]
pub(crate) struct JumpingClock {
    machine: SystemClock,
    ahead_ms: AtomicI64,
}

impl JumpingClock {
    pub(crate) fn jump(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Now {
        let Now { mono_ms, wall_ms } = self.machine.now();
        Now { mono_ms, wall_ms: wall_ms + self.ahead_ms.load(Ordering::SeqCst) }
    }
}
