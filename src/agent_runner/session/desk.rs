//! Who has said what, and what of it is done with. Pure.

use std::collections::VecDeque;

use crate::api::wire::{AgentMessage, AgentSays};
use crate::model::MessageKind;

use super::protocol::{self, Line};

/// Messages of one call.
const BATCH_MESSAGES_MAX: usize = 100;
/// Bytes of text of one call, but for a single message.
const BATCH_BYTES_MAX: usize = 512 * 1024;
/// Lines of text that follow each other are one message of at most so many bytes.
const TEXT_BYTES_MAX: usize = 16 * 1024;
/// With so many that wait to be sent the agent has to wait.
const QUEUE_MAX: usize = 400;

/// What is known of one attempt's conversation.
#[derive(Debug, Default)]
pub(super) struct Desk {
    /// What the agent said and the server has not heard.
    queue: VecDeque<AgentSays>,
    /// So many of them are on their way: these stay as they are.
    sending: usize,
    /// So many the server has heard.
    sent: i64,
    /// Numbers of what the agent was told and has not dealt with, in order.
    open: VecDeque<i64>,
    /// The last that it was told.
    told: i64,
    /// Up to here it has dealt with it.
    dealt_with: i64,
    /// Up to here the server knows that.
    dealt_known: i64,
    /// The agent says when a turn ends.
    ends_turns: bool,
    /// It has answered since it was told something.
    answered: bool,
    /// How often it has answered.
    replies: usize,
    /// Requests without an answer.
    requests: usize,
    /// The last entry of the queue is text that may grow.
    grows: bool,
}

/// What is to be sent.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Batch {
    pub(super) first: i64,
    pub(super) messages: Vec<AgentSays>,
    pub(super) dealt_with: Option<i64>,
}

impl Desk {
    /// The agent was told this.
    pub(super) fn told(&mut self, message: &AgentMessage) {
        self.told = self.told.max(message.seq);
        self.open.push_back(message.seq);
        self.answered = false;
        if message.kind == MessageKind::Approval {
            self.requests = self.requests.saturating_sub(1);
        }
    }

    /// The agent says something.
    pub(super) fn hear(&mut self, line: &str) {
        match protocol::read(line) {
            Line::Nothing => {}
            Line::Text(text) => self.hear_text(text),
            Line::Says(says) => {
                match says.kind {
                    Some(MessageKind::Reply) => {
                        self.answered = true;
                        self.replies += 1;
                    }
                    Some(MessageKind::ApprovalRequest) => self.requests += 1,
                    _ => {}
                }
                self.push(says);
            }
            Line::TurnEnd(seq) => {
                self.ends_turns = true;
                let up_to = seq.or(self.open.front().copied()).unwrap_or(self.dealt_with);
                self.deal_with(up_to.min(self.told));
                self.push(protocol::turn());
            }
        }
    }

    fn hear_text(&mut self, text: String) {
        if let Some(last) = self.queue.back_mut()
            && self.grows
            && last.text.len() + text.len() < TEXT_BYTES_MAX
        {
            last.text.push('\n');
            last.text.push_str(&text);
            return;
        }
        let kind = Some(MessageKind::Progress);
        self.push(AgentSays { kind, text, ..AgentSays::default() });
        self.grows = true;
    }

    /// The agent says this.
    pub(super) fn push(&mut self, says: AgentSays) {
        self.grows = false;
        self.queue.push_back(says);
    }

    fn deal_with(&mut self, up_to: i64) {
        self.dealt_with = self.dealt_with.max(up_to);
        while self.open.front().is_some_and(|seq| *seq <= self.dealt_with) {
            self.open.pop_front();
        }
    }

    /// The agent ended well. One that never said when a turn ends has dealt with all if it was `let_go`: it had
    /// the time. If it left by itself, it has dealt with as many as it has answered: it may not have read what
    /// came last.
    pub(super) fn ended_well(&mut self, let_go: bool) {
        if self.ends_turns {
            return;
        }
        match self.open.len() {
            0 => {}
            all if let_go || self.replies >= all => self.deal_with(self.told),
            _ => {
                let last = self.replies.checked_sub(1).and_then(|at| self.open.get(at)).copied();
                self.deal_with(last.unwrap_or(self.dealt_with));
            }
        }
    }

    /// Whether the agent works on something, or waits for an answer.
    pub(super) fn is_busy(&self) -> bool {
        let works = if self.ends_turns { !self.open.is_empty() } else { !self.answered };
        works || self.requests > 0
    }

    /// Whether it waits for somebody to answer.
    pub(super) fn waits(&self) -> bool {
        self.requests > 0
    }

    /// Whether the agent has to wait before more of it is heard.
    pub(super) fn is_full(&self) -> bool {
        self.queue.len() >= QUEUE_MAX
    }

    /// What is to be sent next, unless something is on its way.
    pub(super) fn batch(&mut self) -> Option<Batch> {
        let has_dealt = self.dealt_with > self.dealt_known;
        if self.sending > 0 || (self.queue.is_empty() && !has_dealt) {
            return None;
        }
        let mut bytes = 0;
        let fits = |says: &&AgentSays| {
            bytes += says.text.len();
            bytes <= BATCH_BYTES_MAX
        };
        let fitting = self.queue.iter().take(BATCH_MESSAGES_MAX).take_while(fits).count();
        self.sending = fitting.max(1).min(self.queue.len());
        if self.sending == self.queue.len() {
            self.grows = false;
        }
        let messages = self.queue.iter().take(self.sending).cloned().collect();
        // A turn's end is told with all that was said in it, or after it.
        let all = self.sending == self.queue.len();
        let dealt_with = (has_dealt && all).then_some(self.dealt_with);
        Some(Batch { first: self.sent + 1, messages, dealt_with })
    }

