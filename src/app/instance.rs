//! What a server tells the others that share its database.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;

use crate::api::Forwarder;
use crate::api::access::hash;
use crate::clock::{Clock, OsEntropy, uuid_v7};
use crate::config::{Config, InstancesConfig};
use crate::driver::Term;
use crate::store::{Instance, Location, StoreOptions};

/// Several servers can share a PostgreSQL: this one says who it is. A SQLite file is one server's.
pub(super) fn share(
    config: &Config,
    address: SocketAddr,
    clock: &dyn Clock,
    mut options: StoreOptions,
) -> StoreOptions {
    if let Location::Server(_) = &options.location {
        options.instance = Some(instance(config, address, clock));
        // The database gives up a leader's statement before another instance can lead.
        let limit_ms = config.instances.leader_ttl_ms.unsigned_abs() / 5 * 4;
        options.write_timeout_ms = options.write_timeout_ms.min(limit_ms);
        options.busy_timeout_ms = options.busy_timeout_ms.min(limit_ms);
        options.leader_silence_max_ms = term(config).session_silence_max_ms().unsigned_abs();
    }
    options
}

/// How long a leader is believed.
pub(super) fn term(config: &Config) -> Term {
    let InstancesConfig { leader_ttl_ms, look_interval_ms, .. } = config.instances;
    Term { ttl_ms: leader_ttl_ms, look_ms: look_interval_ms }
}

/// What this process is called and where it is reached.
fn instance(config: &Config, address: SocketAddr, clock: &dyn Clock) -> Instance {
    let configured = config.server.advertised_url.as_deref();
    // On every address of the machine is no address that another one could call.
    let own = (!address.ip().is_unspecified()).then(|| format!("http://{address}"));
    let url = configured.map(str::to_owned).or(own);
    let name = config.server.name.clone().unwrap_or_else(|| {
        url.as_deref()
            .and_then(|it| it.split("://").nth(1))
            .map_or_else(|| address.to_string(), |authority| authority.to_owned())
    });
    Instance {
        id: uuid_v7(clock.now(), &mut OsEntropy).to_string().into(),
        name: name.into(),
        advertised_url: url.map(Into::into),
        version: env!("CARGO_PKG_VERSION").into(),
        config_hash: hash(&common(config).to_string()).into(),
    }
}

/// What an operator should know of an instance that others cannot reach.
pub(super) fn warning(instance: &Instance) -> Option<String> {
    instance.advertised_url.is_none().then(|| {
        "other instances on this PostgreSQL cannot pass calls on to this one: it listens on all \
         addresses, so set advertised_url in [server]"
            .to_owned()
    })
}

/// How calls are passed on, where there can be others.
pub(super) fn forwarder(config: &Config, instance: Option<&Instance>) -> Option<Forwarder> {
    let wait_ms = config.instances.forward_wait_ms.unsigned_abs();
    let forwarder = Forwarder::new(&instance?.name, Duration::from_millis(wait_ms));
    forwarder
        .inspect_err(|error| tracing::error!(%error, "calls cannot be passed on to a leader"))
        .ok()
}

/// What all instances of a database should have in common: everything but where each one is.
fn common(config: &Config) -> serde_json::Value {
    let triggers: Vec<_> = config.triggers.iter().map(|it| it.get_ref()).collect();
    json!({
        "instances": config.instances,
        "scheduler": config.scheduler,
        "limits": config.limits,
        "access": config.access,
        "tenants": config.tenants,
        "pools": config.pools,
        "skills": config.skills,
        "resources": config.resources,
        "sources": config.sources,
        "triggers": triggers,
        "workflows": workflows(config),
    })
}

/// The workflow files with their texts; what cannot be read was told of before.
fn workflows(config: &Config) -> Vec<(String, String)> {
    let entries = std::fs::read_dir(config.workflows_dir()).into_iter().flatten().flatten();
    let mut files: Vec<_> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some((name, std::fs::read_to_string(entry.path()).ok()?))
        })
        .collect();
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::clock::ManualClock;

    fn of(text: &str, address: &str) -> Instance {
        let config = Config::from_text(Path::new("d.toml"), text, []).unwrap();
        instance(&config, address.parse().unwrap(), &ManualClock::default())
    }

    #[test]
    fn only_what_should_be_the_same_counts_as_configuration() {
        let one = of("[server]\nlisten = '127.0.0.1:1'\nname = 'a'", "127.0.0.1:1");
        let other = of("# other\n[server]\nlisten = '127.0.0.1:2'", "127.0.0.1:2");
        assert_eq!(one.config_hash, other.config_hash);
        assert_eq!((&*one.name, &*other.name), ("a", "127.0.0.1:2"));
        assert_eq!(other.advertised_url.as_deref(), Some("http://127.0.0.1:2"));
        let changed = of("[scheduler]\nmax_retries = 1", "127.0.0.1:1");
        assert_ne!(one.config_hash, changed.config_hash);
    }

    #[test]
    fn an_instance_on_all_addresses_has_none_unless_it_is_told() {
        assert_eq!(of("", "0.0.0.0:80").advertised_url, None);
        let told = of("[server]\nadvertised_url = 'https://yard.example/'", "0.0.0.0:80");
        assert_eq!(told.advertised_url.as_deref(), Some("https://yard.example"));
        assert_eq!(&*told.name, "yard.example");
    }
}
