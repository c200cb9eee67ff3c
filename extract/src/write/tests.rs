use super::*;

use crate::table::{Cells, Texts};

fn field(name: &'static str, kind: Kind) -> Field {
    Field { name: name.into(), unit: "", kind }
}

fn table() -> (Vec<Field>, Batch) {
    let fields = vec![
        field("id", Kind::Text),
        field("at, µs", Kind::Time),
        field("n", Kind::Int),
        field("x", Kind::Float),
        field("y", Kind::Float),
    ];
    let mut texts = Texts::default();
    ["a", "b,\"c\"", "d\n\u{1}"].iter().for_each(|text| texts.push(text));
    let columns = vec![
        Cells::Text(texts),
        Cells::Time(vec![0, 1_499_443_200_000_001, -1]),
        Cells::Int(vec![i64::MIN, 0, i64::MAX]),
        Cells::Float(vec![0.1 + 0.2, 1e300, -2.0]),
        Cells::FloatOrWhole { values: vec![0.0, 0.0, -1.0], whole: vec![true, false, true] },
    ];
    (fields, Batch { columns, rows: 3 })
}

fn written(format: Format, spelling: Spelling) -> String {
    let (fields, batch) = table();
    let encoder = Encoder::new(format, fields, spelling, &[]).unwrap();
    let mut writer = encoder.writer(Vec::new()).unwrap();
    writer.append(encoder.encode(&batch).unwrap()).unwrap();
    String::from_utf8(writer.finish().unwrap()).unwrap()
}

#[test]
fn csv_quotes_and_reads_back() {
    let shortest = "id,\"at, µs\",n,x,y\n\
        a,1970-01-01T00:00:00.000000Z,-9223372036854775808,0.30000000000000004,0\n\
        \"b,\"\"c\"\"\",2017-07-07T16:00:00.000001Z,0,1e+300,0.0\n\
        \"d\n\u{1}\",1969-12-31T23:59:59.999999Z,9223372036854775807,-2.0,-1\n";
    assert_eq!(written(Format::Csv, Spelling::Shortest), shortest);
    let java = "id,\"at, µs\",n,x,y\n\
        a,1970-01-01 00:00:00,-9223372036854775808,0.30000000000000004,0\n\
        \"b,\"\"c\"\"\",2017-07-07 16:00:00.000001,0,1.0E300,0.0\n\
        \"d\n\u{1}\",1969-12-31 23:59:59.999999,9223372036854775807,-2.0,-1\n";
    assert_eq!(written(Format::Csv, Spelling::Java), java);
}

#[test]
fn json_lines_are_json() {
    let text = written(Format::Jsonl, Spelling::Shortest);
    let first = "{\"id\":\"a\",\"at, µs\":\"1970-01-01T00:00:00.000000Z\",\"n\":-9223372036854775808,\
        \"x\":0.30000000000000004,\"y\":0}";
    assert_eq!(text.lines().next(), Some(first));
    assert!(text.contains(r#""id":"b,\"c\"""#) && text.contains(r#""id":"d\u000a\u0001""#), "{text}");
}

#[test]
fn numbers_read_back_as_they_were() {
    let mut state = 0x1234_5678_9abc_def0_u64;
    for step in 0..200_000_u64 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(step | 1);
        let value = match step % 4 {
            0 => f64::from_bits(state),
            1 => (state >> 40) as f64,
            2 => (state >> 20) as f64 / 1e6,
            _ => -((state >> (step % 60)) as f64),
        };
        for spelling in [Spelling::Shortest, Spelling::Java] {
            let mut out = Vec::new();
            number::float(&mut out, value, spelling);
            let text = String::from_utf8(out).unwrap();
            let back: f64 = text.parse().unwrap();
            assert!(back == value || value.is_nan() && back.is_nan(), "{value:?} {text}");
            assert!(text.contains(['.', 'e', 'E']) || !value.is_finite(), "no whole number: {text}");
        }
        let java = crate::cicflowmeter::Value::Float(value).to_string();
        let mut out = Vec::new();
        number::float(&mut out, value, Spelling::Java);
        assert_eq!(String::from_utf8(out).unwrap(), java);
    }
}

#[test]
fn rows_of_another_table_are_refused() {
    let (fields, mut batch) = table();
    let encoder = Encoder::new(Format::Parquet, fields, Spelling::Shortest, &[]).unwrap();
    batch.columns.swap(0, 1);
    let error = encoder.encode(&batch).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the rows have 3 cells of Time in \"id\" where the table has 3 cells of Text in \"id\""
    );
    let error = encoder.encode(&Batch::default()).unwrap_err();
    assert_eq!(error.to_string(), "the rows have 0 columns where the table has 5 columns");
}

