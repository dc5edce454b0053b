//! Dry runs, run as people run them: lines in, lines out, without a server and without a
//! configuration.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;

use crate::support::command::{Said, cli, run};
use crate::support::home::HOOK_SECRET;
use crate::support::hook::{fixture, push_with, signature};
use crate::support::process::program;
use crate::support::wait::within;
use crate::support::{Home, Server, Setup};

fn base64(bytes: &[u8]) -> String {
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

/// Runs a verb in a folder without a configuration, with these lines on its standard input.
async fn answered(verb: &str, lines: &[u8]) -> Said {
    let folder = tempfile::tempdir().unwrap();
    let mut command = program();
    command.args(["try", verb, "--jsonl"]).current_dir(folder.path());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let lines = lines.to_vec();
    let writing = tokio::spawn(async move { stdin.write_all(&lines).await });
    let output = within("the end of a command", child.wait_with_output()).await.unwrap();
    writing.await.unwrap().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { status: output.status, out: text(&output.stdout), err: text(&output.stderr) }
}

/// The answers to these questions, in their order, of a run that ended well.
async fn answers(verb: &str, questions: &[Value]) -> Vec<Value> {
    let lines: String = questions.iter().map(|question| format!("{question}\n")).collect();
    let said = answered(verb, lines.as_bytes()).await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert_eq!(said.err, "");
    said.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn filters_answer_line_by_line_and_go_on_after_a_bad_one() {
    let ask = |patterns: Value, inputs: Value, sense: &str| json!({ "patterns": patterns, "inputs": inputs, "as": sense });
    let questions = [
        ask(json!(["v[12].[0-9]+"]), json!(["v2.10"]), "include"),
        ask(json!(["docs/**", "!docs/api/**"]), json!(["docs/api/a"]), "include"),
        ask(json!(["docs/**"]), json!(["docs/a", "src/b"]), "ignore"),
        ask(json!(["!docs/**"]), json!(["a"]), "include"),
        json!("no question"),
        ask(json!(["**"]), json!([]), "ignore"),
    ];
    let told = answers("filter", &questions).await;
    assert_eq!(told[..3], [json!({"run": true}), json!({"run": false}), json!({"run": true})]);
    assert!(told[3]["error"].as_str().unwrap().contains("start with `!`"), "{}", told[3]);
    assert!(told[4]["error"].is_string());
    assert_eq!(told[5], json!({"run": false}), "nothing is left that is not ignored");
}

#[tokio::test]
async fn triggers_answer_with_the_clause_that_decided() {
    let push = |git_ref: &str, files: Value| json!({ "name": "push", "ref": git_ref, "changed_files": files });
    let on =
        json!({"push": {"branches": ["main"], "paths-ignore": ["docs/**"]}, "pull_request": null});
    let questions = [
        json!({"on": on, "event": push("refs/heads/main", json!(["docs/a"]))}),
        json!({"on": on, "event": push("refs/heads/main", json!(null))}),
        json!({"on": on, "event": push("refs/tags/v1", json!(["a"]))}),
        json!({"on": on, "event": {"name": "pull_request", "action": "closed", "base_ref": "main"}}),
        json!({"on": ["push", "fork"], "event": {"name": "fork"}}),
        json!({"on": "push", "event": {"name": "fork"}}),
        json!({"on": {"push": {"branches": ["a"], "branches-ignore": ["b"]}}, "event": push("refs/heads/a", json!(null))}),
    ];
    let told = answers("trigger", &questions).await;
    let said: Vec<_> = told.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(said.join("\n"), @r#"
    {"run":false,"why":"all of 1 changed files match paths-ignore"}
    {"run":true,"why":"changed files are unknown, so path filters let it run"}
    {"run":false,"why":"tag `v1`, and only branches are filtered for"}
    {"run":false,"why":"activity type `closed` is none of opened, synchronize, reopened"}
    {"run":true,"why":"no filter refuses it"}
    {"run":false,"why":"event `fork` is not wanted"}
    {"error":"on.push has both `branches` and `branches-ignore`; keep one of the two; a pattern with `!` takes names out of the first"}
    "#);
}

#[tokio::test]
async fn expressions_come_to_values_or_say_what_is_wrong() {
    let event = json!({"event_name": "push", "event": {"labels": [{"name": "a"}, {"name": "b"}]}});
    let ask = |expr: &str| json!({ "expr": expr, "contexts": { "github": event } });
    let questions = [
        ask("${{ github.event.labels.*.name }}"),
        ask("github.event_name == 'PUSH' && 1"),
        ask("on ${{ github.event_name }}"),
        ask("gihub.event_name"),
        ask("secrets.token"),
        json!("no question"),
        ask("success()"),
    ];
    let told: Vec<_> =
        answers("expression", &questions).await.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(told.join("\n"), @r#"
    {"value":["a","b"]}
    {"value":1}
    {"value":"on push"}
    {"error":"unknown context `gihub` at byte 0; did you mean `github`?"}
    {"error":"the context `secrets` is not available here"}
    {"error":"invalid type: string \"no question\", expected struct Question at line 1 column 13"}
    {"value":true}
    "#);
}

#[tokio::test]
async fn routes_of_a_line_are_about_names_of_any_length() {
    let ask = |name: &str| json!({"rules": [["gpu::*", "farm"], ["**::x", "own"]], "default": "runners", "name": name});
    let told =
        answers("route", &[ask("gpu::a"), ask("a::b::c::d::x"), ask("gpu"), json!({})]).await;
    assert_eq!(told[0], json!({"executor": "farm", "rule": 0}));
    assert_eq!(told[1], json!({"executor": "own", "rule": 1}));
    assert_eq!(told[2], json!({"executor": "runners", "rule": null}));
    assert!(told[3]["error"].as_str().unwrap().contains("rules"));
}

#[tokio::test]
async fn bytes_that_are_no_lines_are_answered_too() {
    let said = answered(
        "filter",
        b"\xff\xfe\n\n{\"patterns\":[\"a\"],\"inputs\":[\"a\"],\"as\":\"include\"}",
    )
    .await;
    let lines: Vec<Value> = said.out.lines().map(|it| serde_json::from_str(it).unwrap()).collect();
    assert!(said.code() == 0 && lines.len() == 3, "{said:?}");
    assert!(lines[0]["error"].as_str().unwrap().contains("UTF-8"));
    assert!(lines[1]["error"].is_string());
    assert_eq!(lines[2], json!({"run": true}));
}

#[tokio::test]
async fn many_lines_from_a_file_keep_their_order() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("questions.jsonl");
    let line =
        |at: usize| json!({"patterns": [format!("{}", at % 3)], "inputs": ["0"], "as": "include"});
    let text: String = (0..5_000).map(|at| format!("{}\r\n", line(at))).collect();
    std::fs::write(&file, text).unwrap();
    let said = run(["try".as_ref(), "filter".as_ref(), "--jsonl".as_ref(), file.as_os_str()]).await;
    assert_eq!(said.code(), 0, "{}", said.err);
    for (at, line) in said.out.lines().enumerate() {
        assert_eq!(line, format!("{{\"run\":{}}}", at % 3 == 0), "line {at}");
    }
    assert_eq!(said.out.lines().count(), 5_000);
}

#[tokio::test]
async fn a_missing_file_and_a_verb_without_questions_are_refused() {
    let said = run(["try", "filter", "--jsonl", "/no/such/file"]).await;
    assert!(said.code() == 2 && said.err.contains("/no/such/file"), "{said:?}");
    assert_eq!(run(["try", "trigger"]).await.code(), 2);
    assert_eq!(run(["try", "route"]).await.code(), 2);
}

#[tokio::test]
async fn signatures_are_checked_by_the_machines_clock_where_a_line_names_no_time() {
    let body = "e30=";
    let github = json!({"scheme": "github", "headers": [{"name": "X-Hub-Signature-256", "value": signature(b"{}")}],
        "body_b64": body, "secrets": ["another", HOOK_SECRET]});
    let mut unsigned = github.clone();
    unsigned["headers"] = json!([]);
    let slack = json!({"scheme": "slack_v0", "headers": [], "body_b64": body, "secrets": ["s"]});
    let told = answers("signature", &[github, unsigned, slack, json!({"scheme": "rot13"})]).await;
    assert_eq!(told[0]["accept"], true, "{told:?}");
    assert_eq!(told[1]["accept"], false);
    assert!(told[1]["reason"].as_str().unwrap().contains("x-hub-signature-256"));
    assert_eq!(told[2]["accept"], false);
    assert!(told[3]["error"].is_string());
}

#[tokio::test]
async fn deliveries_are_read_line_by_line() {
    let ask = |kind: &str, headers: Value, body: Vec<u8>| json!({"source_kind": kind, "headers": headers, "body_b64": base64(&body)});
    let questions = [
        ask("github", json!({"X-GitHub-Event": "push"}), fixture("push")),
        ask("github", json!({"X-GitHub-Event": "ping"}), fixture("ping")),
        ask("github", json!({}), fixture("push")),
        ask("github", json!({"X-GitHub-Event": "pull_request"}), fixture("pull_request_fork")),
    ];
    let told = answers("event", &questions).await;
    assert_eq!((&told[0]["kind"], &told[0]["ref"]), (&json!("push"), &json!("refs/heads/main")));
    assert_eq!(told[1], json!({"ping": true}));
    assert!(told[2]["error"].as_str().unwrap().contains("x-github-event"));
    assert_eq!(
        (&told[3]["action"], &told[3]["trust"]["level"]),
        (&json!("synchronize"), &json!("untrusted"))
    );
}

#[tokio::test]
async fn a_delivery_is_tried_under_a_configuration_without_a_server() {
    let home = Setup::default().build();
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/github/push.json");
    let config = home.config_file();
    let words = ["try", "event", file, "--event", "push", "-o", "json", "--config"]
        .map(std::ffi::OsStr::new);
    let said = run(words.into_iter().chain([config.as_os_str()])).await;
    let told = said.json();
    assert_eq!(told["events"][0]["event"]["kind"], "push", "{told}");
    assert_eq!(told["events"][0]["triggers"][0]["matched"], true, "{told}");
    assert_eq!(told["events"][0]["workloads"][0]["kind"], "workflow", "{told}");
    assert!(!home.file("data").exists(), "nothing was made");
}

#[tokio::test]
async fn a_new_configuration_is_sound_and_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let init = async || run(["init".as_ref(), folder.path().as_os_str()]).await;
    assert_eq!(init().await.code(), 0);
    let config = folder.path().join("dispatchyard.toml");
    let said = run(["check".as_ref(), config.as_os_str()]).await;
    assert!(said.code() == 0 && said.out.contains("triggers 1, workflows 1"), "{said:?}");
    std::fs::write(&config, "mine").unwrap();
    let again = init().await;
    assert!(again.code() == 2 && again.err.contains("is there already"), "{again:?}");
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "mine");
}

#[tokio::test]
async fn the_schema_is_one_that_editors_read() {
    let schema = run(["config", "schema"]).await.json();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["properties"]["server"]["properties"]["connections_max"]["type"], "integer");
}

