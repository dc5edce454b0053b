//! What files with expressions become for an event, and when all that a job needs has ended.

use serde_json::{Value as Json, json};

use super::*;
use crate::event::{Event, OwnEvent};
use crate::model::{Decision, Facts, PlannedJob, RunIf, Status};
use crate::workflow::decide;

fn event(kind: &str, git_ref: &str) -> Event {
    OwnEvent {
        source: "github".into(),
        kind: kind.into(),
        git_ref: Some(git_ref.into()),
        repository: Some("acme/app".into()),
        ..OwnEvent::default()
    }
    .into_event()
    .unwrap()
}

fn file(text: &str) -> File {
    match File::parse("ci.yml", text, Policy::default()) {
        Ok(file) => file,
        Err(faults) => panic!("{}", faults.iter().map(|it| format!("{it}\n")).collect::<String>()),
    }
}

fn planned(text: &str, event: &Event, payload: Option<&Json>) -> Result<PlannedWorkload, String> {
    let (file, catalogue) = (file(text), catalogue());
    let values = Values::of(&file, event, payload, &catalogue.vars)?;
    let defaults = Defaults::default();
    let planned = plan(&file, "t", &Overrides::default(), &defaults, &catalogue, Some(&values));
    let planned =
        planned.map_err(|it| it.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))?;
    let workload = planned.settle(0, None, &catalogue);
    workload.check(256).map_err(|error| error.to_string())?;
    Ok(workload)
}

fn catalogue() -> Catalogue {
    let vars = json!({"REGION": "eu"}).as_object().unwrap().clone();
    let pools =
        [("big".into(), crate::model::PoolId(7)), ("default".into(), crate::model::PoolId(1))];
    Catalogue { vars, pools: pools.into(), ..Catalogue::default() }
}

fn shown(workload: &PlannedWorkload) -> String {
    let show = |job: &PlannedJob| {
        let labels: Vec<&str> = job.requirements.labels.iter().map(|it| &**it).collect();
        let run_if = job.terms.run_if;
        format!("{} [{}] {run_if:?} needs {:?}", job.name, labels.join(" "), job.needs)
    };
    workload.jobs.iter().map(show).collect::<Vec<_>>().join("\n")
}

