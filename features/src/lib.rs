//! Ganglion.
