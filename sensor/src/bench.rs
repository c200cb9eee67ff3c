//! The sensor's own sweep and books, for the benchmarks: over tables of an object that they loaded.

use std::io;
use std::time::Duration;

use aya::Ebpf;
use aya::maps::{Map, MapData, MapError};

use crate::load::LoadError;
use crate::maps::{CounterMap, FlowTables};
use crate::report::{self, Counters, Equation, Live};
use crate::sensor::SensorError;
use crate::sweep::Sweeper;

/// Sweep and books over one set of tables.
pub struct Keeper {
    sweeper: Sweeper,
    tables: FlowTables,
    counters: CounterMap,
}

impl Keeper {
    /// Ties the object's sweep programs, which are loaded, to `flows` and `half_open`.
    ///
    /// # Errors
    /// A program can't be tied to its map, or `counters` is another kind of map.
    pub fn new(ebpf: &mut Ebpf, flows: MapData, half_open: MapData, counters: MapData) -> Result<Self, SensorError> {
        let tables = FlowTables { flows, half_open };
        let counters = CounterMap::new(Map::PerCpuArray(counters));
        let counters = counters.map_err(|source| LoadError::Map { map: "COUNTERS", source })?;
        Ok(Self { sweeper: Sweeper::new(ebpf, &tables)?, tables, counters })
    }

    /// Both walks, from their start to their end, and how long they took.
    ///
    /// # Errors
    /// The kernel ends a walk early.
    pub fn sweep(&self) -> io::Result<Duration> {
        self.sweeper.run()
    }

    /// All counters.
    ///
    /// # Errors
    /// The map can't be read.
    pub fn counters(&self) -> Result<Counters, MapError> {
        self.counters.read()
    }

    /// What the tables hold.
    ///
    /// # Errors
    /// A table can't be walked.
    pub fn live(&self) -> io::Result<Live> {
        Live::count(&self.tables)
    }

    /// Every flow copied to userspace and looked at, many a call: the walk without the sweep. How many there were.
    ///
    /// # Errors
    /// The table can't be walked.
    pub fn copy_all(&self) -> io::Result<u64> {
        let mut count = 0;
        self.tables.each_flow(|_, flow| count += u64::from(flow.last_us != 0))?;
        Ok(count)
    }
}

/// The packets' equation (invariant 1).
pub fn packets(counters: &Counters, live: &Live) -> Equation {
    report::packets(counters, live)
}
