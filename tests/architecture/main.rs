//! The rules of the house, checked by reading its sources: who may import whom, what the core may
//! know, and how a file looks. Each violation says what to do.
//!
//! Test code (`#[cfg(test)]`, files called `tests` or `*_tests`) may import what it likes.

mod source;

use std::path::Path;

use source::Source;

/// Each room, and what it may import beside `model`, which everybody may. A room in a room is
/// written `api::wire`: a part of `api` that others may have without the rest (see `PARTS`).
#[rustfmt::skip]
const ROOMS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("ask", &[]),
    ("event", &[]),
    ("expression", &[]),
    ("trigger", &["ask", "event"]),
    ("workflow", &["ask", "event", "trigger", "expression"]),
    ("webhook", &["event"]),
    ("intake", &["ask", "event", "trigger", "workflow"]),
    ("queue", &[]),
    ("runner", &[]),
    ("executor::router", &[]),
    ("executor", &[
        "event",
        "api::wire", "runner", "dispatch", "executor::router", "store", "driver", "log", "clock",
        // What is local is a local runner: there is one implementation of running steps.
        "agent_runner",
    ]),
    ("dispatch", &["queue", "runner", "executor::router"]),
    ("store", &[]),
    ("clock", &[]),
    ("telemetry", &[]),
    ("driver", &["queue", "runner", "dispatch", "store", "clock", "telemetry"]),
    // Measures what is below it, in process; what is measured over HTTP stands in `cli`.
    ("bench", &["runner", "dispatch", "store", "driver", "clock", "telemetry"]),
    // The rows of logs on PostgreSQL; all that it decides is its own.
    ("log", &["store"]),
    ("config", &["ask", "trigger", "webhook", "dispatch", "executor::router"]),
    ("forge", &["webhook"]),
    ("backfill", &["webhook", "store", "clock", "forge"]),
    // Between the scheduler, which says when, and the workflow room, which says what.
    ("planning", &["event", "webhook", "dispatch", "driver", "store", "clock"]),
    ("report", &[
        "webhook", "forge", "dispatch", "driver", "store", "clock", "telemetry",
        // By whom callbacks may reach where, and how they are signed.
        "executor",
    ]),
    ("retention", &["dispatch", "store", "driver", "log", "clock", "telemetry", "config"]),
    ("api::wire", &["ask"]),
    ("api", &[
        "ask", "event", "trigger", "workflow", "webhook", "intake", "queue", "runner", "dispatch",
        "executor", "executor::router", "store", "driver", "log", "clock", "telemetry", "config",
        "retention", "backfill", "forge", "report",
    ]),
    ("agent_runner", &["api::wire", "expression", "clock"]),
    // `serve`, `dev` and `runner` start what the two rooms before it are made of.
    ("cli", &[
        "api::wire", "ask", "bench", "clock", "config", "telemetry", "webhook", "app",
        "agent_runner",
        // Dry runs: from a line to an answer, in the rooms that decide about deliveries.
        "event", "trigger", "workflow", "executor::router", "expression",
    ]),
    ("app", &[
        "event", "trigger", "workflow", "webhook", "intake", "queue", "runner", "dispatch",
        "executor", "store", "driver", "log", "clock", "telemetry", "config", "retention", "backfill", "forge",
        "api", "planning", "report", "expression",
    ]),
    ("main", &["cli", "clock", "telemetry"]),
];

/// Rooms in rooms.
const PARTS: &[(&str, &str, &str)] =
    &[("api", "wire", "api::wire"), ("executor", "router", "executor::router")];

/// Rooms without clock, randomness, socket, file, database or runtime (law 3).
const CORE: &[&str] = &[
    "model",
    "ask",
    "event",
    "expression",
    "trigger",
    "workflow",
    "webhook",
    "intake",
    "queue",
    "runner",
    "executor::router",
    "dispatch",
];

/// What the core may not know.
#[rustfmt::skip]
const OUTSIDE: &[&str] = &[
    "tokio",
    "tokio_util",
    "sqlx",
    "libsqlite3_sys",
    "axum",
    "hyper",
    "hyper_util",
    "reqwest",
    "rustix",
    "rand",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "std::time",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "std::thread",
];

/// Files of the core that may know one thing of the outside, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    // Reads the folder of workflow files once, at start, and gives pure code their texts.
    ("src/workflow/folder.rs", "std::fs"),
    // Reads the file of a secret once, at start; verifying knows only its bytes.
    ("src/webhook/secret.rs", "std::fs"),
];

/// Parts of outside libraries that are values only, and allowed everywhere.
const VALUES: &[&str] = &[
    // The `http` crate under axum's name: headers, methods and statuses as types.
    "axum::http",
];

