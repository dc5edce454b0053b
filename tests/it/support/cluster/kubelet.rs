//! What runs a pod: its command as a process of this machine, once its Secret is there.

use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::Command;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::{Cluster, Output, Play, job_of, name};

/// Where things are in a pod, and where here.
const FILES: &str = "/dispatchyard";
const WORK: &str = "/dispatchyard-work";
const REPORT: &str = "/dev/termination-log";
/// So much of a report is kept: its end.
const REPORT_BYTES_MAX: usize = 4_096;

pub(super) fn start(cluster: &Cluster, pod: Value) {
    let (cluster, stop) = (cluster.clone(), CancellationToken::new());
    cluster.with(|inner| inner.stops.insert(name(&pod), stop.clone()));
    tokio::spawn(async move { live(&cluster, &pod, &stop).await });
}

/// Waits until a pod has no process.
pub(super) async fn has_ended(cluster: &Cluster, pod: &str) {
    let output = cluster.with(|inner| inner.logs.get(pod).map(watch::Sender::subscribe));
    if let Some(mut output) = output {
        let _ = output.wait_for(|output| output.is_over).await;
    }
}

async fn live(cluster: &Cluster, pod: &Value, stop: &CancellationToken) {
    let play = cluster.with(|inner| inner.plays.get(job_of(pod)).copied());
    match play.unwrap_or(Play::Run) {
        Play::Blocked(reason) => {
            let waiting =
                json!({ "waiting": { "reason": reason, "message": "Back-off pulling image" } });
            says(cluster, pod, "Pending", Some(waiting));
            stop.cancelled().await;
        }
        Play::NoPlace => {
            let mut pod = cluster.one("pods", &name(pod)).unwrap();
            let condition = json!({ "type": "PodScheduled", "status": "False",
                "reason": "Unschedulable", "message": "0/3 nodes are available" });
            pod["status"] = json!({ "phase": "Pending", "conditions": [condition] });
            cluster.put("pods", pod);
            stop.cancelled().await;
        }
        Play::Hold => {
            says(cluster, pod, "Running", Some(json!({ "running": {} })));
            stop.cancelled().await;
        }
        Play::Run => run(cluster, pod, stop).await,
    }
}

/// A pod changes.
fn says(cluster: &Cluster, pod: &Value, phase: &str, state: Option<Value>) {
    let Some(mut pod) = cluster.one("pods", &name(pod)) else { return };
    let main = &pod["spec"]["containers"][0];
    let status = state.map(|state| {
        json!([{
            "name": main["name"], "image": main["image"], "imageID": "", "ready": false,
            "restartCount": 0, "state": state,
        }])
    });
    pod["status"] = json!({ "phase": phase });
    pod["status"]["containerStatuses"] = status.unwrap_or(json!([]));
    cluster.put("pods", pod);
}

async fn run(cluster: &Cluster, pod: &Value, stop: &CancellationToken) {
    let main = &pod["spec"]["containers"][0];
    let volume = &pod["spec"]["volumes"][0]["secret"]["secretName"];
    let variable = &main["env"][0]["valueFrom"]["secretKeyRef"]["name"];
    let wanted = volume.as_str().or(variable.as_str()).unwrap().to_owned();
    let mut bell = cluster.bell.subscribe();
    let secret = loop {
        bell.mark_unchanged();
        if let Some(secret) = cluster.one("secrets", &wanted) {
            break secret;
        }
        tokio::select! {
            _ = bell.changed() => {}
            () = stop.cancelled() => return,
        }
    };
    let folder = cluster.folder.path().join(name(pod));
    let mut command = match volume.is_string() {
        true => of_job(cluster, main, &secret, &folder),
        false => of_runner(main, &secret, &folder),
    };
    command.process_group(0).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    cluster.with(|inner| inner.logs.insert(name(pod), watch::Sender::default()));
    let mut child = command.spawn().unwrap();
    says(cluster, pod, "Running", Some(json!({ "running": {} })));
    let pid = Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    let (out, err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let ended =
        async { tokio::join!(keep(cluster, pod, out), keep(cluster, pod, err), child.wait()).2 };
    tokio::pin!(ended);
    let status = tokio::select! {
        status = &mut ended => status,
        () = stop.cancelled() => {
            let _ = kill_process_group(pid, Signal::TERM);
            let pod = name(pod);
            tokio::select! {
                status = &mut ended => status,
                () = grace_is_over(cluster, &pod) => {
                    let _ = kill_process_group(pid, Signal::KILL);
                    ended.await
                }
            }
        }
    }
    .unwrap();
    let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0));
    let report = std::fs::read(folder.join("report")).unwrap_or_default();
    let kept = &report[report.len().saturating_sub(REPORT_BYTES_MAX)..];
    let (phase, reason) = if code == 0 { ("Succeeded", "Completed") } else { ("Failed", "Error") };
    let ended = json!({ "terminated": {
        "exitCode": code, "reason": reason, "message": String::from_utf8_lossy(kept),
    } });
    // Whoever stopped it says why.
    if !stop.is_cancelled() {
        says(cluster, pod, phase, Some(ended));
        if let Some(run) = pod["metadata"]["labels"]["dispatchyard/run"].as_str() {
            let (how, why) =
                if code == 0 { ("Complete", "") } else { ("Failed", "BackoffLimitExceeded") };
            cluster.job_ended(run, how, why);
        }
    }
    cluster.with(|inner| {
        inner.logs[&name(pod)].send_modify(|output| output.is_over = true);
    });
}

