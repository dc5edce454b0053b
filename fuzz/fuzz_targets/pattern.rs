//! Patterns of filters and routes, and names: matching ends, and a list says what its patterns say one by one.
//!
//! Input: lines, of which the last one is the name and the others are patterns.

#![no_main]

use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::trigger::{Pattern, PatternList};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.split('\n').collect();
    let Some((name, patterns)) = lines.split_last() else { return };
    if let Ok(list) = PatternList::compile(patterns.iter().copied()) {
        let alone = |text: &&&str| Pattern::compile(text).is_ok_and(|pattern| pattern.matches(name));
        let last = patterns.iter().rev().find(alone).copied();
        assert_eq!(list.last_match(name).map(Pattern::as_str), last);
    }
    let rules = patterns.iter().map(|pattern| RoutingRule::new(*pattern, "x"));
    let _ = rules.fold(RoutingConfig::new("default"), RoutingConfig::with_rule);
});
