//! Carries a conversation on for as long as the agent's process runs.

use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::process::ChildStdin;
use tokio::sync::{mpsc, oneshot, watch};

use crate::api::wire::{AgentHeard, AgentMessage, AgentSays, FromAgent, HeldLease, ToAgent};
use crate::model::MessageKind;

use super::super::http::CallError;
use super::super::shared::Shared;
use super::super::table::{Order, ordered};
use super::desk::{Batch, Desk};
use super::ear::Ear;
use super::{AgentProtocol, protocol};

/// Lines that wait for being understood; with more the agent's output stands still.
const LINES_MAX: usize = 64;
/// Messages that wait for the agent to read.
const UNREAD_MAX: usize = 4;
/// Between two calls that tell what the agent says.
const PAUSE: Duration = Duration::from_millis(100);
/// How much an agent that is asked once may answer.
const ANSWER_BYTES_MAX: usize = 60_000;
/// How long one call for messages is parked.
const WAIT_MS: i64 = 30_000;
/// How long an agent that owes an answer may say nothing, where the server does not say.
pub(in crate::agent_runner) const SILENCE_MS: i64 = 3_600_000;
/// How long an agent that was let go has to end, where the server does not say.
pub(in crate::agent_runner) const END_GRACE_MS: i64 = 30_000;

/// What a session's job begins with.
#[derive(Clone, Debug)]
pub(in crate::agent_runner) struct Talk {
    pub(in crate::agent_runner) protocol: AgentProtocol,
    pub(in crate::agent_runner) idle_ms: i64,
    /// How long it may say nothing while it owes an answer.
    pub(in crate::agent_runner) silence_ms: i64,
    /// How long it has to end once it was let go.
    pub(in crate::agent_runner) end_grace_ms: i64,
    /// What came up to this message is done with.
    pub(in crate::agent_runner) delivered: i64,
    pub(in crate::agent_runner) messages: Vec<AgentMessage>,
}

/// An agent did not end when it was let go: its process is to be stopped.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::agent_runner) struct Overdue {
    /// What it did not do.
    pub(in crate::agent_runner) why: String,
    /// It was let go because it said nothing, and owes an answer.
    pub(in crate::agent_runner) owes: bool,
}

/// One side of a conversation: it is polled beside the process.
pub(in crate::agent_runner) struct Talker<'a> {
    shared: &'a Shared,
    held: HeldLease,
    orders: watch::Receiver<Order>,
    talk: Talk,
    desk: Desk,
    lines: mpsc::Receiver<String>,
    /// What a plain agent answered so far.
    answer: String,
    /// Says once that the process is to be stopped.
    stop: Option<oneshot::Sender<Overdue>>,
}

/// The way to the agent's standard input.
struct Pen {
    /// `None` once nothing more is written.
    lines: Option<mpsc::Sender<Vec<u8>>>,
}

impl<'a> Talker<'a> {
    /// With the ear that is to hear the agent's output, and with who hears when its process is to be stopped.
    pub(in crate::agent_runner) fn new(
        shared: &'a Shared,
        held: HeldLease,
        orders: watch::Receiver<Order>,
        talk: Talk,
    ) -> (Self, (Ear, oneshot::Receiver<Overdue>)) {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        let (desk, answer) = (Desk::default(), String::new());
        let (stop, stopped) = oneshot::channel();
        let talker = Self { shared, held, orders, talk, desk, lines, answer, stop: Some(stop) };
        (talker, (Ear::new(sender), stopped))
    }

    /// Talks until `ended` says that the process is over, and whether it ended well; returns when all that
    /// it said is known to the server, or nobody wants to know it any more.
    pub(in crate::agent_runner) async fn run(
        mut self,
        stdin: Option<ChildStdin>,
        ended: oneshot::Receiver<bool>,
    ) {
        let (mut orders, wait) = (self.orders.clone(), self.shared.options.release_wait_ms);
        let given_up = async move {
            if ordered(&mut orders, Order::GiveBack).await == Order::GiveBack {
                tokio::select! {
                    () = tokio::time::sleep(Duration::from_millis(wait)) => {}
                    _ = ordered(&mut orders, Order::Forget) => {}
                }
            }
        };
        tokio::select! {
            () = self.talk(stdin, ended) => {}
            () = given_up => {}
        }
    }

