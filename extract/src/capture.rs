//! Reading of capture files.
