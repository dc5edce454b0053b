//! A folder with everything that one server needs: configuration, secrets, workflows, data.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use dispatchyard::config::Config;
use tempfile::TempDir;
use toml::Value;

use super::Schema;

/// The secret of the source `github`.
pub(crate) const HOOK_SECRET: &str = "it's a secret to everybody";
pub(crate) const ADMIN_TOKEN: &str = "admin-token-of-this-test";
pub(crate) const REGISTRATION_TOKEN: &str = "registration-token-of-this-test";

/// By which callbacks are signed.
pub(crate) const CALLBACK_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The text of a token with a name.
pub(crate) fn token(name: &str) -> String {
    format!("the-text-of-{name}")
}

/// Two jobs, one after the other, that say what they know of the event.
const CI: &str = r#"
x-dispatch: { backoff_ms: 0 }
jobs:
  build:
    runs-on: [self-hosted]
    steps:
      - name: Say it
        env: { GREETING: hello }
        run: |
          echo "$GREETING from build"
          echo "ref=$DISPATCHYARD_EVENT_REF"
          echo "trace=$TRACEPARENT"
          echo "artifact=42" >> "$DISPATCHYARD_OUTPUT"
  test:
    needs: build
    runs-on: [self-hosted]
    steps:
      - run: |
          echo "needs: $(cat "$DISPATCHYARD_NEEDS_PATH")"
"#;

pub(crate) const RULES: &str = r#"
[[trigger]]
name = "ci-on-push"
source = "github"
workflow = "ci"
[trigger.on.push]
branches = ["main", "odd/**"]
"#;

