//! Rows as a table.

use super::columns::{COLUMNS, Column, Kind, Value};
use super::row::Row;
use crate::table::{self, Batch, Cells, Field, Texts};

/// The one column of points in time: text in the reference, in its spelling.
const TIMESTAMP: &str = "Timestamp";

/// The columns as fields of a table.
pub fn fields() -> Vec<Field> {
    let kind = |column: &Column| match column.kind {
        _ if column.name == TIMESTAMP => table::Kind::Time,
        Kind::Int => table::Kind::Int,
        Kind::Float => table::Kind::Float,
        Kind::Text => table::Kind::Text,
    };
    COLUMNS.iter().map(|column| Field { name: column.name.into(), unit: column.unit, kind: kind(column) }).collect()
}

/// Rows as a batch of that table.
pub fn batch(rows: &[Row]) -> Batch {
    let columns = COLUMNS.iter().map(|column| cells(column, rows)).collect();
    Batch { columns, rows: rows.len() }
}

fn cells(column: &Column, rows: &[Row]) -> Cells {
    let values = rows.iter().map(column.value);
    match column.kind {
        _ if column.name == TIMESTAMP => Cells::Time(rows.iter().map(Row::first_us).collect()),
        Kind::Int => Cells::Int(values.map(|value| if let Value::Int(value) = value { value } else { 0 }).collect()),
        Kind::Float => floats(values),
        Kind::Text => {
            let mut texts = Texts::default();
            values.for_each(|value| {
                if let Value::Text(text) = value {
                    texts.push(&text);
                }
            });
            Cells::Text(texts)
        }
    }
}

fn floats(cells: impl ExactSizeIterator<Item = Value>) -> Cells {
    let (mut values, mut whole) = (Vec::with_capacity(cells.len()), Vec::with_capacity(cells.len()));
    for cell in cells {
        values.push(cell.as_f64().unwrap_or(0.0));
        whole.push(matches!(cell, Value::Fixed(_)));
    }
    if whole.contains(&true) { Cells::FloatOrWhole { values, whole } } else { Cells::Float(values) }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::cicflowmeter::{Engine, Packet, Protocol};
    use crate::write::{Encoder, Format, Spelling};

    #[test]
    fn a_batch_as_csv_is_the_rows_as_csv() {
        let mut rows = Vec::new();
        let mut engine = Engine::new();
        let mut packet = Packet {
            src: Ipv4Addr::new(198, 18, 0, 1),
            dst: Ipv4Addr::new(198, 18, 0, 2),
            src_port: 4000,
            dst_port: 80,
            protocol: Protocol::Tcp,
            flags: 2,
            window: 512,
            sequence: 1,
            acknowledgement: 0,
            payload_bytes: 0,
            header_bytes: 20,
            icmp: None,
        };
        for step in 0..400_i64 {
            let time_us = step * step * 31_331;
            engine.observe(time_us, &packet, &mut |row| rows.push(row));
            packet.payload_bytes = (step % 7) as u32 * 211;
            packet.sequence = packet.sequence.wrapping_add(packet.payload_bytes);
            packet.dst_port = 80 + (step % 3) as u16;
            (packet.src, packet.dst) = (packet.dst, packet.src);
            (packet.src_port, packet.dst_port) = (packet.dst_port, packet.src_port);
        }
        engine.finish(&mut |row| rows.push(row));
        let mut by_row = Vec::new();
        crate::cicflowmeter::write_csv_header(&mut by_row).unwrap();
        rows.iter().for_each(|row| row.write_csv(&mut by_row).unwrap());
        let encoder = Encoder::new(Format::Csv, fields(), Spelling::Java, &[]).unwrap();
        let mut writer = encoder.writer(Vec::new()).unwrap();
        writer.append(encoder.encode(&batch(&rows)).unwrap()).unwrap();
        let by_batch = writer.finish().unwrap();
        assert!(rows.len() > 10 && by_row == by_batch, "{}", String::from_utf8_lossy(&by_batch));
    }
}
