//! The thread that writes the recording. A full disk costs records, which are counted, never the sensor.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

use crate::clock;
use crate::drain::Batch;
use crate::ledger::{Entry, Ledger};
use crate::recording::Writer;

const SAY_EVERY: Duration = Duration::from_secs(10);

/// Writes batches until the sender is gone. `counts` says that no brain gets them: then what is written is
/// what the ledger calls delivered.
pub(crate) fn run(mut writer: Writer, batches: &Receiver<Batch>, ledger: &Arc<Ledger>, counts: bool) {
    let mut said: Option<Instant> = None;
    for batch in batches {
        let count = u64::from(batch.count);
        let written = writer.append(&batch.records);
        let (recorded, fate) = match &written {
            Ok(()) => (Entry::Recorded, Entry::Delivered),
            Err(_) => (Entry::RecordDisk, Entry::ShedDisk),
        };
        ledger.add(recorded, count);
        if counts {
            ledger.add(fate, count);
        }
        // The wall clock may have been set.
        let followed = writer.follow(clock::boot_to_wall_offset_us());
        if let Err(error) = written.and(followed)
            && said.is_none_or(|at| at.elapsed() > SAY_EVERY)
        {
            said = Some(Instant::now());
            let lost = ledger.get(Entry::RecordDisk);
            let path = writer.path().display();
            tracing::error!(%path, %error, lost, "the recording can't be written; its records are lost, the rest goes on");
        }
    }
}
