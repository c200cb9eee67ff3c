//! The running half: threads for records and expiry, tasks for brain, control socket and metrics.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use ganglion_flow::Reason;
use tokio::sync::watch;

use super::start::Doors;
use super::{Sensor, SensorError};
use crate::core::{Age, Core};
use crate::drain::{DISK_QUEUE, Drain, Outlets};
use crate::sweep::Stop;
use crate::uplink::{Endpoint, Uplink};
use crate::{attach, control, metrics, recorder};

/// How long the brain may take to judge what is left at the end.
const LAST_WORDS: Duration = Duration::from_secs(5);
const KEEP_EVERY: Duration = Duration::from_millis(100);
/// Rules removed, or proved anew, under one lock.
const PORTION: usize = 64;
/// Between two portions, so that verdicts get the lock: it goes to whoever comes first, not to whoever waits longest.
const BETWEEN: Duration = Duration::from_micros(100);
/// Exemptions follow the machine every so many rounds.
const REFRESH_ROUNDS: u32 = 100;

struct Threads {
    drain: Option<JoinHandle<()>>,
    recorder: Option<JoinHandle<()>>,
    others: Vec<JoinHandle<()>>,
    drain_stop: Arc<Stop>,
    stop: Arc<Stop>,
}

fn spawn(what: &'static str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, SensorError> {
    thread::Builder::new().name(what.into()).spawn(work).map_err(|source| SensorError::Thread { what, source })
}

impl Sensor {
    /// Serves until `shutdown` completes. Then, by default, programs and pins stay and go on enforcing; with
    /// `detach_on_exit` every flow is exported and everything is removed.
    ///
    /// # Errors
    /// A part of the sensor died or can't start; enforcement goes on in the kernel.
    pub async fn serve(mut self, shutdown: impl Future<Output = ()>) -> Result<(), SensorError> {
        let (closing, closed) = watch::channel(false);
        let uplink = self.uplink(closed).map(|uplink| tokio::spawn(uplink.run()));
        let Self { core, folder, ring, old_flows, doors, _stats, batches: _ } = self;
        let Doors { control, metrics, recording, _lock } = doors;
        let mut threads = start_threads(&core, ring, old_flows, recording)?;
        let (stop_control, control_stopped) = tokio::sync::oneshot::channel::<()>();
        let served = control::serve(Arc::clone(&core), control, async {
            let _dropped = control_stopped.await;
        });
        let mut served = tokio::spawn(served);
        let metrics_task = metrics.map(|listener| tokio::spawn(metrics::serve(Arc::clone(&core), listener)));
        tracing::info!(sensor = core.config.sensor_id(), mode = ?core.config.mode, "running");
        let result = tokio::select! {
            () = shutdown => Ok(()),
            _ = &mut served => Err(SensorError::Died("the control service")),
        };
        if core.config.detach_on_exit {
            flush(&core, &folder);
        }
        threads.stop_producing();
        let _no_uplink = closing.send(true);
        if let Some(task) = uplink {
            let mut task = task;
            if tokio::time::timeout(LAST_WORDS, &mut task).await.is_err() {
                tracing::warn!(records = core.ledger.open(), "the brain did not judge the last records in time");
                task.abort();
            }
        }
        threads.join();
        say_goodbye(&core, &folder);
        drop(stop_control);
        served.abort();
        if let Some(task) = metrics_task {
            task.abort();
        }
        let _gone = std::fs::remove_file(&core.config.control_socket);
        result
    }

    fn uplink(&mut self, closing: watch::Receiver<bool>) -> Option<Uplink> {
        let batches = self.batches.take()?;
        let queue = self.core.queue.clone()?;
        // Checked with the settings.
        let endpoint = Endpoint::parse(self.core.config.brain.as_deref()?).ok()?;
        let reflex = Arc::clone(&self.core) as Arc<dyn crate::uplink::Reflex>;
        Some(Uplink { reflex, queue, batches, endpoint, closing })
    }
}

