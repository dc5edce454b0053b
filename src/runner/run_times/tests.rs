//! What is learned from runs, and what is not.

use proptest::prelude::*;

use super::*;

const CLASS: ClassId = ClassId(1);
const OTHER: ClassId = ClassId(2);

fn run(class: ClassId, runner: i64, run_ms: i64) -> FinishedRun {
    FinishedRun { class_id: class, runner_id: RunnerId(runner), run_ms, failed: false }
}

fn failed(class: ClassId, runner: i64, run_ms: i64) -> FinishedRun {
    FinishedRun { failed: true, ..run(class, runner, run_ms) }
}

fn learned(runs: impl IntoIterator<Item = FinishedRun>) -> RunTimes {
    let mut times = RunTimes::new(RunTimesSettings::default());
    times.train(runs);
    times
}

fn mean_ms(times: &RunTimes, class: ClassId, runner: i64) -> i64 {
    times.expected_ms(class, RunnerId(runner)).mean_ms
}

/// Whether a time is within that many percent of another.
#[track_caller]
fn assert_near(actual_ms: i64, wanted_ms: i64, percent: i64) {
    let off = (actual_ms - wanted_ms).abs() * 100;
    assert!(off <= wanted_ms * percent, "{actual_ms} is not {wanted_ms} to {percent} %");
}

/// Both classes on runner 1, and runner 2 three times as slow.
fn two_runners() -> RunTimes {
    let runs = (0..40).flat_map(|_| [run(CLASS, 1, 1_000), run(CLASS, 2, 3_000)]);
    learned(runs.chain((0..40).map(|_| run(OTHER, 1, 100))))
}

#[test]
fn nothing_known_is_a_guess_that_is_the_same_everywhere() {
    let settings = RunTimesSettings { unknown_ms: 7_000, ..RunTimesSettings::default() };
    let times = RunTimes::new(settings);
    let guess = Prediction { mean_ms: 7_000, p50_ms: 7_000, p95_ms: 7_000, runs: 0 };
    assert_eq!(times.expected_ms(CLASS, RunnerId(1)), guess);
    assert_eq!(times.class_expected_ms(CLASS), guess);
    let nothing = Estimate { expected_run_ms: 7_000, runs_seen: 0, failure_permille: 0 };
    assert_eq!(times.estimate(CLASS, RunnerId(1)), nothing);
}

#[test]
fn each_runner_has_its_own_times_and_the_class_those_between() {
    let times = two_runners();
    assert_near(mean_ms(&times, CLASS, 1), 1_000, 5);
    assert_near(mean_ms(&times, CLASS, 2), 3_000, 5);
    assert_eq!(times.expected_ms(CLASS, RunnerId(2)).runs, 40);
    let class = times.class_expected_ms(CLASS);
    assert!((1_000..3_000).contains(&class.mean_ms) && class.runs == 80, "{class:?}");
}

#[test]
fn a_class_never_seen_on_a_runner_takes_its_time_times_the_runners_speed() {
    let times = two_runners();
    assert_near(mean_ms(&times, OTHER, 1), 100, 10);
    assert_near(mean_ms(&times, OTHER, 2), 300, 15);
    assert_eq!(times.estimate(OTHER, RunnerId(2)).runs_seen, 0);
    let unknown = [1, 2].map(|runner| mean_ms(&times, ClassId(9), runner));
    assert_near(unknown[1], unknown[0] * 3, 15);
    let slowness = times.slowness_percent();
    assert_near(i64::from(slowness[1].1), i64::from(slowness[0].1) * 3, 15);
}

#[test]
fn a_quick_failure_makes_no_runner_look_fast() {
    let good = (0..40).flat_map(|_| [run(CLASS, 1, 1_000), run(CLASS, 2, 1_000)]);
    let bad = (0..30).flat_map(|at| (0..4).map(move |of| (at, of)));
    let mut times = learned(good);
    for (_, of) in bad {
        times.observe(if of == 0 { run(CLASS, 3, 1_000) } else { failed(CLASS, 3, 5) });
    }
    let sound = times.estimate(CLASS, RunnerId(1));
    let failing = times.estimate(CLASS, RunnerId(3));
    assert_near(failing.expected_run_ms, 1_000, 10);
    assert!((650..800).contains(&failing.failure_permille), "{failing:?}");
    assert!(sound.failure_permille < 100, "{sound:?}");
    let unseen = times.estimate(OTHER, RunnerId(3));
    assert!(unseen.failure_permille > 500, "other classes are expected to fail there too");
}

