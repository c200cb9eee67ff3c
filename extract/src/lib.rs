//! From capture files to flow rows.
//!
//! [`capture`] reads packets out of files; [`ganglion`] turns them into rows by the rules of the kernel's programs;
//! [`cicflowmeter`] does it by the corrected CICFlowMeter's, quirks included, for models trained on its published
//! outputs. [`filter`] leaves packets out, [`labels`] labels rows, [`diff`] compares two tables of them; [`table`] is
//! what lies between rows and the formats that [`write`] writes and [`read`] reads.

pub mod capture;
pub mod cicflowmeter;
pub mod diff;
pub mod filter;
pub mod ganglion;
pub mod labels;
pub mod read;
pub mod table;
pub mod write;
