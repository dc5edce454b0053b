//! Times at which triggers start by themselves: each comes once, over restarts, instances and clocks that jump, and
//! what was missed comes as the configuration says. The clock is the test's.

use std::sync::Arc;

use dispatchyard::api::wire::{List, ScheduleView};
use dispatchyard::app::AppOptions;
use dispatchyard::clock::ManualClock;
use dispatchyard::model::{Now, TrustLevel};
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::support::command::{cli, run};
use crate::support::instances::{admin, is, with_term};
use crate::support::{Api, Home, Server, ServerProcess, Setup, on_both, until};

const MINUTE_MS: i64 = 60_000;
const HOUR_MS: i64 = 60 * MINUTE_MS;
/// 2026-05-04T00:59:30Z, a Monday.
const BEGIN_MS: i64 = 1_777_856_370_000;

const WORKFLOW: &str = "jobs: { a: { runs-on: [x], steps: [{ run: 'true' }] } }\n";

fn rule(name: &str, more: &str) -> String {
    format!(
        "[[trigger]]\nname = '{name}'\nworkflow = 'ci'\n\
         on = {{ schedule = [{{ cron = '0 * * * *'{more} }}] }}\n"
    )
}

fn setup(base: Setup, rules: &str) -> Setup {
    base.patient().workflow("ci", WORKFLOW).rules(rules)
}

fn clock() -> (Arc<ManualClock>, AppOptions) {
    let clock = Arc::new(ManualClock::new(Now { mono_ms: 0, wall_ms: BEGIN_MS }));
    let options = AppOptions { clock: clock.clone(), ..AppOptions::default() };
    (clock, options)
}

async fn schedules(api: &Api) -> Vec<ScheduleView> {
    api.get::<List<ScheduleView>>("/schedules").await.items
}

/// Waits until all schedules are handled up to a time that the test names.
async fn handled(api: &Api, at_ms: i64) {
    until("the schedules are handled", async || {
        let all = schedules(api).await;
        all.iter().all(|it| it.handled_ms.is_some_and(|ms| ms >= at_ms)).then_some(())
    })
    .await;
}

/// What came: `name time` of the day.
async fn came(api: &Api) -> Vec<String> {
    let all = api.deliveries().await.into_iter().filter(|it| it.event == "schedule");
    let told = all.map(|it| {
        let id = it.external_id.unwrap();
        assert_eq!((it.state.as_str(), it.triggers.len()), ("dispatched", 1), "{id}");
        id.replace("2026-05-04T", "").replace(":00Z", "")
    });
    let mut told: Vec<_> = told.collect();
    // Deliveries of one millisecond have no order.
    told.sort();
    told
}

/// At 01:00 and so on of the day on which the tests begin.
fn at(hour: i64) -> i64 {
    BEGIN_MS - 59 * MINUTE_MS - 30_000 + hour * HOUR_MS
}

async fn a_time_comes_once_over_restarts_and_whatever_the_clock_does(base: Setup) {
    let (clock, options) = clock();
    let server = Server::with(&setup(base, &rule("hourly", "")), options.clone()).await;
    handled(&server.api, BEGIN_MS).await;
    assert_eq!(came(&server.api).await, [] as [&str; 0], "a new schedule counts from now on");
    clock.jump_wall(40_000);
    handled(&server.api, at(1)).await;
    assert_eq!(came(&server.api).await, ["hourly#1 01:00"]);
    let delivery = server.api.deliveries().await.remove(0);
    assert_eq!((delivery.source.as_str(), delivery.trust.level), ("schedule", TrustLevel::Trusted));
    let workload = delivery.triggers[0].workload_id.unwrap();
    assert_eq!(server.api.workload(workload).await.workload.trigger.as_deref(), Some("hourly"));
    let body: Value = server.api.get(&format!("/deliveries/{}/body", delivery.id)).await;
    assert_eq!(body["schedule"], "0 * * * *");

    // Back behind that time, and over it again; then the server is another one.
    clock.jump_wall(-MINUTE_MS);
    let home = server.stop().await;
    let server = Server::again_with(home, options).await;
    clock.jump_wall(MINUTE_MS);
    clock.jump_wall(HOUR_MS);
    handled(&server.api, at(2)).await;
    assert_eq!(came(&server.api).await, ["hourly#1 01:00", "hourly#1 02:00"]);
    // A replay is the same time of the same trigger.
    let path = format!("/deliveries/{}/replay", delivery.id);
    let again = server.api.post(&path, json!({})).await;
    assert_eq!(again.json::<Value>()["state"], "dispatched");
}

