//! Reading and evaluating expressions over the payload of a push, and one that looks into a payload of 25 MB.
//! `cargo bench --bench expression`.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatchyard::expression::{Expression, Scope, Status, Template};
use serde_json::{Value, json};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONDITION: &str = "github.event_name == 'push' && startsWith(github.ref, 'refs/heads/') && \
                         !contains(github.event.head_commit.message, '[skip ci]')";
const TEXT: &str = "${{ github.event.repository.full_name }}@${{ github.ref }} by \
                    ${{ github.event.pusher.name || 'nobody' }}";
const LARGE_BYTES: usize = 25 * 1024 * 1024;

fn github() -> Value {
    let event: Value =
        serde_json::from_str(include_str!("../fixtures/github/push.json")).expect("a push");
    json!({"event_name": "push", "ref": "refs/heads/main", "event": event})
}

/// A payload as long as GitHub sends any, of many commits.
fn large() -> Value {
    let commit = json!({"id": "0123456789abcdef", "message": "x".repeat(1_000)});
    let commits = vec![commit; LARGE_BYTES / 1_050];
    json!({"event": {"commits": commits, "after": "0123abcd"}})
}

fn measured(criterion: &mut Criterion) {
    let (github, large) = (github(), large());
    let status = Status { success: true, failure: false, cancelled: false };
    let scope = Scope::new().with("github", &github).with_status(status);
    criterion.bench_function("parse a condition", |bencher| {
        bencher.iter(|| Expression::condition(black_box(CONDITION)));
    });
    let condition = Expression::condition(CONDITION).expect("a condition");
    criterion.bench_function("evaluate a condition", |bencher| {
        bencher.iter(|| condition.truth(black_box(&scope)));
    });
    criterion.bench_function("parse a text", |bencher| {
        bencher.iter(|| Template::parse(black_box(TEXT)));
    });
    let text = Template::parse(TEXT).expect("a text");
    criterion.bench_function("fill a text", |bencher| {
        bencher.iter(|| text.text(black_box(&scope)));
    });
    let after = Expression::parse("github.event.after").expect("an expression");
    let scope = Scope::new().with("github", &large);
    criterion.bench_function("a property of 25 MB", |bencher| {
        bencher.iter(|| after.evaluate(black_box(&scope)));
    });
}

criterion_group!(benches, measured);
criterion_main!(benches);
