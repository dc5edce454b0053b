//! What people write into workflow files, and what they are told.

use serde_json::json;

use super::*;

pub(super) fn faults(text: &str) -> String {
    let found = File::parse("ci.yml", text, Policy::default()).unwrap_err();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_workflow_in_githubs_form_is_read() {
    let file = File::parse(
        "ci.yml",
        "name: CI\nenv:\n  N: 3\n  B: true\n  EMPTY:\njobs:\n  build:\n    name: Build it\n    \
         runs-on: ubuntu-latest\n    steps:\n      - name: Make\n        run: |\n          make\n          \
         make test\n        env: { X: \"1.10\" }\n  _t-2:\n    needs: [build]\n    runs-on: [self-hosted, gpu]\n    \
         timeout-minutes: 10\n    steps:\n      - run: echo\n",
        Policy::default(),
    )
    .unwrap();
    assert_eq!((file.name.as_str(), file.title.as_deref()), ("ci", Some("CI")));
    let env: Vec<_> = file.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("B", "true"), ("EMPTY", ""), ("N", "3")]);
    let [build, second] = file.jobs.as_slice() else { panic!("two jobs") };
    assert_eq!(build.title.as_ref().map(Text::source), Some("Build it"));
    assert_eq!(build.runs_on.literal_labels().collect::<Vec<_>>(), ["ubuntu-latest"]);
    assert_eq!(build.steps[0].run, "make\nmake test\n");
    assert_eq!(build.steps[0].env["X"], "1.10");
    assert_eq!((second.id.as_str(), second.needs[0].value.as_str()), ("_t-2", "build"));
    assert_eq!(
        (second.runs_on.labels.len(), &second.timeout_minutes),
        (2, &Some(super::super::Setting::Known(10)))
    );
}