async fn what_was_missed_comes_as_each_schedule_says(base: Setup) {
    let (clock, options) = clock();
    let rules = [("skip", ""), ("once", ", missed = 'once'"), ("all", ", missed = 'all'")];
    let rules: String = rules.map(|(name, more)| rule(name, more)).concat();
    let base = setup(base, &rules).limit("schedule_missed_max", 3);
    let server = Server::with(&base, options.clone()).await;
    handled(&server.api, BEGIN_MS).await;
    let home = server.stop().await;
    clock.jump_wall(5 * HOUR_MS + 10 * MINUTE_MS);
    let server = Server::again_with(home, options).await;
    handled(&server.api, at(6)).await;
    let told = came(&server.api).await;
    assert_eq!(told, ["all#1 04:00", "all#1 05:00", "all#1 06:00", "once#1 06:00"]);
    let all = schedules(&server.api).await;
    let passed = |at: usize| all[at].passed.as_ref().map(|it| (it.count, it.note.as_str()));
    let note = |count, policy| {
        format!("{count} times passed over that nothing could be started at; missed = \"{policy}\"")
    };
    assert_eq!(passed(0), Some((6, note(6, "skip").as_str())));
    assert_eq!(passed(1), Some((5, note(5, "once").as_str())));
    assert_eq!(passed(2), Some((3, note(3, "all").as_str())));

    // A clock that jumps ahead is an absence too.
    clock.jump_wall(3 * HOUR_MS);
    handled(&server.api, at(9)).await;
    let told = came(&server.api).await;
    let new =
        ["all#1 04:00", "all#1 05:00", "all#1 06:00", "all#1 07:00", "all#1 08:00", "all#1 09:00"];
    assert_eq!(told[..6], new);
    assert_eq!(told[6..], ["once#1 06:00", "once#1 09:00"]);
}

async fn a_pause_is_seen_and_its_end_fires_only_what_the_schedule_asks_for(base: Setup) {
    let (clock, options) = clock();
    let rules = format!("{}{}", rule("skip", ""), rule("once", ", missed = 'once'"));
    let server = Server::with(&setup(base, &rules), options).await;
    let api = &server.api;
    handled(api, BEGIN_MS).await;
    for scope in ["trigger:skip", "everything"] {
        api.done::<Value>("/pauses", json!({ "scope": scope, "reason": "disk" })).await;
    }
    clock.jump_wall(2 * HOUR_MS);
    let all = until("the pause is told", async || {
        let all = schedules(api).await;
        let told = all[0].passed.is_some() && all[1].held == Some(2);
        told.then_some(all)
    })
    .await;
    assert!(all.iter().all(|it| it.paused.as_ref().is_some_and(|it| it.reason == "disk")));
    let note = &all[0].passed.as_ref().unwrap().note;
    assert!(note.starts_with("2 times passed over in a pause by "), "{note}");
    let said = cli(&server, "schedules").await;
    assert!(said.out.contains("2 wait for its end"), "{said:?}");
    for scope in ["everything", "trigger:skip"] {
        api.ask(Method::DELETE, &format!("/pauses/{scope}"), None).await;
    }
    handled(api, at(2)).await;
    assert_eq!(came(api).await, ["once#1 02:00"]);
    clock.jump_wall(40_000);
    handled(api, at(3)).await;
    assert_eq!(came(api).await, ["once#1 02:00", "once#1 03:00", "skip#1 03:00"]);
}

async fn jitter_and_a_zone_move_a_time_and_not_its_name(base: Setup) {
    let (clock, options) = clock();
    let rules = rule("late", ", jitter_ms = 3600000, missed = 'once', zone = 'Asia/Kathmandu'");
    let server = Server::with(&setup(base, &rules), options).await;
    handled(&server.api, BEGIN_MS).await;
    let view = schedules(&server.api).await.remove(0);
    // Full hours of Nepal are a quarter past in UTC.
    assert_eq!(view.next[0].utc, "2026-05-04T01:15:00Z");
    assert_eq!(view.next[0].local, "2026-05-04T07:00:00+05:45");
    assert_eq!((view.next.len(), view.words.as_str()), (5, "every hour, Asia/Kathmandu"));
    clock.jump_wall(16 * MINUTE_MS);
    assert_eq!(came(&server.api).await, [] as [&str; 0]);
    clock.jump_wall(HOUR_MS);
    handled(&server.api, view.next[0].at_ms).await;
    assert_eq!(came(&server.api).await, ["late#1 01:15"]);
}

async fn a_file_starts_at_its_own_times_and_sees_which_it_is(base: Setup) {
    let (clock, options) = clock();
    let file = "on:\n  push:\n  schedule:\n    - { cron: '30 5 * * *' }\n    - { cron: '0 * * * *', timezone: UTC }\n\
                jobs:\n  hourly:\n    if: github.event.schedule == '0 * * * *' && github.event_name == 'schedule'\n    \
                runs-on: [x]\n    steps: [{ run: 'true' }]\n  other:\n    if: github.event.schedule != '0 * * * *'\n    \
                runs-on: [x]\n    steps: [{ run: 'true' }]\n";
    let base = setup(base, "[workflow]\nstart_by_on = true\n").workflow("ci", file);
    let server = Server::with(&base, options).await;
    handled(&server.api, BEGIN_MS).await;
    let names: Vec<_> = schedules(&server.api).await.into_iter().map(|it| it.name).collect();
    assert_eq!(names, ["ci#1", "ci#2"]);
    clock.jump_wall(MINUTE_MS);
    until("it came", async || (!came(&server.api).await.is_empty()).then_some(())).await;
    assert_eq!(came(&server.api).await, ["ci#2 01:00"]);
    let delivery = server.api.deliveries().await.remove(0);
    let workload = server.api.workload(delivery.triggers[0].workload_id.unwrap()).await;
    let states: Vec<_> =
        workload.jobs.iter().map(|job| (job.name.as_str(), job.state.as_str())).collect();
    assert_eq!(states, [("hourly", "pending"), ("other", "skipped")]);

    // Nobody else can say that it is time.
    let forged =
        server.api.post("/events", json!({ "kind": "schedule", "inputs": body_of("ci") })).await;
    let forged: Value = forged.json();
    assert_eq!(forged["state"], "ignored", "{forged}");
}

