//! Steps as a workflow file writes them: what each is given, what it leaves to the next, and what is sent.

use serde_json::{Value, json};

use crate::agent_runner::RunnerOptions;
use crate::api::wire::CompleteRequest;
use crate::model::{AttemptOutcome, JobWork, LeaseToken, Step, Trust, TrustLevel, WorkflowJob};

use super::super::shell::find_program;
use super::Runner;
use super::fake::{Fake, Lease};

/// A step, as a file has it.
fn step(fields: Value) -> Step {
    serde_json::from_value(fields).expect("a step")
}

fn run(script: &str) -> Step {
    step(json!({ "run": script }))
}

/// Queues a job of a workflow file.
fn submit(
    fake: &Fake,
    contexts: Value,
    steps: Vec<Step>,
    edit: impl FnOnce(&mut Lease),
) -> LeaseToken {
    let Value::Object(contexts) = contexts else { panic!("a map") };
    fake.submit_with(JobWork::Steps(steps), |lease| {
        let workflow = WorkflowJob { key: "build".into(), contexts, ..WorkflowJob::default() };
        lease.context.workflow = Some(Box::new(workflow));
        lease.context.trust = Trust { level: TrustLevel::Trusted, reason: String::new() };
        edit(lease);
    })
}

fn outputs_of(lease: &mut Lease, outputs: &[(&str, &str)]) {
    let workflow = lease.context.workflow.as_mut().expect("a workflow");
    workflow.outputs = outputs.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect();
}

/// Carries one job out: its end, and the lines of its log.
async fn carried_out(
    contexts: Value,
    steps: Vec<Step>,
    edit: impl FnOnce(&mut Lease),
    options: impl FnOnce(&mut RunnerOptions),
) -> (CompleteRequest, Vec<String>) {
    let fake = Fake::start();
    let runner = Runner::start(&fake, options);
    let lease = submit(&fake, contexts, steps, edit);
    let (end, seen) = fake.completed(lease).await;
    runner.drain().await;
    (end, seen.lines())
}

fn has(lines: &[String], line: &str) -> bool {
    lines.iter().any(|have| have == line)
}

#[tokio::test]
async fn what_a_step_leaves_reaches_later_steps_and_the_jobs_outputs() {
    let steps = vec![
        step(json!({ "id": "make", "run": "\
            echo v=one >> $GITHUB_OUTPUT; printf 'm<<E\\na\\nb=c\\nE\\n' >> $GITHUB_OUTPUT\n\
            echo FROM_STEP=kept >> $GITHUB_ENV; mkdir bin; echo $PWD/bin >> $GITHUB_PATH\n\
            printf '#!/bin/sh\\necho tool runs\\n' > bin/our-tool; chmod +x bin/our-tool\n\
            echo '::set-output name=old::way'" })),
        step(json!({
            "name": "use ${{ steps.make.outputs.v }}",
            "run": "echo \"$A $FROM_STEP $B\"; our-tool; echo n=${{ matrix.n }}; ls -s $GITHUB_OUTPUT",
            "env": {
                "A": "${{ steps.make.outputs.v }}-${{ steps.make.outputs.old }}",
                "B": "${{ env.FROM_STEP }} ${{ env.OF_JOB }} ${{ steps.make.conclusion }}",
            },
        })),
    ];
    let edit = |lease: &mut Lease| {
        lease.context.env = [("OF_JOB".to_owned(), "job-${{ matrix.n }}".to_owned())].into();
        outputs_of(
            lease,
            &[("v", "${{ steps.make.outputs.v }}"), ("m", "${{ steps.make.outputs.m }}")],
        );
    };
    let (end, lines) = carried_out(json!({ "matrix": { "n": 3 } }), steps, edit, |_| {}).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{lines:?} {:?}", end.error);
    for line in ["##[step] use one", "one-way kept kept job-3 success", "tool runs", "n=3"] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    assert!(lines.iter().any(|line| line.starts_with("0 ") && line.ends_with("1.output")));
    assert!(lines.iter().any(|line| line.contains("`::set-output::` is deprecated")));
    assert_eq!(end.outputs["v"], "one");
    assert_eq!(end.outputs["m"], "a\nb=c");
}