#[test]
fn a_run_that_failed_late_would_have_taken_at_least_as_long() {
    let mut times = two_runners();
    for _ in 0..40 {
        times.observe(failed(CLASS, 3, 4_000));
    }
    assert!(mean_ms(&times, CLASS, 3) > 3_000);
}

#[test]
fn a_job_that_hung_once_marks_no_runner_as_slow() {
    let mut times = two_runners();
    times.observe(run(CLASS, 1, 3_600_000));
    assert!(mean_ms(&times, CLASS, 1) < 1_400, "{}", mean_ms(&times, CLASS, 1));
}

#[test]
fn long_runs_that_are_usual_count_in_full() {
    let times =
        learned((0..400).map(|at| run(CLASS, 1, if at % 10 == 0 { 60_000 } else { 1_000 })));
    let class = times.class_expected_ms(CLASS);
    assert_near(class.mean_ms, 6_900, 50);
    assert_near(class.p50_ms, 1_000, 50);
    assert_near(class.p95_ms, 60_000, 50);
}

#[test]
fn percentiles_are_those_of_the_runs() {
    let times = learned((0..2_000).map(|at| run(CLASS, at % 4, 500 + at * 617 % 1_000)));
    let class = times.class_expected_ms(CLASS);
    assert_near(class.mean_ms, 1_000, 10);
    assert_near(class.p50_ms, 1_000, 15);
    assert_near(class.p95_ms, 1_450, 15);
}

#[test]
fn predictions_follow_a_runner_that_changes() {
    let mut times = two_runners();
    for _ in 0..100 {
        times.observe(run(CLASS, 1, 3_000));
        times.observe(run(CLASS, 2, 1_000));
    }
    assert_near(mean_ms(&times, CLASS, 1), 3_000, 20);
    assert_near(mean_ms(&times, CLASS, 2), 1_000, 20);
}

#[test]
fn what_is_known_of_a_runner_fades_while_its_class_runs_elsewhere() {
    let mut times = two_runners();
    let seen = |times: &RunTimes| times.estimate(CLASS, RunnerId(2)).runs_seen;
    let before = seen(&times);
    assert!(before >= 20, "{before}");
    for _ in 0..200 {
        times.observe(run(CLASS, 1, 1_000));
    }
    assert!((before / 3..=before * 2 / 3).contains(&seen(&times)), "half of {before}");
    for _ in 0..20_000 {
        times.observe(run(CLASS, 1, 1_000));
    }
    assert_eq!(seen(&times), 0);
    assert_eq!(times.expected_ms(CLASS, RunnerId(2)).runs, 40, "people are told all of them");
}

#[test]
fn the_longest_unseen_is_forgotten_over_the_maximum() {
    let settings = RunTimesSettings { entries_max: 100, ..RunTimesSettings::default() };
    let mut times = RunTimes::new(settings);
    for at in 0..5_000 {
        times.observe(run(CLASS, 1, 1_000));
        times.observe(run(ClassId(100 + at), at, 1_000));
        assert!(times.entries() <= 100);
    }
    assert!(times.entries() > 80, "{}", times.entries());
    assert_eq!(times.expected_ms(CLASS, RunnerId(1)).runs, 5_000, "it was always seen lately");
    assert_eq!(times.class_expected_ms(ClassId(100)).runs, 0);
}

#[test]
fn training_is_observing_and_a_reset_forgets_all() {
    let runs: Vec<_> = (1..200).map(|at| run(ClassId(at % 3), at % 5, at * 7)).collect();
    let mut observed = RunTimes::new(RunTimesSettings::default());
    runs.iter().for_each(|&run| observed.observe(run));
    let mut trained = two_runners();
    assert_eq!(trained.train(runs), 199);
    assert_eq!(trained, observed);
    trained.reset();
    assert_eq!(trained, RunTimes::new(RunTimesSettings::default()));
    assert!(rows(&trained).is_empty());
}

