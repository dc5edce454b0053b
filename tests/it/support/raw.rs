//! HTTP as bytes on a connection, for what no good client would send.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::wait::within;

/// A connection.
pub(crate) struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap() }
    }

    /// Sends; whether the other side still takes it.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// The status of the next answer.
    pub(crate) async fn status(&mut self) -> u16 {
        let mut line = Vec::new();
        while !line.ends_with(b"\r\n") {
            let byte = within("an answer", self.stream.read_u8()).await.unwrap();
            line.push(byte);
        }
        let line = String::from_utf8(line).unwrap();
        line.split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .unwrap_or_else(|| panic!("{line}"))
    }

    /// Everything that comes until the other side closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        // A reset is an end as well.
        let _ = within("the end of a connection", self.stream.read_to_end(&mut bytes)).await;
        bytes
    }
}
