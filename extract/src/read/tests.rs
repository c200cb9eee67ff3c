use super::*;
use crate::table::{Cells, Kind, Texts};
use crate::write::{Encoder, Format, Spelling};

fn written(format: Format, batches: usize, rows: usize) -> Vec<u8> {
    let field = |name: &'static str, kind| Field { name: name.into(), unit: "", kind };
    let fields = vec![field("at", Kind::Time), field("n", Kind::Int), field("x", Kind::Float), field("t", Kind::Text)];
    let encoder = Encoder::new(format, fields, Spelling::Shortest, &[]).unwrap();
    let mut writer = encoder.writer(Vec::new()).unwrap();
    for batch in 0..batches {
        let mut texts = Texts::default();
        (0..rows).for_each(|row| texts.push(if row % 2 == 0 { "a,\"b\"\n" } else { "" }));
        let ints: Vec<_> = (0..rows).map(|row| (batch * rows + row) as i64).collect();
        // In some batches constant, in others not: pages of both forms in one row group.
        let x = |row: usize| if batch % 2 == 0 { batch as f64 } else { row as f64 / 3.0 };
        let columns = vec![
            Cells::Time(ints.clone()),
            Cells::Int(ints),
            Cells::Float((0..rows).map(x).collect()),
            Cells::Text(texts),
        ];
        writer.append(encoder.encode(&Batch { columns, rows }).unwrap()).unwrap();
    }
    writer.finish().unwrap()
}

fn all(mut reader: Reader) -> Vec<Batch> {
    std::iter::from_fn(|| reader.batch().unwrap()).collect()
}

#[test]
fn what_was_written_is_read() {
    for (batches, rows) in [(1, 1), (10, 3000), (20, 8192)] {
        let file = written(Format::Parquet, batches, rows);
        let reader = Reader::from_reader(io::Cursor::new(file.clone())).unwrap();
        assert_eq!(reader.rows(), Some((batches * rows) as u64));
        let kinds: Vec<_> = reader.fields().iter().map(|field| field.kind).collect();
        assert_eq!(kinds, [Kind::Time, Kind::Int, Kind::Float, Kind::Text]);
        let (mut count, mut sum) = (0, 0.0);
        for batch in all(reader) {
            assert!(batch.columns.iter().all(|cells| cells.len() == batch.rows));
            let (Cells::Time(at), Cells::Int(n)) = (&batch.columns[0], &batch.columns[1]) else { panic!("kinds") };
            assert!(at == n && n[0] == count && n.is_sorted());
            let Cells::Float(x) = &batch.columns[2] else { panic!("kinds") };
            sum += x.iter().sum::<f64>();
            let Cells::Text(t) = &batch.columns[3] else { panic!("kinds") };
            let text = if (count as usize % rows).is_multiple_of(2) { "a,\"b\"\n" } else { "" };
            assert_eq!(t.get(0), text);
            count += batch.rows as i64;
        }
        let odd: f64 = (0..rows).map(|row| row as f64 / 3.0).sum();
        let wanted: f64 = (0..batches).map(|batch| if batch % 2 == 0 { (batch * rows) as f64 } else { odd }).sum();
        assert!(count as usize == batches * rows && (sum - wanted).abs() < 1e-3, "{sum} {wanted}");

        let text = Reader::from_reader(io::Cursor::new(written(Format::Csv, batches, rows))).unwrap();
        let (read, cells) = (all(text), |batch: &Batch, at: usize| match &batch.columns[at] {
            Cells::Text(texts) => texts.iter().map(str::to_owned).collect::<Vec<_>>(),
            _ => panic!("CSV is text"),
        });
        assert_eq!(read.iter().map(|batch| batch.rows).sum::<usize>(), batches * rows);
        assert_eq!((cells(&read[0], 1)[0].as_str(), cells(&read[0], 3)[0].as_str()), ("0", "a,\"b\"\n"));
    }
}

#[test]
fn chosen_columns_stand_in_the_order_of_choice() {
    for format in [Format::Parquet, Format::Csv] {
        let mut reader = Reader::from_reader(io::Cursor::new(written(format, 1, 3))).unwrap();
        reader.choose(&[3, 1]);
        let names: Vec<_> = reader.fields().iter().map(|field| field.name.to_string()).collect();
        assert_eq!(names, ["t", "n"]);
        let batch = reader.batch().unwrap().unwrap();
        assert_eq!(batch.columns.len(), 2);
        let Cells::Text(texts) = &batch.columns[0] else { panic!("text") };
        assert_eq!(texts.get(2), "a,\"b\"\n");
    }
}

#[test]
fn what_is_no_table_is_told() {
    let error = |bytes: &[u8]| match Reader::from_reader(io::Cursor::new(bytes.to_vec())) {
        Ok(mut reader) => loop {
            match reader.batch() {
                Ok(Some(_)) => {}
                Ok(None) => return String::new(),
                Err(error) => return error.to_string(),
            }
        },
        Err(error) => error.to_string(),
    };
    assert!(error(b"").starts_with("empty;"));
    assert!(error(b"a,b\n1,2\n3").starts_with("line 3 has 1 cells, the header 2"));
    assert!(error(b"a,b\n1,\xff").starts_with("no text at byte 6"));
    assert_eq!(error(b"a,b\r\n\"1\",2\r\n"), "");
    let whole = written(Format::Parquet, 3, 100);
    assert_eq!(error(&whole), "");
    assert!(error(&whole[..whole.len() - 3]).starts_with("no Parquet file that can be read"));
    // Whatever byte is wrong, nothing panics.
    for at in (0..whole.len()).step_by(7) {
        let mut bad = whole.clone();
        bad[at] ^= 0x55;
        let _ = error(&bad);
    }
}