    /// A batch was heard, up to that message of all that were sent. What was not is sent again.
    pub(super) fn heard(&mut self, batch: &Batch, up_to: i64) {
        let heard = usize::try_from(up_to.saturating_sub(self.sent)).unwrap_or(0);
        let heard = heard.min(self.sending);
        self.queue.drain(..heard);
        self.sent += i64::try_from(heard).unwrap_or(0);
        if heard == self.sending {
            self.dealt_known = batch.dealt_with.unwrap_or(self.dealt_known);
        }
        self.sending = 0;
    }

    /// A batch was refused: its messages are lost, and the next one has their numbers.
    pub(super) fn refused(&mut self, batch: &Batch) {
        self.queue.drain(..self.sending);
        if batch.messages.is_empty() {
            self.dealt_known = batch.dealt_with.unwrap_or(self.dealt_known);
        }
        self.sending = 0;
    }

    /// Whether everything is sent.
    pub(super) fn is_clear(&self) -> bool {
        self.queue.is_empty() && self.dealt_known >= self.dealt_with
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(seq: i64) -> AgentMessage {
        let (kind, author, text) = (MessageKind::Message, "ada".to_owned(), "hi".to_owned());
        AgentMessage { seq, kind, author, text, reference: None }
    }

    fn sent(desk: &mut Desk) -> Batch {
        let batch = desk.batch().expect("there is something to send");
        desk.heard(&batch, batch.first - 1 + batch.messages.len() as i64);
        batch
    }

    const TURN_END: &str = r#"{"type":"turn_end"}"#;

    #[test]
    fn the_end_of_a_turn_is_the_end_of_one_message() {
        let mut desk = Desk::default();
        desk.told(&message(1));
        desk.told(&message(2));
        desk.hear(TURN_END);
        assert_eq!(sent(&mut desk).dealt_with, Some(1));
        assert!(desk.is_busy());
        desk.hear(r#"{"type":"turn_end","seq":9}"#);
        let last = sent(&mut desk);
        assert_eq!((last.first, last.dealt_with), (2, Some(2)));
        assert!(!desk.is_busy() && desk.is_clear());
    }

    #[test]
    fn what_no_turn_ended_is_not_done_with_when_the_agent_ends() {
        let mut desk = Desk::default();
        desk.told(&message(1));
        desk.hear(TURN_END);
        desk.told(&message(4));
        desk.ended_well(true);
        assert_eq!(sent(&mut desk).dealt_with, Some(1));
        let mut silent = Desk::default();
        silent.told(&message(4));
        silent.ended_well(false);
        assert_eq!(silent.batch(), None, "it left without a word");
        silent.ended_well(true);
        assert_eq!(sent(&mut silent).dealt_with, Some(4));
        let mut hasty = Desk::default();
        hasty.told(&message(4));
        hasty.told(&message(5));
        hasty.hear(r#"{"type":"reply","text":"x"}"#);
        hasty.ended_well(false);
        assert_eq!(sent(&mut hasty).dealt_with, Some(4));
    }

    #[test]
    fn lines_of_text_are_one_message_until_it_is_on_its_way() {
        let mut desk = Desk::default();
        desk.hear("one");
        desk.hear("two");
        let batch = desk.batch().unwrap();
        assert_eq!(batch.messages[0].text, "one\ntwo");
        desk.hear("three");
        assert_eq!(desk.batch(), None, "one call at a time");
        desk.heard(&batch, 1);
        let next = desk.batch().unwrap();
        assert_eq!((next.first, next.messages[0].text.as_str()), (2, "three"));
    }

    #[test]
    fn an_agent_that_waits_for_an_answer_is_busy() {
        let mut desk = Desk::default();
        desk.told(&message(1));
        desk.hear(r#"{"type":"approval_request","text":"may I?"}"#);
        desk.hear(TURN_END);
        assert!(desk.is_busy());
        desk.told(&AgentMessage { kind: MessageKind::Approval, ..message(3) });
        desk.hear(TURN_END);
        assert!(!desk.is_busy());
    }

    #[test]
    fn a_large_backlog_goes_in_parts_and_says_last_what_is_done_with() {
        let mut desk = Desk::default();
        desk.told(&message(1));
        for _ in 0..150 {
            desk.hear(r#"{"type":"reply","text":"x"}"#);
        }
        desk.hear(TURN_END);
        let first = sent(&mut desk);
        assert_eq!((first.messages.len(), first.dealt_with), (100, None));
        let second = sent(&mut desk);
        assert_eq!((second.first, second.messages.len(), second.dealt_with), (101, 51, Some(1)));
    }

    #[test]
    fn what_is_over_the_servers_limit_is_sent_again_and_what_is_refused_takes_no_number() {
        let mut desk = Desk::default();
        desk.told(&message(1));
        for text in ["a", "b", "c"] {
            desk.hear(&format!(r#"{{"type":"reply","text":"{text}"}}"#));
        }
        desk.hear(TURN_END);
        let first = desk.batch().unwrap();
        assert_eq!((first.first, first.messages.len(), first.dealt_with), (1, 4, Some(1)));
        desk.heard(&first, 2);
        let second = desk.batch().unwrap();
        assert_eq!((second.first, second.messages[0].text.as_str()), (3, "c"));
        assert_eq!(second.dealt_with, Some(1), "which was not heard before");
        desk.refused(&second);
        let last = sent(&mut desk);
        assert_eq!((last.first, last.messages.len(), last.dealt_with), (3, 0, Some(1)));
        assert!(desk.is_clear());
    }
}
