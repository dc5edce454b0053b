//! Forty zones over twenty years against a computation that shares nothing with ours: other zone data, and a walk
//! over all minutes that asks of each what clocks show. By default it walks around a part of the days on which
//! clocks are set; with `SCHEDULE_WALK=all` over every minute of all years.

use chrono::{DateTime, Datelike as _, NaiveDateTime, TimeDelta, Timelike as _, Utc};
use chrono_tz::Tz;

use super::{Schedule, Syntax};

const ZONES: [&str; 40] = [
    "UTC",
    "Europe/Berlin",
    "Europe/London",
    "Europe/Dublin",
    "Europe/Lisbon",
    "Europe/Moscow",
    "Europe/Istanbul",
    "Europe/Athens",
    "Atlantic/Azores",
    "America/New_York",
    "America/Chicago",
    "America/Denver",
    "America/Phoenix",
    "America/Los_Angeles",
    "America/Anchorage",
    "America/St_Johns",
    "America/Halifax",
    "America/Havana",
    "America/Sao_Paulo",
    "America/Santiago",
    "America/Caracas",
    "America/Asuncion",
    "America/Mexico_City",
    "Africa/Cairo",
    "Africa/Casablanca",
    "Africa/Johannesburg",
    "Africa/Lagos",
    "Asia/Tehran",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Asia/Beirut",
    "Asia/Amman",
    "Asia/Tokyo",
    "Asia/Pyongyang",
    "Asia/Shanghai",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Pacific/Auckland",
    "Pacific/Apia",
    "Pacific/Chatham",
];

/// An expression as the walker knows it: whether its fields have a minute, and whether it runs with the clock.
struct Known {
    text: &'static str,
    has: fn(NaiveDateTime) -> bool,
    runs: bool,
}

const KNOWN: [Known; 8] = [
    Known { text: "30 2 * * *", has: |it| (it.hour(), it.minute()) == (2, 30), runs: false },
    Known { text: "0 0 * * *", has: |it| (it.hour(), it.minute()) == (0, 0), runs: false },
    Known {
        text: "5,50 1-3 * * *",
        has: |it| matches!(it.minute(), 5 | 50) && (1..=3).contains(&it.hour()),
        runs: false,
    },
    Known {
        text: "15 23 * * 6,0",
        has: |it| {
            (it.hour(), it.minute()) == (23, 15)
                && matches!(it.weekday().num_days_from_sunday(), 0 | 6)
        },
        runs: false,
    },
    Known { text: "0 * * * *", has: |it| it.minute() == 0, runs: true },
    Known { text: "*/25 * * * *", has: |it| it.minute() % 25 == 0, runs: true },
    Known {
        text: "*/10 2 * * 0",
        has: |it| {
            it.hour() == 2 && it.minute() % 10 == 0 && it.weekday().num_days_from_sunday() == 0
        },
        runs: true,
    },
    Known {
        text: "40 1 25-31 * *",
        has: |it| (it.hour(), it.minute()) == (1, 40) && it.day() >= 25,
        runs: false,
    },
];

/// The minutes from `from` up to `to` at which each comes, minute by minute.
fn walk(zone: Tz, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Vec<i64>> {
    let minute = TimeDelta::minutes(1);
    let shown = |at: DateTime<Utc>| at.with_timezone(&zone).naive_local();
    let mut came = vec![Vec::new(); KNOWN.len()];
    // What clocks showed before: the furthest says whether a time is shown again.
    let mut before = shown(from - minute);
    let mut furthest = (0..26 * 60).map(|back| shown(from - minute * (back + 1))).max().unwrap();
    let mut at = from;
    while at < to {
        let now = shown(at);
        for (known, came) in KNOWN.iter().zip(&mut came) {
            let comes = match known.runs {
                true => (known.has)(now),
                false => {
                    let mut left_out = before + minute;
                    let mut comes = now > furthest && (known.has)(now);
                    while left_out < now && now > furthest {
                        comes |= left_out > furthest && (known.has)(left_out);
                        left_out += minute;
                    }
                    comes
                }
            };
            if comes {
                came.push(at.timestamp_millis());
            }
        }
        furthest = furthest.max(now);
        before = now;
        at += minute;
    }
    came
}

/// Days before which and after which clocks of a zone differ, and some others.
fn spans(zone: Tz, seed: usize, all: bool) -> Vec<(DateTime<Utc>, DateTime<Utc>)> {
    let day = |year: i32, number: i64| {
        let first =
            chrono::NaiveDate::from_ymd_opt(year, 1, 1).unwrap().and_hms_opt(0, 0, 0).unwrap();
        first.and_utc() + TimeDelta::days(number)
    };
    if all {
        return vec![(day(2006, 0), day(2026, 0))];
    }
    let offset = |at: DateTime<Utc>| {
        let local = at.with_timezone(&zone).naive_local();
        local - at.naive_utc()
    };
    let days = (0..7_305).map(|number| day(2006, number));
    let set: Vec<_> = days.filter(|it| offset(*it) != offset(*it + TimeDelta::days(1))).collect();
    let some = set.iter().skip(seed % 3).step_by(7).copied();
    let some = some.chain([day(2006, (seed as i64 * 179) % 7_300)]);
    some.map(|it| (it - TimeDelta::hours(6), it + TimeDelta::hours(36))).collect()
}

#[test]
fn forty_zones_over_twenty_years_agree_with_a_walk_over_minutes() {
    let all = std::env::var("SCHEDULE_WALK").is_ok_and(|it| it == "all");
    let (mut compared, mut set) = (0, 0);
    for (seed, name) in ZONES.iter().enumerate() {
        let zone: Tz = name.parse().unwrap();
        for (from, to) in spans(zone, seed, all) {
            set += 1;
            let walked = walk(zone, from, to);
            for (known, walked) in KNOWN.iter().zip(walked) {
                let schedule = Schedule::new(known.text, Syntax::Unix, name).unwrap();
                let mut ours = Vec::new();
                let mut after = from.timestamp_millis() - 1;
                while let Some(at) =
                    schedule.next_after(after).filter(|it| *it < to.timestamp_millis())
                {
                    ours.push(at);
                    after = at;
                }
                assert_eq!(ours, walked, "{} in {name} from {from}", known.text);
                compared += walked.len();
            }
        }
    }
    assert!(compared > 5_000 && set > 100, "{compared} times of {set} spans were compared");
}
