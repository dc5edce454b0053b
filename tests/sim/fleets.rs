//! The long worlds of `docs/scheduling.md`, shorter where they can be, held to the bounds that the page
//! names. `cargo run --release --example soak -- docs` writes the page.

#[path = "../../examples/soak/experiments/mod.rs"]
pub(crate) mod experiments;

use dispatchyard::dispatch::Settings;
use dispatchyard::model::JobPriority;
use experiments::fleets::{Fleet, HALF_SLOW, ONE_CLASS_SLOW, Stream, TENTH_FAILING, UNIFORM};
use experiments::yard::Course;
use experiments::{
    HOUR_MS, MINUTE_MS, Range, aging, due, fleets, on_all_cores, percentile, shares, spread,
};

/// At full length: 20 seeds of 3,000 jobs are a second or two.
const STREAM: Stream = Stream { jobs: 3_000, load_percent: 40 };
const SEEDS: u64 = 20;

fn assert_better(fleet: Fleet, most_percent: f64) {
    let seen = fleets::compare(fleet, STREAM, SEEDS);
    let said = format!("{}: {:?} % of {:?}", fleet.name, seen.percent, seen.least_loaded_ms);
    assert!(seen.learned_ms.mean < seen.least_loaded_ms.mean, "{said}");
    assert_eq!(seen.better, SEEDS as usize, "worse in some seed; {said}");
    assert!(seen.percent.mean < most_percent, "{said}");
}

#[test]
fn learned_beats_least_loaded_where_half_of_the_runners_are_three_times_slower() {
    assert_better(HALF_SLOW, 80.0);
}

#[test]
fn learned_beats_least_loaded_where_one_class_is_slow_on_one_half() {
    assert_better(ONE_CLASS_SLOW, 90.0);
}

#[test]
fn learned_beats_least_loaded_where_a_tenth_fails() {
    assert_better(TENTH_FAILING, 98.0);
}

#[test]
fn learned_is_at_most_three_percent_worse_on_a_uniform_fleet() {
    let seen = fleets::compare(UNIFORM, STREAM, SEEDS);
    assert!(seen.percent.most <= 103.0, "{:?} %", seen.percent);
}

/// What a policy has learned shows in the jobs that come later.
#[test]
fn learned_becomes_better_while_it_learns() {
    let means = fleets::over_time(HALF_SLOW, STREAM, "learned", 4, 1_000);
    assert!(means[2] < means[0] * 0.95, "{means:?}");
}

/// A level waits for its raises or as long as urgent work does, and never for the end of the stream.
#[test]
fn nobody_starves_while_critical_work_leaves_anything() {
    let stream_ms = 3 * HOUR_MS;
    let days: Vec<_> = [0, 50, 90]
        .into_iter()
        .flat_map(|critical_percent| {
            [Settings::default().aging_ms, 0].map(|it| (critical_percent, it))
        })
        .map(|(critical_percent, aging_ms)| aging::Day { stream_ms, critical_percent, aging_ms })
        .collect();
    let played = on_all_cores(&days, |day| aging::play(*day, 1));
    for (day, courses) in days.iter().zip(&played) {
        let urgent_ms = aging::longest_ms(courses, JobPriority::High);
        for (priority, raises) in aging::PATIENT.into_iter().zip(1..) {
            let longest_ms = aging::longest_ms(courses, priority);
            let what =
                format!("{priority} waits {longest_ms} ms beside {} %", day.critical_percent);
            if day.aging_ms > 0 {
                let bound_ms = (raises * day.aging_ms).max(urgent_ms) + 5 * MINUTE_MS;
                assert!(longest_ms <= bound_ms, "{what}, and may {bound_ms} ms");
            } else {
                assert!(longest_ms > stream_ms * 9 / 10, "{what} without aging");
            }
        }
    }
    let unaged = played.iter().zip(&days).filter(|(_, day)| day.aging_ms == 0);
    let patient =
        unaged.flat_map(|(courses, _)| courses).filter(|it| it.work.priority > JobPriority::High);
    let mut waits: Vec<_> = patient.filter_map(Course::wait_ms).collect();
    assert!(percentile(&mut waits, 50) > stream_ms / 3, "the world is no trial for anybody");
}

#[test]
fn shares_follow_weights_while_a_tenant_leaves_and_returns() {
    let day = shares::Day { leaves_ms: HOUR_MS, returns_ms: 2 * HOUR_MS, ends_ms: 3 * HOUR_MS };
    let seen = shares::play(day, 1);
    for apart in &seen.apart {
        assert!(apart.ms() <= apart.bound_ms(), "{} ms: {apart:?}", apart.ms());
    }
    let weights = shares::WEIGHTS.map(f64::from);
    // The jobs of who leaves run out in the first minutes.
    let away_ms = day.leaves_ms + 10 * MINUTE_MS;
    let times =
        [(0, day.leaves_ms, 3), (away_ms, day.returns_ms, 2), (day.returns_ms, day.ends_ms, 3)];
    for (from_ms, to_ms, here) in times {
        let parts = seen.parts(from_ms, to_ms);
        let sum: f64 = weights[..here].iter().sum();
        for (part, weight) in parts.iter().zip(weights).take(here) {
            let off = part - weight / sum;
            assert!(off.abs() < 0.01, "{part} of weight {weight} from {from_ms} to {to_ms} ms");
        }
    }
}

#[test]
fn due_starts_are_met_because_they_are_raised() {
    let seeds = [1, 2, 3];
    let kept = |raise_ms, promise| {
        let kept = |seed: &u64| due::kept(&due::play(4 * HOUR_MS, raise_ms, *seed), promise);
        on_all_cores(&seeds, kept)
    };
    let part = |of: &[due::Kept]| Range::of(&of.iter().map(|it| it.part).collect::<Vec<_>>());
    let default_ms = Settings::default().deadline_raise_ms;
    for promise in [due::Promise::Start, due::Promise::End] {
        let (on, off) = (part(&kept(default_ms, promise)), part(&kept(0, promise)));
        assert!(on.least >= 0.99 && off.most < 0.8, "{promise:?}: {on:?}, without {off:?}");
    }
    let waits = |raise_ms| {
        let of = kept(raise_ms, due::Promise::Nothing);
        of.iter().map(|it| it.mean_wait_ms).sum::<f64>()
    };
    assert!(waits(default_ms) > waits(0), "somebody pays for what others are promised");
}

#[test]
fn jobs_are_spread_over_equal_runners() {
    let crowd = spread::Crowd { runners: 300, jobs: 9_000, load_percent: 50 };
    let ranges = on_all_cores(&["least_loaded", "round_robin"], |policy| {
        let counts = spread::jobs_by_runner(crowd, policy, 1);
        (counts.iter().min().copied(), counts.iter().max().copied())
    });
    assert_eq!(ranges[1], (Some(30), Some(30)), "in turn");
    let (least, most) = ranges[0];
    assert!(least >= Some(24) && most <= Some(36), "{least:?} to {most:?} of 30 on average");
}