    async fn talk(&mut self, stdin: Option<ChildStdin>, mut ended: oneshot::Receiver<bool>) {
        let is_jsonl = self.talk.protocol == AgentProtocol::Jsonl;
        let mut pen = Pen::new(stdin.filter(|_| is_jsonl));
        let mut unread: std::collections::VecDeque<_> =
            std::mem::take(&mut self.talk.messages).into();
        if !is_jsonl {
            unread.drain(..).for_each(|message| self.desk.told(&message));
        }
        let mut asked_after = unread.back().map_or(self.talk.delivered, |message| message.seq);
        let (shared, held) = (self.shared, self.held.clone());
        let millis = |ms: i64| Duration::from_millis(ms.unsigned_abs());
        let (idle, patience) = (millis(self.talk.idle_ms), millis(self.talk.silence_ms));
        let grace = millis(self.talk.end_grace_ms);
        let mut asking: Option<Asking<'_>> = None;
        let mut sending: Option<Sending<'_>> = None;
        let mut silence = pin!(tokio::time::sleep(idle));
        // By then it has said nothing for too long, since it was told something or said something.
        let mut patient = pin!(tokio::time::sleep(patience));
        let mut end_by = pin!(tokio::time::sleep(grace));
        let mut pause = pin!(tokio::time::sleep(PAUSE));
        let (mut may_send, mut over) = (true, false);
        let (mut heard_all, mut told_all, mut let_go) = (false, false, LetGo::No);
        loop {
            if told_all && unread.is_empty() {
                pen.close();
            }
            let asks = is_jsonl && pen.is_open() && !told_all && !over;
            if asks && asking.is_none() && unread.len() < UNREAD_MAX {
                asking = Some(Box::pin(ask(shared, held.clone(), asked_after)));
            }
            if sending.is_none()
                && (over || may_send)
                && let Some(batch) = self.desk.batch()
            {
                sending = Some(Box::pin(send(shared, held.clone(), batch)));
            }
            if over && sending.is_none() && self.desk.is_clear() {
                return;
            }
            let waits_to_send = sending.is_none() && !self.desk.is_clear();
            tokio::select! {
                answer = async { asking.as_mut().expect("it is there").await }, if asking.is_some() => {
                    asking = None;
                    match answer {
                        Ok(ToAgent { messages, ended: session_over }) => {
                            asked_after = messages.last().map_or(asked_after, |last| last.seq);
                            unread.extend(messages);
                            told_all = session_over;
                        }
                        // The work is told by others that its lease is lost.
                        Err(CallError::LeaseLost) => pen.close(),
                        Err(error) => {
                            tracing::warn!(%error, "nothing more is told to the agent of a session");
                            told_all = true;
                        }
                    }
                }
                permit = pen.room(), if !unread.is_empty() => match permit {
                    Some(room) => {
                        if let Some(message) = unread.pop_front() {
                            room.send(protocol::told(&message));
                            self.desk.told(&message);
                            patient.set(tokio::time::sleep(patience));
                            silence.set(tokio::time::sleep(idle));
                        }
                    }
                    // It does not read any more: what it was not told is told to the next one.
                    None => unread.clear(),
                },
                line = self.lines.recv(), if !self.desk.is_full() && !heard_all && !over => match line {
                    Some(line) => {
                        patient.set(tokio::time::sleep(patience));
                        silence.set(tokio::time::sleep(idle));
                        self.hear(is_jsonl, &line);
                    }
                    None => heard_all = true,
                },
                well = &mut ended, if !over => {
                    // What it wrote before its end has been read by now.
                    while let Ok(line) = self.lines.try_recv() {
                        self.hear(is_jsonl, &line);
                    }
                    self.end(is_jsonl, well.unwrap_or(false), let_go == LetGo::Idle);
                    (over, asking) = (true, None);
                    pen.close();
                }
                heard = async { sending.as_mut().expect("it is there").await }, if sending.is_some() => {
                    sending = None;
                    may_send = false;
                    pause.set(tokio::time::sleep(PAUSE));
                    match heard {
                        (Ok(AgentHeard { ended: false, heard }), batch) => {
                            self.desk.heard(&batch, heard);
                        }
                        // Nobody hears it any more.
                        (Ok(_), _) | (Err(CallError::LeaseLost), _) => {
                            pen.close();
                            self.lines.close();
                            return self.wait_for_end(over, ended).await;
                        }
                        (Err(error), batch) => {
                            tracing::error!(%error, "what an agent said is refused, and lost");
                            self.desk.refused(&batch);
                        }
                    }
                }
                () = pause.as_mut(), if waits_to_send && !may_send && !over => may_send = true,
                () = silence.as_mut(), if is_jsonl && let_go == LetGo::No && !over => {
                    // The deadline of its own sleep is the present time.
                    let now = silence.deadline();
                    let_go = self.may_go(unread.is_empty(), now >= patient.deadline());
                    if let_go == LetGo::No {
                        // A busy one has longer; it is looked at again when that may be over.
                        let left = patient.deadline().saturating_duration_since(now);
                        silence.set(tokio::time::sleep(if left.is_zero() { idle } else { left.min(idle) }));
                    } else {
                        unread.clear();
                        pen.close();
                        end_by.set(tokio::time::sleep(grace));
                    }
                }
                () = end_by.as_mut(), if let_go != LetGo::No && self.stop.is_some() && !over => {
                    self.stop_it(let_go == LetGo::Silent);
                }
            }
        }
    }