#[test]
fn everything_that_is_wrong_is_told_at_once_each_at_its_place() {
    let text = "\
name: CI
on:
  push:
    branch: main
permissions: read-all
jobs:
  build:
    if: always( && x
    strategy: { matrix: { v: [] }, fail-fast: maybe }
    runs-on: ubuntu-latest
    container: alpine
    steps:
      - uses: actions/checkout
        with: { depth: 1 }
      - run: |
          echo start
          echo ${{ github.event.issue.title }
        shell: bash
        colour: red
      - run: ls
        uses: a/b@v1
      - run: ls
        with: { a: 1 }
  1st:
    runs_on: x
    steps: []
  call:
    uses: ./.github/workflows/other.yml
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:4:13: on.push.branch: unknown filter, known are types, branches, branches-ignore, tags, tags-ignore, paths, paths-ignore
    ci.yml:8:17: jobs.build.if: unexpected `&`; write `&&`
    ci.yml:9:27: jobs.build.strategy.matrix: v: the list is empty
    ci.yml:9:47: jobs.build.strategy.fail-fast: text where `true` or `false` belongs
    ci.yml:11:5: jobs.build.container: this key is not supported; call the container tool in a step, or route the job to an executor of containers
    ci.yml:13:15: jobs.build.steps[0].uses: `actions/checkout` is not an action's name; write owner/name@version, ./folder or docker://image, without expressions
    ci.yml:17:16: jobs.build.steps[1].run: `${{` is not closed by `}}`
    ci.yml:19:9: jobs.build.steps[1].colour: unknown key; known here are name, id, if, shell, working-directory, env, with, continue-on-error, timeout-minutes, run, uses
    ci.yml:21:15: jobs.build.steps[2].uses: the step has `run` too; make two steps of it
    ci.yml:23:15: jobs.build.steps[3].with: `with` belongs to an action, and this step has `run`
    ci.yml:24:3: jobs.1st: `1st` is not a job's id; start with a letter or `_`, go on with letters, digits, `-` and `_`
    ci.yml:24:3: jobs.1st: the job has no `runs-on`; name the labels that its runner must have; [] for any runner
    ci.yml:25:5: jobs.1st.runs_on: unknown key; did you mean `runs-on`?
    ci.yml:26:12: jobs.1st.steps: 0 steps are not from 1 to 256
    ci.yml:28:5: jobs.call.uses: this key is not supported; workflows cannot call each other; copy the jobs of the called one
    ");
}

#[test]
fn an_expression_is_refused_where_it_means_nothing() {
    let text = "\
run-name: ${{ matrix.a }}
env:
  A: ${{ env.B }}
jobs:
  a:
    runs-on: ${{ secrets.LABEL }}
    if: steps.x.outcome == 'success'
    timeout-minutes: ${{ hashFiles('x') }}
    env: { B: \"${{ runner.os }}\" }
    outputs: { o: \"${{ failure() }}\" }
    steps:
      - if: secrets.A == ''
        run: echo ${{ unknown.x }}
      - run: ${{ nofunction('x') }}
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:1:11: run-name: `matrix` is not known here; known here are github, inputs, vars
    ci.yml:3:6: env.A: `env` is not known here; known here are github, secrets, inputs, vars
    ci.yml:6:14: jobs.a.runs-on: `secrets` is not known here; known here are github, needs, strategy, matrix, vars, inputs
    ci.yml:7:9: jobs.a.if: `steps` is not known here; known here are github, needs, vars, inputs
    ci.yml:8:22: jobs.a.timeout-minutes: hashFiles() is not known here; call it in a step: only there files exist
    ci.yml:9:16: jobs.a.env.B: `runner` is not known here; known here are github, needs, strategy, matrix, vars, secrets, inputs
    ci.yml:10:20: jobs.a.outputs.o: success(), failure(), always() and cancelled() belong into an `if`; use `job.status`, or the `result` of a need
    ci.yml:12:13: jobs.a.steps[0].if: `secrets` is not known here; known here are github, needs, strategy, matrix, job, runner, env, vars, steps, inputs
    ci.yml:13:23: jobs.a.steps[0].run: unknown context `unknown`; known are github, env, vars, secrets, needs, matrix, strategy, job, jobs, steps, runner, inputs; a text stands in single quotes
    ci.yml:14:18: jobs.a.steps[1].run: unknown function `nofunction`; known are contains, startsWith, endsWith, format, join, toJSON, fromJSON, hashFiles, case, success, failure, always, cancelled
    ");
}

#[test]
fn a_cycle_and_an_unknown_need_are_refused_at_their_place() {
    let job = |id: &str, needs: &str| {
        format!("  {id}:\n    needs: {needs}\n    runs-on: x\n    steps: [{{ run: ls }}]\n")
    };
    let cycle = format!("jobs:\n{}{}", job("a", "[b]"), job("b", "a"));
    insta::assert_snapshot!(faults(&cycle), @"ci.yml:3:13: jobs.a.needs: jobs wait for each other: a -> b -> a");
    let unknown = format!("jobs:\n{}{}", job("a", "[]"), job("b", "[a, z]"));
    insta::assert_snapshot!(faults(&unknown), @"ci.yml:7:16: jobs.b.needs: job `b` needs `z`, which is not a job of this workload; its jobs are a, b");
    insta::assert_snapshot!(faults("jobs: {}"), @"ci.yml:1:7: jobs: 0 jobs are not from 1 to 1000");
    insta::assert_snapshot!(faults(""), @"ci.yml:1:1: nothing where a mapping belongs");
}

#[test]
fn values_are_bounded_and_of_their_type() {
    let text = "\
env:
  VERSION: 1.10
  HEX: 0x10
  DISPATCHYARD_EVENT_REF: x
  a-b: x
  LIST: [1]
x-dispatch:
  min-memory-gb: 4
  gpu: many
  priority: urgent
  max_retries: 1000
  backoff_ms: -1
  namespace: ml
jobs:
  a:
    runs-on: { group: big }
    timeout-minutes: 0
    steps:
      - run: \"\"
        timeout-minutes: 1.5
      - run: \"a\\0b\"
      - name: nothing
      - echo
    x-dispatch: { requires_docker: maybe, min_cpu_cores: 99999, os: 3 }
";
    insta::assert_snapshot!(faults(text), @r#"
    ci.yml:2:12: env.VERSION: `1.10` is the number 1.1 to YAML; write "1.10" to keep it as it is
    ci.yml:3:8: env.HEX: `0x10` is the number 16 to YAML; write "0x10" to keep it as it is
    ci.yml:4:3: env.DISPATCHYARD_EVENT_REF: names with DISPATCHYARD_ are reserved; the runner sets them; choose another name
    ci.yml:5:3: env.a-b: not the name of an environment variable; use letters, digits and `_`, not starting with a digit
    ci.yml:6:9: env.LIST: a list where one value belongs
    ci.yml:8:3: x-dispatch.min-memory-gb: unknown key; did you mean `min_memory_gb`?
    ci.yml:9:8: x-dispatch.gpu: text where a boolean or number belongs
    ci.yml:10:13: x-dispatch.priority: unknown variant `urgent`, expected one of `critical`, `high`, `normal`, `low`, `background`
    ci.yml:11:16: x-dispatch.max_retries: 1000 is over 100
    ci.yml:12:15: x-dispatch.backoff_ms: invalid value: integer `-1`, expected u32
    ci.yml:17:22: jobs.a.timeout-minutes: 0 minutes is not from 1 to 43200
    ci.yml:19:14: jobs.a.steps[0].run: it is empty
    ci.yml:20:26: jobs.a.steps[0].timeout-minutes: a fraction where a whole number belongs
    ci.yml:21:14: jobs.a.steps[1].run: text has a NUL character
    ci.yml:22:9: jobs.a.steps[2]: the step has no `run`
    ci.yml:23:9: jobs.a.steps[3]: text where a mapping belongs
    ci.yml:24:36: jobs.a.x-dispatch.requires_docker: invalid type: string "maybe", expected a boolean
    ci.yml:24:58: jobs.a.x-dispatch.min_cpu_cores: 99999 is over 65536
    ci.yml:24:69: jobs.a.x-dispatch.os: invalid type: integer `3`, expected a string
    "#);
}

#[test]
fn counts_and_sizes_are_bounded() {
    let step = "{ run: ls }";
    let many = format!("jobs: {{ a: {{ runs-on: x, steps: [{}] }} }}", [step; 257].join(", "));
    insta::assert_snapshot!(faults(&many), @"ci.yml:1:33: jobs.a.steps: 257 steps are not from 1 to 256");
    let long =
        format!("jobs: {{ a: {{ runs-on: x, steps: [{{ run: {} }}] }} }}", "x".repeat(131_073));
    insta::assert_snapshot!(faults(&long), @"ci.yml:1:41: jobs.a.steps[0].run: 131073 bytes, at most 131072");
    let jobs: String =
        (0..1_001).map(|at| format!("  j{at}: {{ runs-on: x, steps: [{step}] }}\n")).collect();
    insta::assert_snapshot!(faults(&format!("jobs:\n{jobs}")), @"ci.yml:2:3: jobs: 1001 jobs are not from 1 to 1000");
}

/// What [`File::check`] says of a file whose form is right.
fn unmeant(text: &str) -> String {
    let catalogue = Catalogue {
        resources: [("licence".into(), 2)].into(),
        skills: [("rust".into(), vec![crate::model::PoolId::DEFAULT])].into(),
        ..Catalogue::default()
    };
    let found =
        File::parse("ci.yml", text, Policy::default()).unwrap().check(&catalogue).unwrap_err();
    found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn terms_that_cannot_be_obeyed_are_refused_at_their_place() {
    let text = "\
x-dispatch:
  skills: [rust, cobol]
  max_parallel: 0
  max_wait: 0s
jobs:
  a:
    runs-on: [linux, '!linux', '!']
    concurrency: deploy
    x-dispatch:
      resources: [toner, { name: licence, units: 3 }]
    steps: [{ run: ls }]
  b:
    runs-on: x
    x-dispatch:
      skills: rust
      resources: { name: licence, units: 0 }
      preferred: [{ label: ssd, weight: 101 }]
      group: { key: deploy, limit: 2 }
      queue_timeout: 0ms
    steps: [{ run: ls }]
";
    insta::assert_snapshot!(unmeant(text), @"
    ci.yml:2:11: x-dispatch.skills: no skill `cobol`; known are rust
    ci.yml:3:17: x-dispatch.max_parallel: 0 lets nothing run
    ci.yml:4:13: x-dispatch.max_wait: 0 ms is less than 1 ms
    ci.yml:7:14: jobs.a.runs-on: `!` names no label
    ci.yml:7:14: jobs.a.runs-on: `linux` is required, and `!linux` forbids it
    ci.yml:10:18: jobs.a.x-dispatch.resources: no resource `toner`; known are licence
    ci.yml:10:18: jobs.a.x-dispatch.resources: 3 units of `licence` where there are 2
    ci.yml:16:18: jobs.b.x-dispatch.resources: 0 units of `licence`
    ci.yml:17:18: jobs.b.x-dispatch.preferred: the weight 101 is not from -100 to 100
    ci.yml:18:14: jobs.b.x-dispatch.group: `deploy` has the limits 1 and 2
    ci.yml:19:22: jobs.b.x-dispatch.queue_timeout: 0 ms is less than 1 ms
    ");
}

#[test]
fn values_of_x_dispatch_and_concurrency_have_a_form() {
    let text = "\
concurrency: { group: a, cancel-in-progress: maybe, queue: some }
x-dispatch:
  run_if: always
  deadline: tomorrow
  max_wait: 90
  group: b
  spread: { key: a, over: rack }
jobs:
  a:
    runs-on: x
    concurrency: { cancel-in-progress: true }
    x-dispatch:
      fail_fast: true
      affinity: { key: a, required: true }
      anti-affinity: a
      group: { key: g, pending: latest, queue_max: 2 }
      region: [eu, '']
      anti_afinity: b
    steps: [{ run: ls }]
  b:
    runs-on: x
    concurrency: { group: g, cancel-in-progress: true, queue: max }
    steps: [{ run: ls }]
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:1:46: concurrency.cancel-in-progress: text where `true` or `false` belongs
    ci.yml:1:60: concurrency.queue: `some` is neither `single` nor `max`
    ci.yml:3:11: x-dispatch.run_if: belongs to a job
    ci.yml:4:13: x-dispatch.deadline: `tomorrow` is neither a span like 2h nor a time like 2026-11-21T08:00:00Z
    ci.yml:5:13: x-dispatch.max_wait: the number 90 has no unit; write 500ms, 90s, 5m or 2h
    ci.yml:7:11: x-dispatch.spread: unknown variant `rack`, expected one of `runner`, `zone`, `region`
    ci.yml:11:18: jobs.a.concurrency: it has no `group`; name the group
    ci.yml:13:18: jobs.a.x-dispatch.fail_fast: belongs to the workload
    ci.yml:15:22: jobs.a.x-dispatch.anti-affinity: `a` is also a required affinity
    ci.yml:16:14: jobs.a.x-dispatch.group: `pending: latest` keeps one, `queue_max` keeps more; say one of them
    ci.yml:17:15: jobs.a.x-dispatch.region: a text is empty
    ci.yml:18:7: jobs.a.x-dispatch.anti_afinity: unknown key; known here are architecture, os, min_memory_gb, min_cpu_cores, requires_docker, gpu, pool, skills, region, preferred, resources, namespace, affinity, anti-affinity, anti_affinity, spread, priority, max_retries, backoff_ms, deadline, max_wait, queue_timeout, run_if, group, max_parallel, fail_fast
    ci.yml:22:63: jobs.b.concurrency.queue: `queue: max` lets all wait, `cancel-in-progress` lets none; say one of them
    ");
}

#[test]
fn the_forms_of_githubs_keys_are_read() {
    let text = "\
name: CI
run-name: Deploy ${{ github.ref_name }}
on:
  push: { branches: [main, 'releases/**'] }
  pull_request:
  schedule: [{ cron: '0 5 * * 1' }]
  workflow_dispatch:
    inputs:
      level: { type: choice, options: [low, high], default: high, required: true }
      dry: { type: boolean }
      count: { type: number, default: 3 }
      note: { description: What for }
permissions: { contents: read }
defaults: { run: { shell: sh, working-directory: src } }
concurrency: { group: 'ci-${{ github.ref }}', cancel-in-progress: '${{ github.event_name == ''push'' }}' }
jobs:
  build:
    runs-on: { group: big, labels: [linux] }
    defaults: { run: { shell: bash } }
    outputs: { version: '${{ steps.v.outputs.version }}' }
    steps:
      - id: v
        run: echo version=1 >> $GITHUB_OUTPUT
        continue-on-error: true
      - uses: actions/checkout@v4
        if: success()
        with: { fetch-depth: 0 }
      - run: ls
        shell: python
        working-directory: other
";
    let file = File::parse("ci.yml", text, Policy::default()).unwrap();
    let on = file.on.as_ref().unwrap();
    let names: Vec<_> = on.events.0.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["push", "pull_request"]);
    assert_eq!(on.schedules[0].cron.get_ref(), "0 5 * * 1");
    assert_eq!(on.schedules[0].zone, None);
    assert_eq!(on.inputs.len(), 4);
    assert_eq!(file.permissions, Some(json!({"contents": "read"})));
    let [build] = file.jobs.as_slice() else { panic!("one job") };
    assert_eq!(build.runs_on.literal_labels().collect::<Vec<_>>(), ["linux"]);
    assert_eq!(build.runs_on.group.as_ref().unwrap().source(), "big");
    assert_eq!(build.outputs["version"], "${{ steps.v.outputs.version }}");
    let [first, second, third] = build.steps.as_slice() else { panic!("three steps") };
    assert_eq!((first.id.as_deref(), first.shell.as_deref()), (Some("v"), Some("bash")));
    assert_eq!(first.working_directory.as_deref(), Some("src"));
    assert_eq!(first.continue_on_error.as_deref(), Some("true"));
    assert_eq!(second.uses.as_deref(), Some("actions/checkout@v4"));
    assert_eq!(
        (second.with["fetch-depth"].as_str(), second.condition.as_deref()),
        ("0", Some("success()"))
    );
    assert_eq!(
        (third.shell.as_deref(), third.working_directory.as_deref()),
        (Some("python"), Some("other"))
    );
    assert!(!file.is_static() && !file.reads_payload());
}

#[test]
fn inputs_are_of_their_kind() {
    let text = "\
on: { workflow_dispatch: { inputs: {
  level: { type: choice, options: [low, high] }, dry: { type: boolean, default: true },
  count: { type: number }, note: { required: true } } } }
jobs: { a: { runs-on: x, steps: [{ run: ls }] } }
";
    let file = File::parse("ci.yml", text, Policy::default()).unwrap();
    let inputs = |given: Json| {
        let given = given.as_object().unwrap().clone();
        match file.on.as_ref().unwrap().inputs(&given) {
            Ok(inputs) => Json::Object(inputs).to_string(),
            Err(fault) => fault,
        }
    };
    insta::assert_snapshot!(inputs(json!({"note": "n"})), @r#"{"count":0,"dry":true,"level":"low","note":"n"}"#);
    insta::assert_snapshot!(inputs(json!({"note": 1, "dry": "false", "count": "2.5", "level": "high"})), @r#"{"count":2.5,"dry":false,"level":"high","note":"1"}"#);
    insta::assert_snapshot!(inputs(json!({})), @"input `note` is required");
    insta::assert_snapshot!(inputs(json!({"note": "n", "count": "x"})), @"input `count`: `x` is no number");
    insta::assert_snapshot!(inputs(json!({"note": "n", "level": "mid"})), @"input `level`: `mid` is none of low, high");
    insta::assert_snapshot!(inputs(json!({"note": "n", "dry": "yes"})), @"input `dry`: `yes` is neither true nor false");
    insta::assert_snapshot!(inputs(json!({"note": "n", "other": 1})), @"no input `other`; known are count, dry, level, note");
}
