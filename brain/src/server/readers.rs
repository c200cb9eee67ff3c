//! Readers of events: a filter, a backlog, and a word on what they missed.

use super::{Shared, ended};
use crate::events;
use ganglion_proto::v1::event::Of;
use ganglion_proto::v1::{Event, EventsRequest};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;

const KINDS: [&str; 3] = ["alert", "action", "health"];
/// Events on their way to one reader, beside the broadcast queue.
const WAY: usize = 16;

type Out = mpsc::Sender<Result<Event, Status>>;

pub(super) fn open(shared: &Shared, request: &EventsRequest) -> Result<ReceiverStream<Result<Event, Status>>, Status> {
    if let Some(unknown) = request.kinds.iter().find(|kind| !KINDS.contains(&kind.as_str())) {
        return Err(Status::invalid_argument(format!("no events of kind \"{unknown}\", there are {KINDS:?}")));
    }
    let kinds = request.kinds.clone();
    let wanted = move |event: &Event| kinds.is_empty() || kinds.iter().any(|kind| kind == events::kind(event));
    let (backlog, queue) = shared.hub.subscribe(request.backlog as usize, &wanted);
    let (out, receiver) = mpsc::channel(WAY);
    let metrics = Arc::clone(&shared.metrics);
    let missed = move |count| metrics.events_missed.inc_by(count);
    tokio::spawn(feed(backlog, queue, out, shared.ending.clone(), wanted, missed));
    Ok(ReceiverStream::new(receiver))
}

async fn feed(
    backlog: Vec<Arc<Event>>,
    mut queue: Receiver<Arc<Event>>,
    out: Out,
    ending: watch::Receiver<bool>,
    wanted: impl Fn(&Event) -> bool,
    missed: impl Fn(u64),
) {
    for event in backlog {
        if out.send(Ok(Event::clone(&event))).await.is_err() {
            return;
        }
    }
    loop {
        let next = tokio::select! {
            next = queue.recv() => next,
            () = out.closed() => return,
            () = ended(ending.clone()) => return,
        };
        let event = match next {
            Ok(event) if wanted(&event) => Event::clone(&event),
            Ok(_) => continue,
            Err(RecvError::Lagged(count)) => {
                missed(count);
                Event { time_us: events::wall_us(), of: Some(Of::Missed(count)), ..Event::default() }
            }
            Err(RecvError::Closed) => return,
        };
        if out.send(Ok(event)).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};
    use tokio::sync::broadcast;

    #[tokio::test]
    async fn a_slow_reader_is_told_how_many_it_missed() {
        let (sender, queue) = broadcast::channel(2);
        for sequence in 1..=10 {
            sender.send(Arc::new(Event { sequence, ..Event::default() })).unwrap();
        }
        let (out, mut reader) = mpsc::channel(WAY);
        let (_end, ending) = watch::channel(false);
        let missed = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&missed);
        let count = move |n| {
            counter.fetch_add(n, Ordering::Relaxed);
        };
        let feeding = tokio::spawn(feed(Vec::new(), queue, out, ending, |_: &Event| true, count));
        assert_eq!(reader.recv().await.unwrap().unwrap().of, Some(Of::Missed(8)));
        assert_eq!(reader.recv().await.unwrap().unwrap().sequence, 9);
        assert_eq!(reader.recv().await.unwrap().unwrap().sequence, 10);
        drop(reader);
        feeding.await.unwrap();
        assert_eq!(missed.load(Ordering::Relaxed), 8);
    }
}
