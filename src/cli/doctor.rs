//! `doctor`: what is missing around a configuration, one line each, and what to do about it.
//!
//! Looks from here, as the user who runs it: at the file, its secrets and folders; and asks the
//! server, if one answers, how it is and what its runners have. Nothing is changed.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;

use super::client::Client;
use super::console::Console;
use super::table::{page, rows};
use super::{CliError, Global, labels};
use crate::api::wire::StatusView;
use crate::app::{self, dry::Dry};
use crate::config::{Config, ConfigErrors, DEFAULT_FILE, SourceConfig, environment};

/// Clocks further apart than this confuse times of jobs and schedules.
const CLOCKS_APART_MAX_MS: i64 = 5_000;
/// 2025-01-01: a clock before it was never set.
const CLOCK_MIN_MS: i64 = 1_735_689_600_000;

/// What to look at.
#[derive(Clone, Debug, Args)]
pub struct DoctorArgs {
    /// The configuration file
    #[arg(default_value = DEFAULT_FILE, env = "DISPATCHYARD_CONFIG")]
    config: PathBuf,
}

/// How something is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Good,
    Odd,
    Bad,
}

/// One thing that was looked at.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Finding {
    what: String,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

fn good(what: impl Into<String>, found: impl Into<String>) -> Finding {
    Finding { what: what.into(), state: State::Good, found: found.into(), fix: None }
}

fn odd(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { state: State::Odd, fix: Some(fix.into()), ..good(what, found) }
}

fn bad(what: impl Into<String>, found: impl Into<String>, fix: impl Into<String>) -> Finding {
    Finding { state: State::Bad, ..odd(what, found, fix) }
}

pub(super) async fn run(
    args: &DoctorArgs,
    global: &Global,
    console: &mut Console,
) -> Result<(), CliError> {
    let config = Config::load(&args.config, environment());
    let now_ms = console.now_ms();
    let mut found = match config.and_then(|config| Ok((Dry::new(&config)?, config))) {
        Err(errors) => of_errors("configuration", &errors),
        Ok((dry, config)) => {
            let mut found = of_config(&config, now_ms);
            found.push(of_folder(&config));
            found.extend(of_server(&dry, &global.client()?, now_ms).await);
            found
        }
    };
    found.push(of_clock(now_ms));
    console.report(&found, |found| table(found))?;
    match found.iter().filter(|it| it.state == State::Bad).count() {
        0 => Ok(()),
        many => Err(CliError::Unwell(many)),
    }
}

/// Each error with its own hint.
fn of_errors(what: &str, errors: &ConfigErrors) -> Vec<Finding> {
    let told = errors.iter().map(|error| {
        let fix = error.hint.clone().unwrap_or_else(|| "mend the file".to_owned());
        let mut plain = error.clone();
        plain.hint = None;
        bad(what, plain.to_string(), fix)
    });
    told.collect()
}

/// The file, its warnings, and the secrets that it names.
fn of_config(config: &Config, now_ms: i64) -> Vec<Finding> {
    let mut found = match config.check_exposure() {
        Ok(()) => vec![good("configuration", "it is sound")],
        Err(error) => of_errors("configuration", &error.into()),
    };
    match app::warnings(config, now_ms) {
        Ok(warnings) => {
            let told = |text| odd("configuration", text, "change it, if it is not meant");
            found.extend(warnings.into_iter().map(told));
        }
        Err(errors) => found.extend(of_errors("configuration", &errors)),
    }
    match config.load_secrets(|name| std::env::var(name).ok()) {
        Ok(secrets) => {
            for source in &config.sources {
                let many = secrets.sources.get(&source.name).map_or(0, Vec::len);
                if many > 0 {
                    found.push(good(format!("source {}", source.name), format!("secrets: {many}")));
                }
                found.extend(of_repositories(source));
            }
        }
        Err(errors) => {
            let fix = "set the variable, or make the file readable, where the server runs";
            let told = errors.iter().map(|error| bad("secrets", error.to_string(), fix));
            found.extend(told);
        }
    }
    found
}

