//! Time per decision, without a database, with every policy on: what `dispatchyard bench core`
//! measures, with criterion's statistics. `cargo bench --bench decision`.

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use dispatchyard::bench::{Size, Step, Yard};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn decisions(criterion: &mut Criterion) {
    let (mut yard, _) = Yard::load(Size::default()).expect("the world is sound");
    let steps = [
        Step::Poll,
        Step::Complete,
        Step::SubmitToWaiting,
        Step::SubmitWithin,
        Step::Explain,
        Step::Excerpt,
    ];
    for step in steps {
        criterion.bench_function(step.as_str(), |bencher| {
            bencher.iter_custom(|rounds| {
                Duration::from_secs_f64(yard.measure(step, rounds).expect("commands are sound"))
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(8));
    targets = decisions
}
criterion_main!(benches);
