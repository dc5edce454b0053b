//! Who gets what: fit, capacity, spread, the least loaded.

use super::yard::{Yard, job, labelled, names, slots, urgent, with_label};
use crate::dispatch::Command;
use crate::model::{JobPriority, PlannedJob, RunnerCapabilities, RunnerRequirements};

#[test]
fn a_job_goes_only_to_a_runner_that_has_all_it_requires() {
    let needs = RunnerRequirements {
        labels: vec!["fast".into()],
        architecture: Some("arm64".into()),
        os: Some("macos".into()),
        min_memory_gb: 16,
        min_cpu_cores: 8,
        requires_docker: true,
        gpu: 1,
        ..RunnerRequirements::default()
    };
    let all = RunnerCapabilities {
        labels: vec!["fast".into()],
        architecture: "arm64".into(),
        os: "macos".into(),
        memory_gb: 16,
        cpu_cores: 8,
        docker_enabled: true,
        gpu: 1,
        ..slots(1)
    };
    let lacking = [
        RunnerCapabilities { labels: vec![], ..all.clone() },
        RunnerCapabilities { architecture: "x64".into(), ..all.clone() },
        RunnerCapabilities { os: "linux".into(), ..all.clone() },
        RunnerCapabilities { memory_gb: 15, ..all.clone() },
        RunnerCapabilities { cpu_cores: 7, ..all.clone() },
        RunnerCapabilities { docker_enabled: false, ..all.clone() },
        RunnerCapabilities { gpu: 0, ..all.clone() },
    ];
    let mut yard = Yard::new();
    yard.submit(vec![PlannedJob { requirements: needs, ..job("a") }]);
    for (at, capabilities) in lacking.into_iter().enumerate() {
        let runner = yard.register(&at.to_string(), capabilities);
        assert_eq!(yard.take(runner), [], "runner {at}");
    }
    let runner = yard.register("all", all);
    assert_eq!(names(&yard.take(runner)), ["a"]);
}

#[test]
fn a_job_that_nobody_fits_does_not_hold_up_the_others() {
    let mut yard = Yard::new();
    let critical = PlannedJob { priority: JobPriority::Critical, ..labelled("odd", "odd") };
    yard.submit(vec![critical, job("plain")]);
    let runner = yard.register("r", slots(2));
    assert_eq!(names(&yard.take(runner)), ["plain"]);
}

#[test]
fn a_runner_never_has_more_than_its_slots() {
    let mut yard = Yard::new();
    yard.submit((0..5).map(|at| job(&at.to_string())).collect());
    let runner = yard.register("r", slots(2));
    let given = yard.take(runner);
    assert_eq!(given.len(), 2);
    for job in &given {
        yard.start(job).unwrap();
    }
    let poll = yard.poll(runner);
    assert_eq!(yard.answer(poll), None);
    yard.succeed(&given[0]);
    assert_eq!(yard.given(poll).len(), 1, "a freed slot is filled in the same batch");
}

#[test]
fn queued_work_is_spread_over_all_waiting_polls_before_one_is_filled() {
    let mut yard = Yard::new();
    let runners = ["a", "b", "c"].map(|name| yard.register(name, slots(4)));
    let polls = runners.map(|id| yard.poll(id));
    yard.submit((0..5).map(|at| job(&at.to_string())).collect());
    let mut given = polls.map(|poll| yard.given(poll).len());
    given.sort_unstable();
    assert_eq!(given, [1, 2, 2]);
}

#[test]
fn the_least_loaded_waiting_runner_gets_the_next_job() {
    let mut yard = Yard::new();
    let [half, third] = [("half", 2), ("third", 3)].map(|(name, n)| yard.register(name, slots(n)));
    yard.submit(vec![job("a"), job("b")]);
    for runner in [half, third] {
        let mut poll = yard.poll_of(runner);
        poll.jobs_max = Some(1);
        let poll = yard.poll_with(poll);
        let given = yard.given(poll);
        yard.start(&given[0]).unwrap();
    }
    let polls = [half, third].map(|id| yard.poll(id));
    yard.submit(vec![job("c")]);
    let got = polls.map(|poll| yard.given(poll).len());
    assert_eq!(got, [0, 1], "a third in use is less than a half");
}

#[test]
fn among_equally_loaded_runners_the_one_that_waits_longest_is_chosen() {
    let mut yard = Yard::new();
    let [first, second] = ["x", "y"].map(|name| yard.register(name, slots(1)));
    let polls = [second, first].map(|id| yard.poll(id));
    yard.submit(vec![job("a")]);
    assert_eq!(polls.map(|poll| yard.given(poll).len()), [1, 0]);
}

#[test]
fn the_more_urgent_of_two_classes_goes_first_where_both_fit() {
    let mut yard = Yard::new();
    let runner = yard.register("r", with_label("x"));
    yard.submit(vec![job("plain")]);
    yard.submit(vec![PlannedJob { priority: JobPriority::High, ..labelled("wants x", "x") }]);
    assert_eq!(names(&yard.take(runner)), ["wants x"]);
}

#[test]
fn jobs_and_polls_of_one_batch_find_each_other() {
    let mut yard = Yard::new();
    let runner = yard.register("r", slots(2));
    let poll = yard.poll_of(runner);
    let poll_id = poll.poll_id;
    let workload = Box::new(super::yard::workload(vec![urgent("a", JobPriority::Low), job("b")]));
    let submit = Command::Submit { workload, idempotency_key: None, ended: Vec::new() };
    for reply in yard.batch([Command::Poll(Box::new(poll)), submit]) {
        reply.unwrap();
    }
    assert_eq!(names(&yard.given(poll_id)), ["b", "a"]);
}
