//! Tokens: which are refused, and who needs one.

use super::tenancy_tests::{read, refusal};
use super::*;

#[test]
fn a_token_that_cannot_be_meant_is_refused() {
    let text = r#"
[[access.token]]
name = "a"
role = "viewer"
critical = true
secrets = []
[[access.token]]
name = "a"
role = "runner"
tenant = "default"
secrets = [{ env = "A" }]
[[access.token]]
name = "b"
role = "submit"
pools = ["default"]
secrets = [{ env = "A" }]
"#;
    insta::assert_snapshot!(refusal(text), @r#"
    d.toml:2:1: `access.token.secrets`: the token `a` has no secret: nobody could use it
      hint: write `secrets = [{ env = "NAME" }]`
    d.toml:2:1: `access.token.critical`: the token `a` may start nothing, critical or not
      hint: give it the role `submit`, or leave it out
    d.toml:8:8: `access.token.name`: a second token has the name `a`
      hint: give each its own
    d.toml:10:10: `access.token.tenant`: the pools of the token `a` say whose its runners are
      hint: write `pools = ["NAME"]`, and `tenant` in `[agent_pools.NAME]`
    d.toml:15:10: `access.token.pools`: the token `b` registers no runners
      hint: pools are for the role `runner`
    "#);
    let one = |more: &str| refusal(&format!("[[access.token]]\n{more}"));
    insta::assert_snapshot!(one("name = \"admin\"\nrole = \"admin\"\nsecrets = [{ env = \"A\" }]"), @"d.toml:2:8: `access.token`: the name `admin` is that of the admin_tokens");
    insta::assert_snapshot!(one("name = \"a\"\nrole = \"root\"\nsecrets = [{ env = \"A\" }]"), @"d.toml:3:8: `access.token`: unknown variant `root`, expected one of `admin`, `operator`, `viewer`, `submit`, `runner`");
    insta::assert_snapshot!(one("name = \"a\"\nrole = \"admin\"\nsecret = \"hunter2\""), @"d.toml:4:1: `access.token`: unknown field `secret`, expected one of `name`, `role`, `tenant`, `critical`, `pools`, `secrets`");
    let told = one("name = \"a\"\nrole = \"admin\"\nsecrets = \"hunter2\"");
    assert!(!told.contains("hunter2"), "{told}");
}

#[test]
fn a_variable_sets_tokens_and_nothing_that_has_a_name() {
    let token =
        "[{ name = \"a\", role = \"viewer\", tenant = \"no\", secrets = [{ env = \"A\" }] }]";
    let variables = [
        ("DISPATCHYARD_ACCESS__TOKEN", token),
        ("DISPATCHYARD_TENANTS__ACME", "3"),
        ("DISPATCHYARD_SKILL_MAPPING__RUST", "[]"),
    ];
    let pairs = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let told = Config::from_text(Path::new("d.toml"), "", pairs).expect_err("wrong").to_string();
    insta::assert_snapshot!(told, @"
    environment variable DISPATCHYARD_TENANTS__ACME: `tenants`: a variable cannot set what has a name
      hint: write `[tenants.NAME]` in the file
    environment variable DISPATCHYARD_SKILL_MAPPING__RUST: `skill_mapping`: a variable cannot set what has a name
      hint: write `[skill_mapping]` in the file
    ");
}

#[test]
fn a_server_with_any_token_asks_everybody_for_one() {
    let token = |role: &str| {
        format!(
            "[server]\nlisten = \"0.0.0.0:1\"\n[[access.token]]\nname = \"a\"\nrole = \"{role}\"\n\
             secrets = [{{ env = \"A\" }}]\n"
        )
    };
    let viewer = read(&token("viewer")).unwrap();
    assert!(!viewer.access.is_open() && viewer.check_exposure().is_ok());
    let runner = read(&token("runner")).unwrap();
    assert!(runner.access.is_open() && runner.check_exposure().is_err());
}