/// A file of a row group: the batch, and three times its last row.
fn parquet_file() -> bytes::Bytes {
    let (fields, batch) = table();
    let encoder = Encoder::new(Format::Parquet, fields, Spelling::Shortest, &[("profile", "test".into())]).unwrap();
    let mut writer = encoder.writer(Vec::new()).unwrap();
    writer.append(encoder.encode(&batch).unwrap()).unwrap();
    let last = |cells: &Cells| match cells {
        Cells::Int(cells) => Cells::Int(vec![cells[2]; 3]),
        Cells::Time(cells) => Cells::Time(vec![cells[2]; 3]),
        Cells::Float(values) | Cells::FloatOrWhole { values, .. } => Cells::Float(vec![values[2]; 3]),
        Cells::Text(texts) => {
            let mut same = Texts::default();
            (0..3).for_each(|_| same.push(texts.get(2)));
            Cells::Text(same)
        }
    };
    let same = Batch { columns: batch.columns.iter().map(last).collect(), rows: 3 };
    writer.append(encoder.encode(&same).unwrap()).unwrap();
    let none = Batch { columns: encoder.fields().iter().map(|field| Cells::of(field.kind)).collect(), rows: 0 };
    writer.append(encoder.encode(&none).unwrap()).unwrap();
    writer.finish().unwrap().into()
}

#[test]
fn parquet_reads_back() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field as Value;
    let file = SerializedFileReader::new(parquet_file()).unwrap();
    let about = file.metadata().file_metadata();
    assert_eq!(about.key_value_metadata().map(|all| all[0].value.clone()), Some(Some("test".to_owned())));
    assert_eq!((about.num_rows(), file.num_row_groups()), (6, 1));
    let time = file.metadata().row_group(0).column(1);
    let bounds = time.statistics().map(|bounds| (bounds.min_bytes_opt(), bounds.max_bytes_opt()));
    assert_eq!(bounds, Some((Some(&(-1_i64).to_le_bytes()[..]), Some(&1_499_443_200_000_001_i64.to_le_bytes()[..]))));
    let rows: Vec<Vec<Value>> = file
        .get_row_iter(None)
        .unwrap()
        .map(|row| row.unwrap().into_columns().into_iter().map(|(_, value)| value).collect())
        .collect();
    let row = |id: &str, time, n, x, y| {
        [Value::Str(id.into()), Value::TimestampMicros(time), Value::Long(n), Value::Double(x), Value::Double(y)]
    };
    assert_eq!(rows[0], row("a", 0, i64::MIN, 0.1 + 0.2, 0.0));
    assert_eq!(rows[1], row("b,\"c\"", 1_499_443_200_000_001, 0, 1e300, 0.0));
    for last in &rows[2..] {
        assert_eq!(*last, row("d\n\u{1}", -1, i64::MAX, -2.0, -1.0));
    }
}

#[test]
fn a_run_of_any_length_reads_back() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    for rows in [1, 63, 64, 127, 128, 8191, 8192, 20_000] {
        let encoder = Encoder::new(Format::Parquet, vec![field("n", Kind::Int)], Spelling::Shortest, &[]).unwrap();
        let mut writer = encoder.writer(Vec::new()).unwrap();
        let batch = Batch { columns: vec![Cells::Int(vec![7; rows])], rows };
        writer.append(encoder.encode(&batch).unwrap()).unwrap();
        let file = SerializedFileReader::new(bytes::Bytes::from(writer.finish().unwrap())).unwrap();
        let read = file.get_row_iter(None).unwrap();
        let count = read.filter(|row| row.as_ref().is_ok_and(|row| row.to_string() == "{n: 7}")).count();
        assert_eq!(count, rows);
    }
}