/// Keys of one section.
type Keys = Vec<(&'static str, Value)>;

/// What a server is to be made of; the times are short, so that what must expire expires soon.
#[derive(Clone)]
pub(crate) struct Setup {
    server: Keys,
    scheduler: Keys,
    limits: Keys,
    tokens: bool,
    /// Names of tokens.
    named: Vec<String>,
    rules: String,
    workflows: Vec<(String, String)>,
    /// Where the database is, if not in the folder.
    schema: Option<Arc<Schema>>,
    /// The same, as the configuration says it.
    database: Option<String>,
}

impl Default for Setup {
    fn default() -> Self {
        let scheduler = [
            ("lease_ms", 1_500),
            ("heartbeat_interval_ms", 300),
            ("heartbeat_timeout_ms", 1_500),
            ("ack_window_ms", 1_000),
            ("cancel_grace_ms", 1_000),
            ("backoff_ms", 0),
        ];
        Self {
            server: vec![("listen", "127.0.0.1:0".into()), ("data_dir", "data".into())],
            scheduler: scheduler.map(|(key, value)| (key, Value::from(value))).into(),
            limits: Vec::new(),
            tokens: false,
            named: Vec::new(),
            rules: RULES.to_owned(),
            workflows: vec![("ci.yml".into(), CI.to_owned())],
            schema: None,
            database: None,
        }
    }
}

impl Setup {
    pub(crate) fn server(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        set(&mut self.server, key, value.into());
        self
    }

    pub(crate) fn scheduler(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        set(&mut self.scheduler, key, value.into());
        self
    }

    pub(crate) fn limit(mut self, key: &'static str, value: impl Into<Value>) -> Self {
        set(&mut self.limits, key, value.into());
        self
    }

    /// On PostgreSQL, in a schema of its own.
    pub(crate) async fn on_postgres(mut self) -> Self {
        let schema = Schema::new().await;
        self.database = Some(schema.url());
        self.schema = Some(Arc::new(schema));
        self
    }

    /// The database of its schema by another address.
    pub(crate) fn through(&self, address: impl FnOnce(&str) -> String) -> Self {
        Self { database: Some(address(&self.url())), ..self.clone() }
    }

    /// Where its schema is.
    pub(crate) fn url(&self) -> String {
        self.schema.as_ref().map(|schema| schema.url()).unwrap()
    }

    /// On whatever that is.
    pub(crate) fn database(mut self, url: String) -> Self {
        self.database = Some(url);
        self
    }

    /// A port that is the same after a restart. It lies below those that systems hand out for
    /// port 0, so that no other test can be given it while the server is away.
    pub(crate) fn own_port(self) -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        // Tests are processes with numbers beside each other: their ports are not.
        let first = 20_000 + u16::try_from(std::process::id().wrapping_mul(37) % 10_000).unwrap();
        let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
        let is_free = |port: &u16| std::net::TcpListener::bind(("127.0.0.1", *port)).is_ok();
        let port = ports.find(is_free).unwrap();
        self.server("listen", format!("127.0.0.1:{port}"))
    }

    /// No lease ends by silence, for tests that have none to do with it: on a busy machine even a
    /// good runner may be late.
    pub(crate) fn patient(self) -> Self {
        self.scheduler("lease_ms", 60_000)
            .scheduler("heartbeat_timeout_ms", 60_000)
            .scheduler("ack_window_ms", 30_000)
    }

    /// With an admin token and a registration token.
    pub(crate) fn tokens(mut self) -> Self {
        self.tokens = true;
        self
    }

    /// Adds a token with a name, a role and further keys; see [`token`].
    pub(crate) fn token(mut self, name: &str, role: &str, more: &str) -> Self {
        self.rules += &format!(
            "\n[[access.token]]\nname = \"{name}\"\nrole = \"{role}\"\n{more}\n\
             secrets = [{{ file = \"token-{name}\" }}]\n"
        );
        self.named.push(name.to_owned());
        self
    }

    /// Adds sections after the triggers.
    pub(crate) fn more(mut self, text: &str) -> Self {
        self.rules += text;
        self
    }

    /// Replaces the triggers.
    pub(crate) fn rules(mut self, text: &str) -> Self {
        self.rules = text.to_owned();
        self
    }

    /// Adds a workflow file, or replaces one.
    pub(crate) fn workflow(mut self, name: &str, text: impl Into<String>) -> Self {
        let file = format!("{name}.yml");
        self.workflows.retain(|(known, _)| *known != file);
        self.workflows.push((file, text.into()));
        self
    }

    /// Writes it all into a folder.
    pub(crate) fn build(&self) -> Home {
        let folder = TempDir::new().unwrap();
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        std::fs::create_dir(folder.path().join("workflows")).unwrap();
        for (name, text) in &self.workflows {
            write(&format!("workflows/{name}"), text).unwrap();
        }
        write("hook-secret", HOOK_SECRET).unwrap();
        write("admin-token", ADMIN_TOKEN).unwrap();
        write("registration-token", REGISTRATION_TOKEN).unwrap();
        write("callback-secret", CALLBACK_SECRET).unwrap();
        for name in &self.named {
            write(&format!("token-{name}"), &token(name)).unwrap();
        }
        write("dispatchyard.toml", &self.text()).unwrap();
        Home { folder, schema: self.schema.clone() }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        if let Some(url) = &self.database {
            writeln!(text, "[database]\nurl = {url:?}").unwrap();
        }
        for (name, keys) in
            [("server", &self.server), ("scheduler", &self.scheduler), ("limits", &self.limits)]
        {
            writeln!(text, "[{name}]").unwrap();
            for (key, value) in keys {
                writeln!(text, "{key} = {value}").unwrap();
            }
        }
        if self.tokens {
            text += "[access]\nadmin_tokens = [{ file = \"admin-token\" }]\n\
                     runner_tokens = [{ file = \"registration-token\" }]\n";
        }
        text += "[[source]]\nname = \"github\"\nsecrets = [{ file = \"hook-secret\" }]\n";
        text + &self.rules
    }
}

fn set(keys: &mut Keys, key: &'static str, value: Value) {
    keys.retain(|(known, _)| *known != key);
    keys.push((key, value));
}

/// The folder; it goes away with the value.
pub(crate) struct Home {
    folder: TempDir,
    schema: Option<Arc<Schema>>,
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// The schema of its database, if that is on PostgreSQL.
    pub(crate) fn schema(&self) -> Option<&Schema> {
        self.schema.as_deref()
    }

    pub(crate) fn config_file(&self) -> PathBuf {
        self.file("dispatchyard.toml")
    }

    /// Writes something else into the configuration, for the next start.
    pub(crate) fn change(&self, from: &str, to: &str) {
        let text = std::fs::read_to_string(self.config_file()).unwrap();
        assert!(text.contains(from), "`{from}` is not in {text}");
        std::fs::write(self.config_file(), text.replace(from, to)).unwrap();
    }

    pub(crate) fn config(&self) -> Config {
        Config::load(&self.config_file(), []).unwrap_or_else(|error| panic!("{error}"))
    }
}
