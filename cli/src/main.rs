#![doc = "Ganglion."]
fn main() {}
