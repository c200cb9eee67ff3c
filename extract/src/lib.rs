//! From capture files to flow rows.
//!
//! [`capture`] reads packets out of files; [`ganglion`] turns them into rows by the rules of the kernel's programs;
//! [`cicflowmeter`] does it by the corrected CICFlowMeter's, quirks included, for models trained on its published
//! outputs; [`diff`] compares two tables of rows;
//! [`table`] is what lies between rows and the formats they are written in.

pub mod capture;
pub mod cicflowmeter;
pub mod diff;
pub mod ganglion;
pub mod table;
