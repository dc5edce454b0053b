//! What people write into workflow files, and what they are told.

use super::*;

fn faults(text: &str) -> String {
    let found = File::parse("ci.yml", text).unwrap_err();
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
    )
    .unwrap();
    assert_eq!((file.name.as_str(), file.title.as_deref()), ("ci", Some("CI")));
    let env: Vec<_> = file.env.iter().map(|(name, value)| (&**name, &**value)).collect();
    assert_eq!(env, [("B", "true"), ("EMPTY", ""), ("N", "3")]);
    let [build, second] = file.jobs.as_slice() else { panic!("two jobs") };
    assert_eq!(build.title.as_deref(), Some("Build it"));
    assert_eq!(build.runs_on, ["ubuntu-latest"]);
    assert_eq!(build.steps[0].run, "make\nmake test\n");
    assert_eq!(build.steps[0].env["X"], "1.10");
    assert_eq!((second.id.as_str(), second.needs[0].value.as_str()), ("_t-2", "build"));
    assert_eq!((second.runs_on.len(), second.timeout_minutes), (2, Some(10)));
}

#[test]
fn a_workflow_written_for_github_is_told_everything_at_once() {
    let text = "\
name: CI
on:
  push:
permissions: read-all
jobs:
  build:
    if: always()
    strategy: { matrix: { v: [1, 2] } }
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
        with: { depth: 1 }
      - run: |
          echo start
          echo ${{ github.event.issue.title }}
        shell: bash
        colour: red
  1st:
    runs_on: x
    steps: []
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:2:1: on: this key is not supported; put the filter under [[trigger]] in the config
    ci.yml:4:1: permissions: this key is not supported; remove it: jobs get no token of the forge
    ci.yml:7:5: jobs.build.if: this key is not supported; conditions are not supported yet; `run_if` of `x-dispatch` is success, failure or always
    ci.yml:8:5: jobs.build.strategy: this key is not supported; matrices are not supported yet; write one job for each case
    ci.yml:11:9: jobs.build.steps[0].uses: this key is not supported; actions are not supported yet; write the commands under `run`
    ci.yml:12:9: jobs.build.steps[0].with: this key is not supported; actions are not supported yet
    ci.yml:15:16: jobs.build.steps[1].run: `${{ }}` expressions are not supported yet; for text of the event read the environment variables DISPATCHYARD_EVENT_* in the script
    ci.yml:16:9: jobs.build.steps[1].shell: this key is not supported; scripts run in the runner's shell; call another one in the script
    ci.yml:17:9: jobs.build.steps[1].colour: unknown key; known here are name, run, env, timeout-minutes
    ci.yml:18:3: jobs.1st: `1st` is not a job's id; start with a letter or `_`, go on with letters, digits, `-` and `_`
    ci.yml:18:3: jobs.1st: the job has no `runs-on`; name the labels that its runner must have; [] for any runner
    ci.yml:19:5: jobs.1st.runs_on: unknown key; did you mean `runs-on`?
    ci.yml:20:12: jobs.1st.steps: 0 steps are not from 1 to 256
    ");
}

#[test]
fn expressions_are_refused_wherever_they_stand() {
    insta::assert_snapshot!(
        faults("name: a ${{ b }}\njobs: { a: { runs-on: \"${{ x }}\", steps: [{ run: ls }] } }"),
        @"
    ci.yml:1:9: name: `${{ }}` expressions are not supported yet; for text of the event read the environment variables DISPATCHYARD_EVENT_* in the script
    ci.yml:2:24: jobs.a.runs-on: `${{ }}` expressions are not supported yet; for text of the event read the environment variables DISPATCHYARD_EVENT_* in the script
    "
    );
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
    ci.yml:16:14: jobs.a.runs-on: a mapping where text or a list of texts belongs
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
    let found = File::parse("ci.yml", text).unwrap().check(&catalogue).unwrap_err();
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
concurrency: { group: a, cancel-in-progress: '${{ true }}', queue: max }
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
";
    insta::assert_snapshot!(faults(text), @"
    ci.yml:1:46: concurrency.cancel-in-progress: text where `true` or `false` belongs
    ci.yml:1:47: concurrency.cancel-in-progress: `${{ }}` expressions are not supported yet; for text of the event read the environment variables DISPATCHYARD_EVENT_* in the script
    ci.yml:1:61: concurrency.queue: unknown key; known here are group, cancel-in-progress
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
    ");
}
