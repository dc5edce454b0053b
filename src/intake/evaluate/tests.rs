//! Events against rules, from the configuration's text to the plan.

use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::{JobPriority, JobWork, Trust, TrustLevel, WorkloadKind};
use crate::trigger::RuleConfig;
use crate::workflow::{Defaults, File};

#[derive(serde::Deserialize)]
struct Config {
    trigger: Vec<RuleConfig>,
}

pub(in crate::intake) fn configs(text: &str) -> Vec<RuleConfig> {
    toml::from_str::<Config>(text).unwrap().trigger
}

pub(in crate::intake) fn workflows() -> BTreeMap<String, File> {
    let text = "jobs:\n  one: { runs-on: x, steps: [{ run: ls }] }\n  two: { needs: one, runs-on: x, \
                steps: [{ run: ls }] }\n";
    BTreeMap::from([(
        "build".to_owned(),
        File::parse("build.yml", text, Default::default()).unwrap(),
    )])
}

const CONFIG: &str = "
[[trigger]]
name = 'ci'
workflow = 'build'
priority = 'high'
[trigger.on.push]
branches = ['main']

[[trigger]]
name = 'review'
on = 'push'
agent = { profile = 'reviewer', prompt = 'Review <{{ event.title }}>', runs_on = ['Agents'] }
timeout_minutes = 15
";

const ARRIVAL: Arrival<'_> = Arrival {
    at_ms: 1_000,
    traceparent: Some("00-trace"),
    payload: None,
    facts: Facts::None,
    standing: None,
    approved_by: None,
};

fn catalogue() -> Arc<Catalogue> {
    let resources = [("repo:acme/*".into(), 1)].into();
    Arc::new(Catalogue { resources, ..Catalogue::default() })
}

fn rules(text: &str) -> Rules {
    Rules::compile(&configs(text), workflows(), Defaults::default(), catalogue()).unwrap()
}

fn push(git_ref: &str) -> Event {
    let mut event: Event = serde_json::from_value(json!({
        "source": "github", "kind": "push", "ref": git_ref,
    }))
    .unwrap();
    event.subject.title = Some("{{ event.ref }} $(reboot)".into());
    event.trust = Trust::new(TrustLevel::Untrusted, "a fork");
    event
}

#[test]
fn matched_triggers_start_their_workloads_in_order() {
    let evaluation = evaluate(&push("refs/heads/main"), &rules(CONFIG), ARRIVAL);
    let Outcome::Plan(plan) = evaluation.outcome else { panic!("a plan") };
    let said: Vec<_> = evaluation.verdicts.iter().map(|it| (&*it.trigger, it.matched)).collect();
    assert_eq!(said, [("ci", true), ("review", true)]);
    let [ci, review] = plan.workloads.as_slice() else { panic!("two workloads") };

    assert_eq!((ci.kind, ci.name.as_str(), &*ci.trigger), (WorkloadKind::Workflow, "build", "ci"));
    assert_eq!(ci.check(2), Ok(vec![vec![], vec![0]]));
    assert!(ci.jobs.iter().all(|job| job.priority == JobPriority::High));

    let [job] = review.jobs.as_slice() else { panic!("one job") };
    assert_eq!((review.kind, review.name.as_str()), (WorkloadKind::Agent, "reviewer"));
    assert_eq!((job.requirements.labels[0].as_ref(), job.timeout_ms), ("agents", 900_000));
    let JobWork::Agent { profile, prompt } = &job.spec.work else { panic!("an agent") };
    assert_eq!(profile, "reviewer");
    assert_eq!(prompt.as_data(), "Review <{{ event.ref }} $(reboot)>");
}

#[test]
fn trust_and_trace_travel_with_every_job() {
    let event = push("refs/heads/main");
    let evaluation = evaluate(&event, &rules(CONFIG), ARRIVAL);
    let Outcome::Plan(plan) = evaluation.outcome else { panic!("a plan") };
    let by_hand = run_by_hand("build", &event, &rules(CONFIG), Ask::default(), ARRIVAL).unwrap();
    let jobs = plan.workloads.iter().chain(&by_hand.workloads).flat_map(|it| &it.jobs);
    for job in jobs {
        assert_eq!(job.spec.trust, event.trust);
        assert_eq!(job.spec.traceparent.as_deref(), ARRIVAL.traceparent);
    }
}

