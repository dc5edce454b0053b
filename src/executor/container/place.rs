//! Where an attempt's container is, and what it is called: what is stored of an attempt.
//!
//! `NAME@HOST@DAEMON`: the container's name, what the daemon's machine calls itself, and its address. The same socket's
//! path on another machine is another daemon, so the address alone says too little. HOST is empty where the
//! daemon does not tell. Servers before this one stored the name alone.

use std::fmt;

/// Where a container is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) container: String,
    /// The daemon's address, as [`super::DaemonAddress`] writes it; `None` when it was not stored.
    pub(super) daemon: Option<String>,
    /// What its machine is called, if that is known.
    pub(super) host: Option<String>,
}

impl Place {
    /// A container of which the name alone is known.
    pub(super) fn somewhere(container: impl Into<String>) -> Self {
        Self { container: container.into(), daemon: None, host: None }
    }

    /// Reads what was stored.
    pub(super) fn read(text: &str) -> Self {
        let mut parts = text.splitn(3, '@').map(str::to_owned);
        let mut place = Self::somewhere(parts.next().unwrap_or_default());
        place.host = parts.next().filter(|host| !host.is_empty());
        place.daemon = parts.next();
        place
    }

    /// Whether a daemon, of which these are known, is certainly the one that has or had the container.
    pub(super) fn is_of(&self, address: &str, host: Option<&str>) -> bool {
        // Of one machine there may be several daemons, and of one address several machines.
        self.daemon.as_deref().is_none_or(|daemon| daemon == address)
            && self.host.as_deref().is_none_or(|known| host == Some(known))
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let Self { container, daemon, host } = self;
        let daemon = daemon.as_deref().unwrap_or("this daemon");
        let host = host.as_ref().map_or_else(String::new, |host| format!(" of the host {host}"));
        format!("the container {container} on {daemon}{host}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { container, daemon, host } = self;
        match daemon {
            Some(daemon) => write!(f, "{container}@{}@{daemon}", host.as_deref().unwrap_or("")),
            None => f.write_str(container),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "dispatchyard-job-7-attempt-1-0a1b2c3d";

    fn place(daemon: Option<&str>, host: Option<&str>) -> Place {
        Place {
            container: NAME.to_owned(),
            daemon: daemon.map(str::to_owned),
            host: host.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_stored_is_read_back_and_so_is_what_was_stored_before() {
        for (text, wanted) in [
            (NAME.to_owned(), place(None, None)),
            (format!("{NAME}@@unix:///d.sock"), place(Some("unix:///d.sock"), None)),
            (format!("{NAME}@box@unix:///a@b.sock"), place(Some("unix:///a@b.sock"), Some("box"))),
        ] {
            assert_eq!(Place::read(&text), wanted, "{text}");
            assert_eq!(wanted.to_string(), text);
        }
    }

    #[test]
    fn a_daemon_is_the_one_when_its_address_and_its_machine_are() {
        let (here, there) = ("unix:///d.sock", "unix:///e.sock");
        let known = place(Some(here), Some("box"));
        assert!(known.is_of(here, Some("box")) && !known.is_of(there, Some("box")));
        assert!(!known.is_of(here, Some("bin")) && !known.is_of(here, None));
        let silent = place(Some(here), None);
        assert!(silent.is_of(here, Some("box")) && !silent.is_of(there, Some("box")));
        assert!(place(None, None).is_of(here, None), "of before: there is nothing more to know");
    }
}