/// Pages of all forms in one row group: few numbers, more than a byte numbers, too many, one, and few again.
#[test]
fn numbers_of_any_variety_read_back() {
    use ::parquet::file::reader::{FileReader, SerializedFileReader};
    use ::parquet::record::Field as Value;
    let pages: [(usize, u64); 6] = [(1000, 2), (4096, 700), (2048, u64::MAX), (64, 1), (3001, 250), (7, 3)];
    let fields = vec![field("n", Kind::Int), field("x", Kind::Float), field("at", Kind::Time)];
    let encoder = Encoder::new(Format::Parquet, fields, Spelling::Shortest, &[]).unwrap();
    let mut writer = encoder.writer(Vec::new()).unwrap();
    let (mut expected, mut state) = (Vec::new(), 7_u64);
    for (rows, variety) in pages {
        let numbers: Vec<i64> = (0..rows)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 11) % variety) as i64
            })
            .collect();
        let floats: Vec<f64> = numbers.iter().map(|number| -(*number as f64) / 3.0).collect();
        expected.extend(numbers.iter().zip(&floats).map(|(n, x)| (*n, *x)));
        let columns = vec![Cells::Int(numbers.clone()), Cells::Float(floats), Cells::Time(numbers)];
        writer.append(encoder.encode(&Batch { columns, rows }).unwrap()).unwrap();
    }
    let file = SerializedFileReader::new(bytes::Bytes::from(writer.finish().unwrap())).unwrap();
    assert_eq!(file.num_row_groups(), 1);
    let mut read = 0;
    for (row, (n, x)) in file.get_row_iter(None).unwrap().zip(&expected) {
        let cells: Vec<Value> = row.unwrap().into_columns().into_iter().map(|(_, value)| value).collect();
        assert_eq!(cells, [Value::Long(*n), Value::Double(*x), Value::TimestampMicros(*n)], "row {read}");
        read += 1;
    }
    assert_eq!(read, expected.len());
}

/// Few numbers take a few bits each, however they lie about.
#[test]
fn few_numbers_are_small() {
    let encoder = Encoder::new(Format::Parquet, vec![field("x", Kind::Float)], Spelling::Shortest, &[]).unwrap();
    let bytes = |variety: u64| {
        let mut writer = encoder.writer(Vec::new()).unwrap();
        let numbers = (0..8192_u64).map(|row| (row.wrapping_mul(2_654_435_761) >> 7) % variety);
        let cells: Vec<f64> = numbers.map(|number| number as f64).collect();
        let batch = Batch { rows: cells.len(), columns: vec![Cells::Float(cells)] };
        writer.append(encoder.encode(&batch).unwrap()).unwrap();
        writer.finish().unwrap().len()
    };
    let around = 700;
    assert!(bytes(2) < 8192 / 8 + around, "{}", bytes(2));
    assert!(bytes(16) < 8192 / 2 + around, "{}", bytes(16));
    assert!(bytes(200) < 8192 + 200 * 8 + around, "{}", bytes(200));
}

#[test]
fn files_do_not_depend_on_the_number_of_threads() {
    // More columns than one round of threads takes.
    let names: Vec<String> = (0..100).map(|number| format!("c{number}")).collect();
    let field = |name: &String| Field { name: name.clone().into(), unit: "", kind: Kind::Int };
    let column = |number: i64| Cells::Int((0..50).map(|row| row * number % 17).collect());
    let batch = Batch { columns: (0..100).map(column).collect(), rows: 50 };
    let written = |threads| {
        let fields = names.iter().map(field).collect();
        let encoder = Encoder::new(Format::Parquet, fields, Spelling::Shortest, &[]).unwrap();
        let encoder = encoder.on_threads(NonZeroUsize::new(threads).unwrap());
        let mut writer = encoder.writer(Vec::new()).unwrap();
        (0..3).for_each(|_| writer.append(encoder.encode(&batch).unwrap()).unwrap());
        writer.finish().unwrap()
    };
    let alone = written(1);
    for threads in [2, 3, 200] {
        assert!(written(threads) == alone, "{threads} threads");
    }
}
