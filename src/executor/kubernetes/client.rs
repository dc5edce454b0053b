//! Calls of the Kubernetes API, and what their failures mean.
//!
//! The library has the kubeconfig, service accounts and TLS. Requests are made here, because what follows from
//! an answer must be known: whether anything was sent, its status, and how long it asks to be left alone.

use std::path::Path;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use hyper::body::Body as _;
use jiff::Timestamp;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::api::core::v1::Pod;
use kube::Resource;
use kube::client::{Body, ClientBuilder};
use kube::config::{Config, KubeConfigOptions, Kubeconfig};
use kube::core::params::{DeleteParams, GetParams, ListParams, PostParams, WatchParams};
use kube::core::subresource::LogParams;
use kube::core::{ObjectList, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};

pub(super) use super::trouble::Trouble;
use super::trouble::{causes, not_sent, refusal};

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a stream of changes is open; then it is opened again, so one that is broken and looks open costs
/// no more than that.
const WATCH_SECONDS: u32 = 60;
/// How much of a refusal is read.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Why there is no client.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// The kubeconfig cannot be used.
    #[error("the kubeconfig: {0}")]
    Kubeconfig(#[from] kube::config::KubeconfigError),
    /// There is none, and this is no pod either.
    #[error("this is no pod of a cluster ({0}): name a `kubeconfig`")]
    InCluster(#[from] kube::config::InClusterError),
    /// The client cannot be made of it.
    #[error("the client: {}", causes(.0))]
    Client(#[from] kube::Error),
}

/// A change of something, as a watch tells it.
pub(super) type Change<T> = kube::core::WatchEvent<T>;

/// What lies in a namespace.
pub(super) trait Thing:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Serialize + DeserializeOwned + Clone
{
}

impl<T> Thing for T where
    T: Resource<DynamicType = (), Scope = NamespaceResourceScope>
        + Serialize
        + DeserializeOwned
        + Clone
{
}

/// A namespace of a cluster.
#[derive(Clone)]
pub(super) struct Cluster {
    client: kube::Client,
    /// The API server's address and, behind `#`, a hash of the certificates by which it is known.
    pub(super) server: String,
    pub(super) namespace: String,
}

impl Cluster {
    /// Makes a client; nothing is sent yet. Without a namespace it is that of the context, or of this pod.
    ///
    /// # Errors
    ///
    /// [`ClusterError`].
    pub(super) async fn new(
        kubeconfig: Option<&Path>,
        context: Option<&str>,
        namespace: Option<String>,
    ) -> Result<Self, ClusterError> {
        // Idempotent: an error means that somebody installed a provider before.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = match kubeconfig {
            Some(path) => {
                let options =
                    KubeConfigOptions { context: context.map(str::to_owned), ..Default::default() };
                Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
            }
            None => Config::incluster()?,
        };
        config.connect_timeout = Some(CONNECT_TIMEOUT);
        // What is tried again is decided here.
        config.default_retry = false;
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let server = server_of(&config);
        let client = ClientBuilder::try_from(config)?.build();
        Ok(Self { client, server, namespace })
    }

    /// The same cluster, in another namespace.
    pub(super) fn at(&self, namespace: &str) -> Self {
        Self { namespace: namespace.to_owned(), ..self.clone() }
    }

    fn request<T: Thing>(&self) -> Request {
        Request::new(T::url_path(&(), Some(&self.namespace)))
    }

    /// Sends a request and waits for the head of its answer.
    async fn send(&self, made: Made) -> Result<Body, Trouble> {
        let request = made.map_err(|error| Trouble::NotThere(error.to_string()))?;
        let sent = tokio::time::timeout(CALL_TIMEOUT, self.client.send(request.map(Body::from)));
        let response = match sent.await {
            Ok(Ok(response)) => response,
            Ok(Err(error)) => return Err(not_sent(&error)),
            Err(_) => return Err(Trouble::perhaps("no answer in time")),
        };
        let (head, body) = response.into_parts();
        if head.status.is_success() {
            return Ok(body);
        }
        let after = head.headers.get("retry-after").and_then(|it| it.to_str().ok()?.parse().ok());
        let text = whole(body, REFUSAL_BYTES_MAX).await.unwrap_or_default();
        Err(refusal(head.status.as_u16(), after.map(Duration::from_secs), &text))
    }

    async fn call<R: DeserializeOwned>(&self, made: Made) -> Result<R, Trouble> {
        let bytes = whole(self.send(made).await?, usize::MAX).await?;
        serde_json::from_slice(&bytes)
            .map_err(|error| Trouble::perhaps(format!("an answer that is none: {error}")))
    }

    /// One thing, if it is there.
    pub(super) async fn get<T: Thing>(&self, name: &str) -> Result<Option<T>, Trouble> {
        match self.call(self.request::<T>().get(name, &GetParams::default())).await {
            Ok(thing) => Ok(Some(thing)),
            Err(trouble) if trouble.is(404) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// Makes a thing, and answers with it; `None` when one of that name is there already.
    pub(super) async fn create<T: Thing>(&self, thing: &T) -> Result<Option<T>, Trouble> {
        let text = serde_json::to_vec(thing).unwrap_or_default();
        match self.call(self.request::<T>().create(&PostParams::default(), text)).await {
            Ok(thing) => Ok(Some(thing)),
            Err(Trouble::Refused { code: 409, reason, .. }) if reason == "AlreadyExists" => {
                Ok(None)
            }
            Err(trouble) => Err(trouble),
        }
    }

    /// Deletes a thing with all that belongs to it; it is there until that is gone. `false` when it is not
    /// there.
    pub(super) async fn delete_whole<T: Thing>(&self, name: &str) -> Result<bool, Trouble> {
        self.delete_with::<T>(name, &DeleteParams::foreground()).await
    }

    /// Deletes a thing that is to stop within so many seconds. `false` when it is not there.
    pub(super) async fn delete_within<T: Thing>(
        &self,
        name: &str,
        seconds: u32,
    ) -> Result<bool, Trouble> {
        self.delete_with::<T>(name, &DeleteParams::background().grace_period(seconds)).await
    }

    /// Deletes a thing to which nothing belongs. `false` when it is not there.
    pub(super) async fn delete<T: Thing>(&self, name: &str) -> Result<bool, Trouble> {
        self.delete_with::<T>(name, &DeleteParams::background()).await
    }

    async fn delete_with<T: Thing>(&self, name: &str, how: &DeleteParams) -> Result<bool, Trouble> {
        let made = self.request::<T>().delete(name, how);
        match self.call::<serde_json::Value>(made).await {
            Ok(_) => Ok(true),
            Err(trouble) if trouble.is(404) => Ok(false),
            Err(trouble) => Err(trouble),
        }
    }

    /// All that have these labels, as they are now, and the version from which changes can be watched.
    pub(super) async fn list<T: Thing>(
        &self,
        selector: &str,
        many: Option<u32>,
    ) -> Result<(Vec<T>, String), Trouble> {
        let params = ListParams { limit: many, ..ListParams::default().labels(selector) };
        let list: ObjectList<T> = self.call(self.request::<T>().list(&params)).await?;
        Ok((list.items, list.metadata.resource_version.unwrap_or_default()))
    }

    /// What changes of those, from that version on, for a minute at most.
    pub(super) async fn watch<T: Thing>(
        &self,
        selector: &str,
        version: &str,
    ) -> Result<impl Stream<Item = Result<Change<T>, Trouble>> + Send + use<T>, Trouble> {
        let params = WatchParams::default().labels(selector).timeout(WATCH_SECONDS);
        let body = self.send(self.request::<T>().watch(&params, version)).await?;
        let limit = Duration::from_secs(u64::from(WATCH_SECONDS) + 15);
        let over = Box::pin(tokio::time::sleep(limit));
        Ok(lines(body).take_until(over).map(|line| {
            serde_json::from_slice(&line?)
                .map_err(|error| Trouble::perhaps(format!("a change that is none: {error}")))
        }))
    }

    /// What a container has written since that time and writes until its end, each line with its time.
    pub(super) async fn logs(
        &self,
        pod: &str,
        container: &str,
        since: Option<Timestamp>,
    ) -> Result<impl Stream<Item = Result<Bytes, Trouble>> + Send + use<>, Trouble> {
        let params = LogParams {
            container: Some(container.to_owned()),
            follow: true,
            since_time: since,
            timestamps: true,
            ..LogParams::default()
        };
        Ok(pieces(self.send(self.request::<Pod>().logs(pod, &params)).await?))
    }
}

/// What tells an API server from others.
fn server_of(config: &Config) -> String {
    let url = &config.cluster_url;
    // Without a user and a password.
    let (scheme, host) = (url.scheme_str().unwrap_or("http"), url.host().unwrap_or_default());
    let port = url.port_u16().map_or_else(String::new, |port| format!(":{port}"));
    let path = url.path().trim_end_matches('/');
    let mut server = format!("{scheme}://{host}{port}{path}");
    if let Some(certificates) = config.root_cert.as_ref().filter(|all| !all.is_empty()) {
        let hash = certificates.iter().fold(Sha256::new(), |hash, it| hash.chain_update(it));
        server += &format!("#{}", hex::encode(&hash.finalize()[..5]));
    }
    server
}

type Made = Result<axum::http::Request<Vec<u8>>, kube::core::request::Error>;

/// A body by its pieces.
fn pieces(mut body: Body) -> impl Stream<Item = Result<Bytes, Trouble>> + Send + Unpin {
    futures_util::stream::poll_fn(move |cx| {
        loop {
            let frame = match ready!(Pin::new(&mut body).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                Some(Err(error)) => {
                    return Poll::Ready(Some(Err(Trouble::perhaps(causes(&error)))));
                }
                None => return Poll::Ready(None),
            };
            if let Ok(piece) = frame.into_data() {
                return Poll::Ready(Some(Ok(piece)));
            }
        }
    })
}

/// A whole body, or its beginning.
async fn whole(body: Body, bytes_max: usize) -> Result<Vec<u8>, Trouble> {
    let read = async {
        let (mut all, mut pieces) = (Vec::new(), pieces(body));
        while let Some(piece) = pieces.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > bytes_max {
                all.truncate(bytes_max);
                break;
            }
        }
        Ok(all)
    };
    let read = tokio::time::timeout(CALL_TIMEOUT, read).await;
    read.unwrap_or_else(|_| Err(Trouble::perhaps("no whole answer in time")))
}

/// A body by its lines. One without an end is none.
fn lines(body: Body) -> impl Stream<Item = Result<Vec<u8>, Trouble>> + Send {
    let (mut pieces, mut rest) = (pieces(body), Vec::new());
    futures_util::stream::poll_fn(move |cx| {
        loop {
            if let Some(at) = rest.iter().position(|byte| *byte == b'\n') {
                let next = rest.split_off(at + 1);
                return Poll::Ready(Some(Ok(std::mem::replace(&mut rest, next))));
            }
            match ready!(pieces.poll_next_unpin(cx)) {
                Some(Ok(piece)) => rest.extend_from_slice(&piece),
                Some(Err(trouble)) => return Poll::Ready(Some(Err(trouble))),
                None => return Poll::Ready(None),
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn without_a_kubeconfig_it_must_be_a_pod() {
        // Where a pod has its token, its authority and its namespace is the library's to know.
        let error = Cluster::new(None, None, None).await.err().unwrap().to_string();
        assert!(error.starts_with("this is no pod of a cluster ("), "{error}");
        assert!(error.ends_with("name a `kubeconfig`"), "{error}");
    }

    #[test]
    fn a_server_is_told_from_others_by_its_address_and_its_authority() {
        let config = |url: &str, root: Option<&[u8]>| {
            let mut config = Config::new(url.parse().unwrap());
            config.root_cert = root.map(|root| vec![root.to_vec()]);
            server_of(&config)
        };
        assert_eq!(
            config("https://me:secret@10.0.0.1:6443/k8s/", None),
            "https://10.0.0.1:6443/k8s"
        );
        let (one, other) =
            (config("https://10.0.0.1", Some(b"a")), config("https://10.0.0.1", Some(b"b")));
        assert!(one != other && one.starts_with("https://10.0.0.1#"), "{one} {other}");
    }
}
