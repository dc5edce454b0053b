//! Keys of sources that only some kinds have.

use super::*;

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_text(std::path::Path::new("d.toml"), text, [])
}

fn refusal(text: &str) -> String {
    read(text).expect_err("wrong").to_string()
}

fn source(text: &str) -> SourceConfig {
    let text = format!("[[source]]\nname = \"x\"\ninsecure = true\n{text}");
    let config = read(&text).unwrap_or_else(|error| panic!("{error}"));
    config.sources.into_iter().next().unwrap()
}

#[test]
fn every_kind_has_its_scheme() {
    use crate::webhook::Provider;
    for provider in Provider::SOURCES {
        let source = source(&format!("kind = \"{provider}\""));
        assert_eq!((source.kind, source.signature_rule().scheme), (provider, provider.scheme()));
        assert_eq!(source.reader().provider, provider);
    }
    assert_eq!(source("").kind, Provider::Github);
    let forgejo = source("kind = \"forgejo\"").signature_rule();
    assert_eq!(forgejo.header, "x-forgejo-signature");
}

#[test]
fn what_a_source_says_is_in_its_rule() {
    let rule = source(
        "kind = \"hmac\"\nsignature_header = \"X-Acme\"\nsignature_encoding = \"base64\"\n\
         signature_prefix = \"v1=\"",
    )
    .signature_rule();
    assert_eq!((rule.header.as_str(), &*rule.prefix), ("x-acme", "v1="));
    assert_eq!(rule.encoding, crate::webhook::Encoding::Base64);
    let rule = source("kind = \"gitlab\"\nscheme = \"gitlab_signing\"\ntimestamp_tolerance_s = 60")
        .signature_rule();
    assert_eq!((rule.scheme.as_str(), rule.timestamp_tolerance_s), ("gitlab_signing", 60));
    let map = source("kind = \"hmac\"\n[source.map]\nkind = \"/a/b\"\nref = \"/c\"").reader().map;
    assert_eq!((map.kind.as_deref(), map.git_ref.as_deref()), (Some("/a/b"), Some("/c")));
}

#[test]
fn what_a_kind_does_not_have_is_refused_with_its_line() {
    let text = "[[source]]
name = \"x\"
insecure = true
timestamp_tolerance_s = 60
scheme = \"slack_v0\"
signature_header = \"X-A\"
map = { kind = \"/a\" }
";
    let told = refusal(text);
    for line in [
        "d.toml:4:25: `source.timestamp_tolerance_s`: the source `x` of the kind `github` has no",
        "d.toml:5:10: `source.scheme`: the source `x` of the kind `github` has no `scheme`",
        "d.toml:6:20: `source.signature_header`: the source `x` of the kind `github` has no",
        "d.toml:7:7: `source.map`: the source `x` of the kind `github` has no `map`: it is for",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
}

#[test]
fn values_that_cannot_be_are_refused_with_their_line() {
    for (line, key, why) in [
        ("kind = \"gogs\"", "source.kind", "unknown kind `gogs`, known are github,"),
        (
            "signature_header = \"X A\"",
            "source.signature_header",
            "`X A` is not the name of a header",
        ),
        ("timestamp_tolerance_s = 0", "source.timestamp_tolerance_s", "0 is not from 1 to 3600"),
        ("map = { kind = \"a.b\" }", "source.map", "`a.b` is not a JSON pointer: write `/a/b`"),
        ("scheme = \"sha1\"", "source.scheme", "unknown scheme `sha1`, known are github,"),
    ] {
        let told = refusal(&format!("[[source]]\nname = \"x\"\ninsecure = true\n{line}"));
        assert!(told.contains("d.toml:4:") && told.contains(key) && told.contains(why), "{told}");
    }
}

#[test]
fn the_effective_configuration_is_read_back_the_same() {
    let text = "[[source]]\nname = \"x\"\ninsecure = true\nkind = \"gitlab\"\n\
                scheme = \"gitlab_signing\"\n[[source]]\nname = \"y\"\ninsecure = true\n\
                kind = \"hmac\"\nsignature_header = \"X-A\"\nmap = { kind = \"/a\" }\n";
    let first = read(text).unwrap();
    let again = read(&first.effective()).unwrap_or_else(|error| panic!("{error}"));
    let rules = |config: &Config| {
        config.sources.iter().map(|it| (it.signature_rule(), it.reader())).collect::<Vec<_>>()
    };
    assert_eq!(rules(&first), rules(&again));
}
