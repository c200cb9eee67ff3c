//! `ganglion flow show`: the main columns of a file of flow rows.

use std::path::PathBuf;

use clap::Args;
use ganglion_extract::read::Reader;
use ganglion_extract::table::{Batch, Cells};

use super::super::say;
use super::{no_table, open_table};
use crate::exit::{Code, Error, Result};
use crate::table::{Align, Column, render};
use crate::target::protocol_name;
use crate::units;

/// `ganglion flow show`.
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// CSV or Parquet file of `ganglion flow extract`; - is standard input
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The first N rows
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

/// The columns that are read, as Ganglion and as CICFlowMeter name them.
const NEEDED: [[&str; 2]; 11] = [
    ["timestamp", "Timestamp"],
    ["initiator", "Src IP"],
    ["initiator_port", "Src Port"],
    ["responder", "Dst IP"],
    ["responder_port", "Dst Port"],
    ["protocol", "Protocol"],
    ["flow_duration_us", "Flow Duration"],
    ["fwd_packets", "Total Fwd Packet"],
    ["bwd_packets", "Total Bwd packets"],
    ["fwd_payload_bytes", "Total Length of Fwd Packet"],
    ["bwd_payload_bytes", "Total Length of Bwd Packet"],
];
/// And the one that is shown where there is one.
const LABEL: &str = "Label";
/// What the reference writes there.
const NO_LABEL: &str = "NeedManualLabel";

const COLUMNS: [Column<'_>; 8] = [
    ("TIME (UTC)", Align::Left),
    ("SOURCE", Align::Left),
    ("DESTINATION", Align::Left),
    ("PROTO", Align::Left),
    ("DURATION", Align::Right),
    ("PACKETS", Align::Right),
    ("PAYLOAD", Align::Right),
    ("LABEL", Align::Left),
];

/// Runs the command.
pub(super) fn run(args: &Show) -> Result {
    let mut table = open_table(&args.file)?;
    let (places, labelled) = places(&table).map_err(|missing| {
        let file = args.file.display();
        Error::Usage(format!("{file}: no column {missing:?}; a file of `ganglion flow extract` is needed"))
    })?;
    let known = table.rows();
    table.choose(&places);
    let (mut lines, mut rows) = (Vec::new(), 0);
    // Where the number of rows is known, nothing is read behind the last line.
    while known.is_none() || lines.len() < args.limit {
        let Some(batch) = table.batch().map_err(|error| no_table(&args.file, &error))? else { break };
        rows += batch.rows as u64;
        for row in 0..batch.rows.min(args.limit - lines.len()) {
            lines.push(line(
                std::array::from_fn(|at| cell(&batch, at, row)),
                labelled.then(|| cell(&batch, NEEDED.len(), row)),
            ));
        }
    }
    let count = lines.len();
    if count > 0 {
        let no_label = lines
            .iter()
            .all(|line: &Vec<String>| line.last().is_none_or(|label| label.is_empty() || label == NO_LABEL));
        if no_label {
            lines.iter_mut().for_each(|line| drop(line.pop()));
        }
        let columns = if no_label { &COLUMNS[..COLUMNS.len() - 1] } else { &COLUMNS[..] };
        say(&render(columns, lines))?;
    }
    say(&format!("{} of {} flows", units::grouped(count as u64), units::grouped(known.unwrap_or(rows))))?;
    Ok(Code::Ok)
}

/// Where the needed columns stand, then the label if there is one; else the one that is missing.
fn places(table: &Reader) -> std::result::Result<(Vec<usize>, bool), &'static str> {
    let find = |names: &[&str]| table.fields().iter().position(|field| names.contains(&field.name.as_ref()));
    let mut places = Vec::with_capacity(NEEDED.len() + 1);
    for names in NEEDED {
        // The table is of the one kind or of the other.
        places.push(find(&names).ok_or(if find(&["flow_id"]).is_some() { names[0] } else { names[1] })?);
    }
    let label = find(&[LABEL]);
    places.extend(label);
    Ok((places, label.is_some()))
}

/// A cell as text.
fn cell(batch: &Batch, column: usize, row: usize) -> String {
    match batch.columns.get(column) {
        Some(Cells::Int(cells)) => cells.get(row).map(ToString::to_string),
        Some(Cells::Float(cells) | Cells::FloatOrWhole { values: cells, .. }) => {
            cells.get(row).map(ToString::to_string)
        }
        Some(Cells::Time(cells)) => cells.get(row).map(|us| units::wall_time(*us)),
        Some(Cells::Text(cells)) => Some(cells.get(row).to_owned()),
        None => None,
    }
    .unwrap_or_default()
}

fn line(cells: [String; NEEDED.len()], label: Option<String>) -> Vec<String> {
    let [time, src, src_port, dst, dst_port, protocol, us, forward, backward, bytes_forward, bytes_backward] =
        cells.each_ref().map(String::as_str);
    let duration = number(us, |us| units::millis(us / 1000));
    vec![
        units::one_line(time),
        units::one_line(&format!("{src} :{src_port}")),
        units::one_line(&format!("{dst} :{dst_port}")),
        protocol.parse().map_or_else(|_| units::one_line(protocol), protocol_name),
        duration,
        format!("{} + {}", number(forward, units::count), number(backward, units::count)),
        format!("{} + {}", number(bytes_forward, units::bytes), number(bytes_backward, units::bytes)),
        units::one_line(&label.unwrap_or_default()),
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
        let readable = line(cells.map(str::to_owned), Some("DDoS".into()));
        assert_eq!(readable.len(), COLUMNS.len());
        let ends = ["10.0.0.1 :1", "10.0.0.2 :21", "tcp", "2.2 s", "11 + 9", "25 B + 137 B", "DDoS"];
        assert_eq!(readable[1..], ends);
        let odd = line(["\u{1b}[2J", "", "", "", "", "x", "-1", "NaN", "", "", ""].map(str::to_owned), None);
        assert_eq!((odd[0].as_str(), odd[4].as_str()), ("\u{fffd}[2J", "-1"));
    }
}
