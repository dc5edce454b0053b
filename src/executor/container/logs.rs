//! What a container writes, on its way into the job's log.

use std::sync::Arc;
use std::time::Duration;

use reqwest::StatusCode;
use tokio::sync::watch;

use super::super::context::TaskContext;
use super::daemon::Daemon;
use crate::agent_runner::{LogMask, Secrets};

/// How long to rest before a broken stream is opened again.
const AGAIN: Duration = Duration::from_millis(500);
/// How often what a container that has ended wrote is asked for.
const LAST_TRIES: u32 = 5;

/// Takes the frames apart that two outputs come in: a byte for which of them, three of no meaning, four for
/// how many bytes follow.
pub(super) struct Frames {
    header: Vec<u8>,
    /// Bytes that are left of the frame, and whose they are.
    left: u32,
    output: usize,
    masks: [LogMask; 2],
}

impl Frames {
    pub(super) fn new(secrets: &Arc<Secrets>) -> Self {
        let masks = [(); 2].map(|()| LogMask::new(Arc::clone(secrets)));
        Self { header: Vec::with_capacity(8), left: 0, output: 0, masks }
    }

    /// Takes bytes in; appends to `out` what can be told, without the secrets that the job names.
    pub(super) fn push(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let end = bytes.len().min(self.left as usize);
                self.masks[self.output].push(&bytes[..end], out);
                self.left -= end as u32;
                bytes = &bytes[end..];
                continue;
            }
            let wanted = (8 - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..wanted]);
            bytes = &bytes[wanted..];
            if let [kind, _, _, _, size @ ..] = &self.header[..]
                && let Ok(size) = <[u8; 4]>::try_from(size)
            {
                self.output = usize::from(*kind == 2);
                self.left = u32::from_be_bytes(size);
                self.header.clear();
            }
        }
    }

    /// Tells what is held back: nothing more comes.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        self.masks.iter_mut().for_each(|mask| mask.finish(out));
    }
}

/// Copies the log from its beginning until the container has ended, which `ended` says; a stream that breaks is
/// opened again, and what was copied is left out.
pub(super) async fn copy(
    daemon: &Daemon,
    name: &str,
    ctx: &TaskContext,
    secrets: &Arc<Secrets>,
    mut ended: watch::Receiver<bool>,
) {
    let (mut copied, mut tries) = (0, 0);
    loop {
        let is_whole = match daemon.logs(name).await {
            Err(trouble) if trouble.is(StatusCode::NOT_FOUND) => return,
            Err(trouble) => {
                tracing::debug!(name, %trouble, "cannot read a container's log");
                false
            }
            Ok(mut response) => {
                let (mut frames, mut seen) = (Frames::new(secrets), 0);
                loop {
                    let (mut out, chunk) = (Vec::new(), response.chunk().await);
                    match &chunk {
                        Ok(Some(chunk)) => frames.push(chunk, &mut out),
                        // What is held back may be half of a secret, unless this is the end.
                        Ok(None) if *ended.borrow() || ends_soon(&mut ended).await => {
                            frames.finish(&mut out);
                        }
                        Ok(None) | Err(_) => break false,
                    }
                    let from = (copied - seen).clamp(0, out.len() as i64) as usize;
                    seen += out.len() as i64;
                    if from < out.len() {
                        ctx.log(out.split_off(from)).await;
                        copied = seen;
                    }
                    if matches!(chunk, Ok(None)) {
                        break true;
                    }
                }
            }
        };
        if is_whole {
            return;
        }
        tries = if *ended.borrow() { tries + 1 } else { 0 };
        if tries == LAST_TRIES {
            tracing::warn!(job_id = %ctx.event().job_id, name, "a container's log cannot be read to its end");
            return;
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A stream that ends well does so because the container has, which is heard of in a moment.
async fn ends_soon(ended: &mut watch::Receiver<bool>) -> bool {
    let is_so = tokio::time::timeout(Duration::from_secs(2), ended.wait_for(|it| *it)).await;
    matches!(is_so, Ok(Ok(_)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(kind: u8, text: &[u8]) -> Vec<u8> {
        [&[kind, 0, 0, 0][..], &(text.len() as u32).to_be_bytes(), text].concat()
    }

    #[test]
    fn secrets_that_a_job_names_are_not_copied() {
        let mut frames = Frames::new(&Secrets::new([]));
        let mut out = Vec::new();
        frames.push(&frame(1, b"::add-mask::hunter-two\nthe "), &mut out);
        frames.push(&frame(2, b"error: hunter-"), &mut out);
        frames.push(&frame(1, b"hunter-two\n"), &mut out);
        frames.push(&frame(2, b"two\n"), &mut out);
        frames.finish(&mut out);
        let text = String::from_utf8(out).unwrap();
        assert!(!text.contains("hunter-two") && text.matches("***").count() == 3, "{text}");
    }

    proptest! {
        #[test]
        fn frames_may_be_cut_anywhere(
            texts in prop::collection::vec((1_u8..=2, "[a-z\n]{0,20}"), 0..8),
            cuts in prop::collection::vec(1_usize..12, 1..40),
        ) {
            let whole: Vec<u8> = texts.iter().flat_map(|(kind, text)| frame(*kind, text.as_bytes())).collect();
            let (mut frames, mut out, mut rest) = (Frames::new(&Secrets::new([])), Vec::new(), &whole[..]);
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (piece, more) = rest.split_at((*cut).min(rest.len()));
                frames.push(piece, &mut out);
                rest = more;
            }
            frames.finish(&mut out);
            let text: String = texts.iter().map(|(_, text)| text.as_str()).collect();
            prop_assert_eq!(String::from_utf8(out).unwrap().len(), text.len());
        }
    }
}
