//! From a webhook's scheduled sending to its job in a waiting runner's hands, over HTTP and
//! durable: what `dispatchyard bench http` measures. `cargo bench --bench webhook`.
//!
//! Beside it two floors, in a process of their own as the server is: a bare handler, and one that
//! keeps what it accepts.
//! `WEBHOOK_RATE` (deliveries a second, 100) and `WEBHOOK_SECONDS` (10) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

mod floor;

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use dispatchyard::cli::bench::{HttpLoad, accepted_per_s, http};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Set for the process that is a floor: the folder where it keeps deliveries, or nothing.
const FLOOR: &str = "WEBHOOK_FLOOR";

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if let Some(folder) = std::env::var_os(FLOOR) {
        let folder = (!folder.is_empty()).then_some(Path::new(&folder));
        return runtime.block_on(floor::serve(folder));
    }
    let number = |name: &str, or: u64| {
        std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(or)
    };
    let load = HttpLoad {
        rate: number("WEBHOOK_RATE", 100),
        seconds: number("WEBHOOK_SECONDS", 10),
        runners: 4,
        connections: 512,
        large_percent: 0,
    };
    // Beside the build, not in a folder that may be in memory.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    let program = Path::new(env!("CARGO_BIN_EXE_dispatchyard"));
    let report = runtime.block_on(http(program, folder.path(), load)).expect("measured");
    println!("{}", serde_json::to_string_pretty(&report).expect("a report is JSON"));
    for (name, folder) in [("bare", Path::new("")), ("durable", folder.path())] {
        let (mut child, base) = start_floor(folder);
        let floor = runtime.block_on(accepted_per_s(&base, load));
        let _ = child.kill();
        let _ = child.wait();
        let (accepted, floor) = (report.accepted_per_s, floor.expect("measured"));
        println!("accepted/s: {accepted:.0}, {name} floor {floor:.0}, {:.2}", accepted / floor);
    }
}

fn start_floor(folder: &Path) -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).env(FLOOR, folder).stdout(Stdio::piped()).spawn().expect("a process");
    let mut base = String::new();
    let said = child.stdout.take().expect("its output");
    BufReader::new(said).read_line(&mut base).expect("its address");
    (child, base.trim().to_owned())
}
