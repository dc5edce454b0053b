//! When a leader may be trusted, and when it may be ousted: pure, all times are arguments.
//!
//! ```text
//!  the leader          renew      renew      renew (does not come back)
//!                        |----------|----------|------ trusts itself ------|
//!  the database          renewed    renewed                                      term over
//!  a standby             |----------|--------------------- waits ---------------------|-> ousts it
//! ```
//!
//! A leader counts from before it asked, by its own monotonic clock, and only three quarters of the term;
//! the others count from when the database carried it out, by the database's clock, and the whole of it.
//! So it has stopped speaking before another one leads. What it might still write is fenced anyway.

use crate::store::Held;

/// How long a leader is believed without a sign of life, and how often others look.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    /// A leader that was silent for longer may be ousted.
    pub ttl_ms: i64,
    /// How often an instance that does not lead looks whether nobody does.
    pub look_ms: i64,
}

/// A session that holds the lock and has not said who it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Suspect(Option<(i64, i64)>);

impl Term {
    /// How often the leader says that it is well, and every instance that it is there.
    pub(super) fn renew_ms(self) -> i64 {
        (self.ttl_ms / 5).max(1)
    }

    /// How long to rest until the next renewal, when the last one was asked for at the first time and all
    /// that followed was done at the second (monotonic). A slow database takes of the rest, not of the term.
    pub(super) fn rest_ms(self, asked_at_mono_ms: i64, done_at_mono_ms: i64) -> i64 {
        (asked_at_mono_ms + self.renew_ms() - done_at_mono_ms).clamp(0, self.renew_ms())
    }

    /// After what silence the database itself ends the session of an instance: later than another one would,
    /// which is quicker where it may, and much later than whoever leads says something.
    pub fn session_silence_max_ms(self) -> i64 {
        self.ttl_ms.max(self.look_ms * 2).saturating_add(self.ttl_ms / 4)
    }

    /// Until when (monotonic) a leader may speak whose renewal was asked for at that time.
    pub(super) fn trusted_until_ms(self, asked_at_mono_ms: i64) -> i64 {
        asked_at_mono_ms.saturating_add(self.ttl_ms / 4 * 3)
    }

    /// An instance that was not heard of for so long is taken for gone.
    pub fn gone_after_ms(self) -> i64 {
        self.ttl_ms.saturating_mul(2)
    }

    /// Whether the sign of life is so old that it is worth asking who holds the lock.
    pub(super) fn is_over(self, held: &Held) -> bool {
        held.age_ms > self.ttl_ms
    }

    /// Which session is to be ended, when the sign of life is too old and `holder` holds the lock. One
    /// that has just taken it and did not come to say so gets a term of its own.
    pub(super) fn to_oust(
        self,
        held: &Held,
        holder: Option<i64>,
        suspect: &mut Suspect,
        mono_ms: i64,
    ) -> Option<i64> {
        let holder = holder.filter(|_| self.is_over(held));
        let Some(session) = holder.filter(|&session| held.renewed_by != Some(session)) else {
            *suspect = Suspect(None);
            return holder;
        };
        match suspect.0 {
            Some((known, since_ms)) if known == session => {
                (mono_ms - since_ms > self.ttl_ms).then_some(session)
            }
            _ => {
                *suspect = Suspect(Some((session, mono_ms)));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERM: Term = Term { ttl_ms: 1_000, look_ms: 100 };

    fn held(renewed_by: Option<i64>, age_ms: i64) -> Held {
        Held { leader: None, renewed_by, age_ms }
    }

    #[test]
    fn a_leader_stops_to_speak_before_another_one_may_lead() {
        // Asked at 5,000; the database can have carried it out only later, say at once.
        let silent_at = TERM.trusted_until_ms(5_000);
        let ousted_at = 5_000 + TERM.ttl_ms;
        assert!(silent_at < ousted_at && silent_at > 5_000 + TERM.renew_ms() * 3);
    }

    #[test]
    fn a_slow_database_takes_of_the_rest_and_not_of_the_term() {
        let renew_ms = TERM.renew_ms();
        assert_eq!(TERM.rest_ms(5_000, 5_000), renew_ms);
        assert_eq!(TERM.rest_ms(5_000, 5_150), renew_ms - 150);
        assert_eq!(TERM.rest_ms(5_000, 9_000), 0);
        // An answer of a quarter of the term, a stamp that is cut off after another one: still renewed.
        let (answer_ms, stamp_ms) = (250, 250);
        let asked_ms = answer_ms + stamp_ms + TERM.rest_ms(0, answer_ms + stamp_ms);
        assert!(asked_ms + answer_ms <= TERM.trusted_until_ms(0));
    }

    #[test]
    fn the_database_ends_a_silent_session_after_others_might() {
        assert!(TERM.session_silence_max_ms() > TERM.ttl_ms);
        let seldom = Term { look_ms: 7_000, ..TERM };
        assert!(seldom.session_silence_max_ms() > seldom.look_ms, "a standby is not ended");
    }

    #[test]
    fn only_a_silent_leader_is_ousted() {
        let mut suspect = Suspect::default();
        let mut oust = |held, holder| TERM.to_oust(&held, holder, &mut suspect, 0);
        assert_eq!(oust(held(Some(7), 1_000), Some(7)), None, "not yet over");
        assert_eq!(oust(held(Some(7), 1_001), Some(7)), Some(7));
        assert_eq!(oust(held(Some(7), 1_001), None), None, "the lock is free");
    }

    #[test]
    fn one_that_has_just_sat_down_gets_a_term_to_say_so() {
        let mut suspect = Suspect::default();
        let old = held(Some(7), 60_000);
        assert_eq!(TERM.to_oust(&old, Some(8), &mut suspect, 0), None);
        assert_eq!(TERM.to_oust(&old, Some(8), &mut suspect, 1_000), None);
        assert_eq!(TERM.to_oust(&old, Some(9), &mut suspect, 1_001), None, "another one");
        assert_eq!(TERM.to_oust(&old, Some(9), &mut suspect, 2_002), Some(9));
        // It has said so: nothing is left of the suspicion.
        assert_eq!(TERM.to_oust(&held(Some(9), 10), Some(9), &mut suspect, 2_003), None);
        assert_eq!(suspect, Suspect::default());
    }
}
