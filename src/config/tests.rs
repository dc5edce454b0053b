//! What people see when a file is wrong, and what they get when it is not.

use std::path::Path;

use super::*;

fn read(text: &str, environment: &[(&str, &str)]) -> Result<Config, ConfigErrors> {
    let pairs = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Config::from_text(Path::new("d.toml"), text, pairs)
}

fn refusal(text: &str) -> String {
    read(text, &[]).expect_err("it is wrong").to_string()
}

#[test]
fn an_empty_file_has_every_default() {
    let config = read("", &[]).unwrap();
    insta::assert_snapshot!(config.effective(), @r#"
    [server]
    listen = "127.0.0.1:7878"
    data_dir = "dispatchyard-data"
    workflows_dir = "workflows"
    header_read_timeout_ms = 10000
    body_read_timeout_ms = 30000
    graceful_shutdown_timeout_ms = 300000
    connections_max = 20000

    [database]

    [instances]
    leader_ttl_ms = 5000
    look_interval_ms = 150
    adopt_interval_ms = 1000
    forward_wait_ms = 2500

    [scheduler]
    max_global_concurrency = 1000
    heartbeat_timeout_ms = 60000
    heartbeat_interval_ms = 15000
    ack_window_ms = 15000
    cancel_grace_ms = 30000
    timeout_minutes = 360
    timeout_grace_ms = 30000
    max_retries = 0
    retry_max_attempts = 3
    backoff_ms = 10000
    backoff_max_ms = 600000
    poll_wait_max_ms = 60000
    stream_keep_alive_ms = 10000
    scheduling_policy = "priority"
    selection_policy = "least_loaded"
    balance_hold_ms = 50
    balance_seen_ms = 5000
    aging_ms = 600000
    deadline_raise_ms = 60000
    held_expires_after_ms = 2592000000
    expected_run_ms = 60000
    learning = true
    unschedulable_after_ms = 60000
    selection_candidates_max = 64
    overtake_max = 10
    soft_flush_ms = 10000
    store_wait_ms = 2500

    [limits]
    hook_body_bytes_max = 26214400
    body_inline_bytes_max = 65536
    hook_bytes_in_flight_max = 268435456
    api_body_bytes_max = 2097152
    causation_depth_max = 5
    batch_items_max = 1000
    queue_jobs_max = 1000000
    workload_jobs_max = 1000
    changes_per_command_max = 10000
    classes_max = 10000
    batch_commands_max = 1000
    control_queue_max = 10000
    intake_queue_max = 10000
    runners_max = 100000
    schedule_missed_max = 100
    list_items_max = 500
    log_bytes_max = 67108864
    stream_records_max = 10000
    report_days_max = 92
    report_ms_max = 10000

    [retention]
    jobs_ms = 7776000000
    sessions_ms = 7776000000
    logs_ms = 2592000000
    delivery_bodies_ms = 1209600000
    deliveries_ms = 7776000000
    dedupe_keys_ms = 15552000000
    idempotency_keys_ms = 2592000000
    gone_runners_ms = 604800000
    prune_interval_ms = 60000
    prune_rows_max = 1000

    [reports]
    private_addresses = false
    timeout_ms = 10000
    backoff_ms = 2000
    backoff_max_ms = 600000
    tries_max = 30
    give_up_after_ms = 86400000
    refresh_ms = 60000
    at_once_max = 8

    [access]
    admin_tokens = []
    runner_tokens = []
    "#);
    assert_eq!(config.warnings(), Vec::<String>::new());
    assert_eq!(config.scheduler.lease_length_ms(), 60_000);
}

#[test]
fn an_unknown_key_is_answered_with_the_allowed_ones_and_a_hint() {
    insta::assert_snapshot!(refusal("[access]\n  admin_token = \"x\"\n"), @r#"
    d.toml:2:3: `access.admin_token`: unknown key, allowed: admin_tokens, runner_tokens, token
      hint: write `admin_tokens = [{ env = "NAME" }]` in [access]
    "#);
    insta::assert_snapshot!(refusal("[sources]\nx = 1\n[scheduler]\nconcurrency = 3"), @"
    d.toml:1:2: `sources`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write `[[source]]`, once for each
    d.toml:4:1: `scheduler.concurrency`: unknown key, allowed: max_global_concurrency, heartbeat_timeout_ms, heartbeat_interval_ms, lease_ms, ack_window_ms, cancel_grace_ms, timeout_minutes, timeout_grace_ms, max_retries, retry_max_attempts, backoff_ms, backoff_max_ms, poll_wait_max_ms, stream_keep_alive_ms, scheduling_policy, selection_policy, balance_hold_ms, balance_seen_ms, aging_ms, deadline_raise_ms, queue_timeout_ms, held_expires_after_ms, expected_run_ms, learning, unschedulable_after_ms, selection_candidates_max, overtake_max, soft_flush_ms, store_wait_ms
      hint: write `max_global_concurrency` in [scheduler]
    ");
}

#[test]
fn everything_wrong_with_a_file_is_told_at_once() {
    let text = "
        [server]
        listen = \"localhost\"
        data_dir = 7
        [scheduler]
        heartbeat_timeout_seconds = 60
        max_retries = -1
        backoff_ms = \"10s\"
        ack_window = 15
        lease = \"1 minute\"
        [limits]
        classes_max = 0
        list_items_max = \"many\"
        [[source]]
        name = \"git hub\"
        [[source]]
        name = \"open\"
        [[trigger]]
        on = 1
    ";
    insta::assert_snapshot!(refusal(text), @r#"
    d.toml:3:9: `server.listen`: `localhost` is not a numeric address with a port, such as 127.0.0.1:7878 or [::]:80
    d.toml:4:20: `server.data_dir`: invalid type: integer `7`, expected path string
    d.toml:6:9: `scheduler.heartbeat_timeout_seconds`: unknown key, allowed: max_global_concurrency, heartbeat_timeout_ms, heartbeat_interval_ms, lease_ms, ack_window_ms, cancel_grace_ms, timeout_minutes, timeout_grace_ms, max_retries, retry_max_attempts, backoff_ms, backoff_max_ms, poll_wait_max_ms, stream_keep_alive_ms, scheduling_policy, selection_policy, balance_hold_ms, balance_seen_ms, aging_ms, deadline_raise_ms, queue_timeout_ms, held_expires_after_ms, expected_run_ms, learning, unschedulable_after_ms, selection_candidates_max, overtake_max, soft_flush_ms, store_wait_ms
      hint: write `heartbeat_timeout = "60s"` or `heartbeat_timeout_ms = 60000`
    d.toml:7:23: `scheduler.max_retries`: -1 is out of range: a whole number from 0 to 1000
    d.toml:8:9: `scheduler.backoff_ms`: the key's unit is ms, its value is the text "10s"
      hint: write `backoff = "10s"` or `backoff_ms = 10000`
    d.toml:9:9: `scheduler.ack_window`: the number 15 has no unit
      hint: write `ack_window = "60s"` or `ack_window_ms = 60000`
    d.toml:10:9: `scheduler.lease`: "1 minute" is not a whole number with a unit
      hint: the units are ms, s, m, h and d: "500ms", "60s", "5m", "6h"
    d.toml:12:23: `limits.classes_max`: 0 is out of range: a whole number from 1 to 9007199254740992
    d.toml:13:26: `limits.list_items_max`: invalid type: string "many", expected a whole number
    d.toml:15:9: `source.name`: the name `git hub` is not 1 to 64 of the letters a-z, digits, `-` and `_`
    d.toml:16:9: `source.secrets`: the source `open` has no secret: anybody could send it deliveries
      hint: write `secrets = [{ env = "NAME" }]`, or `insecure = true` to accept what nobody signed
    d.toml:19:14: `trigger.on`: invalid type: integer `1`, expected an event's name, a list of names, or a table of names with their filters
    "#);
}

#[test]
fn every_syntax_error_has_its_place() {
    insta::assert_snapshot!(refusal("[server\nlisten = \n"), @"d.toml:1:8: unclosed table, expected `]`");
}

#[test]
fn both_spellings_of_a_time_mean_the_same_and_never_stand_together() {
    let text =
        |keys: &str| format!("[scheduler]\n{keys}\n[server]\ngraceful_shutdown_timeout = \"5m\"");
    let config = read(&text("heartbeat_timeout = \"90s\""), &[]).unwrap();
    assert_eq!(config.scheduler.heartbeat_timeout_ms, 90_000);
    assert_eq!(config.server.graceful_shutdown_timeout_ms, 300_000);
    insta::assert_snapshot!(
        refusal(&text("heartbeat_timeout = \"90s\"\nheartbeat_timeout_ms = 90000")), @r#"
        d.toml:3:1: `scheduler.heartbeat_timeout_ms`: the same time is set at d.toml:2:1
          hint: keep one of the two
        "#);
}

#[test]
fn the_environment_is_laid_over_the_file() {
    let text = "[server]\nlisten = \"127.0.0.1:1\"\n[scheduler]\nheartbeat_timeout_ms = 1000\n";
    let environment = [
        ("DISPATCHYARD_SERVER__LISTEN", "127.0.0.1:2"),
        ("DISPATCHYARD_SERVER__DATA_DIR", "1000"),
        ("DISPATCHYARD_SCHEDULER__HEARTBEAT_TIMEOUT", "2m"),
        ("DISPATCHYARD_ACCESS__ADMIN_TOKENS", "[{ env = \"A\" }]"),
        ("DISPATCHYARD_SERVER", "http://127.0.0.1:7878"),
        ("DISPATCHYARD_LOG", "debug"),
    ];
    let config = read(text, &environment).unwrap();
    assert_eq!(config.server.listen.port(), 2);
    assert_eq!(config.server.data_dir, Path::new("1000"));
    assert_eq!(config.scheduler.heartbeat_timeout_ms, 120_000);
    assert_eq!(config.access.admin_tokens, [SecretRef::Env("A".to_owned())]);
    let effective = config.effective();
    assert!(effective.contains("admin_tokens = [{ env = \"A\" }] # environment variable"));
    assert!(
        effective.contains(
            "listen = \"127.0.0.1:2\" # environment variable DISPATCHYARD_SERVER__LISTEN"
        ),
        "{effective}"
    );
}

#[test]
fn a_wrong_variable_is_named_as_such() {
    let environment = [
        ("DISPATCHYARD_SCHEDULER__CONCURRENCY", "3"),
        ("DISPATCHYARD_SCHEDULER__MAX_RETRIES", "few"),
        ("DISPATCHYARD_SOURCE__NAME", "x"),
        ("DISPATCHYARD_QUEUE__SIZE", "1"),
    ];
    insta::assert_snapshot!(read("", &environment).expect_err("wrong"), @r#"
    environment variable DISPATCHYARD_SOURCE__NAME: `source`: a list cannot be set by a variable
      hint: write `[[source]]` in the file
    environment variable DISPATCHYARD_QUEUE__SIZE: `queue`: unknown section, allowed: server, database, instances, scheduler, limits, retention, reports, sessions, access, workflow, vars, tenants, agent_pools, skill_mapping, teams, resources, source, trigger, executor, provisioner, route
      hint: write `[scheduler]`
    environment variable DISPATCHYARD_SCHEDULER__CONCURRENCY: `scheduler.concurrency`: unknown key, allowed: max_global_concurrency, heartbeat_timeout_ms, heartbeat_interval_ms, lease_ms, ack_window_ms, cancel_grace_ms, timeout_minutes, timeout_grace_ms, max_retries, retry_max_attempts, backoff_ms, backoff_max_ms, poll_wait_max_ms, stream_keep_alive_ms, scheduling_policy, selection_policy, balance_hold_ms, balance_seen_ms, aging_ms, deadline_raise_ms, queue_timeout_ms, held_expires_after_ms, expected_run_ms, learning, unschedulable_after_ms, selection_candidates_max, overtake_max, soft_flush_ms, store_wait_ms
      hint: write `max_global_concurrency` in [scheduler]
    environment variable DISPATCHYARD_SCHEDULER__MAX_RETRIES: `scheduler.max_retries`: invalid type: string "few", expected a whole number
    "#);
}

#[test]
fn the_text_of_a_secret_is_refused_and_never_repeated() {
    for written in [
        "\"hunter2\"",
        "[\"hunter2\"]",
        "[{ env = \"A\", text = \"hunter2\" }]",
        "{ env = \"hunter2\" }",
    ] {
        for text in [
            format!("[access]\nadmin_tokens = {written}"),
            format!("[[source]]\nname = \"x\"\nsecrets = {written}"),
        ] {
            let told = refusal(&text);
            assert!(!told.contains("hunter2"), "{told}");
            assert!(told.contains("write `{ env ="), "{told}");
        }
    }
    let variable = ("DISPATCHYARD_ACCESS__RUNNER_TOKENS", "hunter2");
    let told = read("", &[variable]).expect_err("wrong").to_string();
    insta::assert_snapshot!(told, @r#"environment variable DISPATCHYARD_ACCESS__RUNNER_TOKENS: `access.runner_tokens`: the text of a secret does not belong in the configuration; write `{ env = "NAME" }` or `{ file = "path" }`"#);
    insta::assert_snapshot!(refusal("[access]\nadmin_tokens = [\"hunter2\"]"), @r#"d.toml:2:1: `access.admin_tokens`: the text of a secret does not belong in the configuration; write `{ env = "NAME" }` or `{ file = "path" }`"#);
}

#[test]
fn a_source_without_a_secret_must_say_that_it_is_insecure() {
    insta::assert_snapshot!(refusal("[[source]]\nname = \"open\"\n"), @r#"
    d.toml:1:1: `source.secrets`: the source `open` has no secret: anybody could send it deliveries
      hint: write `secrets = [{ env = "NAME" }]`, or `insecure = true` to accept what nobody signed
    "#);
    let config = read("[[source]]\nname = \"open\"\ninsecure = true", &[]).unwrap();
    insta::assert_debug_snapshot!(config.warnings(), @r#"
    [
        "the source `open` is insecure: anybody can send it deliveries",
    ]
    "#);
}

#[test]
fn names_are_unique_and_triggers_name_sources_that_exist() {
    let source = "[[source]]\nname = \"a\"\ninsecure = true\n";
    let trigger =
        "[[trigger]]\nname = \"t\"\nsource = \"b\"\non = \"push\"\nworkflow = \"w.yml\"\n";
    insta::assert_snapshot!(refusal(&format!("{source}{source}")), @"d.toml:4:1: `source.name`: a second source has the name `a`");
    insta::assert_snapshot!(refusal(&format!("{source}{trigger}{trigger}")), @"
    d.toml:4:1: `trigger.source`: the trigger `t` names the source `b`
      hint: sources are a, api, cli, schedule
    d.toml:9:1: `trigger.source`: the trigger `t` names the source `b`
      hint: sources are a, api, cli, schedule
    d.toml:10:8: `trigger.name`: a second trigger has the name `t`
    ");
    insta::assert_snapshot!(refusal("[[source]]\nname = \"api\"\ninsecure = true\n"), @"d.toml:2:1: `source.name`: the name `api` is taken by a built-in source");
}

#[test]
fn the_place_of_a_trigger_and_of_a_value_in_it_survive() {
    let text =
        "\n[[trigger]]\nname = \"t\"\non = \"push\"\nworkflow = \"w.yml\"\nbackoff = \"1s\"\n";
    let config = read(text, &[]).unwrap();
    let trigger = &config.triggers[0];
    assert_eq!(config.place(trigger.span().start).line, 2);
    let workflow = trigger.get_ref().workflow.as_ref().unwrap();
    assert_eq!(config.place(workflow.span().start).to_string(), "d.toml:5:12");
    assert_eq!(trigger.get_ref().backoff_ms, Some(1_000));
}

#[test]
fn risky_pairs_are_warned_of() {
    let text = "[scheduler]\nheartbeat_interval = \"40s\"\nack_window = \"61s\"\nbackoff = \"1h\"
        store_wait = \"10s\"\n[limits]\nhook_bytes_in_flight_max = 1";
    insta::assert_debug_snapshot!(read(text, &[]).unwrap().warnings(), @r#"
    [
        "heartbeat_interval_ms 40000 is more than half of heartbeat_timeout_ms 60000: one lost heartbeat makes a runner offline",
        "ack_window_ms 61000 is longer than the lease of 60000 ms: an unstarted job expires before its window ends",
        "backoff_ms 3600000 is more than backoff_max_ms 600000, which wins",
        "store_wait_ms 10000 leaves no time to answer: GitHub gives up after 10 s",
        "hook_bytes_in_flight_max 1 is less than hook_body_bytes_max 26214400: the largest deliveries are never accepted",
    ]
    "#);
}

#[test]
fn an_address_that_others_can_reach_needs_an_admin_token() {
    assert_eq!(read("", &[]).unwrap().check_exposure(), Ok(()));
    assert_eq!(read("[server]\nlisten = \"[::1]:80\"", &[]).unwrap().check_exposure(), Ok(()));
    let open = "[server]\nlisten = \"0.0.0.0:7878\"\n";
    insta::assert_snapshot!(read(open, &[]).unwrap().check_exposure().unwrap_err(), @r#"
    d.toml:2:1: `server.listen`: 0.0.0.0:7878 can be reached from other machines and `access.admin_tokens` is empty: anybody could run jobs
      hint: write `[access]` and below it `admin_tokens = [{ env = "DISPATCHYARD_ADMIN_TOKEN" }]`, or listen on 127.0.0.1
    "#);
    let guarded = format!("{open}[access]\nadmin_tokens = [{{ env = \"A\" }}]");
    assert_eq!(read(&guarded, &[]).unwrap().check_exposure(), Ok(()));
}

#[test]
fn secrets_are_trimmed_once_and_never_shown() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("hook"), "s3cret\r\n").unwrap();
    let text = "[access]\nadmin_tokens = [{ env = \"A\" }]\n[[source]]\nname = \"gh\"\nsecrets = [{ file = \"hook\" }]";
    let config = Config::from_text(&folder.path().join("d.toml"), text, []).unwrap();
    let secrets = config.load_secrets(|name| (name == "A").then(|| "t0ken".to_owned())).unwrap();
    assert_eq!(secrets.admin_tokens[0].bytes(), b"t0ken");
    assert_eq!(secrets.sources["gh"][0].bytes(), b"s3cret");
    assert_eq!(secrets.warnings.len(), 1);
    let shown = format!("{secrets:?} {config:?}");
    assert!(!shown.contains("s3cret") && !shown.contains("t0ken"), "{shown}");
}

#[test]
fn missing_and_empty_secrets_are_all_told() {
    let text =
        "[access]\nadmin_tokens = [{ env = \"A\" }, { env = \"B\" }, { file = \"none/here\" }]";
    let config = read(text, &[]).unwrap();
    let errors = config.load_secrets(|name| (name == "A").then(|| "\n".to_owned())).unwrap_err();
    insta::assert_snapshot!(errors, @r#"
    environment variable A: `access.admin_tokens`: the secret is empty: an empty secret protects nothing
    environment variable B: `access.admin_tokens`: it is not set
    none/here: `access.admin_tokens`: cannot read the secret file none/here: No such file or directory (os error 2)
    "#);
}

#[test]
fn the_example_file_is_a_valid_configuration() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/dispatchyard.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let config = Config::from_text(&path, text.clone(), []).unwrap();
    assert!(config.warnings().is_empty(), "{:?}", config.warnings());
    // Every key stands in it, so that people find it, and with its default.
    let defaults = read("", &[]).unwrap().effective();
    for line in defaults.lines().filter(|line| !line.starts_with('[')) {
        assert!(text.contains(line), "the example lacks `{line}`");
    }
}
