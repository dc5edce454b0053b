//! Runners for warm pools, made by somebody who is told so over HTTP.
//!
//! ```text
//! POST url         RunnerOrder: 2xx it is accepted; 409 it is there already
//! DELETE url/NAME  2xx it is taken down or will be; 404, 410 it is not there
//! GET url          {"items": [{"name": "warm-7-linux", "ended": "evicted"}]}, `ended` while it does not run
//! ```
//!
//! Each call is made once: it is repeated by whoever wants the runner, with the same name.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};
use serde::{Deserialize, Serialize};

use super::super::outbound::{self, Answer, Answered, HttpSetupError, Reach, Tried, excerpt};
use super::super::provisioner::{CALL_MAX, ProvisionError, Provisioned, Provisioner, RunnerOrder};
use super::HttpAuth;
use crate::clock::Clock;

/// What a provisioner of this kind is told.
#[derive(Clone)]
pub struct HttpProvisionerOptions {
    /// Where runners are made; one of them has the URL of its name below it.
    pub url: Url,
    /// How requests show who sends them.
    pub auth: HttpAuth,
    /// Headers beside those.
    pub headers: HeaderMap,
    /// Where runners find the server; `None` for what the order says.
    pub server_url: Option<String>,
    /// How long a connection may take.
    pub connect_timeout: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Whether addresses of private networks, and this machine's, may be called.
    pub private_addresses: bool,
    /// The most that is read of an answer.
    pub response_bytes_max: usize,
}

/// Has runners made over HTTP.
pub struct HttpProvisioner {
    name: String,
    options: HttpProvisionerOptions,
    client: Client,
    clock: Arc<dyn Clock>,
}

/// An order as it is posted. The token is in it alone, and in no log.
#[derive(Serialize)]
struct Posted<'a> {
    name: &'a str,
    server_url: &'a str,
    token: &'a str,
    pool: &'a str,
    labels: &'a [String],
    slots: u32,
    ephemeral: bool,
    /// What follows the program's name in the runner's command line.
    arguments: Vec<String>,
}

/// All that were made and not taken down.
#[derive(Deserialize)]
struct Listed {
    items: Vec<ListedOne>,
}

#[derive(Deserialize)]
struct ListedOne {
    name: String,
    #[serde(default)]
    ended: Option<String>,
}

impl HttpProvisioner {
    /// A provisioner that is called so.
    ///
    /// # Errors
    ///
    /// [`HttpSetupError`].
    pub fn new(
        name: impl Into<String>,
        options: HttpProvisionerOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, HttpSetupError> {
        let reach = Reach {
            connect_timeout: options.connect_timeout,
            timeout: options.timeout,
            private_addresses: options.private_addresses,
        };
        let client = reach.client(&options.url)?;
        Ok(Self { name: name.into(), options, client, clock })
    }

    /// Where one runner is.
    fn place(&self, name: &str) -> Result<Url, ProvisionError> {
        let mut url = self.options.url.clone();
        match url.path_segments_mut() {
            Ok(mut segments) => drop(segments.pop_if_empty().push(name)),
            Err(()) => return Err(ProvisionError("its url has no path".to_owned())),
        }
        Ok(url)
    }

    async fn call(&self, method: &'static str, url: Url, name: &str, body: Bytes) -> Tried {
        let options = &self.options;
        let id = format!("{}-{name}", method.to_lowercase());
        let mut headers = options.headers.clone();
        if !body.is_empty() {
            headers.insert("content-type", HeaderValue::from_static("application/json"));
        }
        if let Ok(key) = HeaderValue::from_str(&id) {
            headers.insert("idempotency-key", key.clone());
            headers.insert("x-request-id", key);
        }
        let now = self.clock.now();
        options.auth.show(&mut headers, &id, now.wall_ms / 1_000, &body);
        let verb = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let request = self.client.request(verb, url.clone()).headers(headers).body(body);
        let bytes_max = options.response_bytes_max;
        let tried = outbound::send(request, (method, &url), id, bytes_max, &*self.clock).await;
        tracing::debug!(provisioner = self.name, %tried, "called");
        tried
    }
}

/// A good answer, or one with a status that is no fault here.
fn good(tried: Tried, also: &[StatusCode]) -> Result<Answer, ProvisionError> {
    let Tried { method, url, answered, .. } = tried;
    let failed = |why: String| Err(ProvisionError(format!("{method} {url}: {why}")));
    match answered {
        Answered::Response(it) if it.status.is_success() || also.contains(&it.status) => Ok(it),
        Answered::Response(it) => {
            failed(format!("it answered {}: {}", it.status, excerpt(&it.body)))
        }
        Answered::NotThere(why) | Answered::Broken(why) => failed(why),
    }
}

#[async_trait]
impl Provisioner for HttpProvisioner {
    fn name(&self) -> &str {
        &self.name
    }