#[tokio::test]
async fn a_doctor_and_a_check_ask_the_server_for_labels() {
    let server = Server::start(&Setup::default()).await;
    let config = server.home.config_file();
    let asked = async |words: &str| {
        let words = words.split(' ').map(std::ffi::OsStr::new).chain([config.as_os_str()]);
        let server = ["--server", server.api.base()].map(std::ffi::OsStr::new);
        run(server.into_iter().chain(words)).await
    };
    let said = asked("check --runners").await;
    assert!(said.code() == 0 && said.err.contains("which no runner has"), "{said:?}");
    let said = asked("doctor").await;
    assert_eq!(said.code(), 1, "{said:?}");
    for words in ["none of 0 is there", "which no runner has", "dispatchyard runner --server URL"] {
        assert!(said.out.contains(words), "no `{words}` in {said:?}");
    }
    let said = run([
        "--server".as_ref(),
        "http://127.0.0.1:9".as_ref(),
        "doctor".as_ref(),
        config.as_os_str(),
    ])
    .await;
    assert!(said.code() == 0 && said.out.contains("no answer from"), "{said:?}");
}

/// The rules of a home with other filters.
fn changed(home: &Home, rules: &str) -> std::path::PathBuf {
    let path = home.file("other.toml");
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let kept = text.split("[[trigger]]").next().unwrap();
    std::fs::write(&path, format!("{kept}{rules}")).unwrap();
    path
}