/// Libraries that have one home, so that the rest does not depend on them.
const HOMES: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("libsqlite3_sys", &["store"]),
    ("axum", &["api", "app"]),
    ("reqwest", &["agent_runner", "cli", "app", "api", "executor", "backfill", "forge", "report"]),
    ("clap", &["cli", "main"]),
];

/// A file with more lines says in its module doc why it is long.
const LINES_MAX: usize = 400;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn program() -> Vec<Source> {
    Source::below(root(), "src", ".rs")
}

/// In which room a file stands; `None` for `lib.rs`, which only lists the rooms.
fn room_of(name: &str) -> Option<&str> {
    let below_src = name.strip_prefix("src/").unwrap_or(name);
    let mut segments = below_src.split('/').map(|part| part.trim_end_matches(".rs"));
    let room = segments.next().unwrap_or(below_src);
    (room != "lib").then(|| part_of(room, segments.next()))
}

/// The room in this room that has the name, or the room itself.
fn part_of<'a>(room: &'a str, name: Option<&str>) -> &'a str {
    let part = PARTS.iter().find(|(outer, inner, _)| room == *outer && name == Some(inner));
    part.map_or(room, |(_, _, part)| part)
}

/// Which room a path names, if it is a path into the crate.
fn room_in(segments: &[String]) -> Option<&str> {
    let [first, room, rest @ ..] = segments else { return None };
    if first != "crate" && first != "dispatchyard" {
        return None;
    }
    Some(part_of(room, rest.first().map(String::as_str)))
}

/// Whether a file of a room may name another room.
fn may_import(room: &str, other: &str) -> bool {
    let Some((_, allowed)) = ROOMS.iter().find(|(name, _)| *name == room) else { return false };
    let part = other.split("::").next().unwrap_or(other);
    other == "model"
        || room == other
        || room == part
        || allowed.contains(&other)
        || allowed.contains(&part)
}

/// Whether a path is, or lies below, another one.
fn begins_with(segments: &[String], path: &str) -> bool {
    let mut segments = segments.iter();
    path.split("::").all(|part| segments.next().is_some_and(|segment| segment == part))
}

fn assert_none(rule: &str, violations: &[String]) {
    assert!(violations.is_empty(), "{rule}\n  {}\n", violations.join("\n  "));
}

fn violations_of_imports(file: &Source) -> Vec<String> {
    let Some(room) = room_of(&file.name).filter(|_| !file.is_test()) else { return Vec::new() };
    if !ROOMS.iter().any(|(name, _)| *name == room) {
        let what = "has no row in ROOMS of tests/architecture/main.rs: add one there and in \
                    ARCHITECTURE.md";
        return vec![format!("{}: the room `{room}` {what}", file.name)];
    }
    let mut found = Vec::new();
    for path in file.paths() {
        let place = format!("{}:{}", file.name, path.line);
        if let Some(other) = room_in(&path.segments).filter(|other| !may_import(room, other)) {
            found.push(format!(
                "{place}: `{room}` may not import `{other}`: take what you need as an argument, \
                 move the type to `model`, or change ROOMS and ARCHITECTURE.md"
            ));
        }
        if VALUES.iter().any(|value| begins_with(&path.segments, value)) {
            continue;
        }
        let excepted = |outside: &str| EXCEPTIONS.contains(&(file.name.as_str(), outside));
        let outside = OUTSIDE.iter().find(|outside| begins_with(&path.segments, outside));
        if let Some(outside) = outside.filter(|outside| CORE.contains(&room) && !excepted(outside))
        {
            found.push(format!(
                "{place}: `{outside}` in the pure room `{room}`: take time as `Now`, randomness \
                 as `Entropy`, and let the driver, the store or the api do what touches the world"
            ));
        }
        let home = HOMES.iter().find(|(library, _)| begins_with(&path.segments, library));
        if let Some((library, homes)) = home.filter(|(_, homes)| !homes.contains(&room)) {
            found.push(format!(
                "{place}: `{library}` is at home in {}: call a function there",
                homes.join(", ")
            ));
        }
    }
    found
}

#[test]
fn rooms_import_only_what_the_table_allows() {
    let violations: Vec<_> = program().iter().flat_map(violations_of_imports).collect();
    assert_none("imports:", &violations);
}

