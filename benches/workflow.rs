//! Loading and planning a workflow file of 300 lines whose matrix becomes 20 jobs.
//! `cargo bench --bench workflow`. The goal for both together is 2 ms.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatchyard::event::{Event, OwnEvent};
use dispatchyard::model::Catalogue;
use dispatchyard::trigger::Overrides;
use dispatchyard::workflow::{Defaults, File, Policy, Values, plan};
use serde_json::{Value, json};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const HEAD: &str = "\
name: CI
run-name: CI of ${{ github.ref_name }} by ${{ github.actor }}
on:
  push: { branches: [main, 'release/**'] }
  pull_request:
env: { PROFILE: debug }
concurrency:
  group: ci-${{ github.event.pull_request.number || github.ref }}
  cancel-in-progress: ${{ github.ref != 'refs/heads/main' }}
jobs:
  test:
    name: Test ${{ matrix.version }} on ${{ matrix.os }}
    strategy:
      fail-fast: false
      matrix:
        os: [debian, alpine, fedora, arch]
        version: [1, 2, 3, 4, 5]
    runs-on: [self-hosted, '${{ matrix.os }}']
    timeout-minutes: ${{ matrix.version }}
    steps:
      - run: make test VERSION=${{ matrix.version }}
";

/// Jobs after the matrix, until the file has 300 lines.
fn text() -> String {
    let mut text = HEAD.to_owned();
    for number in 0.. {
        if text.lines().count() >= 300 {
            break;
        }
        write!(
            text,
            "  job-{number}:\n    needs: test\n    if: github.ref == 'refs/heads/main'\n    \
             runs-on: [self-hosted, linux]\n    env:\n      NUMBER: {number}\n      REF: \
             ${{{{ github.ref }}}}\n    steps:\n      - name: Step of {number}\n        run: |\n          \
             echo \"ref is ${{{{ github.ref }}}}\"\n          make job-{number}\n      - if: failure()\n        \
             run: echo \"failed\"\n"
        )
        .expect("a text takes it");
    }
    text
}

fn event() -> Event {
    OwnEvent {
        source: "github".into(),
        kind: "push".into(),
        git_ref: Some("refs/heads/main".into()),
        repository: Some("octo-org/example".into()),
        ..OwnEvent::default()
    }
    .into_event()
    .expect("an event")
}

fn measured(criterion: &mut Criterion) {
    let (text, event, catalogue) = (text(), event(), Catalogue::default());
    assert!(text.lines().count() >= 300);
    let payload: Value =
        serde_json::from_str(include_str!("../fixtures/github/push.json")).expect("a push");
    let (overrides, defaults) = (Overrides::default(), Defaults::default());
    let load = || File::parse("ci.yml", black_box(&text), Policy::default()).expect("a workflow");
    let planned = |file: &File| {
        let values = Values::of(
            file,
            &event,
            Some(&payload),
            &json!({}).as_object().cloned().unwrap_or_default(),
        );
        let values = values.expect("its inputs are right");
        let planned = plan(file, "ci", &overrides, &defaults, &catalogue, Some(&values));
        planned.expect("it can be planned").workload.jobs.len()
    };
    let file = load();
    assert!(planned(&file) > 20 && !file.is_static());
    criterion.bench_function("load a workflow file of 300 lines", |bencher| bencher.iter(load));
    criterion.bench_function("plan it, a matrix of 20", |bencher| bencher.iter(|| planned(&file)));
    criterion.bench_function("load and plan it", |bencher| bencher.iter(|| planned(&load())));
}

criterion_group!(benches, measured);
criterion_main!(benches);
