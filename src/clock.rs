//! The only place that reads a clock or draws a random number; `clippy.toml` forbids it elsewhere.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rand::Rng as _;
use sha2::{Digest as _, Sha256};

use crate::model::{Entropy, LeaseToken, Nonce, Now};

/// Tells the time.
pub trait Clock: Send + Sync + 'static {
    /// The present moment on both clocks.
    fn now(&self) -> Now;

    /// Seconds on the monotonic clock, as fine as it can be read: for measuring, never for
    /// deciding.
    fn seconds(&self) -> f64 {
        self.now().mono_ms as f64 / 1_000.0
    }
}

/// The machine's clocks.
#[derive(Debug)]
pub struct SystemClock {
    start: Mark,
}

impl SystemClock {
    /// A clock whose monotonic milliseconds count from this call.
    pub fn new() -> Self {
        Self { start: Mark::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn now(&self) -> Now {
        // A clock that stands before 1970 is as wrong as one that is off by days: both give
        // rows with odd times and no other harm, because leases are measured on `mono_ms`.
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { mono_ms: millis(self.start.elapsed()), wall_ms: millis(wall) }
    }

    fn seconds(&self) -> f64 {
        self.start.elapsed().as_secs_f64()
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// A moment on the clock that nobody can set. It goes on while the machine is suspended, as the clocks
/// of all others do: a leader that wakes must know that its term is over. `Instant` stands still there.
#[cfg(target_os = "linux")]
#[derive(Debug)]
struct Mark(Duration);

#[cfg(target_os = "linux")]
impl Mark {
    fn now() -> Self {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let (seconds, nanos) = (u64::try_from(time.tv_sec), u32::try_from(time.tv_nsec));
        Self(Duration::new(seconds.unwrap_or(0), nanos.unwrap_or(0)))
    }

    fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// A moment on the clock that nobody can set. Whether it goes on in suspension is the system's choice.
#[cfg(not(target_os = "linux"))]
#[derive(Debug)]
struct Mark(std::time::Instant);

#[cfg(not(target_os = "linux"))]
impl Mark {
    #[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
    fn now() -> Self {
        Self(std::time::Instant::now())
    }

    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

/// A clock that stands still until a test moves it.
#[derive(Debug, Default)]
pub struct ManualClock {
    mono_ms: AtomicI64,
    wall_ms: AtomicI64,
}

impl ManualClock {
    /// A clock that shows this moment.
    pub fn new(now: Now) -> Self {
        Self { mono_ms: now.mono_ms.into(), wall_ms: now.wall_ms.into() }
    }

    /// Lets time pass on both clocks.
    pub fn advance(&self, ms: i64) {
        self.mono_ms.fetch_add(ms, Ordering::SeqCst);
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }

    /// Moves the wall clock alone, as an operator or a time server does.
    pub fn jump_wall(&self, ms: i64) {
        self.wall_ms.fetch_add(ms, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Now {
        Now {
            mono_ms: self.mono_ms.load(Ordering::SeqCst),
            wall_ms: self.wall_ms.load(Ordering::SeqCst),
        }
    }
}

/// The operating system's entropy.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsEntropy;

impl Entropy for OsEntropy {
    #[expect(clippy::disallowed_methods, reason = "this is where randomness is drawn")]
    fn next_u64(&mut self) -> u64 {
        rand::rng().next_u64()
    }
}

/// A bearer token of 256 bits with a prefix that says what it is for.
pub fn secret_token(prefix: &str, entropy: &mut dyn Entropy) -> String {
    use std::fmt::Write as _;
    let mut token = format!("{prefix}_");
    for _ in 0..4 {
        let _ = write!(token, "{:016x}", entropy.next_u64());
    }
    token
}

/// What is kept of a token: it is random and long, so its plain hash cannot be turned back.
pub fn token_hash(token: &str) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

/// What the work of a lease shows to say that it is itself: the lease's number, and a hash of its unguessable half.
/// It gives no right over the lease, and cannot be turned back.
pub fn lease_proof(token: LeaseToken, nonce: Nonce) -> String {
    format!("{token}.{}", token_hash(&format!("the work of lease {token} {nonce}")))
}

/// A UUID of version 7 (RFC 9562): its order is the order of `now`, the rest is random.
pub fn uuid_v7(now: Now, entropy: &mut dyn Entropy) -> uuid::Uuid {
    let mut random = [0; 10];
    random[..8].copy_from_slice(&entropy.next_u64().to_le_bytes());
    random[8..].copy_from_slice(&entropy.next_u64().to_le_bytes()[..2]);
    let millis = u64::try_from(now.wall_ms).unwrap_or(0);
    uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "it is what the clock is compared to")]
    fn the_monotonic_clock_goes_as_fast_as_that_of_the_standard_library() {
        let (clock, instant) = (SystemClock::new(), std::time::Instant::now());
        let begin = clock.now().mono_ms;
        assert!((0..1_000).contains(&begin), "it counts from its making: {begin}");
        while instant.elapsed() < Duration::from_millis(30) {
            std::hint::spin_loop();
        }
        let passed = clock.now().mono_ms;
        assert!(passed >= begin + 29, "{begin} to {passed}");
        assert!(clock.seconds() * 1_000.0 >= passed as f64);
    }
}
