//! From a webhook's scheduled sending to its job in a waiting runner's hands, over HTTP and
//! durable: what `dispatchyard bench http` measures. `cargo bench --bench webhook`.
//!
//! `WEBHOOK_RATE` (deliveries a second, 100) and `WEBHOOK_SECONDS` (10) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;

use dispatchyard::cli::bench::{HttpLoad, http};

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let number = |name: &str, or: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
    };
    let load = HttpLoad {
        rate: number("WEBHOOK_RATE", 100),
        seconds: number("WEBHOOK_SECONDS", 10),
        runners: 4,
        connections: 32,
        large_percent: 0,
    };
    // Beside the build, not in a folder that may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_dispatchyard"));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let report = runtime.block_on(http(program, folder.path(), load)).expect("measured");
    println!("{}", serde_json::to_string_pretty(&report).expect("a report is JSON"));
}
