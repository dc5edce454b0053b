//! What the stand-in answers with lists, and with streams: changes, logs.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Cluster, Output, status};

type Query = BTreeMap<String, String>;

/// Whether an object has the labels that are asked for.
fn fits(object: &Value, query: &Query) -> bool {
    let selector = query.get("labelSelector").map_or("", String::as_str);
    selector.split(',').filter(|it| !it.is_empty()).all(|pair| {
        let (key, value) = pair.split_once('=').unwrap();
        object["metadata"]["labels"][key] == value
    })
}

pub(super) fn list(cluster: &Cluster, kind: &str, query: &Query) -> Response {
    let items: Vec<_> = cluster.all(kind).into_iter().filter(|it| fits(it, query)).collect();
    let version = cluster.with(|inner| inner.version.to_string());
    let (api, list) = match kind {
        "jobs" => ("batch/v1", "JobList"),
        "pods" => ("v1", "PodList"),
        _ => ("v1", "SecretList"),
    };
    let metadata = json!({ "resourceVersion": version });
    axum::Json(json!({ "kind": list, "apiVersion": api, "metadata": metadata, "items": items }))
        .into_response()
}

/// A watch that is open.
struct Watching {
    cluster: Cluster,
    kind: String,
    query: Query,
    /// What it has told.
    version: u64,
    breaks: (u64, u64),
    bell: watch::Receiver<()>,
    is_over: bool,
}

pub(super) fn watch(cluster: &Cluster, kind: &str, query: &Query) -> Response {
    let version = query.get("resourceVersion").and_then(|it| it.parse().ok()).unwrap_or(0);
    let (oldest, breaks) = cluster.with(|inner| (inner.oldest, inner.breaks));
    if version < oldest {
        return status(410, "Expired", "too old resource version", None);
    }
    let watching = Watching {
        cluster: cluster.clone(),
        kind: kind.to_owned(),
        query: query.clone(),
        version,
        breaks,
        bell: cluster.bell.subscribe(),
        is_over: false,
    };
    Body::from_stream(stream::unfold(watching, next)).into_response()
}

async fn next(mut watching: Watching) -> Option<(io::Result<String>, Watching)> {
    let seconds = watching.query.get("timeoutSeconds").and_then(|it| it.parse().ok()).unwrap_or(60);
    let over = tokio::time::sleep(Duration::from_secs(seconds));
    tokio::pin!(over);
    while !watching.is_over {
        watching.bell.mark_unchanged();
        let (breaks, found) = {
            let inner = watching.cluster.inner.lock().unwrap();
            let found = inner.changes.iter().find(|change| {
                change.version > watching.version
                    && change.kind == watching.kind
                    && fits(&change.object, &watching.query)
            });
            (inner.breaks, found.cloned())
        };
        if breaks.0 != watching.breaks.0 {
            watching.is_over = true;
            return Some((Err(io::Error::other("as it was told to")), watching));
        }
        if breaks.1 != watching.breaks.1 {
            watching.is_over = true;
            let object =
                json!({ "kind": "Status", "code": 410, "reason": "Expired", "message": "too old" });
            let line = format!("{}\n", json!({ "type": "ERROR", "object": object }));
            return Some((Ok(line), watching));
        }
        if let Some(change) = found {
            watching.version = change.version;
            let line = json!({ "type": change.what, "object": change.object });
            return Some((Ok(format!("{line}\n")), watching));
        }
        tokio::select! {
            _ = watching.bell.changed() => {}
            () = &mut over => return None,
        }
    }
    None
}

/// A log that is open.
struct Following {
    cluster: Cluster,
    output: watch::Receiver<Output>,
    bell: watch::Receiver<()>,
    since: i64,
    /// How much of what is to be told was.
    sent: usize,
    cuts: u64,
}

pub(super) fn log(cluster: &Cluster, pod: &str, query: &Query) -> Response {
    let Some(output) = cluster.with(|inner| inner.logs.get(pod).map(watch::Sender::subscribe))
    else {
        return match cluster.one("pods", pod) {
            Some(_) => status(400, "BadRequest", "container is waiting to start", None),
            None => status(404, "NotFound", "no such pod", None),
        };
    };
    assert_eq!(query.get("timestamps").map(String::as_str), Some("true"));
    let since = query.get("sinceTime").map(|time| time.parse::<jiff::Timestamp>().unwrap());
    let following = Following {
        output,
        bell: cluster.bell.subscribe(),
        since: since.map_or(i64::MIN, jiff::Timestamp::as_second),
        sent: 0,
        cuts: cluster.with_quiet(|inner| inner.log_cuts),
        cluster: cluster.clone(),
    };
    Body::from_stream(stream::unfold(following, more_of_log)).into_response()
}

async fn more_of_log(mut of: Following) -> Option<(io::Result<Vec<u8>>, Following)> {
    loop {
        of.bell.mark_unchanged();
        let (cuts, no_times) = of.cluster.with_quiet(|inner| (inner.log_cuts, inner.no_times));
        if cuts != of.cuts {
            return None;
        }
        let (all, is_over) = {
            let output = of.output.borrow_and_update();
            (with_times(&output.bytes, of.since, no_times), output.is_over)
        };
        if all.len() > of.sent {
            let new = all[of.sent..].to_vec();
            of.sent = all.len();
            return Some((Ok(new), of));
        }
        if is_over {
            return None;
        }
        tokio::select! {
            _ = of.output.changed() => {}
            _ = of.bell.changed() => {}
        }
    }
}

/// Lines with times, three in each second, of which two have the same.
fn with_times(bytes: &[u8], since: i64, no_times: bool) -> Vec<u8> {
    let mut all = Vec::new();
    for (at, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        let second = 1_767_225_600 + at as i64 / 3;
        if no_times {
            all.extend_from_slice(line);
        } else if second >= since {
            let time = jiff::Timestamp::new(second, 250_000_000 * (at as i32 % 3 / 2)).unwrap();
            all.extend_from_slice(format!("{time} ").as_bytes());
            all.extend_from_slice(line);
        }
    }
    all
}
