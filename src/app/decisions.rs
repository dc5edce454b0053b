//! What is decided about jobs when everything that they need has ended.

use std::sync::Arc;

use crate::api::state::AppState;
use crate::planning::Decide;
use crate::workflow;

/// Decides by the rules that hold at that moment.
pub(super) fn by_rules(state: AppState) -> Decide {
    Arc::new(move |spec, facts| {
        let rulebook = state.rulebook();
        workflow::decide(spec, facts, rulebook.rules.defaults(), rulebook.rules.catalogue())
    })
}