#[test]
fn event_text_reaches_a_workflow_through_no_field_of_its_plan() {
    let rules = rules(CONFIG);
    let (mut hostile, plain) = (push("refs/heads/main"), push("refs/heads/main"));
    hostile.subject.title = Some("$(reboot)".into());
    hostile.subject.body = Some("$(reboot)".into());
    hostile.head_ref = Some("$(reboot)".into());
    let workflow_of = |event| match evaluate(event, &rules, ARRIVAL).outcome {
        Outcome::Plan(plan) => plan.workloads[0].clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(workflow_of(&hostile), workflow_of(&plain));
}

#[test]
fn an_event_that_nobody_wants_is_ignored_with_every_reason() {
    let only_ci = CONFIG.split("[[trigger]]\nname = 'review'").next().unwrap();
    let evaluation = evaluate(&push("refs/heads/dev"), &rules(only_ci), ARRIVAL);
    let why = "branch `dev` matches none of branches";
    assert_eq!(evaluation.outcome, Outcome::Ignored(format!("the only trigger: {why}")));
    assert_eq!((evaluation.verdicts[0].matched, evaluation.verdicts[0].why.as_str()), (false, why));

    let mut event = push("refs/heads/dev");
    event.kind = "star".to_owned().into();
    let evaluation = evaluate(&event, &rules(CONFIG), ARRIVAL);
    assert_eq!(evaluation.outcome, Outcome::Ignored("none of 2 triggers wants it".to_owned()));
    let none = Rules::compile(&[], BTreeMap::new(), Defaults::default(), catalogue()).unwrap();
    let nobody = Outcome::Ignored("no trigger is configured".to_owned());
    assert_eq!(evaluate(&event, &none, ARRIVAL).outcome, nobody);
}

#[test]
fn a_workflow_is_started_by_hand_without_a_trigger() {
    let event = push("refs/heads/main");
    let ask = Ask { priority: Some(JobPriority::Low), ..Ask::default() };
    let plan = run_by_hand("build", &event, &rules(CONFIG), ask, ARRIVAL).unwrap();
    assert_eq!(plan.workloads[0].trigger, "");
    assert!(plan.workloads[0].jobs.iter().all(|job| job.priority == JobPriority::Low));
    let error = run_by_hand("bild", &event, &rules(CONFIG), Ask::default(), ARRIVAL).unwrap_err();
    assert_eq!(error.to_string(), "no workflow `bild`; known are build");
}

#[test]
fn what_depends_on_the_event_is_settled_when_it_comes() {
    let text = format!("{CONFIG}dispatch = {{ deadline = '2s', group = 'reviews' }}\n");
    let repository = json!({ "full_name": "acme/app" });
    let mut event = push("refs/heads/main");
    event.repository = Some(serde_json::from_value(repository).unwrap());
    let Outcome::Plan(plan) = evaluate(&event, &rules(&text), ARRIVAL).outcome else {
        panic!("a plan")
    };
    let [ci, review] = plan.workloads.as_slice() else { panic!("two workloads") };
    for job in ci.jobs.iter().chain(&review.jobs) {
        let held: Vec<_> =
            job.requirements.resources.iter().map(|it| (&*it.name, it.units)).collect();
        assert_eq!(held, [("repo:acme/app", 1)]);
    }
    assert_eq!((ci.jobs[0].terms.deadline_ms, &ci.terms.group), (None, &None));
    assert_eq!(review.jobs[0].terms.deadline_ms, Some(3_000));
    assert_eq!(&*review.terms.group.as_ref().unwrap().key, "reviews");
    assert_eq!(review.jobs[0].terms.group, None);
}

#[test]
fn a_start_by_hand_cannot_ask_for_what_cannot_be() {
    let event = push("refs/heads/main");
    let refused = |ask| {
        let ask = serde_json::from_value(ask).unwrap();
        run_by_hand("build", &event, &rules(CONFIG), ask, ARRIVAL).unwrap_err().to_string()
    };
    for (ask, why) in [
        (json!({ "pool": "fast" }), "job `one`: pool: no pool `fast`; known are default"),
        (json!({ "run_if": "always" }), "run_if: belongs to a job"),
        (json!({ "max_parallel": 0 }), "max_parallel: 0 lets nothing run"),
        (
            json!({ "deadline": "1970-01-01T00:00:01Z" }),
            "job `one`: deadline: 1970-01-01T00:00:01Z is not in the future",
        ),
    ] {
        assert_eq!(refused(ask), format!("workflow `build` cannot run: {why}"));
    }
}

/// A message in a chat, by somebody with that id, meant for us.
fn said_in_chat(uid: &str, text: &str) -> Event {
    let mut event: Event = serde_json::from_value(json!({
        "source": "chat", "kind": "message", "chat": { "channel": "C1" },
        "actor": { "uid": uid, "login": uid, "account_type": "User" },
        "address": { "us": { "words_at": 0 } },
    }))
    .unwrap();
    event.subject.body = Some(text.into());
    event
}

const IN_CHAT: &str = "
[[trigger]]
name = 'agent'
on = 'message'
agent = { profile = 'fixer', prompt = 'You help.', session = 'subject' }
";

fn in_chat(allow: &str, uid: &str, text: &str) -> String {
    let evaluation =
        evaluate(&said_in_chat(uid, text), &rules(&format!("{IN_CHAT}{allow}")), ARRIVAL);
    match evaluation.outcome {
        Outcome::Plan(plan) => {
            let session = plan.workloads[0].session.as_ref().unwrap();
            let opening = session.opening.as_ref().map(|it| it.as_data());
            format!(
                "{:?} {opening:?} {:?} {}",
                session.wish,
                session.message.as_data(),
                session.key.as_deref().unwrap()
            )
        }
        Outcome::Held(_) => "held".to_owned(),
        _ => evaluation.verdicts[0].why.clone(),
    }
}

#[test]
fn what_is_said_in_a_chat_is_the_message_and_the_prompt_its_opening() {
    assert_eq!(
        in_chat("", "U1", "{{ event.body }} $(x)"),
        "Talk Some(\"You help.\") \"{{ event.body }} $(x)\" chat:/C1/"
    );
    assert_eq!(in_chat("", "U1", "stop"), "End None \"\" chat:/C1/");
}

#[test]
fn an_agent_is_answered_by_those_who_are_named_and_an_approval_is_not_waited_for_twice() {
    let answered = "Answer { request: Some(3), approve: false } None \"not so\" chat:/C1/";
    let named = "allow = { actors = ['id:U1'], approvers = ['id:U2'], approval = 'untrusted' }";
    assert_eq!(in_chat(named, "U2", "reject 3 not so"), answered);
    assert!(in_chat(named, "U1", "approve 3").contains("do not name `U1`"));
    assert!(in_chat(named, "U2", "hello").contains("may not start it"));
    assert_eq!(in_chat(named, "U1", "hello"), "held");
    assert!(in_chat(named, "U1", "stop").starts_with("End "));
    let unnamed = "allow = { actors = ['id:U1'], approval = 'untrusted' }";
    assert_eq!(in_chat(unnamed, "U1", "approve"), "held");
    assert!(in_chat("", "U1", "approve").contains("has no `allow`, so nobody may answer"));
}

#[test]
fn to_follow_needs_a_session_and_no_approval() {
    let refused = |more: &str, allow: &str| {
        let text = format!("{}{allow}", IN_CHAT.replace(", session = 'subject'", more));
        let errors = Rules::compile(&configs(&text), workflows(), Defaults::default(), catalogue());
        errors.unwrap_err().iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    insta::assert_snapshot!(refused(", follow = true", ""), @r#"trigger `agent`: agent.follow is of a session, and there is none; add `session = "subject"`"#);
    insta::assert_snapshot!(refused(", session = 'subject', follow = true", "allow = { approval = 'always' }"), @"trigger `agent`: agent.follow: with `allow.approval` whatever people write would wait for somebody; leave one of them out");
}

#[test]
fn who_speaks_without_a_name_is_called_by_their_id() {
    let mut event = said_in_chat("", "hello");
    let rules = rules(IN_CHAT);
    let mut author = |actor| {
        event.actor = actor;
        let Outcome::Plan(plan) = evaluate(&event, &rules, ARRIVAL).outcome else {
            panic!("a plan")
        };
        plan.workloads[0].session.as_ref().unwrap().author.to_string()
    };
    let actor = |login: &str| crate::event::Actor {
        id: Some(5),
        login: login.into(),
        ..Default::default()
    };
    assert_eq!(author(Some(actor("ada"))), "ada");
    assert_eq!(author(Some(actor(""))), "5");
    assert_eq!(author(None), "chat");
}
