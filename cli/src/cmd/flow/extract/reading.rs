//! Captures, frame by frame, into an engine.

use std::ops::ControlFlow;

use ganglion_extract::capture::{Capture, CaptureError, Frame};
use ganglion_extract::filter::{Filter, FilterError};
use ganglion_extract::{cicflowmeter, ganglion};

use super::inputs::Input;
use super::progress::Progress;
use super::summary::Fault;
use crate::units;

/// Frames between two looks at how far reading is.
const FRAMES_A_LOOK: u64 = 4096;

/// The profile that takes the frames.
pub(super) enum Engine<'a, 'b> {
    Ganglion(&'a mut ganglion::Extraction<'b>),
    Cicflowmeter(&'a mut cicflowmeter::Extraction<'b>),
}

impl Engine<'_, '_> {
    fn frame(&mut self, frame: &Frame<'_>) -> ControlFlow<()> {
        match self {
            Self::Ganglion(extraction) => extraction.frame(frame),
            Self::Cicflowmeter(extraction) => extraction.frame(frame),
        }
    }

    /// The next frames are of this capture.
    fn read_ahead(&mut self, capture: &Capture) {
        if let Self::Ganglion(extraction) = self {
            extraction.read_ahead(capture);
        }
    }

    /// For the progress bar.
    fn figures(&self) -> String {
        match self {
            Self::Ganglion(extraction) => format!("{} frames", units::count(extraction.counts().frames())),
            Self::Cicflowmeter(extraction) => {
                let cicflowmeter::Counts { frames, tuples, .. } = extraction.counts();
                format!("{} frames, {} 5-tuples", units::count(frames), units::count(tuples))
            }
        }
    }
}

/// Captures on their way into an engine, and what was wrong with them.
pub(super) struct Reading<'a> {
    inputs: &'a [Input],
    filter: Option<&'a Filter>,
    progress: Progress,
    unread: usize,
    faults: Vec<Fault>,
    filtered: u64,
    misuse: Option<FilterError>,
}

impl<'a> Reading<'a> {
    pub(super) fn new(inputs: &'a [Input], filter: Option<&'a Filter>, progress: Progress) -> Self {
        Self { inputs, filter, progress, unread: 0, faults: Vec::new(), filtered: 0, misuse: None }
    }

    /// Reads all captures, each as far as it goes.
    pub(super) fn all(&mut self, engine: &mut Engine<'_, '_>) {
        for input in self.inputs {
            let over = match input.open() {
                Ok(capture) => self.frames(capture, engine),
                // A capture with no whole header is a damaged one; everything else is none, or none that can be read.
                Err(error) => {
                    self.unread += usize::from(!matches!(error, CaptureError::Damaged { .. }));
                    self.fault(&error);
                    ControlFlow::Continue(())
                }
            };
            self.progress.input_done(input);
            if over.is_break() {
                return;
            }
        }
    }

    fn frames(&mut self, mut capture: Capture, engine: &mut Engine<'_, '_>) -> ControlFlow<()> {
        // Where the fault about a link type stands, and how many frames it is about.
        let (mut refusal, mut refused) = (None, 0_u64);
        let mut until_look = FRAMES_A_LOOK;
        engine.read_ahead(&capture);
        let over = loop {
            match capture.advance() {
                Ok(true) => {
                    if self.frame(&capture.frame(), engine).is_break() {
                        break ControlFlow::Break(());
                    }
                }
                Ok(false) => break ControlFlow::Continue(()),
                Err(error) => {
                    let goes_on = matches!(error, CaptureError::LinkType { .. });
                    refused += u64::from(goes_on);
                    // One capture may have any number of such frames; the first is named, all are counted.
                    if !goes_on || refused == 1 {
                        self.fault(&error);
                    }
                    if goes_on {
                        refusal.get_or_insert(self.faults.len() - 1);
                    }
                }
            }
            until_look -= 1;
            if until_look == 0 {
                until_look = FRAMES_A_LOOK;
                self.progress.look(&capture, || engine.figures());
            }
        };
        if let Some(fault) = refusal.and_then(|at| self.faults.get_mut(at)) {
            fault.frames_refused = refused;
        }
        over
    }

    #[inline]
    fn frame(&mut self, frame: &Frame<'_>, engine: &mut Engine<'_, '_>) -> ControlFlow<()> {
        match self.filter.map_or(Ok(true), |filter| filter.passes(frame)) {
            Ok(true) => engine.frame(frame),
            Ok(false) => {
                self.filtered += 1;
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.misuse = Some(error);
                ControlFlow::Break(())
            }
        }
    }

    /// Notes a fault, and says it at once.
    fn fault(&mut self, error: &CaptureError) {
        let fault = Fault::of(error);
        self.progress.say(&format!("ganglion: {}", fault.message));
        self.faults.push(fault);
    }

    /// No more is read.
    pub(super) fn end(&self) {
        self.progress.end();
    }

    /// How many captures are to be read.
    pub(super) fn files(&self) -> usize {
        self.inputs.len()
    }

    /// Captures that are none, or none that can be read.
    pub(super) fn unread(&self) -> usize {
        self.unread
    }

    /// What was wrong with captures.
    pub(super) fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// Frames that the filter took out; none where there is no filter.
    pub(super) fn filtered(&self) -> Option<u64> {
        self.filter.map(|_| self.filtered)
    }

    /// Why the filter can't be used on these captures.
    pub(super) fn misused(&self) -> Option<String> {
        self.misuse.as_ref().map(ToString::to_string)
    }
}
