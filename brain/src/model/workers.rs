//! More lanes, a thread each: a large batch is scored in pieces at once.

use super::lane::Lane;
use super::{ModelError, Scores};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// A piece of a batch, on its way there and back; its memory is used again.
#[derive(Debug, Default)]
struct Piece {
    values: Vec<f32>,
    rows: usize,
    scores: Scores,
}

type Done = (Piece, Result<(), ModelError>);

/// A lane on a thread of its own.
#[derive(Debug)]
pub(super) struct Worker {
    /// Taken when the worker ends.
    pieces: Option<SyncSender<Piece>>,
    done: Receiver<Done>,
    idle: Option<Piece>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    pub(super) fn start(mut lane: Lane) -> std::io::Result<Self> {
        let (pieces, work) = sync_channel::<Piece>(1);
        let (finished, done) = sync_channel(1);
        let body = move || {
            while let Ok(mut piece) = work.recv() {
                piece.scores.clear();
                let result = lane.run(&piece.values, piece.rows, &mut piece.scores);
                if finished.send((piece, result)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("score".into()).spawn(body)?;
        Ok(Self { pieces: Some(pieces), done, idle: Some(Piece::default()), thread: Some(thread) })
    }

    /// Begins a piece; [`Self::finish`] must follow.
    pub(super) fn begin(&mut self, values: &[f32], rows: usize) -> Result<(), ModelError> {
        let mut piece = self.idle.take().unwrap_or_default();
        piece.values.clear();
        piece.values.extend_from_slice(values);
        piece.rows = rows;
        let sent = self.pieces.as_ref().is_some_and(|pieces| pieces.send(piece).is_ok());
        if sent { Ok(()) } else { Err(gone()) }
    }

    /// Waits for the piece and appends its scores.
    pub(super) fn finish(&mut self, scores: &mut Scores) -> Result<(), ModelError> {
        let (piece, result) = self.done.recv().map_err(|_| gone())?;
        if result.is_ok() {
            scores.append(&piece.scores);
        }
        self.idle = Some(piece);
        result
    }
}

fn gone() -> ModelError {
    ModelError::Onnx("a scoring thread has ended".into())
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.pieces = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell any more.
            let _ = thread.join();
        }
    }
}
