//! The reflex arc's userspace half: record batches up, verdicts down, outcomes up.
//!
//! A record counts as delivered when the brain says that it judged its batch. When the brain is slow the
//! window fills, then the queue, and the drain sheds; nothing here waits for anything but the brain.

mod endpoint;
mod session;

use std::sync::Arc;
use std::time::Duration;

use ganglion_flow::record;
use ganglion_proto::v1::brain_client::BrainClient;
use ganglion_proto::v1::{self, BrainMessage, Hello, brain_message};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::watch;
use tokio_stream::wrappers::UnboundedReceiverStream;
use tonic::{Code, Streaming};

pub use endpoint::{Endpoint, EndpointError};
use session::Session;

use crate::drain::{Batch, Queue};
use crate::ledger::Ledger;

const BACKOFF_FIRST: Duration = Duration::from_millis(100);
const BACKOFF_LAST: Duration = Duration::from_secs(2);
const HEALTH_EVERY: Duration = Duration::from_secs(5);

/// What the link needs of the sensor.
pub(crate) trait Reflex: Send + Sync {
    /// The first message.
    fn hello(&self) -> Hello;
    /// Whether rules drop.
    fn mode(&self) -> v1::Mode;
    /// Userspace's half of the equations.
    fn ledger(&self) -> &Ledger;
    /// Turns a verdict into a rule and says what became of it.
    fn verdict(&self, verdict: &v1::Verdict) -> v1::VerdictOutcome;
}

/// Why a connection to the brain ended.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinkError {
    #[error("the brain at {endpoint} can't be reached: {}", innermost(.source))]
    Connect { endpoint: Endpoint, source: tonic::transport::Error },
    #[error("the brain refused the connection: {} ({})", .0.message(), .0.code())]
    Refused(Box<tonic::Status>),
    #[error(
        "the brain reads records of version {found}, this sensor makes version {}: run the same release of both",
        record::VERSION
    )]
    Version { found: u32 },
    #[error("the brain spoke before its welcome")]
    NoWelcome,
    #[error("the brain closed the connection")]
    Closed,
}

/// A transport error's own text says only that it is one.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

fn lost(status: tonic::Status) -> LinkError {
    match status.code() {
        Code::Unavailable | Code::Unknown | Code::Cancelled => LinkError::Closed,
        _ => LinkError::Refused(Box::new(status)),
    }
}

/// The sensor's end of the link.
pub(crate) struct Uplink {
    pub(crate) reflex: Arc<dyn Reflex>,
    pub(crate) queue: Arc<Queue>,
    pub(crate) batches: UnboundedReceiver<Batch>,
    pub(crate) endpoint: Endpoint,
    /// Becomes true when what is queued is all there will ever be.
    pub(crate) closing: watch::Receiver<bool>,
}

impl Uplink {
    /// Keeps a connection to the brain until all is delivered after the closing.
    pub(crate) async fn run(mut self) {
        let mut backoff = BACKOFF_FIRST;
        let mut sequence = 0;
        let mut held = None;
        let mut said_away = false;
        loop {
            let mut session = Session::new(sequence, held.take());
            let result = self.converse(&mut session).await;
            self.queue.set_connected(false);
            session.abandon(self.reflex.ledger());
            sequence = session.sequence();
            held = session.take_held();
            let Err(error) = result else { return };
            if session.welcomed() {
                tracing::warn!(%error, "lost the brain; enforcement and counting go on");
                (backoff, said_away) = (BACKOFF_FIRST, true);
            } else if !said_away {
                tracing::warn!(%error, "no brain; enforcement and counting go on, trying again");
                said_away = true;
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_LAST);
        }
    }

    async fn converse(&mut self, session: &mut Session) -> Result<(), LinkError> {
        let channel = self.endpoint.connect().await.map_err(|source| {
            let endpoint = self.endpoint.clone();
            LinkError::Connect { endpoint, source }
        })?;
        let mut client = BrainClient::new(channel)
            .max_decoding_message_size(ganglion_proto::MAX_MESSAGE_BYTES)
            .max_encoding_message_size(ganglion_proto::MAX_MESSAGE_BYTES);
        let outgoing = session.open(self.reflex.as_ref());
        let mut incoming = client.link(UnboundedReceiverStream::new(outgoing)).await.map_err(lost)?.into_inner();
        welcome(&mut incoming).await?;
        session.set_welcomed();
        self.queue.set_connected(true);
        tracing::info!(endpoint = %self.endpoint, "connected to the brain");
        self.exchange(session, &mut incoming).await
    }

    async fn exchange(
        &mut self,
        session: &mut Session,
        incoming: &mut Streaming<BrainMessage>,
    ) -> Result<(), LinkError> {
        let mut health = tokio::time::interval(HEALTH_EVERY);
        loop {
            if *self.closing.borrow() && session.is_idle() && self.batches.is_empty() {
                return Ok(());
            }
            tokio::select! {
                message = incoming.message() => match message {
                    Ok(Some(message)) => session.receive(message, self.reflex.as_ref()),
                    Ok(None) => return Err(LinkError::Closed),
                    Err(status) => return Err(lost(status)),
                },
                Some(batch) = session.next(&mut self.batches, &self.queue), if session.has_room() => {
                    session.send(batch, &mut self.batches, &self.queue);
                }
                _ = health.tick() => session.send_health(self.reflex.as_ref(), &self.queue),
                changed = self.closing.changed() => if changed.is_err() { return Ok(()) },
            }
        }
    }
}

async fn welcome(incoming: &mut Streaming<BrainMessage>) -> Result<(), LinkError> {
    let first = incoming.message().await.map_err(lost)?;
    match first.and_then(|m| m.of) {
        Some(brain_message::Of::Welcome(w)) if w.record_version == u32::from(record::VERSION) => Ok(()),
        Some(brain_message::Of::Welcome(w)) => Err(LinkError::Version { found: w.record_version }),
        Some(_) => Err(LinkError::NoWelcome),
        None => Err(LinkError::Closed),
    }
}

#[cfg(test)]
mod tests;
