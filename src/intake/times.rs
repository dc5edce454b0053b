//! The times of a configuration's triggers. When they come and what is to be done then is asked elsewhere, of each.

use super::Rules;
use crate::trigger::Timed;

impl Rules {
    /// The times at which triggers start by themselves, each with its trigger's name.
    pub fn times(&self) -> impl Iterator<Item = (&str, &Timed)> {
        self.rules.iter().flat_map(|rule| {
            rule.trigger.times.iter().map(|timed| (rule.trigger.name.as_str(), timed))
        })
    }

    /// Times that never come after `now_ms` (wall), one sentence each.
    pub fn idle_times(&self, now_ms: i64) -> Vec<String> {
        let idle = self.times().filter(|(_, timed)| timed.schedule.next_after(now_ms).is_none());
        let told = idle.map(|(trigger, timed)| {
            let schedule = &timed.schedule;
            let (cron, words) = (schedule.text(), schedule.words());
            format!("the trigger `{trigger}`: its time `{cron}` never comes: {words}")
        });
        told.collect()
    }
}
