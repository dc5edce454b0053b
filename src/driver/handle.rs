//! How everyone sends commands to the driver and asks it questions.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::batch::Envelope;
use super::views::{ServerState, Views};
use super::waiters::Waiter;
use super::work::{ANSWERS_MAX, WorkStream};
use crate::dispatch::{Answer, Command, Poll, Refusal, Reply, Scheduler};
use crate::model::Now;

/// Why a command has no reply.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CommandError {
    /// The scheduler refused it; nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The store cannot be written now, or it is not known whether it was: ask again.
    #[error("the store cannot be written now")]
    Unavailable,
    /// Too many commands wait already.
    #[error("too many requests wait for the store already")]
    Overloaded,
    /// The server is about to end.
    #[error("the server is stopping")]
    Stopping,
}

/// A question that is answered between two batches.
pub(super) type Question = Box<dyn FnOnce(&mut Scheduler, Now) + Send>;

/// What the driver is asked for beside commands.
pub(super) enum Control {
    /// A command that is not new work.
    Command(Envelope),
    /// Finish the batch in hand, answer parked polls, and end.
    Stop,
}

/// The one way to the driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    pub(super) control: mpsc::Sender<Control>,
    pub(super) intake: mpsc::Sender<Envelope>,
    pub(super) questions: mpsc::Sender<Question>,
    pub(super) views: Arc<Views>,
}

impl Handle {
    /// What the driver publishes.
    pub fn views(&self) -> &Arc<Views> {
        &self.views
    }

    /// How many commands wait for the next batch.
    pub fn waiting(&self) -> usize {
        let control = self.control.max_capacity() - self.control.capacity();
        control + self.intake.max_capacity() - self.intake.capacity()
    }

    /// Sends a command and waits for the commit.
    ///
    /// The command is carried out whether or not the caller goes on waiting.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub async fn send(&self, command: Command) -> Result<Reply, CommandError> {
        let (reply, answer) = oneshot::channel();
        let envelope = Envelope { command, reply: Some(reply), poll: None };
        self.enqueue(envelope)?;
        answer.await.unwrap_or(Err(CommandError::Stopping))
    }

    /// As [`Handle::send`], for new work that may wait `patience` for a store that is away. When
    /// that is over the command is dropped, unless its batch has begun.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unavailable`] after `patience`, and as `send`.
    pub async fn send_patiently(
        &self,
        command: Command,
        patience: Duration,
    ) -> Result<Reply, CommandError> {
        tokio::time::timeout(patience, self.send(command))
            .await
            .unwrap_or(Err(CommandError::Unavailable))
    }

    /// Parks a poll until there is something to say or its time is over.
    ///
    /// Dropping the future takes the poll away at once; what it was given meanwhile goes back.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub async fn poll(&self, poll: Poll) -> Result<Answer, CommandError> {
        let (reply, accepted) = oneshot::channel();
        let (sender, answer) = oneshot::channel();
        let poll_id = poll.poll_id;
        let command = Command::Poll(Box::new(poll));
        let mut guard = PollGuard { control: Some(self.control.clone()), poll_id, answer };
        let poll = Some(Waiter::Poll(sender));
        self.enqueue(Envelope { command, reply: Some(reply), poll })?;
        let parked = accepted.await.unwrap_or(Err(CommandError::Stopping));
        if let Err(error) = parked {
            guard.control = None;
            return Err(error);
        }
        let answer = (&mut guard.answer).await.map_err(|_| CommandError::Unavailable);
        guard.control = None;
        answer
    }

    /// Opens a runner's stream: a poll that is parked again after each answer, until the runner is
    /// silent, another poll or stream of it takes its place, or it is dropped.
    ///
    /// # Errors
    ///
    /// [`CommandError`].
    pub async fn stream(&self, poll: Poll) -> Result<WorkStream, CommandError> {
        let (reply, accepted) = oneshot::channel();
        let (sender, answers) = mpsc::channel(ANSWERS_MAX);
        let mut stream = WorkStream::new(self.control.clone(), poll.poll_id, answers);
        let command = Command::Stream(Box::new(poll));
        let poll = Some(Waiter::Stream(sender));
        let sent = self.enqueue(Envelope { command, reply: Some(reply), poll });
        let opened = match sent {
            Ok(()) => accepted.await.unwrap_or(Err(CommandError::Stopping)),
            Err(error) => Err(error),
        };
        if let Err(error) = opened {
            stream.never_was();
            return Err(error);
        }
        Ok(stream)
    }

    /// Asks the scheduler something, right after a commit.
    ///
    /// # Errors
    ///
    /// [`CommandError::Unavailable`] while it is not loaded.
    pub async fn ask<R: Send + 'static>(
        &self,
        question: impl FnOnce(&mut Scheduler, Now) -> R + Send + 'static,
    ) -> Result<R, CommandError> {
        let (sender, answer) = oneshot::channel();
        let question: Question = Box::new(move |scheduler, now| {
            let _ = sender.send(question(scheduler, now));
        });
        self.questions.try_send(question).map_err(|error| self.refused(&error))?;
        answer.await.map_err(|_| CommandError::Unavailable)
    }

    /// Lets the driver finish the batch in hand, answer parked polls and end.
    pub async fn stop(&self) {
        let _ = self.control.send(Control::Stop).await;
    }

    fn enqueue(&self, envelope: Envelope) -> Result<(), CommandError> {
        if envelope.command.is_intake() {
            return self.intake.try_send(envelope).map_err(|error| self.refused(&error));
        }
        self.control.try_send(Control::Command(envelope)).map_err(|error| self.refused(&error))
    }

    fn refused<T>(&self, error: &mpsc::error::TrySendError<T>) -> CommandError {
        match error {
            mpsc::error::TrySendError::Closed(_) => CommandError::Stopping,
            mpsc::error::TrySendError::Full(_) => match self.views.state() {
                ServerState::Running => CommandError::Overloaded,
                _ => CommandError::Unavailable,
            },
        }
    }
}

/// Tells the driver when the client of a parked poll is gone, and gives back what it was given.
struct PollGuard {
    /// `None` once the poll has its answer.
    control: Option<mpsc::Sender<Control>>,
    poll_id: crate::runner::PollId,
    /// Owned here, so that an answer which came in the last moment is not dropped unread.
    answer: oneshot::Receiver<Answer>,
}

impl Drop for PollGuard {
    fn drop(&mut self) {
        if let Some(control) = self.control.take() {
            self.answer.close();
            let command = match self.answer.try_recv() {
                Ok(answer) => Command::Undelivered(answer.leases()),
                Err(_) => Command::PollGone(self.poll_id),
            };
            leave(&control, command);
        }
    }
}

/// Tells the driver that somebody has left. A full channel loses nothing: a poll ends by its own
/// time, and what it was given goes back after the acknowledgement window.
pub(super) fn leave(control: &mpsc::Sender<Control>, command: Command) {
    let _ = control.try_send(Control::Command(Envelope { command, reply: None, poll: None }));
}
