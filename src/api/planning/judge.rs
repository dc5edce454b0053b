//! What an error of a forge means for those who wait. Pure.

use super::desk::Whose;
use crate::forge::http::ForgeError;
use crate::model::Now;

/// What it means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Judged {
    /// It would fail again: somebody must do something.
    Never,
    /// It is tried again.
    Later {
        /// Who is left alone meanwhile.
        whose: Whose,
        /// For how long the forge asked, in milliseconds.
        asked_ms: Option<i64>,
    },
}

/// What an error that came at `now` means.
pub(super) fn judge(error: &ForgeError, now: Now) -> Judged {
    let later = |whose| Judged::Later { whose, asked_ms: None };
    match error {
        ForgeError::Client(_) | ForgeError::NotUsable(_) => Judged::Never,
        ForgeError::Unreachable(_) => later(Whose::Forge),
        ForgeError::Broken(_) | ForgeError::NotUnderstood(_) => later(Whose::Repository),
        ForgeError::Enough { retry_after_s, reset_at_s, .. } => {
            let after = retry_after_s.map(|it| i64::try_from(it).unwrap_or(i64::MAX));
            let after = after.map(|seconds| seconds.saturating_mul(1_000));
            let reset = reset_at_s.map(|at| at.saturating_mul(1_000).saturating_sub(now.wall_ms));
            Judged::Later { whose: Whose::Forge, asked_ms: after.or(reset) }
        }
        // What stands before the forge answers so when the forge is away.
        ForgeError::Refused { status: 502..=504, .. } => later(Whose::Forge),
        ForgeError::Refused { status: 408 | 425 | 500.., .. } => later(Whose::Repository),
        ForgeError::Refused { .. } => Judged::Never,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_tried_again_and_what_somebody_must_mend_is_not() {
        let now = Now { mono_ms: 0, wall_ms: 5_000 };
        let refused =
            |status| judge(&ForgeError::Refused { status, excerpt: String::new(), hint: "" }, now);
        let enough = |retry_after_s, reset_at_s| {
            judge(&ForgeError::Enough { status: 429, retry_after_s, reset_at_s }, now)
        };
        let later = |whose, asked_ms| Judged::Later { whose, asked_ms };
        for status in [301, 400, 401, 403, 404, 409, 410, 422] {
            assert_eq!(refused(status), Judged::Never, "{status}");
        }
        for status in [408, 500, 599] {
            assert_eq!(refused(status), later(Whose::Repository, None), "{status}");
        }
        for status in [502, 503, 504] {
            assert_eq!(refused(status), later(Whose::Forge, None), "{status}");
        }
        assert_eq!(enough(Some(3), Some(99)), later(Whose::Forge, Some(3_000)));
        assert_eq!(enough(None, Some(9)), later(Whose::Forge, Some(4_000)));
        assert_eq!(enough(None, None), later(Whose::Forge, None));
        assert_eq!(enough(Some(u64::MAX), None), later(Whose::Forge, Some(i64::MAX)));
        let text = String::new;
        assert_eq!(judge(&ForgeError::Unreachable(text()), now), later(Whose::Forge, None));
        assert_eq!(judge(&ForgeError::Broken(text()), now), later(Whose::Repository, None));
        assert_eq!(judge(&ForgeError::NotUsable(text()), now), Judged::Never);
    }
}
