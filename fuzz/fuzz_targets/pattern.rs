//! Patterns of filters and routes, and names: matching ends, and says the same twice.
//!
//! Input: lines, of which the last one is the name and the others are patterns.

#![no_main]

use dispatchyard::executor::router::{RoutingConfig, RoutingRule};
use dispatchyard::trigger::PatternList;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let lines: Vec<&str> = text.split('\n').collect();
    let Some((name, patterns)) = lines.split_last() else { return };
    if let Ok(list) = PatternList::compile(patterns.iter().copied()) {
        assert_eq!(list.find(name).is_some(), list.find(name).is_some());
    }
    let rules = patterns.iter().map(|pattern| RoutingRule::new(*pattern, "x"));
    let _ = rules.fold(RoutingConfig::new("default"), RoutingConfig::with_rule);
});
