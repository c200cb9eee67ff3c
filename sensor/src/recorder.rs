//! The thread that writes the recording. A full disk costs records, which are counted, never the sensor.

use std::sync::Arc;
use std::sync::mpsc::Receiver;
use std::time::{Duration, Instant};

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
        match writer.append(&batch.records) {
            Ok(()) => {
                ledger.add(Entry::Recorded, count);
                if counts {
                    ledger.add(Entry::Delivered, count);
                }
            }
            Err(error) => {
                ledger.add(Entry::RecordDisk, count);
                if counts {
                    ledger.add(Entry::ShedDisk, count);
                }
                if said.is_none_or(|at| at.elapsed() > SAY_EVERY) {
                    said = Some(Instant::now());
                    let lost = ledger.get(Entry::RecordDisk);
                    let path = writer.path().display();
                    tracing::error!(%path, %error, lost, "the recording can't be written; its records are lost, the rest goes on");
                }
            }
        }
    }
}
