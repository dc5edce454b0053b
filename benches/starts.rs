//! From a submission over HTTP to the first command of its step, with runners that the server starts as processes
//! of this machine: one that stands by (warm), and none (cold). `cargo bench --bench starts`.
//!
//! The step tells the time itself; both ends are read from the machine's wall clock, in whole milliseconds at
//! the sender's.

#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::time::Duration;

use dispatchyard::app::{App, AppOptions};
use dispatchyard::clock::{Clock as _, SystemClock};
use dispatchyard::config::Config;
use serde_json::{Value, json};

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Jobs of each kind.
const JOBS: usize = 30;
/// How often something is looked at that is waited for.
const LOOK: Duration = Duration::from_millis(10);
/// The longest that it is waited for anything, in looks.
const LOOKS_MAX: usize = 3_000;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    for (what, min_idle) in [("warm", 1), ("cold", 0)] {
        let mut took = measure(min_idle).await;
        took.sort_by(f64::total_cmp);
        let (least, median, most) = (took[0], took[JOBS / 2], took[JOBS - 1]);
        println!("{what}: median {median:.1} ms, {least:.1} to {most:.1} ms, {JOBS} jobs");
    }
}

async fn measure(min_idle: usize) -> Vec<f64> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a folder");
    std::fs::create_dir(folder.path().join("workflows")).expect("a folder");
    let text = format!(
        "[server]\nlisten = '127.0.0.1:0'\ndata_dir = 'data'\n\
         [[provisioner]]\nname = 'local'\nlist_interval_ms = 100\n\
         [provisioner.process]\nprogram = '{}'\n\
         [agent_pools.warm.warm]\nprovisioner = 'local'\nmin_idle = {min_idle}\nmax = 2\n\
         [[route]]\nname = 'all'\nmatch = '**'\npools = ['warm']\n",
        env!("CARGO_BIN_EXE_dispatchyard"),
    );
    let config = Config::from_text(&folder.path().join("dispatchyard.toml"), &text, []);
    let config = config.unwrap_or_else(|error| panic!("{error}"));
    let secrets = config.load_secrets(|_| None).unwrap_or_else(|error| panic!("{error}"));
    let app = App::start(config, secrets, AppOptions::default()).await.expect("a server");
    let base = format!("http://{}/api/v1", app.address());
    let mut took = Vec::new();
    for job in 0..JOBS {
        let is_ready = |scale: &Value| match min_idle {
            0 => scale["runners"] == 0 && scale["starting"] == 0,
            _ => scale["idle"] == 1 && scale["runners"] == 1,
        };
        wait(&base, is_ready).await;
        let file = folder.path().join(format!("job-{job}"));
        took.push(submit(&base, &file).await);
    }
    // Whatever stands by is told to leave, and does so by itself.
    let drained = patch(&base).await;
    assert!(drained.is_success(), "{drained}");
    wait(&base, |scale| scale["runners"] == 0).await;
    app.stop().await;
    took
}

/// Waits until the pool is so.
async fn wait(base: &str, is_so: impl Fn(&Value) -> bool) {
    let mut scale = Value::Null;
    for _ in 0..LOOKS_MAX {
        let answer = reqwest::get(format!("{base}/pools/warm/scale")).await.expect("an answer");
        scale = answer.json().await.expect("JSON");
        if is_so(&scale) {
            return;
        }
        tokio::time::sleep(LOOK).await;
    }
    let runners = reqwest::get(format!("{base}/runners")).await.expect("an answer");
    panic!("the pool never came to rest: {scale}, {}", runners.text().await.unwrap_or_default());
}

async fn patch(base: &str) -> reqwest::StatusCode {
    let body = json!({ "cordoned": true, "draining": true, "reason": "the bench is over" });
    let asked = reqwest::Client::new().patch(format!("{base}/pools/warm")).json(&body);
    asked.send().await.expect("an answer").status()
}

/// From the submission to what the step says, in milliseconds.
async fn submit(base: &str, file: &Path) -> f64 {
    let path = file.display();
    let script = format!("date +%s%N > {path}.new; mv {path}.new {path}");
    let job = json!({ "name": "a", "work": { "steps": [{ "run": script }] } });
    let body = json!({ "name": "w", "jobs": [job] });
    let began_ms = SystemClock::new().now().wall_ms;
    let asked = reqwest::Client::new().post(format!("{base}/workloads")).json(&body);
    let status = asked.send().await.expect("an answer").status();
    assert!(status.is_success(), "{status}");
    for _ in 0..LOOKS_MAX {
        if let Ok(text) = std::fs::read_to_string(file) {
            let ns: i64 = text.trim().parse().expect("nanoseconds");
            return (ns - began_ms * 1_000_000) as f64 / 1e6;
        }
        tokio::time::sleep(LOOK).await;
    }
    panic!("the job did not run");
}
