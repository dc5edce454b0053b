//! Waiting for a level: something is looked at until it is so.

use std::time::Duration;

use dispatchyard::clock::{Clock as _, SystemClock};

/// The longest that anything here may take.
pub(crate) const LIMIT: Duration = Duration::from_secs(30);
const STEP: Duration = Duration::from_millis(20);

/// Looks until there is something.
pub(crate) async fn until<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    until_for(LIMIT, what, look).await
}

/// The same, for what takes longer.
pub(crate) async fn until_for<T>(
    limit: Duration,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(STEP).await;
        }
    };
    match tokio::time::timeout(limit, looking).await {
        Ok(found) => found,
        Err(_) => panic!("{what}: not so after {} s", limit.as_secs()),
    }
}

/// Waits for something that comes by itself, bounded.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(value) => value,
        Err(_) => panic!("{what}: nothing after {} s", LIMIT.as_secs()),
    }
}

/// How long something takes.
pub(crate) struct Stopwatch {
    clock: SystemClock,
    began: f64,
}

impl Stopwatch {
    pub(crate) fn start() -> Self {
        let clock = SystemClock::new();
        let began = clock.seconds();
        Self { clock, began }
    }

    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_secs_f64(self.clock.seconds() - self.began)
    }
}
