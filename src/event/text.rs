//! The edge's rule for text: no NUL, and a limit on everything.
//!
//! A ref or a title may legally hold `\u0000` in JSON, which neither PostgreSQL's text nor a
//! process environment can carry, and a title may be megabytes long. So every text of an
//! [`Event`](super::Event) passes here once: each NUL becomes U+FFFD, which no honest name
//! contains and no pattern of a trigger is likely to name, and what is over the limit is cut at
//! the last whole character. The raw body keeps what was sent.

use std::borrow::Cow;

use crate::model::Untrusted;

/// Longest name of anything: login, label, branch, file path, action, title; bytes.
///
/// Git hosts stop far below it (GitHub: 255 bytes for a ref, 256 characters for a title), so an
/// honest name is never cut into another one.
pub const NAME_BYTES_MAX: usize = 4_096;

/// Longest text of a comment, issue or pull request; bytes.
pub const BODY_BYTES_MAX: usize = 65_536;

/// Most changed files that an event lists; with more it is truncated.
pub const FILES_MAX: usize = 3_000;

/// Most bytes of changed files' paths that an event lists together; with more it is truncated.
pub const FILES_BYTES_MAX: usize = 262_144;

/// Most labels that an event lists; GitHub allows 100 on an issue.
pub const LABELS_MAX: usize = 256;

/// Text without NUL, at most `bytes_max` long, cut at the end of a character.
pub fn clean(text: &str, bytes_max: usize) -> String {
    match without_nul(text) {
        Cow::Borrowed(text) => cut(text, bytes_max).to_owned(),
        Cow::Owned(mut text) => {
            text.truncate(cut(&text, bytes_max).len());
            text
        }
    }
}

/// A name, cleaned.
pub fn name(text: &str) -> String {
    clean(text, NAME_BYTES_MAX)
}

/// A name that somebody outside chose, cleaned.
pub fn untrusted_name(text: &str) -> Untrusted {
    Untrusted::new(name(text))
}

/// A long text that somebody outside wrote, cleaned.
pub fn untrusted_body(text: &str) -> Untrusted {
    Untrusted::new(clean(text, BODY_BYTES_MAX))
}

/// A commit's name if it is one: 40 (SHA-1) to 64 (SHA-256) lower-case hex digits, and not the
/// zeros by which git says "no commit".
pub fn commit(text: &str) -> Option<String> {
    let hex = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    let zeros = text.bytes().all(|byte| byte == b'0');
    (matches!(text.len(), 40 | 64) && hex && !zeros).then(|| text.to_owned())
}

/// Each NUL replaced; borrowed when there is none.
pub(super) fn without_nul(text: &str) -> Cow<'_, str> {
    if text.contains('\0') {
        Cow::Owned(text.replace('\0', "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    }
}

fn cut(text: &str, bytes_max: usize) -> &str {
    &text[..text.floor_char_boundary(bytes_max)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_nul_becomes_the_replacement_character() {
        assert_eq!(name("refs/heads/ma\0in"), "refs/heads/ma\u{fffd}in");
    }

    #[test]
    fn text_is_cut_at_the_end_of_a_character() {
        assert_eq!(clean("aé", 2), "a");
        assert_eq!(clean("a\0b", 3), "a");
        assert_eq!(clean("aé", 3), "aé");
    }

    #[test]
    fn only_a_whole_commit_name_is_one() {
        let sha1 = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(commit(sha1), Some(sha1.to_owned()));
        assert_eq!(commit(&sha1[..39]), None);
        assert_eq!(commit(&sha1.to_uppercase()), None);
        assert_eq!(commit(&"0".repeat(40)), None);
        assert_eq!(commit("$(reboot)"), None);
    }

    proptest! {
        #[test]
        fn cleaned_text_has_no_nul_and_keeps_the_limit(text in ".*", bytes_max in 0_usize..64) {
            let cleaned = clean(&text, bytes_max);
            prop_assert!(cleaned.len() <= bytes_max);
            prop_assert!(!cleaned.contains('\0'));
            prop_assert_eq!(clean(&cleaned, bytes_max), cleaned);
        }
    }
}
