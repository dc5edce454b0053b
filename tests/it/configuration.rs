//! What gets a bad configuration: exit code 2, and a message with the place and what to do.

use crate::support::command::run;
use crate::support::{Home, ServerProcess, Setup};

/// `check` and `serve` both refuse it, with all of these words.
async fn is_refused(home: &Home, words: &[&str]) {
    let checked = run(["check".as_ref(), home.config_file().as_os_str()]).await;
    assert_eq!(checked.code(), 2, "{checked:?}");
    let mut served = ServerProcess::launch(home);
    assert_eq!(served.ended().await.code(), Some(2), "{}", served.told());
    for word in words {
        assert!(checked.err.contains(word), "check, {word}: {}", checked.err);
        assert!(served.told().contains(word), "serve, {word}: {}", served.told());
    }
    assert!(!home.file("data").exists(), "nothing was made");
}

#[tokio::test]
async fn an_unknown_key_is_told_with_its_line_and_the_allowed_keys() {
    let home = Setup::default().scheduler("lease_mss", 1).build();
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let line = 1 + text.lines().position(|line| line.starts_with("lease_mss")).unwrap();
    let place = format!("dispatchyard.toml:{line}:");
    is_refused(&home, &[&place, "lease_mss", "lease_ms", "max_global_concurrency"]).await;
}

#[tokio::test]
async fn a_trigger_that_names_no_workflow_is_told_with_its_place() {
    let rules = "\n[[trigger]]\nname = \"t\"\non = \"push\"\nworkflow = \"cj\"\n";
    let home = Setup::default().rules(rules).build();
    let text = std::fs::read_to_string(home.config_file()).unwrap();
    let line = 1 + text.lines().position(|line| line.contains("\"cj\"")).unwrap();
    let place = format!("dispatchyard.toml:{line}:");
    is_refused(&home, &[&place, "no workflow `cj`", "known are ci"]).await;
}

#[tokio::test]
async fn a_workflow_with_a_cycle_is_told_with_its_path() {
    let cycle = "jobs:\n  a: { needs: b, runs-on: x, steps: [{ run: x }] }\n  \
                 b: { needs: [c], runs-on: x, steps: [{ run: x }] }\n  \
                 c: { needs: a, runs-on: x, steps: [{ run: x }] }\n";
    let home = Setup::default().workflow("round", cycle).build();
    is_refused(&home, &["round.yml:2:", "jobs.a.needs", "a -> b -> c -> a"]).await;
}

#[tokio::test]
async fn a_workflow_with_an_unknown_key_is_told_with_its_line() {
    let workflow = "jobs:\n  a:\n    runs-on: x\n    stepps: []\n";
    let home = Setup::default().workflow("typo", workflow).build();
    is_refused(&home, &["typo.yml:4:", "stepps"]).await;
}

#[tokio::test]
async fn several_faults_are_told_at_once() {
    let home = Setup::default().scheduler("lease_mss", 1).server("port", 1).build();
    is_refused(&home, &["lease_mss", "port"]).await;
}

#[tokio::test]
async fn a_sound_configuration_is_counted() {
    let home = Setup::default().build();
    let said = run(["check".as_ref(), home.config_file().as_os_str()]).await;
    assert_eq!(said.code(), 0, "{said:?}");
    assert!(said.out.contains("sources 1, triggers 1, workflows 1"), "{}", said.out);
}

#[tokio::test]
async fn a_server_for_others_needs_an_admin_token() {
    let home = Setup::default().server("listen", "0.0.0.0:0").build();
    is_refused(&home, &["0.0.0.0:0", "admin"]).await;
}

#[tokio::test]
async fn a_second_server_on_the_same_data_is_refused() {
    let home = Setup::default().build();
    let first = ServerProcess::start(&home).await;
    let mut second = ServerProcess::launch(&home);
    assert_eq!(second.ended().await.code(), Some(2), "{}", second.told());
    let told = second.told();
    assert!(told.contains("another") && told.contains("data"), "{told}");
    first.hook().push("d-1").await;
}