#[tokio::test]
async fn stored_deliveries_are_tried_on_another_configuration_and_nothing_is_written() {
    let server = Server::start(&Setup::default()).await;
    let hook = server.hook();
    hook.push("d-1").await;
    hook.send("push", "d-2", push_with("/ref", "refs/heads/dev")).await;
    let before: Value = server.api.get("/deliveries").await;
    let rules = "[[trigger]]\nname = \"dev-only\"\nworkflow = \"ci\"\n\
                 [trigger.on.push]\nbranches = [\"dev\"]\n";
    let other = changed(&server.home, rules);
    let said = cli(&server, &format!("try config {} --last 500 -o json", other.display())).await;
    let told = said.json();
    assert_eq!(told["deliveries"], 2, "{told}");
    let differences = told["differences"].as_array().unwrap();
    let dev = differences.iter().find(|it| it["trigger"] == "dev-only").unwrap();
    assert_eq!((&dev["then"]["matched"], &dev["now"]["matched"]), (&json!(false), &json!(true)));
    assert!(dev["now"]["why"].as_str().unwrap().contains("branch `dev` matches `dev`"));
    assert!(differences.iter().any(|it| it["then"]["matched"] == true), "{told}");
    let after: Value = server.api.get("/deliveries").await;
    assert_eq!(before, after);

    let own = server.home.config_file();
    let said = cli(&server, &format!("try config {}", own.display())).await;
    assert!(said.out.contains("0 of 2 deliveries would start something else"), "{said:?}");
}