fn body_of(trigger: &str) -> Value {
    json!({ "schedule": "0 * * * *", "trigger": trigger, "zone": "UTC", "time": "2026-05-04T01:00:00Z" })
}

on_both!(
    a_time_comes_once_over_restarts_and_whatever_the_clock_does,
    what_was_missed_comes_as_each_schedule_says,
    a_pause_is_seen_and_its_end_fires_only_what_the_schedule_asks_for,
    jitter_and_a_zone_move_a_time_and_not_its_name,
    a_file_starts_at_its_own_times_and_sees_which_it_is,
);

#[tokio::test]
async fn of_two_instances_one_fires_and_the_other_goes_on_where_it_was() {
    let (clock, options) = clock();
    let base = setup(with_term(60_000).await, &rule("hourly", ", missed = 'all'"));
    let base = base.more("\n[instances]\nleader_ttl_ms = 60000\nlook_interval_ms = 50\n");
    let first = Server::with(&base, options.clone()).await;
    let second = Server::with(&base, options).await;
    is(&second.api, "standby").await;
    let (one, two) = (admin(&first.api), admin(&second.api));
    handled(&one, BEGIN_MS).await;
    clock.jump_wall(2 * HOUR_MS);
    // The other passes the question on.
    handled(&two, at(2)).await;
    assert_eq!(came(&two).await, ["hourly#1 01:00", "hourly#1 02:00"]);
    first.stop().await;
    is(&second.api, "running").await;
    clock.jump_wall(HOUR_MS);
    handled(&two, at(3)).await;
    assert_eq!(came(&two).await, ["hourly#1 01:00", "hourly#1 02:00", "hourly#1 03:00"]);
}

#[tokio::test]
async fn schedules_of_a_changed_configuration_are_taken_up_and_forgotten() {
    let home = setup(Setup::default(), &rule("hourly", "")).build();
    let server = ServerProcess::start(&home).await;
    handled(&server.api, 1).await;
    home.change("cron = '0 * * * *'", "cron = '* * * * * *', syntax = 'quartz'");
    server.signal(Signal::HUP);
    until("each second comes", async || (came_at_all(&server.api).await >= 2).then_some(())).await;
    let view = schedules(&server.api).await.remove(0);
    assert_eq!((view.syntax.as_str(), view.words.as_str()), ("quartz", "every second, UTC"));
    // What is wrong is refused with its place, and what was before holds.
    home.change("cron = '* * * * * *'", "cron = '60 * * * * *'");
    let said = check(&home).await;
    assert!(said.contains("on.schedule[0]: second: `60` is not understood"), "{said}");
    home.change(
        "on = { schedule = [{ cron = '60 * * * * *', syntax = 'quartz' }] }",
        "on = 'push'",
    );
    server.signal(Signal::HUP);
    until("it is gone", async || schedules(&server.api).await.is_empty().then_some(())).await;
}

async fn came_at_all(api: &Api) -> usize {
    api.deliveries().await.iter().filter(|it| it.event == "schedule").count()
}

async fn check(home: &Home) -> String {
    let said = run(["check".as_ref(), home.config_file().as_os_str()]).await;
    format!("{}{}", said.out, said.err)
}

#[tokio::test]
async fn a_time_that_never_comes_is_warned_of_and_a_wrong_one_is_refused() {
    let never = setup(Setup::default(), &rule("never", "").replace("0 * * * *", "0 0 31 2 *"));
    let said = check(&never.build()).await;
    let told = "warning: the trigger `never`: its time `0 0 31 2 *` never comes: at 00:00 on day 31 of the month in February, UTC";
    assert!(said.contains(told) && said.contains("is fine"), "{said}");
    for (from, to, told) in [
        ("0 * * * *", "1,,2 * * * *", "minute: `1,,2` has an empty place"),
        ("0 * * * *'", "0 * * * *', zone = 'Mars'", "no time zone `Mars`"),
        ("0 * * * *'", "0 * * * *', jitter_ms = 3600001", "jitter_ms 3600001 is over 3600000"),
        ("schedule = [{ cron = '0 * * * *' }]", "schedule = []", "on.schedule has no times"),
        ("0 * * * *'", "0 * * * *', tz = 'UTC'", "unknown field `tz`"),
    ] {
        let home = setup(Setup::default(), &rule("wrong", "").replace(from, to)).build();
        let said = check(&home).await;
        assert!(said.contains(told) && said.contains("dispatchyard.toml:"), "{said}");
    }
}
