//! Where an attempt's Job is: what is stored of an attempt.
//!
//! `NAMESPACE/JOB@SERVER`, where SERVER is the address of the API server and, behind `#`, a hash of the certificates
//! by which it is known: in each cluster the server has the same address for pods. Servers before this one stored
//! `NAMESPACE/JOB`.

use std::fmt;

/// Where a Job is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Place {
    pub(super) job: String,
    /// `None` when it was not stored.
    pub(super) namespace: Option<String>,
    /// The same.
    pub(super) server: Option<String>,
}

impl Place {
    /// Reads what was stored.
    pub(super) fn read(text: &str) -> Self {
        let (known, server) = match text.split_once('@') {
            Some((known, server)) => (known, Some(server.to_owned())),
            None => (text, None),
        };
        let (namespace, job) = match known.split_once('/') {
            Some((namespace, job)) => (Some(namespace.to_owned()), job),
            None => (None, known),
        };
        Self { job: job.to_owned(), namespace, server }
    }

    /// Whether that server is certainly the one that has or had it.
    pub(super) fn is_of(&self, server: &str) -> bool {
        self.server.as_deref().is_none_or(|known| known == server)
    }

    /// For people.
    pub(super) fn told(&self) -> String {
        let Self { job, namespace, server } = self;
        let namespace = namespace.as_ref().map_or_else(String::new, |it| format!(" in {it}"));
        let server = server.as_ref().map_or_else(String::new, |it| format!(" of {it}"));
        format!("the Job {job}{namespace}{server}")
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.job)?;
        match &self.server {
            Some(server) => write!(f, "@{server}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_so_is_what_was_stored_before() {
        let (ci, server) = (Some("ci".to_owned()), Some("https://10.0.0.1:6443#0a1b".to_owned()));
        for (text, namespace, known) in [
            ("yard-7-1-ab", None, None),
            ("ci/yard-7-1-ab", ci.clone(), None),
            ("ci/yard-7-1-ab@https://10.0.0.1:6443#0a1b", ci, server),
        ] {
            let place = Place { job: "yard-7-1-ab".to_owned(), namespace, server: known };
            assert_eq!(Place::read(text), place);
            assert_eq!(place.to_string(), text);
        }
    }

    #[test]
    fn a_server_is_the_one_by_its_address_and_its_certificates() {
        let place = Place::read("ci/yard-7-1-ab@https://10.0.0.1:6443#0a1b");
        assert!(place.is_of("https://10.0.0.1:6443#0a1b"));
        assert!(!place.is_of("https://10.0.0.1:6443#ffff") && !place.is_of("https://10.0.0.2"));
        assert!(Place::read("ci/yard-7-1-ab").is_of("https://10.0.0.1:6443"), "of before");
    }
}