#[tokio::test]
async fn a_failed_step_is_followed_by_those_that_ask_for_it_and_told_in_the_end() {
    let steps = vec![
        step(json!({ "id": "soft", "run": "exit 5", "continue_on_error": "true" })),
        step(
            json!({ "id": "hard", "name": "compile", "run": "echo first; echo the reason >&2; exit 3" }),
        ),
        step(json!({ "name": "never", "run": "echo never" })),
        step(json!({ "if": "failure() && steps.soft.conclusion == 'success'",
            "run": "echo soft=${{ steps.soft.outcome }} hard=${{ steps.hard.outcome }} ${{ job.status }}" })),
        step(json!({ "if": "always()", "run": "echo tidy" })),
        step(json!({ "if": "cancelled()", "name": "not cancelled", "run": "echo never" })),
    ];
    let (end, lines) = carried_out(json!({}), steps, |_| {}, |_| {}).await;
    assert_eq!((end.outcome, end.exit_code), (AttemptOutcome::Failed, Some(3)));
    for line in [
        "##[error] step `exit 5` failed with exit code 5",
        "##[error] step `compile` failed with exit code 3",
        "##[skipped] never",
        "soft=failure hard=failure failure",
        "tidy",
        "##[skipped] not cancelled",
    ] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    assert!(!has(&lines, "never"));
    let error = end.error.expect("an error");
    let told: Vec<&str> = error.lines().collect();
    assert_eq!(told[0], "step `compile` failed with exit code 3");
    assert!(told[1].starts_with("it was step 2 of 6, and ran "), "{error}");
    assert_eq!(told[2..], ["  first", "  the reason"]);
}

#[tokio::test]
async fn commands_and_masked_values_are_seen_by_the_log_and_nobody_who_is_sent_the_rest() {
    let steps = vec![
        step(json!({ "id": "s", "run": "\
            echo '::group::G'; echo '::warning file=a.rs,line=7::careful%0Atwice'; echo '::endgroup::'\n\
            echo '::debug::hidden'; printf '::add-mask::hush'; echo '-hush'\n\
            echo \"token=hush-hush\" >> $GITHUB_OUTPUT; echo \"# sum hush-hush\" >> $GITHUB_STEP_SUMMARY" })),
        step(json!({ "env": { "T": "${{ steps.s.outputs.token }}" },
            "run": "test \"$T\" = \"hush-\"\"hush\" && echo came whole; echo \"$T\"; exit 1" })),
    ];
    let edit = |lease: &mut Lease| {
        outputs_of(lease, &[("token", "${{ steps.s.outputs.token }}"), ("ok", "yes")]);
    };
    let (end, lines) = carried_out(json!({}), steps, edit, |_| {}).await;
    for line in [
        "##[group] G",
        "##[warning] a.rs:7: careful",
        "twice",
        "##[endgroup]",
        "::add-mask::***",
        "# sum ***",
        "came whole",
        "***",
        "##[warning] output `token` is not handed on: it may contain a secret",
    ] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    assert_eq!(end.outputs.keys().collect::<Vec<_>>(), ["ok"]);
    let sent = format!("{lines:?}{:?}{:?}", end.error, end.outputs);
    let begun = lines.iter().position(|line| line == "::add-mask::***").expect("there");
    assert!(!lines[begun..].join("\n").contains("hush-hush"), "{sent}");
    assert!(!lines.iter().any(|line| line.contains("hidden")), "{sent}");
    assert!(!end.error.expect("failed").contains("hush-hush"));
}

#[tokio::test]
async fn hostile_text_is_data_wherever_it_comes_in() {
    let folder = tempfile::tempdir().expect("tempdir");
    let canary = folder.path().join("canary");
    let at = canary.display();
    let evil = format!(
        "'; touch {at}; echo \"$(touch {at})`touch {at}`\" ${{{{ 1 }}}}\nPATH=/evil\nE\n>&2 #"
    );
    let event = json!({ "issue": { "title": evil } });
    let expression = "${{ github.event.issue.title }}";
    let steps = vec![
        step(json!({ "id": "evil", "name": expression, "working_directory": "${{ '.' }}",
            "env": { "TITLE": expression },
            "expressions": { "DISPATCHYARD_EXPR_1": expression },
            "run": "printf '%s' \"$DISPATCHYARD_EXPR_1\" > one; printf '%s' \"$TITLE\" > two\n\
                cmp one two && echo same\n\
                { echo 'T<<GUID'; cat one; echo; echo GUID; } >> $GITHUB_ENV\n\
                { echo 't<<GUID'; cat one; echo; echo GUID; } >> $GITHUB_OUTPUT" })),
        step(json!({ "env": { "DISPATCHYARD_EXPR_1": "overridden" },
            "expressions": { "DISPATCHYARD_EXPR_1": "${{ steps.evil.outputs.t }}" },
            "if": "contains(steps.evil.outputs.t, 'touch')",
            "run": "printf '%s' \"$T\" | cmp - one && printf '%s' \"$DISPATCHYARD_EXPR_1\" | cmp - one \
                && echo unharmed" })),
        step(json!({ "uses": "some/action@v1", "with": { "a title": expression },
            "expressions": {} })),
    ];
    let edit = |lease: &mut Lease| {
        lease.context.has_payload = true;
        lease.payload = event.to_string().into();
        outputs_of(lease, &[("t", "${{ steps.evil.outputs.t }}")]);
    };
    let actions = "echo \"$DISPATCHYARD_ACTION\"; env | grep -c '^INPUT_A_TITLE='; \
                   cmp \"$GITHUB_EVENT_PATH\" \"$DISPATCHYARD_PAYLOAD_PATH\" && echo raw";
    let options = |options: &mut RunnerOptions| options.actions = Some(actions.to_owned());
    let (end, lines) = carried_out(json!({}), steps, edit, options).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{lines:?}");
    for line in ["same", "unharmed", "some/action@v1", "1", "raw"] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    assert_eq!(end.outputs["t"], evil);
    assert!(!canary.exists());
}

