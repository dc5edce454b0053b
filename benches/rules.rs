//! From the bytes of a push of 7 kB to what a hundred triggers say of it, and a pattern made to be slow.
//! `cargo bench --bench rules`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;

use axum::http::HeaderMap;
use criterion::{Criterion, criterion_group, criterion_main};
use dispatchyard::event::Event;
use dispatchyard::intake::{Arrival, Rules, evaluate};
use dispatchyard::model::Catalogue;
use dispatchyard::trigger::{Pattern, RuleConfig};
use dispatchyard::webhook::{Head, Parsed, Reader, SourceAuth, verify};
use dispatchyard::workflow::{Defaults, File, Policy};
use serde::Deserialize;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TRIGGERS: usize = 100;
const PUSH_BYTES: usize = 7_000;

#[derive(Deserialize)]
struct Triggers {
    trigger: Vec<RuleConfig>,
}

/// A hundred triggers as people write them: each looks at other branches and folders, one in ten at this push.
fn rules() -> Rules {
    let mut text = String::new();
    for at in 0..TRIGGERS {
        let branch = if at % 10 == 0 { "main" } else { "release/**" };
        let _ = write!(
            text,
            "[[trigger]]\nname = 't{at}'\nworkflow = 'ci'\n[trigger.on.push]\n\
             branches = ['{branch}', 'v[0-9]+.*']\npaths = ['src/**', 'part{at}/*.rs', '!**/*.md']\n"
        );
    }
    let triggers = toml::from_str::<Triggers>(&text).expect("triggers").trigger;
    let ci = "jobs: { build: { runs-on: x, steps: [{ run: make }] } }";
    let ci = File::parse("ci.yml", ci, Policy::default()).expect("a workflow");
    let workflows = BTreeMap::from([("ci".to_owned(), ci)]);
    let catalogue = Arc::new(Catalogue::default());
    Rules::compile(&triggers, workflows, Defaults::default(), catalogue).expect("rules")
}

/// The push of the fixtures with as many commits as make it so long.
fn push() -> Vec<u8> {
    let text = include_str!("../fixtures/github/push.json");
    let mut push: serde_json::Value = serde_json::from_str(text).expect("a push");
    while push.to_string().len() < PUSH_BYTES {
        let commits = push["commits"].as_array_mut().expect("commits");
        let one = commits.first().expect("a commit").clone();
        commits.push(one);
    }
    push.to_string().into_bytes()
}

fn parse(headers: &HeaderMap, body: &[u8]) -> Event {
    let reader = Reader::default();
    let verified = verify(headers, body, &SourceAuth::Insecure, None).expect("nothing to verify");
    let head = Head::read(&reader, &verified, headers).expect("a delivery");
    let payload = head.payload(&verified).expect("JSON");
    // Also what the delivery is known by is read off it.
    black_box(head.key("github", &head.delivery_id, Some(&payload)));
    match reader.parse("github", &head, &payload).expect("a push") {
        Parsed::Events(said) => said.events.into_iter().next().expect("one event"),
        _ => unreachable!("it is a push"),
    }
}

fn measured(criterion: &mut Criterion) {
    let (rules, body) = (rules(), push());
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("content-type", "application/json"),
        ("x-github-event", "push"),
        ("x-github-delivery", "0b989ba4-242f-11e5-81e1-c7b6966d2516"),
    ] {
        headers.insert(name, value.parse().expect("a value"));
    }
    let event = parse(&headers, &body);
    criterion.bench_function(&format!("parse {} bytes", body.len()), |bencher| {
        bencher.iter(|| parse(&headers, black_box(&body)));
    });
    criterion.bench_function(&format!("evaluate {TRIGGERS} triggers"), |bencher| {
        bencher.iter(|| evaluate(black_box(&event), &rules, Arrival::default()));
    });
    criterion.bench_function("parse and evaluate", |bencher| {
        bencher.iter(|| {
            let event = parse(&headers, black_box(&body));
            evaluate(&event, &rules, Arrival::default())
        });
    });
    // A matcher that goes back would try this in more ways than there is time.
    let pattern = Pattern::compile(&format!("{}b", "*a".repeat(20))).expect("a pattern");
    let name = "a".repeat(200);
    criterion.bench_function("a pattern made to be slow", |bencher| {
        bencher.iter(|| pattern.matches(black_box(&name)));
    });
}

criterion_group!(benches, measured);
criterion_main!(benches);
