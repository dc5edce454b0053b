//! What an operator decides about a runner. Times are milliseconds, sizes are bytes.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{AgentProtocol, RunnerError, StepLimits, environment};

/// How a runner asks for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum WorkTransport {
    /// By a stream; while that is broken, or there is none, by polls.
    #[default]
    Auto,
    /// By polls alone.
    Poll,
}

/// Where a runner finds the token by which it registers.
#[derive(Clone)]
pub enum TokenSource {
    /// `--token-file`: in this file, which is read again with each registration, so that a rotated
    /// token needs no restart.
    File(PathBuf),
    /// This is it.
    Value(String),
}

impl std::fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
            Self::Value(_) => f.write_str("Value(..)"),
        }
    }
}

impl From<PathBuf> for TokenSource {
    fn from(path: PathBuf) -> Self {
        Self::File(path)
    }
}

/// Settings of one runner process. Heartbeat interval and the longest poll come from the server's
/// answer to `register`.
#[derive(Clone, Debug)]
pub struct RunnerOptions {
    /// `--server`: the server's base address, `http://` or `https://`.
    pub server: String,
    /// Where the registration token is.
    pub token: TokenSource,
    /// `--work-dir`: identity, logs and workspaces; one runner at a time.
    pub work_dir: PathBuf,
    /// `--name`: what people call it. Default: the host's name.
    pub name: String,
    /// `--pool`: the pool's name. Default: the server's default pool.
    pub pool: Option<String>,
    /// `--labels`: besides `self-hosted`, the operating system and the architecture.
    pub labels: Vec<String>,
    /// `--slots`: jobs at the same time. Default 1.
    pub slots: u32,
    /// `--agent PROFILE=COMMAND`: the command of each agent profile, run by the shell that runs
    /// steps, with the prompt on standard input.
    pub agents: BTreeMap<String, String>,
    /// `--agent-protocol PROFILE=jsonl`: how the command of a profile is spoken to in a session. Default
    /// `plain`.
    pub agent_protocols: BTreeMap<String, AgentProtocol>,
    /// `--actions`: the command that carries out steps that use an action, run by the shell that runs
    /// steps; such a runner has the label `actions`. Default none.
    pub actions: Option<String>,
    /// `--gpu`: number of graphics processors. Default 0.
    pub gpu: u32,
    /// `--region`: where it stands.
    pub region: Option<String>,
    /// `--zone`: where in the region it stands.
    pub zone: Option<String>,
    /// `--transport`: how it asks for work. Default: by a stream, and by polls while there is none.
    pub transport: WorkTransport,
    /// `--jobs-max`: leave after so many jobs. Default: never.
    pub jobs_max: Option<u32>,
    /// `--ephemeral`: deregister on leaving instead of staying known as offline. Default no.
    pub ephemeral: bool,
    /// `--keep-workspaces`: leave the folders of ended attempts for debugging. Default no.
    pub keep_workspaces: bool,
    /// `--secret-env`: variables of the runner's own environment that steps of trusted jobs get, and
    /// that are masked in all that is sent. Default none.
    pub secret_env: Vec<String>,
    /// `--secrets-for-untrusted`: give them to jobs that a stranger may have caused, too. Default no.
    pub secrets_for_untrusted: bool,
    /// `--warm-workspace`: resources each unit of which has a workspace that is kept. Default none.
    pub warm_workspaces: Vec<String>,
    /// `--warm-dir`: where these are. Default: `warm` in the work folder.
    pub warm_dir: Option<PathBuf>,
    /// How long a job waits for such a workspace while another runner still uses it, which has lost its lease and
    /// is about to stop; then it is given back. Default 60 s.
    pub workspace_wait_ms: u64,
    /// `--step-.._max`: what each process of a step may use. Default: no core files, else the
    /// runner's own limits.
    pub step_limits: StepLimits,
    /// Between TERM and KILL when work is stopped. Default 10 s.
    pub grace_ms: u64,
    /// How long a drain may take before it becomes a forced stop. Default 300 s.
    pub drain_timeout_ms: u64,
    /// How long a forced stop tries to send logs and give leases back. Default 5 s.
    pub release_wait_ms: u64,
    /// How long a poll asks to be parked, bounded by the server's maximum. Default 50 s.
    pub poll_wait_ms: u64,
    /// The shortest time between two polls when the first brought nothing new. Default 250 ms.
    pub poll_floor_ms: u64,
    /// How long a call may take beyond what it asks the server to wait. Default 30 s.
    pub request_timeout_ms: u64,
    /// The first delay before a call is repeated; doubled each time. Default 200 ms.
    pub retry_initial_ms: u64,
    /// The longest such delay. Default 10 s.
    pub retry_max_ms: u64,
    /// The longest delay before the stream is tried again, beside polls. Default 60 s.
    pub stream_retry_max_ms: u64,
    /// The longest time that a log line waits for company. Default 200 ms.
    pub log_flush_ms: u64,
    /// The most log bytes in one call, which is also what shipping holds in memory. Default 128 KiB.
    pub log_batch_bytes_max: usize,
    /// The most log bytes of one attempt, as the server keeps by default; what follows is dropped and
    /// marked. Default 64 MiB.
    pub log_bytes_max: u64,
}

