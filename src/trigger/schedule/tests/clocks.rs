//! Clocks that are set. The rule is that of cron(8),
//! <https://manpages.debian.org/bookworm/cron/cron.8.en.html>: times that were left out come right after, times
//! that are shown twice come once, and what runs with the clock is left alone.

use super::times;

const SPRING: &str = "2026-03-28T22:00:00Z";
const AUTUMN: &str = "2026-10-24T22:00:00Z";

#[test]
fn a_time_in_a_gap_comes_right_after_it_and_once() {
    // In Berlin 02:00 to 03:00 is left out on 29 March 2026.
    insta::assert_snapshot!(times("30 2 * * *", "Europe/Berlin", SPRING, 2), @"
    2026-03-29T03:00:00+02:00
    2026-03-30T02:30:00+02:00
    ");
    insta::assert_snapshot!(times("0,15,59 2 * * *", "Europe/Berlin", SPRING, 2), @"
    2026-03-29T03:00:00+02:00
    2026-03-30T02:00:00+02:00
    ");
    insta::assert_snapshot!(times("0 2,3 * * *", "Europe/Berlin", SPRING, 2), @"
    2026-03-29T03:00:00+02:00
    2026-03-30T02:00:00+02:00
    ");
    // Half an hour on Lord Howe, midnight in Beirut, a whole day on Samoa.
    insta::assert_snapshot!(times("10 2 4 10 *", "Australia/Lord_Howe", "2026-10-01T00:00:00Z", 1), @"2026-10-04T02:30:00+11:00");
    insta::assert_snapshot!(times("30 0 * * *", "Asia/Beirut", "2026-03-28T12:00:00Z", 2), @"
    2026-03-29T01:00:00+03:00
    2026-03-30T00:30:00+03:00
    ");
    insta::assert_snapshot!(times("0 12 30 12 *", "Pacific/Apia", "2011-12-29T00:00:00Z", 1), @"2011-12-31T00:00:00+14:00");
}

#[test]
fn a_time_in_an_overlap_comes_once() {
    // 02:00 to 03:00 comes twice on 25 October 2026.
    insta::assert_snapshot!(times("30 2 * * *", "Europe/Berlin", AUTUMN, 2), @"
    2026-10-25T02:30:00+02:00
    2026-10-26T02:30:00+01:00
    ");
    insta::assert_snapshot!(times("0,30 2 * * *", "Europe/Berlin", AUTUMN, 3), @"
    2026-10-25T02:00:00+02:00
    2026-10-25T02:30:00+02:00
    2026-10-26T02:00:00+01:00
    ");
    insta::assert_snapshot!(times("30 2 * * *", "Europe/Berlin", "2026-10-25T00:45:00Z", 1), @"2026-10-26T02:30:00+01:00");
    insta::assert_snapshot!(times("30 0 * * *", "America/Havana", "2026-10-31T12:00:00Z", 2), @"
    2026-11-01T00:30:00-04:00
    2026-11-02T00:30:00-05:00
    ");
}

#[test]
fn what_runs_with_the_clock_comes_in_both_hours_and_never_in_a_gap() {
    insta::assert_snapshot!(times("0 * * * *", "Europe/Berlin", "2026-10-24T23:30:00Z", 4), @"
    2026-10-25T02:00:00+02:00
    2026-10-25T02:00:00+01:00
    2026-10-25T03:00:00+01:00
    2026-10-25T04:00:00+01:00
    ");
    insta::assert_snapshot!(times("*/30 2 * * *", "Europe/Berlin", AUTUMN, 5), @"
    2026-10-25T02:00:00+02:00
    2026-10-25T02:30:00+02:00
    2026-10-25T02:00:00+01:00
    2026-10-25T02:30:00+01:00
    2026-10-26T02:00:00+01:00
    ");
    insta::assert_snapshot!(times("0 * * * *", "Europe/Berlin", "2026-03-28T23:30:00Z", 3), @"
    2026-03-29T01:00:00+01:00
    2026-03-29T03:00:00+02:00
    2026-03-29T04:00:00+02:00
    ");
    insta::assert_snapshot!(times("*/20 2 * * *", "Europe/Berlin", SPRING, 2), @"
    2026-03-30T02:00:00+02:00
    2026-03-30T02:20:00+02:00
    ");
    insta::assert_snapshot!(times("*/20 * * * *", "Australia/Lord_Howe", "2026-04-04T14:30:00Z", 5), @"
    2026-04-05T01:40:00+11:00
    2026-04-05T01:40:00+10:30
    2026-04-05T02:00:00+10:30
    2026-04-05T02:20:00+10:30
    2026-04-05T02:40:00+10:30
    ");
}
