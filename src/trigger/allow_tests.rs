//! Who may start what, as tables.

use serde_json::json;

use super::*;
use crate::model::Trust;

#[derive(Deserialize)]
struct Config {
    allow: Spanned<AllowConfig>,
}

fn teams() -> BTreeMap<Box<str>, Vec<Member>> {
    let team = |text: &str| text.split(' ').map(|it| Member::parse(it).unwrap()).collect();
    [("core".into(), team("10 octo")), ("ops".into(), team("20"))].into()
}

fn compiled(allow: &str) -> Result<Allow, String> {
    let config: Config =
        toml::from_str(&format!("allow = {{ {allow} }}")).map_err(|error| error.to_string())?;
    let mut faults = Faults { trigger: "t", found: Vec::new() };
    let allow = Allow::compile(&config.allow, &teams(), &mut faults);
    let told: Vec<_> = faults.found.iter().map(ToString::to_string).collect();
    allow.ok_or_else(|| told.join("\n"))
}

fn allow(text: &str) -> Allow {
    compiled(text).unwrap_or_else(|error| panic!("{error}"))
}

/// An event of somebody: `pull_request` of no fork, by a person.
fn event(actor: &serde_json::Value) -> Event {
    serde_json::from_value(json!({
        "source": "gh", "kind": "pull_request", "actor": actor,
        "subject": { "kind": "pull_request", "number": 7, "from_fork": false },
    }))
    .unwrap()
}

fn person(id: i64, login: &str) -> Event {
    event(&json!({ "id": id, "login": login, "account_type": "User" }))
}

#[test]
fn a_name_that_anybody_can_take_lets_nobody_in() {
    let allow = allow("actors = ['ada', 'id:U1'], teams = ['core'], bots = ['octo']");
    let of = |actor: serde_json::Value| allow.judge(&event(&actor), &Standing::NotAsked);
    let nickname = |login: &str, uid: &str| json!({ "login": login, "uid": uid, "account_type": "User", "is_nickname": true });
    assert!(matches!(of(json!({ "login": "ada", "account_type": "User" })), Said::Yes(_)));
    for login in ["ada", "octo"] {
        assert!(matches!(of(nickname(login, "U9")), Said::No(_)), "{login}");
    }
    assert!(matches!(of(nickname("whoever", "U1")), Said::Yes(_)));
    // Our own bot is kept out by its name, too.
    let own = event(&nickname("ada", "U9"));
    assert!(is_account(&Member::parse("ada").unwrap(), own.actor.as_ref().unwrap()));
}

#[test]
fn any_one_clause_that_is_said_lets_somebody_in() {
    let has = |permission| Standing::Has(permission);
    let not = || Standing::NotAsked;
    let of = |association: &str| {
        event(&json!({ "id": 1, "login": "x", "account_type": "User", "association": association }))
    };
    let cases = [
        ("", person(1, "x"), not(), "yes `allow` lets in everybody"),
        ("actors = [1]", person(1, "x"), not(), "yes `allow.actors` names `x` (1)"),
        ("actors = ['1']", person(1, "x"), not(), "yes `allow.actors` names `x` (1)"),
        ("actors = ['X']", person(1, "x"), not(), "yes `allow.actors` names `x` (1)"),
        // A login of digits is not the account with that number.
        (
            "actors = ['1']",
            person(2, "1"),
            not(),
            "no the actor `1` (2) may not start it: it is none of `actors`",
        ),
        // A login that was renamed away is not the number that is named.
        (
            "actors = [1]",
            person(2, "x"),
            not(),
            "no the actor `x` (2) may not start it: it is none of `actors`",
        ),
        ("teams = ['core']", person(10, "y"), not(), "yes `y` (10) is of the team `core`"),
        (
            "teams = ['ops', 'core']",
            person(3, "Octo"),
            not(),
            "yes `Octo` (3) is of the team `core`",
        ),
        (
            "teams = ['ops']",
            person(10, "octo"),
            not(),
            "no the actor `octo` (10) may not start it: it is of none of `teams`",
        ),
        (
            "associations = ['member']",
            of("MEMBER"),
            not(),
            "yes the association of `x` (1) is MEMBER",
        ),
        (
            "associations = ['OWNER']",
            of("MEMBER"),
            not(),
            "no the actor `x` (1) may not start it: it has the association MEMBER",
        ),
        (
            "associations = ['OWNER']",
            of("owner $(reboot)"),
            not(),
            "no the actor `x` (1) may not start it: it has no association that the event tells",
        ),
        ("permission = 'write'", person(1, "x"), not(), "ask"),
        // Who is let in by name is not asked for.
        (
            "permission = 'write', actors = [1]",
            person(1, "x"),
            not(),
            "yes `allow.actors` names `x` (1)",
        ),
        (
            "permission = 'write'",
            person(1, "x"),
            has(Permission::Write),
            "yes `x` (1) has the permission write at the forge",
        ),
        (
            "permission = 'write', actors = [5]",
            person(1, "x"),
            has(Permission::Triage),
            "no the actor `x` (1) may not start it: it is none of `actors`, has the permission triage at the forge, \
             `write` is needed",
        ),
        (
            "permission = 'read'",
            person(1, "x"),
            Standing::Unknown("it answered 404".to_owned()),
            "no the actor `x` (1) may not start it: it is not known to have the permission read: it answered 404",
        ),
        (
            "permission = 'read'",
            person(1, "x"),
            Standing::LeftOut("nobody was asked".to_owned()),
            "no the actor `x` (1) may not start it: it is not known to have the permission read: nobody was asked",
        ),
    ];
    for (text, event, standing, wanted) in cases {
        let said = match allow(text).judge(&event, &standing) {
            Said::Yes(why) => format!("yes {why}"),
            Said::No(why) => format!("no {why}"),
            Said::Ask => "ask".to_owned(),
        };
        assert_eq!(said, wanted, "{text}");
    }
}

