//! Which addresses a request may go to: a URL of somebody else's making must not reach into the network that
//! the server stands in.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Whether an address is of this machine, of a private network, or of none (RFC 1918, 4193, 6598, 3927,
/// 4291 and the special addresses of RFC 6890).
pub(super) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(it) => is_private_v4(it),
        IpAddr::V6(it) => match it.to_ipv4_mapped() {
            Some(v4) => is_private_v4(v4),
            None => {
                it.is_loopback()
                    || it.is_unspecified()
                    || it.is_multicast()
                    || it.is_unique_local()
                    || it.is_unicast_link_local()
                    // Addresses of IPv4 in those of IPv6: translated, 6to4, Teredo.
                    || matches!(it.segments(), [0x64, 0xff9b, ..] | [0x2002, ..] | [0x2001, 0, ..])
            }
        },
    }
}

fn is_private_v4(it: Ipv4Addr) -> bool {
    let [first, second, ..] = it.octets();
    it.is_private()
        || it.is_loopback()
        || it.is_link_local()
        || it.is_unspecified()
        || it.is_broadcast()
        || it.is_multicast()
        || first == 0
        || first >= 240
        || (first == 100 && (64..128).contains(&second))
        || (first == 192 && second == 0 && it.octets()[2] == 0)
        || (first == 198 && (18..20).contains(&second))
}

/// Resolves names as the system does, and leaves out what must not be called. What it answers is what is
/// connected to, so a name that changes in between changes nothing.
pub(super) struct Guarded {
    pub(super) private_addresses: bool,
}

impl Resolve for Guarded {
    fn resolve(&self, name: Name) -> Resolving {
        let all = self.private_addresses;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed: Vec<SocketAddr> =
                found.filter(|address| all || !is_private(address.ip())).collect();
            if allowed.is_empty() {
                let text = format!("{} has no address that may be called", name.as_str());
                return Err(std::io::Error::other(text).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_inside_are_told_from_those_outside() {
        let inside = [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "192.0.0.1",
            "198.18.0.1",
            "::1",
            "::",
            "fe80::1",
            "fd00::1",
            "ff02::1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::",
        ];
        for address in inside {
            assert!(is_private(address.parse().unwrap()), "{address}");
        }
        for address in ["1.1.1.1", "8.8.8.8", "100.128.0.1", "172.32.0.1", "2606:4700::1111"] {
            assert!(!is_private(address.parse().unwrap()), "{address}");
        }
    }
}
