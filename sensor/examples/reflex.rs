//! A brain that answers every new source with a block, to measure the reflex without a model: the time from
//! the record in the ring buffer to the verdict in the map. Prints p50 and p99 when the sensor goes away.

use std::collections::HashMap;
use std::pin::Pin;

use ganglion_flow::record::Record;
use ganglion_proto::v1::brain_server::{Brain, BrainServer};
use ganglion_proto::v1::{self, BrainMessage, SensorMessage, brain_message, sensor_message, target};
use tokio::net::UnixListener;
use tokio_stream::wrappers::{ReceiverStream, UnixListenerStream};
use tokio_stream::{Stream, StreamExt};
use tonic::{Request, Response, Status};

struct Reflex;

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

fn records(mut bytes: &[u8]) -> Vec<Record> {
    let mut all = Vec::new();
    while let Some(kind) = bytes.first().and_then(|k| ganglion_flow::RecordKind::from_u8(*k))
        && let Some((one, rest)) = bytes.split_at_checked(kind.len())
    {
        all.extend(Record::decode(one));
        bytes = rest;
    }
    all
}

fn verdict(id: u64, flow: &ganglion_flow::FlowRecord) -> BrainMessage {
    let tuple = ganglion_sensor::Tuple::from_key(&flow.key);
    BrainMessage {
        of: Some(brain_message::Of::Verdict(v1::Verdict {
            id: id.to_string(),
            target: Some(v1::Target { of: Some(target::Of::Flow((&tuple).into())) }),
            class: v1::TrafficClass::Dos.into(),
            action: v1::Action::Drop.into(),
            ttl_ms: 1000,
            record_time_us: flow.header.time_us,
            ..v1::Verdict::default()
        })),
    }
}

fn report(mut times_us: Vec<u64>) {
    times_us.sort_unstable();
    let at = |share: f64| times_us.get((times_us.len() as f64 * share) as usize).copied().unwrap_or(0);
    println!("verdicts {} p50 {} µs p99 {} µs max {} µs", times_us.len(), at(0.5), at(0.99), at(0.9999));
}

#[tonic::async_trait]
impl Brain for Reflex {
    type LinkStream = Answers<BrainMessage>;
    type EventsStream = Answers<v1::Event>;

    async fn link(
        &self,
        request: Request<tonic::Streaming<SensorMessage>>,
    ) -> Result<Response<Self::LinkStream>, Status> {
        let mut incoming = request.into_inner();
        let (sender, receiver) = tokio::sync::mpsc::channel(1024);
        tokio::spawn(async move {
            let (mut asked, mut times_us, mut id) = (HashMap::new(), Vec::new(), 0u64);
            while let Some(Ok(message)) = incoming.next().await {
                let mut answers = Vec::new();
                match message.of {
                    Some(sensor_message::Of::Hello(hello)) => answers.push(BrainMessage {
                        of: Some(brain_message::Of::Welcome(v1::Welcome {
                            record_version: hello.record_version,
                            bundle_id: String::new(),
                        })),
                    }),
                    Some(sensor_message::Of::Records(batch)) => {
                        for record in records(&batch.records) {
                            if let Record::Flow(flow) = record {
                                id += 1;
                                asked.insert(id.to_string(), flow.header.time_us);
                                answers.push(verdict(id, &flow));
                            }
                        }
                        let judged = v1::Judged { sequence: batch.sequence };
                        answers.push(BrainMessage { of: Some(brain_message::Of::Judged(judged)) });
                    }
                    Some(sensor_message::Of::Outcome(outcome)) => {
                        if let Some(asked_us) = asked.remove(&outcome.verdict_id) {
                            times_us.push((outcome.applied_boot_ns / 1000).saturating_sub(asked_us));
                        }
                    }
                    _ => {}
                }
                for answer in answers {
                    if sender.send(Ok(answer)).await.is_err() {
                        return report(times_us);
                    }
                }
            }
            report(times_us);
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn events(&self, _: Request<v1::EventsRequest>) -> Result<Response<Self::EventsStream>, Status> {
        Err(Status::unimplemented("not here"))
    }

    async fn status(&self, _: Request<v1::BrainStatusRequest>) -> Result<Response<v1::BrainStatus>, Status> {
        Err(Status::unimplemented("not here"))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args().nth(1).ok_or("usage: reflex SOCKET")?;
    let _before = std::fs::remove_file(&path);
    let incoming = UnixListenerStream::new(UnixListener::bind(path)?);
    tonic::transport::Server::builder().add_service(BrainServer::new(Reflex)).serve_with_incoming(incoming).await?;
    Ok(())
}
