//! The `cicflowmeter` profile.
