//! What an answer means for an entry: heard, to be tried again and when, or given up. Pure.

use super::ReportOptions;
use crate::forge::http::ForgeError;
use crate::model::{Entropy, OutboxProgress, OutboxState};

/// GitHub: whoever is told of a limit without a time waits a minute at least.
/// <https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit>
const ENOUGH_MS: i64 = 60_000;
/// The longest that others may ask to be left alone.
const HOLD_MS_MAX: i64 = 2 * 3_600_000;
/// How much of a reason is kept.
const NOTE_CHARS_MAX: usize = 500;

/// Why an entry was not heard.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It was not done, and may be later.
    NotYet(String),
    /// Nobody knows whether it was done.
    Unknown(String),
    /// Whoever is asked has had enough until then (wall milliseconds): no try was made, or none that counts.
    Held(i64, String),
    /// It will never be done.
    Never(String),
}

/// What a forge's refusal means.
pub(super) fn fault(error: &ForgeError, now_ms: i64) -> Fault {
    let text = error.to_string();
    if let Some(until_ms) = held_by(error, now_ms) {
        return Fault::Held(until_ms, text);
    }
    match error {
        ForgeError::Client(_) | ForgeError::NotUsable(_) => Fault::Never(text),
        ForgeError::Unreachable(_) => Fault::NotYet(text),
        ForgeError::Broken(_) | ForgeError::NotUnderstood(_) => Fault::Unknown(text),
        ForgeError::Enough { .. } => Fault::NotYet(text),
        ForgeError::Refused { status, .. } => status_fault(*status, text),
    }
}

/// Until when a forge is left alone that has had enough, if it has. GitHub's secondary limits may have no header, and
/// are told by their text alone.
pub(super) fn held_by(error: &ForgeError, now_ms: i64) -> Option<i64> {
    match error {
        ForgeError::Enough { retry_after_s, reset_at_s, .. } => {
            Some(held_until_ms(*retry_after_s, *reset_at_s, now_ms))
        }
        ForgeError::Refused { status: 403, excerpt, .. }
            if excerpt.to_ascii_lowercase().contains("rate limit") =>
        {
            Some(held_until_ms(None, None, now_ms))
        }
        _ => None,
    }
}

/// What a status that is no success means.
pub(super) fn status_fault(status: u16, text: String) -> Fault {
    match status {
        408 | 500..=599 => Fault::Unknown(text),
        409 | 423 | 425 => Fault::NotYet(text),
        _ => Fault::Never(text),
    }
}

/// Until when somebody who has had enough is left alone.
pub(super) fn held_until_ms(
    retry_after_s: Option<u64>,
    reset_at_s: Option<i64>,
    now_ms: i64,
) -> i64 {
    let after = retry_after_s.map(|it| i64::try_from(it).unwrap_or(i64::MAX).saturating_mul(1_000));
    let until = reset_at_s.map(|it| it.saturating_mul(1_000).saturating_sub(now_ms));
    let wait = after.or(until).unwrap_or(ENOUGH_MS);
    now_ms.saturating_add(wait.clamp(1, HOLD_MS_MAX))
}

/// How far an entry is that was heard, or (`note`) told by another one.
pub(super) fn sent(
    before: &OutboxProgress,
    now_ms: i64,
    reference: Option<Box<str>>,
    note: Option<Box<str>>,
) -> OutboxProgress {
    OutboxProgress {
        state: OutboxState::Sent,
        attempts: before.attempts,
        next_at_ms: now_ms,
        unsure: false,
        reference: reference.or_else(|| before.reference.clone()),
        note,
    }
}

/// How far an entry is after a try, the last of `before.attempts`, that came to that; its age is counted from
/// `since_ms`.
pub(super) fn failed(
    fault: &Fault,
    before: &OutboxProgress,
    (since_ms, now_ms): (i64, i64),
    options: &ReportOptions,
    entropy: &mut dyn Entropy,
) -> OutboxProgress {
    let text = match fault {
        Fault::NotYet(text) | Fault::Unknown(text) | Fault::Held(_, text) | Fault::Never(text) => {
            text
        }
    };
    let unsure = match fault {
        Fault::Unknown(_) => true,
        // Nothing came of it; what an earlier try did is not known any better.
        Fault::Held(..) => before.unsure,
        Fault::NotYet(_) | Fault::Never(_) => false,
    };
    let mut progress = OutboxProgress { unsure, note: Some(note(text)), ..before.clone() };
    let tried = i64::from(before.attempts);
    let next_at_ms = match fault {
        Fault::Held(until_ms, _) => until_ms.saturating_add(jitter(1_000, entropy)),
        _ => now_ms.saturating_add(rest_ms(tried, options, entropy)),
    };
    let too_old = next_at_ms - since_ms > options.give_up_after_ms;
    let too_often = before.attempts >= options.tries_max && !matches!(fault, Fault::Held(..));
    let dead = matches!(fault, Fault::Never(_)) || too_old || too_often;
    progress.state = if dead { OutboxState::Dead } else { OutboxState::Waiting };
    progress.next_at_ms = if dead { now_ms } else { next_at_ms };
    progress
}

