//! What the stand-in answers with lists, and with streams: changes, logs.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse as _, Response};
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Cluster, status};

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

pub(super) fn log(cluster: &Cluster, pod: &str) -> Response {
    let Some(output) = cluster.with(|inner| inner.logs.get(pod).map(watch::Sender::subscribe))
    else {
        return match cluster.one("pods", pod) {
            Some(_) => status(400, "BadRequest", "container is waiting to start", None),
            None => status(404, "NotFound", "no such pod", None),
        };
    };
    let stream = stream::unfold((output, 0), |(mut output, at)| async move {
        let (new, end) = {
            let known = output.wait_for(|it| it.bytes.len() > at || it.is_over).await.ok()?;
            (known.bytes[at..].to_vec(), known.bytes.len())
        };
        (!new.is_empty()).then_some((Ok::<_, io::Error>(new), (output, end)))
    });
    Body::from_stream(stream).into_response()
}
