//! Time and randomness as arguments.

/// The moment at which a decision is made, on both clocks.
///
/// Leases, acknowledgement windows and parked polls are measured on `mono_ms`, which no operator
/// and no time server can move. Rows, not-before times and deadlines are written in `wall_ms`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Now {
    /// Milliseconds on a clock that only goes forward, from an arbitrary start.
    pub mono_ms: i64,
    /// Milliseconds since 1970-01-01 UTC.
    pub wall_ms: i64,
}

/// A source of random numbers: the operating system's in a server, a seeded one in a test.
pub trait Entropy: Send {
    /// 64 random bits.
    fn next_u64(&mut self) -> u64;

    /// A number below `bound`; 0 when `bound` is 0. The bias of the modulo is far below what
    /// jitter cares for; never use it for secrets.
    fn below(&mut self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { self.next_u64() % bound }
    }
}