#[tokio::test]
async fn an_untrusted_job_sees_no_secret_and_a_trusted_one_all_of_them() {
    const SECRET: &str = "CARGO_PKG_DESCRIPTION";
    for level in [TrustLevel::Trusted, TrustLevel::Untrusted, TrustLevel::Unknown] {
        let x = format!("${{{{ secrets.{SECRET} }}}}");
        let check = "test -n \"$X\" && echo has || echo none";
        let steps = vec![step(json!({ "run": check, "env": { "X": x } }))];
        let edit = |lease: &mut Lease| lease.context.trust.level = level;
        let options = |options: &mut RunnerOptions| options.secret_env = vec![SECRET.into()];
        let (_, lines) = carried_out(json!({}), steps, edit, options).await;
        assert_eq!(has(&lines, "has"), level == TrustLevel::Trusted, "{lines:?}");
        assert_eq!(has(&lines, "none"), level != TrustLevel::Trusted, "{lines:?}");
    }
}

#[tokio::test]
async fn a_step_finds_githubs_variables_as_the_server_sent_them() {
    let github = json!({ "sha": "abc", "ref": "refs/heads/main", "repository": "acme/app",
        "actor": "octo", "event_name": "push", "workflow": "CI", "run_number": "12",
        "server_url": "https://github.example" });
    let script = "env | sort | grep -E '^(GITHUB|RUNNER)_' | cut -d= -f1 | tr '\\n' ' '; echo\n\
        echo \"$GITHUB_REF_NAME $GITHUB_RUN_NUMBER $GITHUB_JOB $GITHUB_ACTION $GITHUB_HEAD_REF.\"\n\
        test \"$GITHUB_WORKSPACE\" = \"$PWD\" && test -d \"$RUNNER_TEMP\" && echo places\n\
        cat \"$GITHUB_EVENT_PATH\"; echo";
    let edit = |lease: &mut Lease| lease.context.event = Some(json!({ "kind": "push" }));
    let (_, lines) =
        carried_out(json!({ "github": github }), vec![run(script)], edit, |_| {}).await;
    let names = lines.iter().find(|line| line.starts_with("GITHUB_ACTION ")).expect("the names");
    insta::assert_snapshot!(names.trim().replace(' ', "\n"), @r"
    GITHUB_ACTION
    GITHUB_ACTIONS
    GITHUB_ACTOR
    GITHUB_BASE_REF
    GITHUB_ENV
    GITHUB_EVENT_NAME
    GITHUB_EVENT_PATH
    GITHUB_HEAD_REF
    GITHUB_JOB
    GITHUB_OUTPUT
    GITHUB_PATH
    GITHUB_REF
    GITHUB_REF_NAME
    GITHUB_REF_TYPE
    GITHUB_REPOSITORY
    GITHUB_REPOSITORY_OWNER
    GITHUB_RUN_ATTEMPT
    GITHUB_RUN_ID
    GITHUB_RUN_NUMBER
    GITHUB_SERVER_URL
    GITHUB_SHA
    GITHUB_STATE
    GITHUB_STEP_SUMMARY
    GITHUB_TRIGGERING_ACTOR
    GITHUB_WORKFLOW
    GITHUB_WORKSPACE
    RUNNER_ARCH
    RUNNER_ENVIRONMENT
    RUNNER_NAME
    RUNNER_OS
    RUNNER_TEMP
    RUNNER_TOOL_CACHE
    ");
    for line in ["main 12 build __run .", "places", r#"{"kind":"push"}"#] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
}

#[tokio::test]
async fn shells_and_folders_are_as_the_step_says_and_faults_say_what_to_do() {
    let python = "import os\nprint('python', os.path.basename(os.getcwd()))";
    let path = std::env::var_os("PATH");
    let has_python = find_program("python3", path.as_deref()).is_some();
    let mut good = vec![
        run("mkdir -p sub/deep; ln -s / out"),
        step(json!({ "shell": "python", "run": python, "working_directory": "sub/deep" })),
        step(json!({ "shell": "bash", "run": "false | true || echo pipefail" })),
        step(json!({ "shell": "sh", "run": "echo sh ${BASH_VERSION:-plain}" })),
        step(json!({ "shell": "sh -c '. {0}; echo wrapped'", "run": "echo inner" })),
    ];
    if !has_python {
        good.remove(1);
    }
    let (end, lines) = carried_out(json!({}), good, |_| {}, |_| {}).await;
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{lines:?}");
    assert_eq!(has(&lines, "python deep"), has_python, "{lines:?}");
    for line in ["pipefail", "inner", "wrapped"] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    let table = [
        (json!({ "shell": "fish", "run": "x" }), "step `x`: `shell: fish` is not known here"),
        (
            json!({ "run": "x", "working_directory": "../.." }),
            "`../..` is outside of the workspace",
        ),
        (json!({ "run": "x", "working_directory": "/" }), "`/` is outside of the workspace"),
        (
            json!({ "run": "x", "working_directory": "gone" }),
            "`working-directory`: `gone`: No such",
        ),
        (json!({ "uses": "a/b@v1" }), "runner `tester` carries out none: start it with --actions"),
        (json!({ "run": "x", "if": "nonsense(" }), "step `x`: `if`: `nonsense(`: "),
        (json!({ "run": "echo ${{ fromJSON('{') }}" }), "`run`: `echo ${{ fromJSON('{') }}`: "),
        (
            json!({ "run": "echo ${{ format('{0}', runner.temp) }}" }),
            "may not become a part of a script",
        ),
        (json!({ "run": "x", "env": { "A": "${{ nope.x }}" } }), "`env.A`: `${{ nope.x }}`: "),
        (
            json!({ "run": "x", "expressions": { "DISPATCHYARD_EXPR_1": "${{ fromJSON('\"\\u0000\"') }}" } }),
            "has a NUL byte in it",
        ),
        (json!({ "run": "x", "expressions": { "PATH": "y" } }), "`PATH` cannot hold the value"),
        (json!({ "run": "echo '::set-env name=A::b'" }), "`::set-env::` is switched off"),
    ];
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    for (fields, expected) in table {
        let lease = submit(&fake, json!({}), vec![step(fields), run("echo on")], |_| {});
        let (end, seen) = fake.completed(lease).await;
        let error = end.error.unwrap_or_default();
        assert_eq!(end.outcome, AttemptOutcome::Failed, "{expected}: {}", seen.text());
        assert!(error.contains(expected), "{expected}: {error}");
        assert!(error.contains("\nit was step 1 of 2, and "), "{error}");
        assert!(!has(&seen.lines(), "on"));
    }
    runner.drain().await;
}

#[tokio::test]
async fn a_submitted_job_is_text_but_its_conditions_work() {
    let fake = Fake::start();
    let runner = Runner::start(&fake, |_| {});
    let steps = vec![
        step(json!({ "id": "a", "run": "echo x=1 >> $GITHUB_OUTPUT; echo '::error::text'; \
            echo '${{ env.A }}'", "env": { "A": "${{ 1 }}" } })),
        step(
            json!({ "if": "steps.a.outputs.x == '1' && env.OF_JOB == 'j'", "run": "echo yes; exit 2",
            "continue_on_error": "true" }),
        ),
        step(json!({ "if": "runner.os == 'BeOS'", "name": "no", "run": "echo no" })),
    ];
    let lease = fake.submit_with(JobWork::Steps(steps), |lease| {
        lease.context.env = [("OF_JOB".to_owned(), "j".to_owned())].into();
    });
    let (end, seen) = fake.completed(lease).await;
    let lines = seen.lines();
    assert_eq!(end.outcome, AttemptOutcome::Completed, "{lines:?} {:?}", end.error);
    for line in ["::error::text", "${{ env.A }}", "yes", "##[skipped] no"] {
        assert!(has(&lines, line), "{line}: {lines:?}");
    }
    runner.drain().await;
}