#[test]
fn a_forbidden_import_is_found_and_an_excepted_one_is_not() {
    let violations = |name: &str, text: &str| {
        violations_of_imports(&Source::new(name.to_owned(), text.to_owned())).len()
    };
    assert_eq!(violations("src/model/job.rs", "use crate::{model::Job, store::Store};"), 1);
    assert_eq!(violations("src/queue/lane.rs", "use std::{fmt, time::Duration};"), 1);
    assert_eq!(violations("src/dispatch/tick.rs", "fn f() { tokio::spawn(g()); }"), 1);
    assert_eq!(violations("src/log/file.rs", "use crate::event::Event;"), 1);
    assert_eq!(violations("src/api/queue.rs", "let pool: sqlx::SqlitePool;"), 1);
    assert_eq!(violations("src/agent_runner/poll.rs", "use crate::api::router;"), 1);
    assert_eq!(violations("src/cellar/mod.rs", ""), 1);
    assert_eq!(violations("src/api/wire/view.rs", "use crate::store::Store;"), 1);
    assert_eq!(violations("src/agent_runner/poll.rs", "use crate::api::wire::Problem;"), 0);
    assert_eq!(violations("src/workflow/folder.rs", "use std::fs;"), 0);
    assert_eq!(violations("src/webhook/headers.rs", "use axum::http::HeaderMap;"), 0);
    assert_eq!(violations("src/queue/tests.rs", "use tokio::time;"), 0);
}

#[test]
fn every_file_says_what_it_is_for() {
    let violations: Vec<_> = program()
        .iter()
        .filter(|file| !file.text.starts_with("//!"))
        .map(|file| format!("{}:1: begin with `//!`: purpose, place, what is absent", file.name))
        .collect();
    assert_none("module docs:", &violations);
}

#[test]
fn a_long_file_says_why() {
    let excused = |file: &Source| {
        let doc = file.module_doc();
        doc.split(|c: char| !c.is_alphanumeric()).any(|word| word == "400" || word == "long")
    };
    let violations: Vec<_> = program()
        .iter()
        .filter(|file| file.text.lines().count() > LINES_MAX && !excused(file))
        .map(|file| {
            let lines = file.text.lines().count();
            let name = &file.name;
            format!("{name}: {lines} lines: split it, or say in its doc why it is long")
        })
        .collect();
    assert_none("file lengths:", &violations);
}

#[test]
fn nothing_is_left_to_be_done() {
    let mut violations = Vec::new();
    for file in program() {
        for word in ["todo", "unimplemented"] {
            for line in file.lines_with([word, "!"]) {
                violations.push(format!("{}:{line}: `{word}!`: write it, or an error", file.name));
            }
        }
    }
    assert_none("unfinished code:", &violations);
}

#[test]
fn every_dependency_has_its_reason_above_it() {
    let text = std::fs::read_to_string(root().join("Cargo.toml")).expect("Cargo.toml is there");
    let mut violations = Vec::new();
    let (mut in_dependencies, mut before) = (false, "");
    for line in text.lines() {
        if line.starts_with('[') {
            in_dependencies = line.trim_end_matches(']').ends_with("dependencies");
        }
        let begins = line.starts_with(|c: char| c.is_alphanumeric()) && line.contains('=');
        if in_dependencies && begins && !before.starts_with("# ") {
            let name = line.split('=').next().unwrap_or(line).trim();
            violations.push(format!("Cargo.toml: say in a comment line above `{name}` why"));
        }
        before = line;
    }
    assert_none("dependencies:", &violations);
}

/// Paths of the machine that somebody worked on mean nothing on any other.
#[test]
fn no_file_names_a_path_of_somebodys_machine() {
    let own = [root().display().to_string(), std::env::var("HOME").unwrap_or_default()];
    let own = own.iter().map(|path| path.trim_end_matches('/')).filter(|path| path.len() > 2);
    let usual = ["/home/".to_owned(), "/Users/".to_owned()];
    let here: Vec<String> = own.map(|path| format!("{path}/")).chain(usual).collect();
    let ours = "tests/architecture/";
    let mut files: Vec<_> = ["src", "tests", "config", "fixtures", "migrations", "scripts"]
        .into_iter()
        .filter(|folder| root().join(folder).is_dir())
        .flat_map(|folder| Source::below(root(), folder, ""))
        .filter(|file| !file.name.starts_with(ours))
        .collect();
    let pages = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "Cargo.toml"];
    for page in pages {
        if let Ok(text) = std::fs::read_to_string(root().join(page)) {
            files.push(Source::new(page.to_owned(), text));
        }
    }
    let mut violations = Vec::new();
    for file in &files {
        for (at, line) in file.text.lines().enumerate() {
            for path in here.iter().filter(|path| is_absolute_in(line, path)) {
                let place = format!("{}:{}", file.name, at + 1);
                violations.push(format!("{place}: `{path}`: write a relative or example path"));
            }
        }
    }
    assert_none("paths of one machine:", &violations);
}

/// Whether the path stands in the line by itself, and not as the middle of a longer one.
fn is_absolute_in(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        before.is_none_or(|c| !(c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '}' | '/')))
    })
}
