//! The line at the end of a log that reached its limit.
//!
//! It names the number of bytes before it, so it can be told from a line that a job printed: only
//! at that very place is it a marker. A job that goes to the length of printing it there truncates
//! its own log.

const BEFORE: &str = "\n[dispatchyard] log truncated: only the first ";
const AFTER: &str = " bytes are kept\n";

/// Most bytes of a marker.
pub(super) const MARKER_BYTES_MAX: u64 = (BEFORE.len() + 20 + AFTER.len()) as u64;

/// The marker after this many bytes of the job.
pub(super) fn after(kept: u64) -> String {
    format!("{BEFORE}{kept}{AFTER}")
}

/// How many bytes of the job a file of this length holds, if `end`, its last bytes, is a marker.
pub(super) fn kept_before(end: &[u8], file_bytes: u64) -> Option<u64> {
    let end = end.strip_suffix(AFTER.as_bytes())?;
    let digits = end.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let (before, kept) = end.split_at(end.len() - digits);
    let kept = std::str::from_utf8(kept).ok()?.parse().ok()?;
    let is_in_place = file_bytes == after(kept).len() as u64 + kept;
    (before.ends_with(BEFORE.as_bytes()) && is_in_place).then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_is_known_only_at_its_own_place() {
        for kept in [0, 7, 1_000_000, u64::MAX / 2] {
            let marker = after(kept);
            let file_bytes = kept + marker.len() as u64;
            assert!(marker.len() as u64 <= MARKER_BYTES_MAX);
            assert_eq!(kept_before(marker.as_bytes(), file_bytes), Some(kept));
            assert_eq!(kept_before(marker.as_bytes(), file_bytes + 1), None);
            assert_eq!(kept_before(&marker.as_bytes()[1..], file_bytes), None);
        }
        assert_eq!(kept_before(b"", 0), None);
        assert_eq!(kept_before(b"a line\n", 7), None);
    }
}
