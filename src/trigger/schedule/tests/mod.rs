//! What is read and what is refused, in both syntaxes; words, zones, edges, and lines of questions. Days on which clocks
//! are set, and comparisons with others, stand in files of their own.

mod agree;
mod clocks;
mod due;
mod walker;

use super::*;

/// The next times as clocks of the zone show them.
fn times(text: &str, zone: &str, after: &str, count: usize) -> String {
    in_syntax(text, Syntax::Unix, zone, after, count)
}

fn in_syntax(text: &str, syntax: Syntax, zone: &str, after: &str, count: usize) -> String {
    let schedule = Schedule::new(text, syntax, zone).unwrap();
    let times = schedule.next(ms(after), count);
    times.into_iter().map(|at| schedule.local(at)).collect::<Vec<_>>().join("\n")
}

fn ms(time: &str) -> i64 {
    time.parse::<Timestamp>().unwrap().as_millisecond()
}

fn refused(text: &str, syntax: Syntax) -> String {
    match Schedule::new(text, syntax, "UTC") {
        Ok(schedule) => format!("{text}: accepted, {}", schedule.words()),
        Err(fault) => format!("{text}: {fault}"),
    }
}

/// <https://pubs.opengroup.org/onlinepubs/9799919799/utilities/crontab.html> and
/// <https://docs.github.com/actions/reference/workflows-and-actions/events-that-trigger-workflows#schedule>
#[test]
fn five_fields_are_read_as_posix_and_github_say() {
    let after = "2026-01-01T00:00:00Z";
    for (text, first) in [
        // Lists, ranges and steps, also after a single number.
        ("15 4,5 * * *", "2026-01-01T04:15:00Z"),
        ("0 4-6 * * *", "2026-01-01T04:00:00Z"),
        ("30 4 1,15 * *", "2026-01-01T04:30:00Z"),
        ("20/15 * * * *", "2026-01-01T00:20:00Z"),
        ("*/15 * * * *", "2026-01-01T00:15:00Z"),
        ("10-50/20 0 * * *", "2026-01-01T00:10:00Z"),
        // Names, whatever their case; 0 and 7 are Sunday.
        ("0 0 * * mon", "2026-01-05T00:00:00Z"),
        ("0 0 * FEB *", "2026-02-01T00:00:00Z"),
        ("0 0 * jan-mar TUE-thu", "2026-01-06T00:00:00Z"),
        ("0 0 * * 0", "2026-01-04T00:00:00Z"),
        ("0 0 * * 7", "2026-01-04T00:00:00Z"),
        ("0 0 * * 5-7", "2026-01-02T00:00:00Z"),
        // A day of the month or of the week: the 13th, and every Friday.
        ("0 0 13 * 5", "2026-01-02T00:00:00Z"),
        ("0 0 * * 5", "2026-01-02T00:00:00Z"),
        ("0 0 13 * *", "2026-01-13T00:00:00Z"),
        // Short forms.
        ("@hourly", "2026-01-01T01:00:00Z"),
        ("@daily", "2026-01-02T00:00:00Z"),
        ("@midnight", "2026-01-02T00:00:00Z"),
        ("@weekly", "2026-01-04T00:00:00Z"),
        ("@monthly", "2026-02-01T00:00:00Z"),
        ("@yearly", "2027-01-01T00:00:00Z"),
        ("@ANNUALLY", "2027-01-01T00:00:00Z"),
        ("  5\t0 *  * * ", "2026-01-01T00:05:00Z"),
        ("0 0 29 2 *", "2028-02-29T00:00:00Z"),
    ] {
        let schedule = Schedule::new(text, Syntax::Unix, "UTC").unwrap();
        assert_eq!(schedule.next_after(ms(after)), Some(ms(first)), "{text}");
    }
    insta::assert_snapshot!(times("20/15 3 * * *", "UTC", after, 4), @"
    2026-01-01T03:20:00+00:00
    2026-01-01T03:35:00+00:00
    2026-01-01T03:50:00+00:00
    2026-01-02T03:20:00+00:00
    ");
    insta::assert_snapshot!(times("0 0 13 * 5", "UTC", after, 5), @"
    2026-01-02T00:00:00+00:00
    2026-01-09T00:00:00+00:00
    2026-01-13T00:00:00+00:00
    2026-01-16T00:00:00+00:00
    2026-01-23T00:00:00+00:00
    ");
    insta::assert_snapshot!(times("0 0 */10 * 1", "UTC", after, 4), @"
    2026-01-05T00:00:00+00:00
    2026-01-11T00:00:00+00:00
    2026-01-12T00:00:00+00:00
    2026-01-19T00:00:00+00:00
    ");
}

#[test]
fn what_is_no_time_is_refused_with_what_to_write() {
    let texts = [
        "1,,2 * * * *",
        ",1 * * * *",
        "1, * * * *",
        "MON * * * *",
        "* * * MON *",
        "* * * * JAN",
        "* FEB * * *",
        "60 * * * *",
        "0 24 * * *",
        "0 0 0 * *",
        "0 0 32 * *",
        "0 0 * 13 *",
        "0 0 * * 8",
        "5-1 * * * *",
        "* * * * FRI-SUN",
        "*/0 * * * *",
        "*/ * * * *",
        "/5 * * * *",
        "1-2-3 * * * *",
        "1/2/3 * * * *",
        "-1 * * * *",
        "+1 * * * *",
        "* * * *",
        "* * * * * *",
        "******",
        "",
        "@reboot",
        "@ daily",
        "0 0 L * *",
        "0 0 * * 5#2",
        "0 0 ? * *",
        "0 0 15W * *",
        "* * * * MONDAY",
        "1.5 * * * *",
        "99999 * * * *",
        "0\n0 * * *",
        "٣ * * * *",
    ];
    let told = texts.map(|text| refused(text, Syntax::Unix)).join("\n");
    insta::assert_snapshot!(told, @r#"
    1,,2 * * * *: minute: `1,,2` has an empty place; write numbers with one comma between two of them
    ,1 * * * *: minute: `,1` has an empty place; write numbers with one comma between two of them
    1, * * * *: minute: `1,` has an empty place; write numbers with one comma between two of them
    MON * * * *: minute: `MON` is not understood; names stand for months and days of the week only
    * * * MON *: month: `MON` is not understood; that name belongs to the other field; here months begin with JAN
    * * * * JAN: day of the week: `JAN` is not understood; that name belongs to the other field; here days begin with SUN
    * FEB * * *: hour: `FEB` is not understood; names stand for months and days of the week only
    60 * * * *: minute: 60 is not from 0 to 59; a full hour is 0; every hour is `0 * * * *`
    0 24 * * *: hour: 24 is not from 0 to 23; midnight is 0
    0 0 0 * *: day of the month: 0 is not from 1 to 31; write a number from 1 to 31
    0 0 32 * *: day of the month: 32 is not from 1 to 31; write a number from 1 to 31
    0 0 * 13 *: month: 13 is not from 1 to 12; write a number from 1 to 12
    0 0 * * 8: day of the week: 8 is not from 0 to 7; write a number from 0 to 7
    5-1 * * * *: minute: `5-1` goes backwards; the smaller one goes first; a list can have both parts: `22-23,0-5`
    * * * * FRI-SUN: day of the week: `FRI-SUN` goes backwards; the smaller one goes first; a list can have both parts: `22-23,0-5`
    */0 * * * *: minute: `*/0` has no step; a step is 1 or more
    */ * * * *: minute: `*/` has no step; write a number after the `/`, as in `*/15`
    /5 * * * *: minute: `/5` is not understood; a number is missing
    1-2-3 * * * *: minute: `1-2-3` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    1/2/3 * * * *: minute: `1/2/3` has no step; write a number after the `/`, as in `*/15`
    -1 * * * *: minute: `-1` is not understood; a number is missing
    +1 * * * *: minute: `+1` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    * * * *: it has 4 fields instead of 5; write minute, hour, day of the month, month and day of the week, as in `30 2 * * 1-5`
    * * * * * *: it has 6 fields instead of 5; an expression with seconds is `syntax = "quartz"`
    ******: it has 1 fields instead of 5; write minute, hour, day of the month, month and day of the week, as in `30 2 * * 1-5`
    : it has 0 fields instead of 5; write minute, hour, day of the month, month and day of the week, as in `30 2 * * 1-5`
    @reboot: `@reboot` is no time; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually
    @ daily: `@ daily` is no time; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually
    0 0 L * *: day of the month: `L` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    0 0 * * 5#2: day of the week: `5#2` is not understood; it takes numbers, SUN and the other names of three letters, `*`, `,`, `-` and `/`
    0 0 ? * *: day of the month: `?` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    0 0 15W * *: day of the month: `15W` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    * * * * MONDAY: day of the week: `MONDAY` is not understood; it takes numbers, SUN and the other names of three letters, `*`, `,`, `-` and `/`
    1.5 * * * *: minute: `1.5` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    99999 * * * *: minute: `99999` is not understood; it takes numbers, `*`, `,`, `-` and `/`
    0
    0 * * *: it has the character '\n'; write it with letters, digits and spaces of ASCII
    ٣ * * * *: it has the character '٣'; write it with letters, digits and spaces of ASCII
    "#);
    let long = format!("{} * * * *", "1,".repeat(200));
    assert!(Schedule::new(&long, Syntax::Unix, "UTC").is_err());
}

/// <https://docs.rs/cron>
#[test]
fn quartz_is_a_dialect_of_its_own() {
    let after = "2026-01-01T00:00:00Z";
    let quartz = |text, count| in_syntax(text, Syntax::Quartz, "UTC", after, count);
    insta::assert_snapshot!(quartz("0 30 2 ? * MON-FRI", 2), @"
    2026-01-01T02:30:00+00:00
    2026-01-02T02:30:00+00:00
    ");
    // 1 is Sunday.
    insta::assert_snapshot!(quartz("0 0 0 ? * 1-2", 2), @"
    2026-01-04T00:00:00+00:00
    2026-01-05T00:00:00+00:00
    ");
    // A day is both.
    insta::assert_snapshot!(quartz("0 0 0 13 * FRI", 2), @"
    2026-02-13T00:00:00+00:00
    2026-03-13T00:00:00+00:00
    ");
    insta::assert_snapshot!(quartz("*/20 0 0 1 6 ? 2030", 4), @"
    2030-06-01T00:00:00+00:00
    2030-06-01T00:00:20+00:00
    2030-06-01T00:00:40+00:00
    ");
    let texts = [
        "* * * * *",
        "******",
        "* * * * * * * *",
        "1,,2 * * * * *",
        "60 * * * * *",
        "0 0 0 * * 0",
        "0 0 0 * * 8",
        "0 0 0 32 * *",
        "0 0 0 L * ?",
        "0 0 0 * MON *",
        "*/0 * * * * *",
        "0 0 0 1 1 ? 1969",
        "0 0 5-1 * * *",
        "@midnight",
        "@fortnightly",
    ];
    insta::assert_snapshot!(texts.map(|text| refused(text, Syntax::Quartz)).join("\n"), @r#"
    * * * * *: it has 5 fields instead of 6 or 7; five fields are `syntax = "unix"`
    ******: it has 1 fields instead of 6 or 7; write second, minute, hour, day of the month, month and day of the week, as in `0 30 2 ? * MON-FRI`
    * * * * * * * *: it has 8 fields instead of 6 or 7; write second, minute, hour, day of the month, month and day of the week, as in `0 30 2 ? * MON-FRI`
    1,,2 * * * * *: second: `1,,2` is not understood; it takes numbers, names, `*`, `?`, `,`, `-` and `/`, with one comma between two of them
    60 * * * * *: second: `60` is not understood; it takes 0 to 59, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 * * 0: day of the week: `0` is not understood; it takes 1 (Sunday) to 7 or SUN to SAT, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 * * 8: day of the week: `8` is not understood; it takes 1 (Sunday) to 7 or SUN to SAT, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 32 * *: day of the month: `32` is not understood; it takes 1 to 31, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 L * ?: day of the month: `L` is not understood; it takes 1 to 31, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 * MON *: month: `MON` is not understood; it takes 1 to 12 or JAN to DEC, ranges from the smaller to the larger, and steps of 1 or more
    */0 * * * * *: second: `*/0` is not understood; it takes 0 to 59, ranges from the smaller to the larger, and steps of 1 or more
    0 0 0 1 1 ? 1969: year: `1969` is not understood; it takes 1970 to 2100, ranges from the smaller to the larger, and steps of 1 or more
    0 0 5-1 * * *: hour: `5-1` is not understood; it takes 0 to 23, ranges from the smaller to the larger, and steps of 1 or more
    @midnight: accepted, at 00:00, UTC
    @fortnightly: `@fortnightly` is no time; known are @hourly, @daily, @midnight, @weekly, @monthly, @yearly, @annually
    "#);
}

#[test]
fn a_schedule_is_told_in_words() {
    let unix = [
        "* * * * *",
        "*/15 * * * *",
        "*/7 * * * *",
        "0 * * * *",
        "5,35 * * * *",
        "30 2 * * 1-5",
        "0 2,14 * * *",
        "0 9-17 * * 1-5",
        "*/10 9-17 * * *",
        "0 0 1 * *",
        "0 0 1,15 * *",
        "0 0 13 * 5",
        "0 12 * 1,6 *",
        "0 0 * * 6,0",
        "0 0 29 2 *",
        "20/15 3 * * *",
        "0 0 31 2 *",
        "0 0 * * 1,3-5",
    ];
    let words = |text: &str, syntax| {
        format!("{text}: {}", Schedule::new(text, syntax, "Europe/Berlin").unwrap().words())
    };
    insta::assert_snapshot!(unix.map(|text| words(text, Syntax::Unix)).join("\n"), @"
    * * * * *: every minute, Europe/Berlin
    */15 * * * *: every 15 minutes, Europe/Berlin
    */7 * * * *: at minute 0, 7, 14, 21, 28, 35, 42, 49 and 56 of every hour, Europe/Berlin
    0 * * * *: every hour, Europe/Berlin
    5,35 * * * *: at minute 5 and 35 of every hour, Europe/Berlin
    30 2 * * 1-5: at 02:30 on Monday to Friday, Europe/Berlin
    0 2,14 * * *: at 02:00 and 14:00, Europe/Berlin
    0 9-17 * * 1-5: at minute 0 of the hours 9 to 17 on Monday to Friday, Europe/Berlin
    */10 9-17 * * *: every 10 minutes of the hours 9 to 17, Europe/Berlin
    0 0 1 * *: at 00:00 on day 1 of the month, Europe/Berlin
    0 0 1,15 * *: at 00:00 on day 1 and 15 of the month, Europe/Berlin
    0 0 13 * 5: at 00:00 on day 13 of the month and on every Friday, Europe/Berlin
    0 12 * 1,6 *: at 12:00 in January and June, Europe/Berlin
    0 0 * * 6,0: at 00:00 on Saturday and Sunday, Europe/Berlin
    0 0 29 2 *: at 00:00 on day 29 of the month in February, Europe/Berlin
    20/15 3 * * *: at 03:20, 03:35 and 03:50, Europe/Berlin
    0 0 31 2 *: at 00:00 on day 31 of the month in February, Europe/Berlin
    0 0 * * 1,3-5: at 00:00 on Monday and Wednesday to Friday, Europe/Berlin
    ");
    let quartz = [
        "* * * * * *",
        "*/10 * * * * *",
        "0 0 0 ? * 1-5",
        "15 30 2 ? * *",
        "0 0 0 13 * FRI 2026-2040",
        "5,6 */5 * * * ?",
        "10 0 * * * ?",
        "*/5 30 2 * * ?",
    ];
    insta::assert_snapshot!(quartz.map(|text| words(text, Syntax::Quartz)).join("\n"), @"
    * * * * * *: every second, Europe/Berlin
    */10 * * * * *: every 10 seconds, Europe/Berlin
    0 0 0 ? * 1-5: at 00:00 on Sunday to Thursday, Europe/Berlin
    15 30 2 ? * *: at 02:30:15, Europe/Berlin
    0 0 0 13 * FRI 2026-2040: at 00:00 on day 13 of the month where that is a Friday of 2026, 2027, 2028, 2029, 2030, .., Europe/Berlin
    5,6 */5 * * * ?: at second 5 and 6 of minute 0, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50 and 55, Europe/Berlin
    10 0 * * * ?: at second 10 of minute 0, Europe/Berlin
    */5 30 2 * * ?: every 5 seconds of minute 30 of the hour 2, Europe/Berlin
    ");
}

#[test]
fn a_zone_has_a_name_of_the_database_and_keeps_its_proper_one() {
    let zone = |name: &str| Schedule::new("@daily", Syntax::Unix, name);
    assert_eq!(zone("Europe/Berlin").unwrap().zone(), "Europe/Berlin");
    assert_eq!(zone("UTC").unwrap().zone(), "UTC");
    for wrong in ["", "Berlin", "CEST", "+02:00", "Etc/Unknown", "../etc/passwd", "Europe/Berlin\n"]
    {
        assert!(zone(wrong).is_err(), "{wrong}");
    }
    let fault = zone("Mars/Olympus\u{1b}").unwrap_err();
    insta::assert_snapshot!(fault, @r"no time zone `Mars/Olympus\u{1b}`; write a name of the time zone database, as `Europe/Berlin` or `UTC`");
}

#[test]
fn what_never_comes_is_known_soon() {
    for (text, syntax) in [
        ("0 0 31 2 *", Syntax::Unix),
        ("0 0 30 2 *", Syntax::Unix),
        ("* * 31 4,6,9,11 *", Syntax::Unix),
        ("0 0 0 1 1 ? 2020", Syntax::Quartz),
    ] {
        let schedule = Schedule::new(text, syntax, "Europe/Berlin").unwrap();
        assert_eq!(schedule.next_after(ms("2026-01-01T00:00:00Z")), None, "{text}");
    }
    // A leap day that is a Friday comes each 28 years, 2100 is no leap year, and that dialect knows none after it.
    let rare = Schedule::new("0 0 0 29 2 FRI", Syntax::Quartz, "UTC").unwrap();
    assert_eq!(rare.next_after(ms("2072-03-01T00:00:00Z")), Some(ms("2092-02-29T00:00:00Z")));
    assert_eq!(rare.next_after(ms("2092-03-01T00:00:00Z")), None);
    let leap = Schedule::new("0 0 29 2 *", Syntax::Unix, "UTC").unwrap();
    assert_eq!(leap.next_after(ms("2096-03-01T00:00:00Z")), Some(ms("2104-02-29T00:00:00Z")));
}

#[test]
fn a_moment_at_the_edge_of_time_does_no_harm() {
    let schedule = Schedule::new("* * * * *", Syntax::Unix, "Europe/Berlin").unwrap();
    for at in [i64::MIN, i64::MAX, ms("-009999-01-02T01:59:59Z"), ms("9999-12-30T00:00:00Z")] {
        let _ = schedule.next_after(at);
        let _ = schedule.local(at);
    }
    assert_eq!(schedule.next_after(-1), Some(0));
    assert_eq!(schedule.next_after(-60_500), Some(-60_000));
}

#[test]
fn lines_of_questions_are_answered() {
    let answer = |line: &str| match dry::cron(line) {
        Ok(answer) => serde_json::to_string(&answer).unwrap(),
        Err(error) => error,
    };
    let told = [
        r#"{"expr":"30 2 * * *","tz":"Europe/Berlin","after":"2026-03-27T12:00:00Z","count":3,"syntax":"unix"}"#,
        r#"{"expr":"0 30 2 ? * 2","after":"2026-03-27T12:00:00+01:00","count":1,"syntax":"quartz"}"#,
        r#"{"expr":"0 0 31 2 *","after":"2026-03-27T12:00:00Z"}"#,
        r#"{"expr":"1,,2 * * * *","after":"2026-03-27T12:00:00Z"}"#,
        r#"{"expr":"* * * * *","tz":"Nowhere","after":"2026-03-27T12:00:00Z"}"#,
        r#"{"expr":"* * * * *","after":"yesterday"}"#,
        r#"["* * * * *",null,"2026-03-27T12:00:00Z",1,"unix"]"#,
        r#"{"expr":"0 0 12 29 2 SUN","after":"2026-11-23T00:00:00Z","syntax":"quartz"}"#,
        r#"{"expr":"* * * * *","after":"2026-03-27T12:00:00Z","count":1001}"#,
        r#"{"expr":"* * * * *","after":"2026-03-27T12:00:00Z","syntax":"systemd"}"#,
    ]
    .map(answer);
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"next":["2026-03-28T01:30:00Z","2026-03-29T01:00:00Z","2026-03-30T00:30:00Z"]}
    {"next":["2026-03-30T02:30:00Z"]}
    {"next":[]}
    minute: `1,,2` has an empty place; write numbers with one comma between two of them
    no time zone `Nowhere`; write a name of the time zone database, as `Europe/Berlin` or `UTC`
    after: `yesterday` is no time as RFC 3339 has them
    a list is no question: write a JSON object
    {"next":["2032-02-29T12:00:00Z","2060-02-29T12:00:00Z","2088-02-29T12:00:00Z"]}
    count: 1001 is over 1000
    unknown variant `systemd`, expected `unix` or `quartz` at line 1 column 69
    "#);
}