fn start_threads(
    core: &Arc<Core>,
    ring: aya::maps::RingBuf<aya::maps::MapData>,
    old_flows: crate::upgrade::OldFlows,
    recording: Option<crate::recording::Writer>,
) -> Result<Threads, SensorError> {
    let (stop, drain_stop) = (Arc::new(Stop::default()), Arc::new(Stop::default()));
    let (disk, recorder) = match recording {
        Some(writer) => {
            let (sender, receiver) = sync_channel(DISK_QUEUE);
            let (ledger, counts) = (Arc::clone(&core.ledger), core.queue.is_none());
            let thread = spawn("recorder", move || recorder::run(writer, &receiver, &ledger, counts))?;
            (Some(sender), Some(thread))
        }
        None => (None, None),
    };
    let outlets = Outlets { brain: core.queue.clone(), disk, ledger: Arc::clone(&core.ledger) };
    let drain_until = Arc::clone(&drain_stop);
    let drain = spawn("drain", move || {
        let exported = old_flows.export(&outlets);
        if exported > 0 {
            tracing::info!(records = exported, "exported flows of tables of another size");
        }
        Drain::new(ring, outlets).run_until(&drain_until);
    })?;
    let (sweep_core, sweep_until) = (Arc::clone(core), Arc::clone(&stop));
    let sweep = spawn("sweep", move || sweep_core.sweeper.run_until(&sweep_until, || sweep_core.refused_packets()))?;
    let (keep_core, keep_until) = (Arc::clone(core), Arc::clone(&stop));
    let keeper = spawn("keeper", move || keep(&keep_core, &keep_until))?;
    Ok(Threads { drain: Some(drain), recorder, others: vec![sweep, keeper], drain_stop, stop })
}

/// Removes what expired, and follows the machine's addresses and sessions.
fn keep(core: &Core, stop: &Stop) {
    let mut round = 0;
    while !stop.wait(KEEP_EVERY) {
        round += 1;
        let expired = expire(core);
        while core.rules().prove(PORTION) {
            thread::sleep(BETWEEN);
        }
        if expired > 0 {
            tracing::info!(expired, "rules expired");
        }
        if round % REFRESH_ROUNDS == 0 {
            core.refresh_protection();
        }
    }
}

/// Removes what expired in small portions.
fn expire(core: &Core) -> usize {
    let mut expired = 0;
    loop {
        let some = core.rules().expire(PORTION);
        expired += some;
        if some < PORTION {
            return expired;
        }
        thread::sleep(BETWEEN);
    }
}

impl Threads {
    /// Ends expiry and drains the ring buffer to its end.
    fn stop_producing(&mut self) {
        self.stop.stop();
        self.drain_stop.stop();
        for thread in self.others.drain(..).chain(self.drain.take()) {
            if thread.join().is_err() {
                tracing::error!("a thread of the sensor had panicked");
            }
        }
    }

    /// Waits for the recording; its queue ends with the drain.
    fn join(&mut self) {
        if self.recorder.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the recorder had panicked");
        }
    }
}

/// Takes the programs off the interfaces, then makes a record of every flow.
fn flush(core: &Core, folder: &std::path::Path) {
    attach::detach(folder, &core.config.interfaces);
    if let Err(error) = core.rules().set_flush(Reason::Shutdown as u64) {
        tracing::error!(%error, "flows can't be flushed");
        return;
    }
    // Where a walk waits for room and goes on, it may pass over a neighbour of what it deleted.
    for _ in 0..2 {
        if let Err(error) = core.sweeper.run() {
            tracing::error!(%error, "flows can't be flushed");
        }
    }
}

/// The last report: both equations. With `detach_on_exit` the pins go with it.
fn say_goodbye(core: &Core, folder: &std::path::Path) {
    match core.snapshot(Age::Fresh) {
        Ok(s) => tracing::info!(
            packets = s.packets.left,
            packets_difference = s.packets.difference(),
            records = s.records.left,
            records_difference = s.records.difference(),
            live = s.live.flows + s.live.half_open,
            "equations at the end"
        ),
        Err(error) => tracing::error!(%error, "no last report"),
    }
    if core.config.detach_on_exit {
        match super::remove_pins(folder) {
            Ok(pins) => tracing::info!(pins = pins.len(), "removed all pins"),
            Err(error) => tracing::error!(%error, folder = %folder.display(), "pins can't be removed"),
        }
    } else {
        tracing::info!(folder = %folder.display(), "programs and blocks stay in force");
    }
}