    /// Whether an agent that said nothing for a while is let go: one with nothing to do at once, one that owes an
    /// answer when its `patience_is_over`, one that waits for people never.
    fn may_go(&self, has_read_all: bool, patience_is_over: bool) -> LetGo {
        match self.desk.is_busy() || !has_read_all {
            false => LetGo::Idle,
            true if patience_is_over && !self.desk.waits() => LetGo::Silent,
            true => LetGo::No,
        }
    }

    /// It was let go, and does not go.
    fn stop_it(&mut self, owes: bool) {
        let Talk { silence_ms, end_grace_ms, .. } = self.talk;
        let why = match owes {
            true => format!(
                "the agent owes an answer and said nothing for {silence_ms} ms (session_silence_ms), and did not \
                 end within {end_grace_ms} ms (session_end_grace_ms) of the end of its input"
            ),
            false => format!(
                "the agent did not end within {end_grace_ms} ms of the end of its input (session_end_grace_ms)"
            ),
        };
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(Overdue { why, owes });
        }
    }

    async fn wait_for_end(&mut self, over: bool, ended: oneshot::Receiver<bool>) {
        if !over {
            let _ = ended.await;
        }
    }

    fn hear(&mut self, is_jsonl: bool, line: &str) {
        if is_jsonl {
            self.desk.hear(line);
            return;
        }
        self.answer.push_str(line);
        self.answer.push('\n');
        if self.answer.len() > 2 * ANSWER_BYTES_MAX {
            self.answer = last_of(&self.answer).to_owned();
        }
    }

    fn end(&mut self, is_jsonl: bool, well: bool, let_go: bool) {
        if !is_jsonl {
            let text = last_of(self.answer.trim_end()).to_owned();
            let kind = if well { MessageKind::Reply } else { MessageKind::Progress };
            if !text.is_empty() {
                self.desk.push(AgentSays { kind: Some(kind), text, ..AgentSays::default() });
            }
            if well {
                self.desk.push(protocol::turn());
            }
        }
        if well {
            self.desk.ended_well(let_go || !is_jsonl);
        }
    }
}

/// Why an agent is told that nothing more comes, though its session goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum LetGo {
    /// It is not.
    No,
    /// It has nothing to do.
    Idle,
    /// It has something to do, and is not heard of.
    Silent,
}

/// The end of a text that is too long.
fn last_of(text: &str) -> &str {
    let from = text.len().saturating_sub(ANSWER_BYTES_MAX);
    let from = (from..=text.len()).find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    &text[from..]
}

type Asking<'a> = Pin<Box<dyn Future<Output = Result<ToAgent, CallError>> + Send + 'a>>;
type Sending<'a> =
    Pin<Box<dyn Future<Output = (Result<AgentHeard, CallError>, Batch)> + Send + 'a>>;

async fn ask(shared: &Shared, held: HeldLease, after: i64) -> Result<ToAgent, CallError> {
    shared.client.messages(&held, after, WAIT_MS).await
}

async fn send(
    shared: &Shared,
    held: HeldLease,
    batch: Batch,
) -> (Result<AgentHeard, CallError>, Batch) {
    let Batch { first, messages, dealt_with } = batch.clone();
    let request = FromAgent { nonce: held.nonce, first, messages, dealt_with };
    (shared.client.tell(&held, &request).await, batch)
}

impl Pen {
    /// Writes in a task of its own, so that an agent that does not read keeps nothing else waiting.
    fn new(stdin: Option<ChildStdin>) -> Self {
        let Some(mut pipe) = stdin else { return Self { lines: None } };
        let (sender, mut lines) = mpsc::channel::<Vec<u8>>(UNREAD_MAX);
        tokio::spawn(async move {
            while let Some(line) = lines.recv().await {
                if pipe.write_all(&line).await.is_err() {
                    // A broken pipe: the agent wants to hear no more.
                    return;
                }
            }
            let _ = pipe.write_all(&protocol::end()).await;
            let _ = pipe.shutdown().await;
        });
        Self { lines: Some(sender) }
    }

    fn is_open(&self) -> bool {
        self.lines.as_ref().is_some_and(|lines| !lines.is_closed())
    }

    /// Room for one line; `None` when nothing more can be written.
    async fn room(&self) -> Option<mpsc::OwnedPermit<Vec<u8>>> {
        match self.lines.clone() {
            Some(lines) => lines.reserve_owned().await.ok(),
            None => None,
        }
    }

    /// Nothing more is written: the agent is told so, and its input ends.
    fn close(&mut self) {
        self.lines = None;
    }
}
