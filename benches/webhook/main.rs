//! From a webhook's scheduled sending to its job in a waiting runner's hands, over HTTP and
//! durable: what `dispatchyard bench http` measures. `cargo bench --bench webhook`.
//!
//! Beside it the floor, in a process of its own as the server is: an axum handler that checks the
//! same signature, parses the body into a struct that borrows from it, and answers.
//! `WEBHOOK_RATE` (deliveries a second, 100) and `WEBHOOK_SECONDS` (10) change the load.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use dispatchyard::cli::bench::{HttpLoad, OWN_SECRET, accepted_per_s, http};
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Set for the process that is the floor.
const FLOOR: &str = "WEBHOOK_FLOOR";

fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    if std::env::var_os(FLOOR).is_some() {
        return runtime.block_on(floor());
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
    let (mut child, base) = start_floor();
    let floor = runtime.block_on(accepted_per_s(&base, load));
    let _ = child.kill();
    let _ = child.wait();
    let (accepted, floor) = (report.accepted_per_s, floor.expect("measured"));
    println!("accepted/s: {accepted:.0}, floor {floor:.0}, ratio {:.2}", accepted / floor);
}

fn start_floor() -> (Child, String) {
    let program = std::env::current_exe().expect("this program");
    let mut child =
        Command::new(program).env(FLOOR, "1").stdout(Stdio::piped()).spawn().expect("a process");
    let mut base = String::new();
    let said = child.stdout.take().expect("its output");
    BufReader::new(said).read_line(&mut base).expect("its address");
    (child, base.trim().to_owned())
}

/// What is read of a push.
#[derive(Deserialize)]
struct Push<'b> {
    r#ref: &'b str,
    after: &'b str,
    #[serde(borrow)]
    repository: Repository<'b>,
    #[serde(borrow)]
    sender: Sender<'b>,
}

#[derive(Deserialize)]
struct Repository<'b> {
    full_name: &'b str,
}

#[derive(Deserialize)]
struct Sender<'b> {
    login: &'b str,
}

async fn floor() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    println!("http://{}", listener.local_addr().expect("an address"));
    let app = Router::new().route("/hooks/{source}", post(accept));
    axum::serve(listener, app).await.expect("serves");
}

async fn accept(headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let said = headers.get("x-hub-signature-256").and_then(|it| it.to_str().ok());
    let said = said.and_then(|it| hex::decode(it.strip_prefix("sha256=")?).ok());
    let mut mac = Hmac::<Sha256>::new_from_slice(OWN_SECRET.as_bytes()).expect("any length");
    mac.update(&body);
    if said.is_none_or(|said| mac.verify_slice(&said).is_err()) {
        return (StatusCode::UNAUTHORIZED, String::new());
    }
    match serde_json::from_slice::<Push<'_>>(&body) {
        Ok(push) => {
            let read = [push.r#ref, push.after, push.repository.full_name, push.sender.login];
            (StatusCode::ACCEPTED, read.concat())
        }
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}