/// The time is over that a pod has to stop: a template's, or a shorter one that somebody gives it.
async fn grace_is_over(cluster: &Cluster, pod: &str) {
    let mut bell = cluster.bell.subscribe();
    let shortened = async {
        loop {
            bell.mark_unchanged();
            if let Some(seconds) = cluster.with_quiet(|inner| inner.graces.get(pod).copied()) {
                return tokio::time::sleep(Duration::from_secs(seconds)).await;
            }
            let _ = bell.changed().await;
        }
    };
    tokio::select! {
        () = tokio::time::sleep(Duration::from_secs(5)) => {}
        () = shortened => {}
    }
}

/// Makes the folder of an image's tools: no setsid, so that a container is one process group.
pub(super) fn make_tools(cluster: &Cluster) {
    let bin = cluster.folder.path().join("bin");
    std::fs::create_dir(&bin).unwrap();
    for tool in ["sh", "bash", "cat", "env", "head", "mkdir", "sleep", "wc"] {
        let found = ["/bin", "/usr/bin"].map(|at| Path::new(at).join(tool));
        let found = found.into_iter().find(|at| at.exists()).unwrap();
        std::os::unix::fs::symlink(found, bin.join(tool)).unwrap();
    }
}

/// The command of a Job's pod, with its files in a folder.
fn of_job(cluster: &Cluster, main: &Value, secret: &Value, folder: &Path) -> Command {
    let files = folder.join("files");
    std::fs::create_dir_all(&files).unwrap();
    let here = |text: &str| -> PathBuf {
        match text {
            REPORT => folder.join("report"),
            WORK => folder.join("work"),
            _ => files.join(text.strip_prefix(FILES).unwrap().trim_start_matches('/')),
        }
    };
    for (file, text) in secret["data"].as_object().unwrap() {
        let bytes = STANDARD.decode(text.as_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        // Variables that name files.
        let moved = text.replace("_PATH=/dispatchyard/", &format!("_PATH={}/", files.display()));
        std::fs::write(files.join(file), moved).unwrap();
    }
    let words: Vec<&str> =
        main["command"].as_array().unwrap().iter().map(|it| it.as_str().unwrap()).collect();
    let mut command = Command::new(words[0]);
    command.env("PATH", cluster.folder.path().join("bin"));
    for word in &words[1..] {
        let is_path = word.starts_with(FILES) || *word == REPORT;
        match is_path {
            true => command.arg(here(word)),
            false => command.arg(word),
        };
    }
    command
}

/// The command of a runner's pod: this very program.
fn of_runner(main: &Value, secret: &Value, folder: &Path) -> Command {
    let mut command = super::super::process::program();
    std::fs::create_dir_all(folder).unwrap();
    let words = main["command"].as_array().unwrap().iter().map(|it| it.as_str().unwrap());
    command.args(words.skip(1)).arg("--work-dir").arg(folder.join("work"));
    let variable = &main["env"][0];
    let key = variable["valueFrom"]["secretKeyRef"]["key"].as_str().unwrap();
    let token = STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
    command.env(variable["name"].as_str().unwrap(), String::from_utf8(token).unwrap());
    command
}

async fn keep(cluster: &Cluster, pod: &Value, mut from: impl AsyncRead + Unpin) {
    let mut buffer = vec![0; 8 << 10];
    while let Ok(many @ 1..) = from.read(&mut buffer).await {
        cluster.with(|inner| {
            let output: &watch::Sender<Output> = &inner.logs[&name(pod)];
            output.send_modify(|output| output.bytes.extend_from_slice(&buffer[..many]));
        });
    }
}
