//! `ganglion flow show`: the main columns of a file of flow rows.

use std::path::PathBuf;

use clap::Args;
use ganglion_extract::diff::Table;

use super::super::say;
use super::read_table;
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};
use crate::target::protocol_name;
use crate::units;

/// `ganglion flow show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// CSV file of `ganglion flow extract`; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The first N rows
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// The columns that are read, named as the file names them.
const NEEDED: [&str; 11] = [
    "Timestamp",
    "Src IP",
    "Src Port",
    "Dst IP",
    "Dst Port",
    "Protocol",
    "Flow Duration",
    "Total Fwd Packet",
    "Total Bwd packets",
    "Total Length of Fwd Packet",
    "Total Length of Bwd Packet",
];

const COLUMNS: [Column<'_>; 7] = [
    ("TIME (UTC)", Align::Left),
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PROTO", Align::Left),
    ("DURATION", Align::Right),
    ("PACKETS", Align::Right),
    ("PAYLOAD", Align::Right),
];

/// Runs the command.
pub(super) fn run(args: &Show) -> Result {
    let table = read_table(&args.file)?;
    let places = places(&table).map_err(|missing| {
        let file = args.file.display();
        Error::Usage(format!("{file}: no column {missing:?}; a CSV file of `ganglion flow extract` is needed"))
    })?;
    let shown = table.rows.iter().take(args.limit);
    let count = shown.len();
    if count > 0 {
        say(&render(&COLUMNS, shown.map(|row| line(places.map(|at| row.get(at).map_or("", String::as_str))))))?;
    }
    say(&format!("{} of {} flows", units::grouped(count as u64), units::grouped(table.rows.len() as u64)))?;
    Ok(Code::Ok)
}

/// Where the needed columns stand; else the one that is missing.
fn places(table: &Table) -> std::result::Result<[usize; NEEDED.len()], &'static str> {
    let mut places = [0; NEEDED.len()];
    for (place, name) in places.iter_mut().zip(NEEDED) {
        *place = table.columns.iter().position(|column| column == name).ok_or(name)?;
    }
    Ok(places)
}

fn line(cells: [&str; NEEDED.len()]) -> Vec<String> {
    let [time, src, src_port, dst, dst_port, protocol, us, forward, backward, bytes_forward, bytes_backward] = cells;
    let duration = number(us, |us| units::millis(us / 1000));
    vec![
        units::one_line(time),
        units::one_line(&format!("{src} :{src_port}")),
        units::one_line(&format!("{dst} :{dst_port}")),
        protocol.parse().map_or_else(|_| units::one_line(protocol), protocol_name),
        duration,
        format!("{} + {}", number(forward, units::count), number(backward, units::count)),
        format!("{} + {}", number(bytes_forward, units::bytes), number(bytes_backward, units::bytes)),
    ]
}

/// A cell as people read it; as it stands where it is no count.
fn number(cell: &str, show: fn(u64) -> String) -> String {
    match cell.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => show(value as u64),
        _ => units::one_line(cell),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_readable_whatever_stands_in_the_cells() {
        let cells =
            ["2014-01-14 17:37:42.9", "10.0.0.1", "1", "10.0.0.2", "21", "6", "2179919", "11", "9", "2.5E1", "137.0"];
        let readable = line(cells);
        assert_eq!(readable.len(), COLUMNS.len());
        let ends = ["10.0.0.1 :1", "10.0.0.2 :21", "tcp", "2.2 s", "11 + 9", "25 B + 137 B"];
        assert_eq!(readable[1..], ends);
        let odd = line(["\u{1b}[2J", "", "", "", "", "x", "-1", "NaN", "", "", ""]);
        assert_eq!((odd[0].as_str(), odd[4].as_str()), ("\u{fffd}[2J", "-1"));
    }
}