impl RunnerOptions {
    /// The defaults, with what has none.
    pub fn new(
        server: impl Into<String>,
        token: impl Into<TokenSource>,
        work_dir: impl Into<PathBuf>,
    ) -> Self {
        Self {
            server: server.into(),
            token: token.into(),
            work_dir: work_dir.into(),
            name: super::capabilities::host_name(),
            pool: None,
            labels: Vec::new(),
            slots: 1,
            agents: BTreeMap::new(),
            agent_protocols: BTreeMap::new(),
            actions: None,
            gpu: 0,
            region: None,
            zone: None,
            transport: WorkTransport::Auto,
            jobs_max: None,
            ephemeral: false,
            keep_workspaces: false,
            secret_env: Vec::new(),
            secrets_for_untrusted: false,
            warm_workspaces: Vec::new(),
            warm_dir: None,
            workspace_wait_ms: 60_000,
            step_limits: StepLimits::default(),
            grace_ms: 10_000,
            drain_timeout_ms: 300_000,
            release_wait_ms: 5_000,
            poll_wait_ms: 50_000,
            poll_floor_ms: 250,
            request_timeout_ms: 30_000,
            retry_initial_ms: 200,
            retry_max_ms: 10_000,
            stream_retry_max_ms: 60_000,
            log_flush_ms: 200,
            log_batch_bytes_max: 128 * 1024,
            log_bytes_max: 64 * 1024 * 1024,
        }
    }

    /// Whether somebody on the way could read the tokens.
    pub(super) fn sends_tokens_in_the_clear(&self) -> bool {
        let Ok(address) = reqwest::Url::parse(&self.server) else { return false };
        let host = address.host_str().unwrap_or_default().trim_matches(['[', ']']);
        let here = host == "localhost"
            || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
        address.scheme() == "http" && !here
    }

    /// Refuses values that cannot work.
    ///
    /// # Errors
    /// [`RunnerError::Option`] with the option, the wrong value and what is expected.
    pub fn check(&self) -> Result<(), RunnerError> {
        let refuse = |name, reason| Err(RunnerError::Option { name, reason });
        if !self.server.starts_with("http://") && !self.server.starts_with("https://") {
            let reason = format!("`{}` must start with http:// or https://", self.server);
            return refuse("--server", reason);
        }
        if self.slots == 0 {
            return refuse("--slots", "0 slots run nothing: give 1 or more".to_owned());
        }
        if self.jobs_max == Some(0) {
            return refuse("--jobs-max", "0 jobs are no work: give 1 or more".to_owned());
        }
        if self.name.trim().is_empty() {
            return refuse("--name", "the name is empty".to_owned());
        }
        if let Some(name) = self.secret_env.iter().find(|name| !environment::may_be_set(name)) {
            let reason = format!("`{name}` cannot be a variable of a step");
            return refuse("--secret-env", reason);
        }
        if self.actions.as_ref().is_some_and(|command| command.trim().is_empty()) {
            return refuse("--actions", "the command is empty".to_owned());
        }
        self.step_limits.check()?;
        let positive = [
            ("poll_floor_ms", self.poll_floor_ms),
            ("request_timeout_ms", self.request_timeout_ms),
            ("retry_initial_ms", self.retry_initial_ms),
            ("log_batch_bytes_max", self.log_batch_bytes_max as u64),
        ];
        for (name, value) in positive {
            if value == 0 {
                return refuse(name, "0 would never get anywhere: give 1 or more".to_owned());
            }
        }
        Ok(())
    }
}

/// Reads one `--agent` value: `PROFILE=COMMAND`.
///
/// # Errors
/// A message for people when the `=`, the profile or the command is missing.
pub fn parse_agent(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((profile, command)) if !profile.trim().is_empty() && !command.trim().is_empty() => {
            Ok((profile.trim().to_owned(), command.trim().to_owned()))
        }
        _ => Err(format!("`{text}` is no agent: write PROFILE=COMMAND")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_a_profile_and_a_command_that_may_hold_equals_signs() {
        let agent = parse_agent("review=agent --mode=fast").expect("well-formed");
        assert_eq!(agent, ("review".to_owned(), "agent --mode=fast".to_owned()));
        for wrong in ["review", "=x", "review= "] {
            assert!(parse_agent(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn tokens_are_in_the_clear_on_plain_http_to_another_machine() {
        let clear = |server: &str| {
            RunnerOptions::new(server, PathBuf::from("t"), "w").sends_tokens_in_the_clear()
        };
        assert!(clear("http://10.0.0.5:8080") && clear("http://yard.example"));
        assert!(!clear("https://yard.example") && !clear("http://localhost:1"));
        assert!(!clear("http://127.0.0.1:1") && !clear("http://[::1]:1"));
    }

    #[test]
    fn values_that_cannot_work_are_refused_by_name() {
        let with = |change: fn(&mut RunnerOptions)| {
            let mut options =
                RunnerOptions::new("http://127.0.0.1:1", std::path::PathBuf::from("t"), "w");
            change(&mut options);
            options.check().map_err(|error| error.to_string())
        };
        assert_eq!(with(|_| {}), Ok(()));
        assert!(with(|o| o.slots = 0).is_err_and(|e| e.contains("--slots")));
        let reserved = |o: &mut RunnerOptions| o.secret_env = vec!["DISPATCHYARD_X".into()];
        assert!(with(reserved).is_err_and(|e| e.contains("`DISPATCHYARD_X`")));
        assert!(with(|o| o.poll_floor_ms = 0).is_err_and(|e| e.contains("poll_floor_ms")));
        assert!(with(|o| o.server = "ftp://x".into()).is_err_and(|e| e.contains("`ftp://x`")));
    }
}