#[test]
fn a_bot_is_let_in_by_name_alone() {
    let bot = event(&json!({ "id": 7, "login": "helper[bot]", "account_type": "Bot" }));
    let said = |text: &str, event: &Event| {
        matches!(allow(text).judge(event, &Standing::Has(Permission::Admin)), Said::Yes(_))
    };
    assert!(said("bots = [7]", &bot) && said("bots = ['helper[bot]']", &bot));
    for text in ["", "permission = 'read'", "actors = [7]", "bots = [8]", "associations = ['NONE']"]
    {
        assert!(!said(text, &bot), "{text}");
    }
    // An account is a bot by its type or by its suffix, and the suffix never lets one in.
    let dressed = event(&json!({ "id": 8, "login": "x[bot]", "account_type": "User" }));
    assert!(!said("actors = [8]", &dressed) && said("bots = [8]", &dressed));
    let quiet = event(&json!({ "id": 9, "login": "x", "account_type": "bot" }));
    assert!(!said("actors = [9]", &quiet));
    // A bot that is named still brings no fork along.
    let mut fork = bot;
    fork.subject.from_fork = Some(true);
    assert!(!said("bots = [7]", &fork) && said("bots = [7], forks = true", &fork));
}

#[test]
fn a_fork_is_let_in_only_where_that_is_said() {
    let said = |text: &str, from_fork: Option<bool>, kind: &str| {
        let mut event = person(1, "x");
        event.subject.from_fork = from_fork;
        event.kind = kind.to_owned().into();
        matches!(allow(text).judge(&event, &Standing::NotAsked), Said::Yes(_))
    };
    for (from_fork, kind, plain) in [
        (Some(true), "pull_request", false),
        (Some(true), "issue_comment", false),
        (None, "pull_request", false),
        (Some(false), "pull_request", true),
        (None, "issue_comment", true),
        (Some(false), "workflow_run", true),
        (Some(true), "workflow_run", false),
        (None, "workflow_run", false),
        (None, "push", true),
    ] {
        assert_eq!(said("actors = [1]", from_fork, kind), plain, "{from_fork:?} {kind}");
        assert!(said("actors = [1], forks = true", from_fork, kind), "{from_fork:?} {kind}");
    }
    assert!(!said("actors = [2], forks = true", Some(true), "pull_request"));
}

#[test]
fn an_event_without_an_actor_is_let_in_where_everybody_is() {
    let mut event = person(1, "x");
    event.actor = None;
    let said = |text: &str| allow(text).judge(&event, &Standing::NotAsked);
    assert!(matches!(said(""), Said::Yes(_)));
    for text in ["actors = [1]", "permission = 'read'", "teams = ['core']"] {
        assert!(matches!(said(text), Said::No(_)), "{text}");
    }
}

