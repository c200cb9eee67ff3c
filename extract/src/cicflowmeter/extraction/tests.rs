use super::*;
use crate::capture::Capture;

/// Batches of the captures that come with the project.
fn batches(jobs: usize, stop_after: usize) -> (Vec<Batch>, Counts) {
    let mut all = Vec::new();
    let sink = |batch: Batch| {
        all.push(batch);
        if all.len() == stop_after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let (read, counts) = extract(
        NonZeroUsize::new(jobs).unwrap(),
        |batch| batch,
        sink,
        |extraction| {
            // Many times over, so that there are many pieces and batches.
            for _ in 0..8 {
                for name in ["ftp_bruteforce", "ftp_data_dns_ipv6", "smb_vlan_long", "fin_variants_odd_headers"] {
                    let path = format!("{}/tests/oracle/pairs/{name}.pcap.gz", env!("CARGO_MANIFEST_DIR"));
                    let mut capture = Capture::open(path.as_ref()).unwrap();
                    while let Some(frame) = capture.next().unwrap() {
                        if extraction.frame(&frame).is_break() {
                            return false;
                        }
                    }
                }
            }
            true
        },
    );
    assert_eq!(read, stop_after > all.len());
    (all, counts)
}

#[test]
fn rows_do_not_depend_on_the_number_of_cores() {
    let (one, counts) = batches(1, usize::MAX);
    assert!(one.len() > 3 && counts.tuples > 50, "{} {counts:?}", one.len());
    for jobs in [2, 3, 7] {
        let (several, several_counts) = batches(jobs, usize::MAX);
        assert_eq!(several_counts, counts, "{jobs}");
        assert!(several == one, "{jobs}");
    }
}

#[test]
fn a_sink_that_breaks_off_ends_the_extraction() {
    for jobs in [1, 3] {
        let (some, _) = batches(jobs, 2);
        assert_eq!(some.len(), 2);
    }
}