    /// As long as its answers may take, and the next time.
    fn call_max(&self) -> Duration {
        (2 * self.options.timeout).max(CALL_MAX)
    }

    async fn create(&self, order: &RunnerOrder) -> Result<(), ProvisionError> {
        let server_url = self.options.server_url.as_deref().unwrap_or(&order.server_url);
        let RunnerOrder { name, token, pool, labels, slots, ephemeral, .. } = order;
        let posted = Posted {
            name,
            server_url,
            token,
            pool,
            labels,
            slots: *slots,
            ephemeral: *ephemeral,
            arguments: order.arguments(server_url),
        };
        let body =
            serde_json::to_vec(&posted).map_err(|error| ProvisionError(error.to_string()))?;
        let tried = self.call("POST", self.options.url.clone(), name, body.into()).await;
        good(tried, &[StatusCode::CONFLICT]).map(drop)
    }

    async fn destroy(&self, name: &str) -> Result<(), ProvisionError> {
        let tried = self.call("DELETE", self.place(name)?, name, Bytes::new()).await;
        good(tried, &[StatusCode::NOT_FOUND, StatusCode::GONE]).map(drop)
    }

    async fn list(&self) -> Result<Vec<Provisioned>, ProvisionError> {
        let tried = self.call("GET", self.options.url.clone(), "all", Bytes::new()).await;
        let answer = good(tried, &[])?;
        if answer.is_cut {
            let most = self.options.response_bytes_max;
            return Err(ProvisionError(format!("its list is longer than {most} bytes")));
        }
        let listed: Listed = serde_json::from_slice(&answer.body).map_err(|error| {
            ProvisionError(format!("its list is none: {error}: {}", excerpt(&answer.body)))
        })?;
        let items = listed.items.into_iter();
        Ok(items.map(|ListedOne { name, ended }| Provisioned { name, ended }).collect())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use axum::Json;
    use axum::extract::{Path, State};
    use axum::http::HeaderMap as Headers;
    use axum::routing::{get, post};
    use serde_json::{Value, json};

    use super::*;
    use crate::clock::ManualClock;

    /// What was posted, and why it runs no more.
    type Made = (Value, Option<String>);

    /// Makes runners as it is told to, by name.
    #[derive(Clone, Default)]
    struct Farm {
        made: Arc<Mutex<BTreeMap<String, Made>>>,
        is_broken: Arc<Mutex<bool>>,
    }

    impl Farm {
        async fn start(&self) -> String {
            let make = async |State(farm): State<Farm>,
                              headers: Headers,
                              Json(order): Json<Value>| {
                assert_eq!(headers["authorization"], "Bearer sesame");
                assert_eq!(headers["idempotency-key"], *format!("post-{}", text(&order["name"])));
                let mut made = farm.made.lock().unwrap();
                match made.insert(text(&order["name"]), (order, None)) {
                    _ if *farm.is_broken.lock().unwrap() => StatusCode::INTERNAL_SERVER_ERROR,
                    None => StatusCode::CREATED,
                    Some(_) => StatusCode::CONFLICT,
                }
            };
            let take_down = async |State(farm): State<Farm>, Path(name): Path<String>| match farm
                .made
                .lock()
                .unwrap()
                .remove(&name)
            {
                Some(_) => StatusCode::ACCEPTED,
                None => StatusCode::NOT_FOUND,
            };
            let list = async |State(farm): State<Farm>| {
                let made = farm.made.lock().unwrap();
                let all = made.iter().map(|(name, (_, ended))| match ended {
                    Some(ended) => json!({ "name": name, "ended": ended }),
                    None => json!({ "name": name, "since": 7 }),
                });
                Json(json!({ "items": all.collect::<Vec<_>>() }))
            };
            let router = axum::Router::new()
                .route("/runners", post(make).get(list))
                .route("/runners/{name}", axum::routing::delete(take_down))
                .route("/page", get(async || "<p>hello</p>"))
                .with_state(self.clone());
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
            format!("http://{address}")
        }
    }

    fn text(value: &Value) -> String {
        value.as_str().unwrap().to_owned()
    }

    fn provisioner(url: &str) -> HttpProvisioner {
        let options = HttpProvisionerOptions {
            url: url.parse().unwrap(),
            auth: HttpAuth::Bearer("sesame".to_owned()),
            headers: HeaderMap::new(),
            server_url: Some("https://yard.example".to_owned()),
            connect_timeout: Duration::from_secs(2),
            timeout: Duration::from_secs(5),
            private_addresses: true,
            response_bytes_max: 1 << 20,
        };
        HttpProvisioner::new("farm", options, Arc::new(ManualClock::default())).unwrap()
    }

    fn order(name: &str) -> RunnerOrder {
        RunnerOrder {
            name: name.to_owned(),
            server_url: "http://127.0.0.1:7878".to_owned(),
            token: "once".to_owned(),
            pool: "linux".to_owned(),
            labels: vec!["cuda".to_owned()],
            slots: 1,
            ephemeral: true,
        }
    }

    #[tokio::test]
    async fn runners_are_made_once_shown_and_taken_down_however_often_that_is_said() {
        let farm = Farm::default();
        let it = provisioner(&format!("{}/runners", farm.start().await));
        assert_eq!(it.list().await.unwrap(), []);
        for _ in 0..2 {
            it.create(&order("warm-7-linux")).await.unwrap();
        }
        it.create(&order("warm-8-linux")).await.unwrap();
        let posted = farm.made.lock().unwrap()["warm-7-linux"].0.clone();
        assert_eq!(posted["token"], "once");
        assert_eq!(posted["server_url"], "https://yard.example");
        let arguments = posted["arguments"].to_string();
        assert!(
            arguments.contains("https://yard.example") && !arguments.contains("once"),
            "{posted}"
        );
        farm.made.lock().unwrap().get_mut("warm-8-linux").unwrap().1 = Some("evicted".to_owned());
        let listed = it.list().await.unwrap();
        let shown: Vec<_> = listed.iter().map(|it| (&*it.name, it.ended.as_deref())).collect();
        assert_eq!(shown, [("warm-7-linux", None), ("warm-8-linux", Some("evicted"))]);
        for _ in 0..2 {
            it.destroy("warm-7-linux").await.unwrap();
        }
        assert_eq!(it.list().await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn what_goes_wrong_is_told_and_nothing_is_concluded_from_it() {
        let farm = Farm::default();
        let base = farm.start().await;
        *farm.is_broken.lock().unwrap() = true;
        let it = provisioner(&format!("{base}/runners?key=sesame"));
        let ProvisionError(why) = it.create(&order("warm-7-linux")).await.unwrap_err();
        assert!(why.contains("500") && !why.contains("sesame") && !why.contains("once"), "{why}");
        let ProvisionError(why) = provisioner(&format!("{base}/page")).list().await.unwrap_err();
        assert!(why.contains("its list is none") && why.contains("hello"), "{why}");
        let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/runners", gone.local_addr().unwrap());
        drop(gone);
        assert!(provisioner(&url).list().await.is_err());
        let below = provisioner("https://farm.example/a/").place("warm-7-linux").unwrap();
        assert_eq!(below.as_str(), "https://farm.example/a/warm-7-linux");
    }
}