/// Whose workflow files a source reads, and by whose right.
fn of_repositories(source: &SourceConfig) -> Option<Finding> {
    let workflows = source.workflows.as_ref()?.get_ref();
    let what = format!("source {}", source.name);
    let (folder, url) = (workflows.folder(source.kind), source.workflows_api_url()?);
    let found = format!("starts `{folder}` of its repositories, read from {url}");
    Some(match workflows.token {
        Some(_) => good(what, found),
        None => {
            odd(what, format!("{found} without a token"), "add `token` for private repositories")
        }
    })
}

/// Whether a server of this user could keep its data.
fn of_folder(config: &Config) -> Finding {
    if config.database.url.as_ref().is_some_and(|url| url.file().is_none()) {
        return good("database", "PostgreSQL: how it is, the server says below, if it answers");
    }
    let folder = config.data_dir();
    let what = "data folder";
    let shown = folder.display();
    match nearest(&folder) {
        None => bad(what, format!("no folder above {shown} is there"), "name another data_dir"),
        Some(there) => match tempfile::tempfile_in(there) {
            Ok(_) if there == folder => good(what, format!("{shown} can be written")),
            Ok(_) => good(what, format!("{shown} will be made")),
            Err(error) => bad(
                what,
                format!("{} cannot be written: {error}", there.display()),
                format!("run as the user of the server, or give that user {shown}"),
            ),
        },
    }
}

/// The folder itself, or the nearest above it that is there.
fn nearest(folder: &Path) -> Option<&Path> {
    let there = folder.ancestors().find(|it| it.as_os_str().is_empty() || it.is_dir())?;
    Some(if there.as_os_str().is_empty() { Path::new(".") } else { there })
}

/// The server, its database, and its runners.
async fn of_server(dry: &Dry, client: &Client, now_ms: i64) -> Vec<Finding> {
    let status = match client.get(&["status"], &[]).await {
        Ok(answer) => answer.read::<StatusView>(),
        Err(error) => Err(error),
    };
    let status = match status {
        Ok(status) => status,
        Err(error) => {
            let fix = error.hint().unwrap_or_else(|| "start it, or name it with --server".into());
            return vec![odd("server", error.to_string(), fix)];
        }
    };
    let mut found = of_status(&status, now_ms);
    match labels::missing(dry, client).await {
        Ok(missing) => found.extend(of_labels(&missing)),
        Err(error) => {
            let fix = error.hint().unwrap_or_else(|| "give a token that may read".to_owned());
            found.push(odd("labels", error.to_string(), fix));
        }
    }
    found
}

fn of_status(status: &StatusView, now_ms: i64) -> Vec<Finding> {
    let mut found = vec![match status.state.as_str() {
        "running" | "standby" => good("server", format!("{}, {}", status.state, status.version)),
        "store unavailable" => bad(
            "database",
            "the server cannot write it",
            "look at the server's log, and at the disk or the PostgreSQL behind it",
        ),
        state => odd("server", format!("it is {state}"), "ask again in a moment"),
    }];
    let warnings = status.warnings.iter();
    found.extend(warnings.map(|text| odd("server", text.clone(), "see `dispatchyard status`")));
    let ahead_ms = status.last_commit_at_ms.map_or(0, |at_ms| at_ms - now_ms);
    if ahead_ms > CLOCKS_APART_MAX_MS {
        found.push(bad(
            "clock",
            format!("the server's last commit lies {} s ahead of this clock", ahead_ms / 1_000),
            "let both machines set their clocks by NTP",
        ));
    }
    let (online, total) = status.pools.iter().fold((0, 0), |(online, total), pool| {
        (online + pool.runners_online, total + pool.runners_total)
    });
    found.push(match online {
        0 => bad(
            "runners",
            format!("none of {total} is there"),
            "start one: `dispatchyard runner --server URL`",
        ),
        online => good("runners", format!("{online} of {total} are there")),
    });
    found
}

fn of_labels(missing: &[labels::Missing]) -> Vec<Finding> {
    if missing.is_empty() {
        return vec![good("labels", "each label that a job wants is some runner's")];
    }
    let told = missing.iter().map(|labels::Missing { label, wanted_by }| {
        bad(
            "labels",
            format!("{wanted_by} wants `{label}`, which no runner has"),
            format!("start a runner with `--labels {label}`, or take the label away"),
        )
    });
    told.collect()
}