#[test]
fn approval_is_wanted_of_what_is_not_trusted_or_always() {
    let wants = |text: &str, level: TrustLevel| {
        let mut event = person(1, "x");
        event.trust = Trust::new(level, "");
        allow(text).wants_approval(&event)
    };
    for (text, of_trusted, of_others) in [
        ("", false, false),
        ("approval = 'never'", false, false),
        ("approval = 'untrusted'", false, true),
        ("approval = 'always'", true, true),
    ] {
        assert_eq!(wants(text, TrustLevel::Trusted), of_trusted, "{text}");
        for level in [TrustLevel::Untrusted, TrustLevel::Unknown] {
            assert_eq!(wants(text, level), of_others, "{text}");
        }
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    for (text, why) in [
        ("actors = []", "allow.actors is empty: nobody could ever start it by that"),
        ("teams = ['cor']", "allow: no team `cor`; teams are core, ops"),
        ("associations = ['FRIEND']", "allow: no association `FRIEND`"),
        ("permission = 'none'", "everybody has the permission `none`"),
        ("permission = 'push'", "unknown variant `push`"),
        ("actors = ['a b']", "is no account"),
        ("actors = [0]", "0 is the number of no account"),
        ("approval = 'sometimes'", "unknown variant `sometimes`"),
        ("users = ['x']", "unknown field `users`"),
    ] {
        let told = compiled(text).unwrap_err();
        assert!(told.contains(why), "{text}: {told}");
    }
}

#[test]
fn text_of_strangers_is_shown_quoted_and_short() {
    let long = "x".repeat(4_000);
    for login in ["a`b\n\u{202e}$(reboot)", "--force", "${{ secrets.X }}", "\0", &long] {
        let Said::No(why) = allow("actors = [5]").judge(&person(1, login), &Standing::NotAsked)
        else {
            panic!("{login:?} was let in")
        };
        assert!(why.len() < 700 && !why.contains(['\n', '\0', '\u{202e}']), "{why}");
    }
}

#[test]
fn agents_are_answered_by_approvers_or_by_those_who_are_let_in_by_name() {
    let answers =
        |text: &str, event: &Event| match allow(text).judge_answer(event, &Standing::NotAsked) {
            Said::Yes(clause) => format!("yes {clause}"),
            Said::No(clause) => format!("no {clause}"),
            Said::Ask => "ask".to_owned(),
        };
    let chat = event(&json!({ "uid": "U1", "login": "U1", "account_type": "User" }));
    let bot = event(&json!({ "uid": "B1", "login": "B1", "account_type": "Bot" }));
    let nobody = "no `allow` names nobody who may answer what agents ask";
    for (text, event, told) in [
        ("", &person(1, "x"), nobody),
        ("approval = 'always'", &person(1, "x"), nobody),
        ("actors = [1]", &person(1, "x"), "yes `allow.actors` names `x` (1)"),
        (
            "actors = [1]",
            &person(2, "x"),
            "no the actor `x` (2) may not start it: it is none of `actors`",
        ),
        ("permission = 'write'", &person(1, "x"), "ask"),
        ("approvers = ['id:U1']", &chat, "yes `allow` names the approver `U1` (`U1`)"),
        ("approver_teams = ['ops']", &person(20, "y"), "yes `allow` names the approver `y` (20)"),
        (
            "actors = [1], approvers = [2], approver_teams = ['ops']",
            &person(1, "x"),
            "no `allow.approvers` and `allow.approver_teams` do not name `x` (1)",
        ),
        (
            "bots = ['id:B1'], approvers = ['id:B1']",
            &bot,
            "no `allow.approvers` and `allow.approver_teams` do not name `B1` (`B1`)",
        ),
    ] {
        assert_eq!(answers(text, event), told, "{text}");
    }
    // Who answers is not let in by it.
    let said = allow("actors = [1], approvers = [2]").judge(&person(2, "x"), &Standing::NotAsked);
    assert!(matches!(said, Said::No(_)), "{said:?}");
    assert!(compiled("approver_teams = ['none']").unwrap_err().contains("no team `none`"));
    assert!(compiled("approvers = []").unwrap_err().contains("allow.approvers is empty"));
}
