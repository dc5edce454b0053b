//! Clocks that jump: that on the wall when somebody moves it, both when the machine is suspended.

use std::sync::atomic::{AtomicI64, Ordering};

use dispatchyard::clock::{Clock, SystemClock};
use dispatchyard::model::Now;

/// The machine's clocks; that on the wall is put forward or back, both go on while nobody looks.
#[derive(Debug, Default)]
pub(crate) struct JumpingClock {
    machine: SystemClock,
    ahead_ms: AtomicI64,
    slept_ms: AtomicI64,
}

impl JumpingClock {
    pub(crate) fn jump(&self, ms: i64) {
        self.ahead_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// The machine was suspended for so long: no timer has noticed, both clocks have gone on.
    pub(crate) fn suspend(&self, ms: i64) {
        self.slept_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for JumpingClock {
    fn now(&self) -> Now {
        let Now { mono_ms, wall_ms } = self.machine.now();
        let slept_ms = self.slept_ms.load(Ordering::SeqCst);
        let ahead_ms = slept_ms + self.ahead_ms.load(Ordering::SeqCst);
        Now { mono_ms: mono_ms + slept_ms, wall_ms: wall_ms + ahead_ms }
    }
}