fn of_clock(now_ms: i64) -> Finding {
    match now_ms < CLOCK_MIN_MS {
        true => bad("clock", "it was never set", "let the machine set its clock by NTP"),
        false => good("clock", super::time::rfc3339(now_ms)),
    }
}

fn table(found: &[Finding]) -> String {
    let lines = found.iter().map(|it| {
        let state = match it.state {
            State::Good => "good",
            State::Odd => "odd",
            State::Bad => "BAD",
        };
        let fix = it.fix.clone().unwrap_or_default();
        vec![state.to_owned(), it.what.clone(), it.found.clone(), fix]
    });
    page([rows(&["", "WHAT", "FOUND", "WHAT TO DO"], lines, "")])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        Config::from_text("d.toml".as_ref(), text, []).unwrap()
    }

    fn status(state: &str) -> StatusView {
        serde_json::from_value(serde_json::json!({
            "state": state, "version": "1", "epoch": 1, "queue_size": 0, "running_jobs": 0,
            "max_global_concurrency": 1, "last_commit_at_ms": 60_000, "warnings": ["old"],
            "pools": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_is_wrong_stands_with_what_to_do() {
        let source = "[[source]]\nname = 'gh'\nsecrets = [{ env = 'NO_SUCH_VARIABLE_HERE' }]";
        let mut found = of_config(&config(source), 0);
        found.extend(of_config(&config("[server]\nlisten = '0.0.0.0:1'"), 0));
        found.extend(of_status(&status("store unavailable"), 0));
        found.extend(of_labels(&[labels::Missing {
            label: "gpu".to_owned(),
            wanted_by: "the route `fast`".to_owned(),
        }]));
        found.push(of_clock(0));
        insta::assert_snapshot!(table(&found), @r#"
              WHAT           FOUND                                                                                                                                 WHAT TO DO
        good  configuration  it is sound
        BAD   secrets        environment variable NO_SUCH_VARIABLE_HERE: `source.gh.secrets`: it is not set                                                        set the variable, or make the file readable, where the server runs
        BAD   configuration  d.toml:2:1: `server.listen`: 0.0.0.0:1 can be reached from other machines and `access.admin_tokens` is empty: anybody could run jobs  write `[access]` and below it `admin_tokens = [{ env = "DISPATCHYARD_ADMIN_TOKEN" }]`, or listen on 127.0.0.1
        BAD   database       the server cannot write it                                                                                                            look at the server's log, and at the disk or the PostgreSQL behind it
        odd   server         old                                                                                                                                   see `dispatchyard status`
        BAD   clock          the server's last commit lies 60 s ahead of this clock                                                                                let both machines set their clocks by NTP
        BAD   runners        none of 0 is there                                                                                                                    start one: `dispatchyard runner --server URL`
        BAD   labels         the route `fast` wants `gpu`, which no runner has                                                                                     start a runner with `--labels gpu`, or take the label away
        BAD   clock          it was never set                                                                                                                      let the machine set its clock by NTP
        "#);
    }

    #[test]
    fn what_is_well_is_good() {
        let mut found = of_config(&config("[[source]]\nname = 'gh'\ninsecure = true"), 0);
        assert_eq!(found.remove(0).state, State::Good);
        assert_eq!(found[0].state, State::Odd, "insecure");
        let workflows = "[[source]]\nname = 'gh'\nsecrets = [{ env = 'PATH' }]\n[source.workflows]";
        let found = of_config(&config(workflows), 0);
        assert_eq!(found[2].state, State::Odd);
        let read = "starts `.github/workflows` of its repositories, read from https://api.github.com without a token";
        assert_eq!(found[2].found, read);
        let mut status = status("running");
        status.warnings.clear();
        assert_eq!(of_status(&status, 60_000)[0].state, State::Good);
        assert_eq!(of_labels(&[])[0].state, State::Good);
        assert_eq!(of_clock(CLOCK_MIN_MS).state, State::Good);
    }

    #[test]
    fn a_folder_that_is_not_there_will_be_made_in_one_that_is() {
        let home = tempfile::tempdir().unwrap();
        let deep = home.path().join("a/b");
        assert_eq!(nearest(&deep), Some(home.path()));
        assert_eq!(nearest(Path::new("not-there/data")), Some(Path::new(".")));
    }
}