/// How long is rested after so many tries: doubled with each, between half of it and all.
fn rest_ms(tried: i64, options: &ReportOptions, entropy: &mut dyn Entropy) -> i64 {
    let doublings = u32::try_from((tried - 1).clamp(0, 30)).unwrap_or(0);
    let longest = options.backoff_ms.saturating_mul(1 << doublings).min(options.backoff_max_ms);
    longest - jitter(longest / 2, entropy)
}

fn jitter(most_ms: i64, entropy: &mut dyn Entropy) -> i64 {
    let most = u64::try_from(most_ms).unwrap_or(0);
    i64::try_from(entropy.below(most + 1)).unwrap_or(0)
}

/// What people are told of a try, in one line.
pub(super) fn note(text: &str) -> Box<str> {
    text.chars().map(|it| if it.is_control() { ' ' } else { it }).take(NOTE_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    struct Zero;
    impl Entropy for Zero {
        fn next_u64(&mut self) -> u64 {
            0
        }
    }

    fn options() -> ReportOptions {
        ReportOptions {
            installation: "x".into(),
            public_url: None,
            backoff_ms: 1_000,
            backoff_max_ms: 10_000,
            tries_max: 5,
            give_up_after_ms: 100_000,
            refresh: Duration::ZERO,
            timeout_ms: 1_000,
            at_once_max: 1,
        }
    }

    fn after(fault: &Fault, attempts: u32, now_ms: i64) -> OutboxProgress {
        let before = OutboxProgress {
            state: OutboxState::Waiting,
            attempts,
            next_at_ms: 0,
            unsure: true,
            reference: None,
            note: None,
        };
        failed(fault, &before, (0, now_ms), &options(), &mut Zero)
    }

    #[test]
    fn rests_double_up_to_the_longest_and_end_with_the_tries() {
        let rests: Vec<_> = (1..=5)
            .map(|attempts| after(&Fault::NotYet("x".into()), attempts, 0))
            .map(|it| (it.next_at_ms, it.state, it.unsure))
            .collect();
        let waiting = |ms| (ms, OutboxState::Waiting, false);
        assert_eq!(
            rests,
            [
                waiting(1_000),
                waiting(2_000),
                waiting(4_000),
                waiting(8_000),
                (0, OutboxState::Dead, false)
            ]
        );
    }

    #[test]
    fn what_is_too_old_or_never_will_be_is_given_up_and_a_hold_costs_no_try() {
        assert_eq!(after(&Fault::NotYet("x".into()), 1, 99_500).state, OutboxState::Dead);
        assert_eq!(after(&Fault::Never("x".into()), 1, 0).state, OutboxState::Dead);
        let held = after(&Fault::Held(50_000, "x".into()), 99, 0);
        assert_eq!(
            (held.state, held.next_at_ms, held.unsure),
            (OutboxState::Waiting, 50_000, true)
        );
        assert!(after(&Fault::Unknown("x".into()), 1, 0).unsure);
    }

    #[test]
    fn whoever_has_had_enough_is_left_alone_for_as_long_as_it_says() {
        assert_eq!(held_until_ms(Some(7), Some(900), 1_000), 8_000);
        assert_eq!(held_until_ms(None, Some(900), 1_000), 900_000);
        assert_eq!(held_until_ms(None, None, 1_000), 61_000);
        assert_eq!(held_until_ms(Some(u64::MAX), None, 0), HOLD_MS_MAX);
        // A clock that is behind ours has reset already.
        assert_eq!(held_until_ms(None, Some(0), 5_000), 5_001);
    }

    #[test]
    fn a_limit_without_a_header_is_known_by_its_text() {
        let refused = |excerpt: &str| ForgeError::Refused {
            status: 403,
            excerpt: excerpt.to_owned(),
            hint: "",
        };
        let limit = refused("You have exceeded a secondary rate limit.");
        assert!(matches!(fault(&limit, 0), Fault::Held(60_000, _)));
        assert!(matches!(fault(&refused("Resource not accessible"), 0), Fault::Never(_)));
    }

    #[test]
    fn statuses_are_told_apart_by_whether_another_try_can_help() {
        for (status, wanted) in [(500, true), (502, true), (408, true)] {
            assert_eq!(matches!(status_fault(status, String::new()), Fault::Unknown(_)), wanted);
        }
        for status in [400, 401, 403, 404, 410, 422, 301] {
            assert!(matches!(status_fault(status, String::new()), Fault::Never(_)), "{status}");
        }
        assert_eq!(status_fault(409, String::new()), Fault::NotYet(String::new()));
    }
}