fn rows(times: &RunTimes) -> Vec<RunTimeRow> {
    let classes = times.classes(None, usize::MAX).into_iter();
    classes.flat_map(|class| times.rows_of(class)).collect()
}

#[test]
fn rows_are_classes_each_with_its_runners() {
    let rows = rows(&two_runners());
    let ids: Vec<_> =
        rows.iter().map(|row| (row.class_id.0, row.runner_id.map(|it| it.0))).collect();
    assert_eq!(ids, [(2, None), (2, Some(1)), (1, None), (1, Some(1)), (1, Some(2))]);
    assert_eq!(rows[4].prediction, two_runners().expected_ms(CLASS, RunnerId(2)));
    assert_eq!(two_runners().classes(None, 1), [OTHER]);
    assert_eq!(two_runners().classes(Some(OTHER), 9), [CLASS]);
}

#[test]
fn what_was_saved_is_read_and_goes_on() {
    let mut times = two_runners();
    let json = times.to_json();
    let mut read = RunTimes::from_json(&json, RunTimesSettings::default()).unwrap();
    assert_eq!(read.to_json(), json);
    assert_eq!((rows(&read), read.observed()), (rows(&times), times.observed()));
    for times in [&mut times, &mut read] {
        times.observe(run(OTHER, 2, 300));
    }
    assert_eq!(rows(&read), rows(&times), "to the millisecond");
    let smaller = RunTimesSettings { entries_max: 0, ..RunTimesSettings::default() };
    assert!(RunTimes::from_json(&json, smaller).unwrap().entries() <= 16);
}

#[test]
fn what_cannot_be_read_is_refused_with_the_reason() {
    let json = two_runners().to_json();
    let error = |text: &str| {
        RunTimes::from_json(text, RunTimesSettings::default()).unwrap_err().to_string()
    };
    assert_eq!(
        error(&json.replace("\"version\":1", "\"version\":2")),
        "saved run times have version 2, not 1"
    );
    assert!(error("{}").starts_with("saved run times cannot be read: missing field `version`"));
    assert!(error(&json[..json.len() / 2]).contains("EOF"));
    let key = "\"usual_speed\":[";
    let at = json.find(key).unwrap() + key.len();
    let end = at + json[at..].find(']').unwrap();
    let with = |numbers: &str| format!("{}{numbers}{}", &json[..at], &json[end..]);
    assert_eq!(
        error(&with("9,1.0,1000,1000,2000")),
        "saved run times of all runners cannot be: SavedTally(9, 1.0, 1000, 1000, 2000)"
    );
    assert!(error(&with("9,1.0,1000,900000,0")).contains("cannot be"));
    assert!(error(&with("9,0.0,1000,1000,0")).contains("cannot be"));
    assert!(error(&with("9,-1.0,1000,1000,0")).contains("cannot be"));
    assert!(error(&with("9,1e38,1000,1000,0")).contains("cannot be"));
    assert!(error(&with("-9,1.0,1000,1000,0")).contains("cannot be read"));
}

proptest! {
    /// Whatever runners report: times are times, shares are shares, and what is saved is the same.
    #[test]
    fn any_runs_give_sound_predictions(
        runs in prop::collection::vec((0..4_i64, 0..6_i64, any::<i64>(), 0..64_u32, any::<bool>()), 1..300),
    ) {
        let mut times = RunTimes::new(RunTimesSettings { entries_max: 20, unknown_ms: 5 });
        for (class, runner, run_ms, shift, failed) in runs {
            let (class_id, runner_id) = (ClassId(class), RunnerId(runner));
            times.observe(FinishedRun { class_id, runner_id, run_ms: run_ms >> shift, failed });
            let Estimate { expected_run_ms, failure_permille, runs_seen } =
                times.estimate(class_id, runner_id);
            prop_assert!((1..=RunTimes::RUN_MS_MAX).contains(&expected_run_ms));
            prop_assert!(failure_permille <= 1_000 && (1..=32).contains(&runs_seen));
            let Prediction { p50_ms, p95_ms, .. } = times.expected_ms(class_id, runner_id);
            prop_assert!(1 <= p50_ms && p50_ms <= p95_ms);
        }
        let json = times.to_json();
        let read = RunTimes::from_json(&json, times.settings).unwrap();
        prop_assert_eq!(read.to_json(), json);
    }
}
