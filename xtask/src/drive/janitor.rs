//! Waits until its parent is gone, however it went, then removes what is left of the parent's run.

use std::io::Read;

use anyhow::Result;

use crate::lab::run_dir::RunDir;

#[derive(clap::Args)]
pub(super) struct Args {
    run: String,
}

pub(super) fn run(args: &Args) -> Result<()> {
    // The parent never writes: its end of the pipe closes when it does.
    std::io::stdin().read_to_end(&mut Vec::new())?;
    let dir = RunDir::named(&args.run);
    if dir.state().is_ok_and(|state| state.kept) {
        return Ok(());
    }
    dir.remove()
}
