//! The network between an instance and PostgreSQL, and what can happen to it.
//!
//! A connection here is two: what one side sends is read, kept for a while, and sent to the other. In the
//! dark it is read no further than buffers go, as in a partition: nothing is lost, and what was sent comes
//! late, if it still can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What becomes of bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weather {
    /// They pass.
    Fair,
    /// They pass after this time.
    Slow(Duration),
    /// Nothing passes, in neither direction; no connection ends.
    Dark,
    /// What the instance says passes, and it hears nothing.
    Mute,
    /// Connections end, and so does each new one.
    Cut,
}

/// Which way bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Between one instance and its database.
#[derive(Clone)]
pub(crate) struct Proxy {
    address: SocketAddr,
    /// For connections that are made from now on; those of before a [`Proxy::forget`] have their own.
    weather: Arc<Mutex<watch::Sender<Weather>>>,
    forgotten: Arc<Mutex<Vec<watch::Sender<Weather>>>>,
}

impl Proxy {
    /// To the server of this address.
    pub(crate) async fn to(url: &str) -> Self {
        let server = url::authority(url).1.to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Self {
            address: listener.local_addr().unwrap(),
            weather: Arc::new(Mutex::new(watch::Sender::new(Weather::Fair))),
            forgotten: Arc::default(),
        };
        let weather = Arc::clone(&proxy.weather);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let seen = weather.lock().unwrap().subscribe();
                tokio::spawn(join(client, server.clone(), seen));
            }
        });
        proxy
    }

    /// The same database through this.
    pub(crate) fn url(&self, url: &str) -> String {
        let (before, server, after) = url::authority(url);
        assert!(!server.is_empty());
        format!("{before}{}{after}", self.address)
    }

    pub(crate) fn set(&self, weather: Weather) {
        self.weather.lock().unwrap().send_replace(weather);
    }

    /// What is between them has forgotten all connections, and tells nobody: they stay dark for ever, and
    /// new ones pass.
    pub(crate) fn forget(&self) {
        let mut weather = self.weather.lock().unwrap();
        weather.send_replace(Weather::Dark);
        let old = std::mem::replace(&mut *weather, watch::Sender::new(Weather::Fair));
        self.forgotten.lock().unwrap().push(old);
    }
}

/// The same database as another user.
pub(crate) fn with_user(url: &str, user: &str, password: &str) -> String {
    let (before, server, after) = url::authority(url);
    let scheme = before.split_inclusive("://").next().unwrap();
    format!("{scheme}{user}:{password}@{server}{after}")
}

/// Addresses as `postgres://user:password@host:port/database?...`.
mod url {
    /// What is before the host and port, these, and what is after them.
    pub(super) fn authority(url: &str) -> (&str, &str, &str) {
        let begin = url.find("://").map_or(0, |at| at + 3);
        let end = url[begin..].find('/').map_or(url.len(), |at| begin + at);
        let begin = url[begin..end].rfind('@').map_or(begin, |at| begin + at + 1);
        let server = &url[begin..end];
        assert!(!server.is_empty(), "these tests need DATABASE_URL with a host: not a socket's");
        (&url[..begin], server, &url[end..])
    }
}

async fn join(client: TcpStream, server: String, mut weather: watch::Receiver<Weather>) {
    let _ = client.set_nodelay(true);
    // In the dark nobody knows that it was asked for.
    match weather.wait_for(|it| *it != Weather::Dark).await.as_deref() {
        Ok(Weather::Cut) | Err(_) => return,
        Ok(_) => {}
    }
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let mut cut = weather.clone();
    tokio::select! {
        _ = cut.wait_for(|it| *it == Weather::Cut) => {}
        _ = async {
            tokio::join!(
                pass(from_client, to_server, weather.clone(), Way::There),
                pass(from_server, to_client, weather.clone(), Way::Back),
            )
        } => {}
    }
}

async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut weather: watch::Receiver<Weather>,
    way: Way,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let many = from.read(&mut buffer).await.unwrap_or(0);
        let slow = *weather.borrow();
        if let Weather::Slow(late) = slow {
            tokio::time::sleep(late).await;
        }
        let passes = |it: &Weather| match it {
            Weather::Dark => false,
            Weather::Mute => way == Way::There,
            Weather::Fair | Weather::Slow(_) | Weather::Cut => true,
        };
        if weather.wait_for(passes).await.is_err() {
            return;
        }
        if many == 0 {
            let _ = to.shutdown().await;
            return;
        }
        if to.write_all(&buffer[..many]).await.is_err() {
            return;
        }
    }
}