const MATRIX: &str = "
run-name: ${{ github.workflow }} of ${{ github.ref_name }}
concurrency: { group: 'X-${{ github.ref }}', cancel-in-progress: \"${{ github.ref != 'refs/heads/main' }}\" }
jobs:
  test:
    name: Test on ${{ matrix.os }}
    strategy:
      fail-fast: false
      max-parallel: 2
      matrix: { os: [linux, mac], v: \"${{ fromJSON('[1, 2]') }}\", exclude: [{ os: mac, v: 1 }] }
    runs-on: ['${{ matrix.os }}', big]
    timeout-minutes: ${{ matrix.v }}
    continue-on-error: ${{ matrix.v == 2 }}
    concurrency: test-${{ matrix.os }}
    steps: [{ run: ls }]
  main-only:
    if: github.ref == 'refs/heads/main'
    needs: test
    runs-on: { group: big, labels: '${{ vars.REGION }}' }
    steps: [{ uses: 'actions/checkout@v4' }]
  report:
    if: failure()
    needs: [test, main-only]
    runs-on: x
    steps: [{ run: ls }]
";

#[test]
fn a_matrix_becomes_jobs_and_who_needs_it_needs_all_of_them() {
    let workload = planned(MATRIX, &event("push", "refs/heads/main"), None).unwrap();
    insta::assert_snapshot!(shown(&workload), @r#"
    test (linux, 1) [big linux] Success needs []
    test (linux, 2) [big linux] Success needs []
    test (mac, 2) [big mac] Success needs []
    main-only [actions eu] Success needs ["test (linux, 1)", "test (linux, 2)", "test (mac, 2)"]
    report [x] Failure needs ["test (linux, 1)", "test (linux, 2)", "test (mac, 2)", "main-only"]
    "#);
    assert_eq!(workload.terms.title.as_deref(), Some("ci of main"));
    let group = workload.terms.group.as_ref().unwrap();
    assert_eq!((&*group.key, group.cancel_in_progress), ("acme/app/x-refs/heads/main", false));
    let first = &workload.jobs[0];
    let matrix = first.terms.matrix.as_ref().unwrap();
    assert_eq!((&*matrix.key, matrix.max_parallel, matrix.fail_fast), ("test", Some(2), false));
    assert_eq!((first.timeout_ms, first.terms.allow_failure), (60_000, false));
    assert!(workload.jobs[1].terms.allow_failure);
    assert_eq!(&*first.terms.group.as_ref().unwrap().key, "acme/app/test-linux");
    let of_file = first.spec.workflow.as_ref().unwrap();
    assert_eq!((of_file.key.as_str(), of_file.title.as_deref()), ("test", Some("Test on linux")));
    assert_eq!(of_file.contexts["matrix"], json!({"os": "linux", "v": 1}));
    assert_eq!(of_file.contexts["strategy"]["job-total"], 3);
    assert_eq!(workload.jobs[3].requirements.pool_id, crate::model::PoolId(7));

    let branch = planned(MATRIX, &event("push", "refs/heads/dev"), None).unwrap();
    assert!(branch.terms.group.as_ref().unwrap().cancel_in_progress);
    assert_eq!(branch.jobs[3].terms.run_if, RunIf::Never);
}

#[test]
fn an_event_can_make_a_file_impossible_and_is_told_why() {
    let text = |with: &str| {
        let runs_on = if with.starts_with("runs-on") { "" } else { "runs-on: x, " };
        format!("jobs: {{ a: {{ {runs_on}{with}, steps: [{{ run: ls }}] }} }}")
    };
    let push = event("push", "refs/heads/main");
    let wrong =
        |with: &str, payload: &Json| planned(&text(with), &push, Some(payload)).unwrap_err();
    let none = json!({});
    insta::assert_snapshot!(wrong("strategy: { matrix: '${{ fromJSON(github.event.m) }}' }", &json!({"m": "nonsense"})), @"job `a`: strategy: jobs.a.strategy.matrix: fromJSON: not valid JSON: expected ident at line 1 column 2");
    insta::assert_snapshot!(wrong("strategy: { matrix: { a: '${{ github.event.list }}' } }", &none), @"job `a`: strategy: jobs.a.strategy.matrix.a: nothing is no list of values");
    insta::assert_snapshot!(wrong("timeout-minutes: '${{ github.event.n }}'", &json!({"n": "soon"})), @r#"job `a`: timeout-minutes: jobs.a.timeout-minutes: "soon" is no whole number"#);
    insta::assert_snapshot!(wrong("timeout-minutes: '${{ github.event.n }}'", &json!({"n": 0})), @"job `a`: timeout-minutes: jobs.a.timeout-minutes: 0 minutes is not from 1 to 43200");
    insta::assert_snapshot!(wrong("runs-on: '${{ github.event.n }}'", &json!({"n": 0})), @"job `a`: labels: `${{ github.event.n }}` is 0, which is no label");
    insta::assert_snapshot!(wrong("runs-on: '${{ github.event.n }}'", &none), @"job `a`: labels: `${{ github.event.n }}` is nothing, which is no label");
    insta::assert_snapshot!(wrong("runs-on: [a, '${{ github.event.n }}']", &json!({"n": " "})), @"job `a`: labels: `${{ github.event.n }}` is empty, which is no label");
    insta::assert_snapshot!(wrong("concurrency: '${{ github.event.n }}'", &none), @"job `a`: group: jobs.a.concurrency: the group's name is empty");
    insta::assert_snapshot!(wrong("continue-on-error: '${{ github.event.n }}'", &json!({"n": "yes"})), @r#"job `a`: continue-on-error: jobs.a.continue-on-error: "yes" is neither true nor false"#);
    insta::assert_snapshot!(wrong("if: fromJSON(github.event.n)", &json!({"n": "{"})), @"job `a`: if: `fromJSON(github.event.n)`: fromJSON: not valid JSON: EOF while parsing an object at line 1 column 1");
}

/// Its labels and its group would come to nothing: nobody asks.
#[test]
fn of_a_job_that_never_runs_nothing_can_be_wrong() {
    let text = "
jobs:
  a: { runs-on: x, steps: [{ run: ls }] }
  b:
    if: github.event_name == 'workflow_dispatch'
    runs-on: ${{ github.event.runner }}
    concurrency: ${{ github.head_ref }}
    timeout-minutes: ${{ github.event.minutes }}
    steps: [{ run: ls }]";
    let workload = planned(text, &event("push", "refs/heads/main"), None).unwrap();
    assert_eq!(workload.jobs[1].terms.run_if, RunIf::Never);
    assert!(workload.jobs[1].terms.group.is_none());
}

#[test]
fn expressions_read_the_name_that_people_gave_the_workflow() {
    let text = "
name: My workflow
concurrency: ${{ github.workflow }}-${{ github.ref }}
jobs: { a: { runs-on: x, steps: [{ run: ls }] } }";
    let workload = planned(text, &event("push", "refs/heads/main"), None).unwrap();
    let group = workload.terms.group.unwrap();
    assert_eq!(&*group.key, "acme/app/my workflow-refs/heads/main");
    let known = workload.jobs[0].spec.workflow.as_ref().unwrap();
    assert_eq!(known.workflow.as_deref(), Some("My workflow"));
}

#[test]
fn a_group_by_the_runs_number_is_completed_by_the_scheduler() {
    let text = "
concurrency: ${{ github.event.number || github.run_id }}
jobs: { a: { runs-on: x, steps: [{ run: ls }] } }";
    let push = event("push", "refs/heads/main");
    let key = |payload| planned(text, &push, payload).unwrap().terms.group.unwrap().key;
    let seven = json!({"number": 7});
    assert_eq!(&*key(Some(&seven)), "acme/app/7");
    assert_eq!(*key(None), *format!("acme/app/{}", crate::model::RUN_ID));
}

const LATER: &str = "
env: { A: b }
jobs:
  list:
    runs-on: x
    outputs: { dirs: '${{ steps.s.outputs.dirs }}' }
    steps: [{ id: s, run: ls }]
  each:
    needs: list
    strategy: { matrix: { dir: '${{ fromJSON(needs.list.outputs.dirs) }}' } }
    runs-on: ${{ needs.list.outputs.label || 'any' }}
    timeout-minutes: 5
    steps: [{ run: ls }]
  maybe:
    needs: list
    if: needs.list.outputs.go == 'yes' && github.ref == 'refs/heads/main'
    runs-on: x
    steps: [{ run: ls }]
  sized:
    needs: list
    if: always()
    runs-on: x
    timeout-minutes: ${{ fromJSON(needs.list.outputs.minutes) }}
    steps: [{ run: ls }]
";

/// What becomes of a job of `LATER` when `list` has ended with these outputs.
fn decided(job: &str, status: Status, outputs: &Json) -> Decision {
    let event = event("push", "refs/heads/main");
    let workload = planned(LATER, &event, None).unwrap();
    let job = workload.jobs.iter().find(|it| it.name == job).unwrap();
    assert_eq!(job.terms.run_if, RunIf::Decide);
    let result = if status.success { "success" } else { "failure" };
    let needs = json!({"list": {"result": result, "outputs": outputs}});
    let github = Json::Object(event.github_context("ci"));
    let facts = Facts { needs: &needs, github: &github, status, job };
    // As it is stored and read again, marked with its event's trust.
    let mut marked = (*job.spec).clone();
    marked.trust = crate::model::Trust::new(crate::model::TrustLevel::Trusted, "a test says so");
    let spec = serde_json::from_value(serde_json::to_value(&marked).unwrap()).unwrap();
    decide(&spec, &facts, &Defaults::default(), &catalogue())
}

const GOOD: Status = Status { success: true, failure: false, cancelled: false };
const BAD: Status = Status { success: false, failure: true, cancelled: false };

#[test]
fn a_matrix_of_outputs_becomes_jobs_when_these_are_there() {
    let outputs = json!({"dirs": "[\"a\", \"b\"]", "label": "gpu"});
    let Decision::Expand { jobs } = decided("each", GOOD, &outputs) else { panic!("two jobs") };
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["each (a)", "each (b)"]);
    assert_eq!(jobs[0].requirements.labels, ["gpu".into()]);
    assert_eq!((jobs[0].terms.run_if, jobs[0].timeout_ms), (RunIf::Always, 300_000));
    assert_eq!(jobs[0].spec.env["A"], "b");
    assert_eq!(jobs[0].spec.trust.level, crate::model::TrustLevel::Trusted);
    assert!(matches!(decided("each", BAD, &outputs), Decision::Skip { .. }));
    let none = json!({"dirs": "[]"});
    insta::assert_snapshot!(format!("{:?}", decided("each", GOOD, &none)), @r#"Fail { why: "job `each`: strategy: jobs.each.strategy.matrix.dir: the list is empty" }"#);
}

#[test]
fn a_condition_over_a_need_is_decided_when_that_has_ended() {
    assert_eq!(decided("maybe", GOOD, &json!({"go": "yes"})), Decision::Run);
    assert!(matches!(decided("maybe", GOOD, &json!({"go": "no"})), Decision::Skip { .. }));
    assert!(matches!(decided("maybe", BAD, &json!({"go": "yes"})), Decision::Skip { .. }));
}

#[test]
fn a_job_whose_terms_come_from_a_need_is_planned_again() {
    let Decision::Replan { job } = decided("sized", BAD, &json!({"minutes": "3"})) else {
        panic!("one job")
    };
    assert_eq!((job.name.as_str(), job.timeout_ms), ("sized", 180_000));
    let wrong = decided("sized", GOOD, &json!({"minutes": "soon"}));
    insta::assert_snapshot!(format!("{wrong:?}"), @r#"Fail { why: "job `sized`: timeout-minutes: jobs.sized.timeout-minutes: fromJSON: not valid JSON: expected value at line 1 column 1" }"#);
}

#[test]
fn a_file_without_expressions_over_the_event_is_planned_once() {
    let plain = "jobs: { a: { strategy: { matrix: { os: [a, b] } }, runs-on: '${{ matrix.os }}', \
                 if: always(), steps: [{ run: 'echo ${{ github.ref }}' }] } }";
    let file = file(plain);
    assert!(file.is_static());
    let catalogue = catalogue();
    let planned =
        plan(&file, "t", &Overrides::default(), &Defaults::default(), &catalogue, None).unwrap();
    insta::assert_snapshot!(shown(&planned.workload), @"
    a (a) [a] Success needs []
    a (b) [b] Success needs []
    ");
}
