//! A Parquet file again, with some of its rows left out: for what somebody has a right to have erased.

use std::sync::Arc;

use bytes::Bytes;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::writer::{SerializedColumnWriter, SerializedFileWriter};

use super::Error;
use super::columns::PROPERTIES;

/// How many rows of a column are in memory at a time.
const STEP: usize = 4096;

/// The file `body` without those rows for which `keep`, row by row, says no. All columns are copied, known or not. A file
/// of no rows is still one.
///
/// # Errors
/// When it is no such file, has another number of rows, or has columns of other types than the sink writes.
pub fn retain(body: Bytes, keep: &[bool]) -> Result<Vec<u8>, Error> {
    let reader = SerializedFileReader::new(body)?;
    let schema = reader.metadata().file_metadata().schema_descr().root_schema_ptr();
    let mut file = SerializedFileWriter::new(Vec::new(), schema, Arc::clone(&PROPERTIES))?;
    let mut rest = keep;
    for index in 0..reader.num_row_groups() {
        let group = reader.get_row_group(index)?;
        let rows = usize::try_from(group.metadata().num_rows()).unwrap_or(usize::MAX);
        let kept;
        (kept, rest) = rest.split_at_checked(rows).ok_or_else(|| other_rows(keep))?;
        if !kept.contains(&true) {
            continue;
        }
        let mut written = file.next_row_group()?;
        for index in 0..group.num_columns() {
            let is_optional = group.metadata().column(index).column_descr().max_def_level() > 0;
            let Some(column) = written.next_column()? else { break };
            match group.get_column_reader(index)? {
                ColumnReader::Int32ColumnReader(from) => copy::<Int32Type>(from, kept, is_optional, column)?,
                ColumnReader::Int64ColumnReader(from) => copy::<Int64Type>(from, kept, is_optional, column)?,
                ColumnReader::ByteArrayColumnReader(from) => {
                    copy::<ByteArrayType>(from, kept, is_optional, column)?;
                }
                _ => return Err(Error("it has a column of a type that the sink does not write".to_owned())),
            }
        }
        written.close()?;
    }
    if !rest.is_empty() {
        return Err(other_rows(keep));
    }
    Ok(file.into_inner()?)
}

fn other_rows(keep: &[bool]) -> Error {
    Error(format!("it has not the {} rows that were read of it", keep.len()))
}

/// Copies those values of a column whose rows are `kept`.
fn copy<T: DataType>(
    mut from: ColumnReaderImpl<T>,
    kept: &[bool],
    is_optional: bool,
    mut to: SerializedColumnWriter<'_>,
) -> Result<(), Error> {
    let writer = to.typed::<T>();
    for kept in kept.chunks(STEP) {
        let (mut values, mut levels, mut rows) = (Vec::new(), Vec::new(), 0);
        while rows < kept.len() {
            let (read, ..) = from.read_records(kept.len() - rows, Some(&mut levels), None, &mut values)?;
            if read == 0 {
                return Err(Error("one of its columns ends too early".to_owned()));
            }
            rows += read;
        }
        if !is_optional {
            levels = vec![1; rows];
        }
        let mut values = values.into_iter();
        let (mut kept_values, mut kept_levels) = (Vec::new(), Vec::new());
        for (is_kept, level) in kept.iter().zip(levels) {
            // A row without a value has level 0.
            let value = if level > 0 { values.next() } else { None };
            if *is_kept {
                kept_values.extend(value);
                kept_levels.push(level);
            }
        }
        writer.write_batch(&kept_values, is_optional.then_some(&kept_levels[..]), None)?;
    }
    Ok(to.close()?)
}

#[cfg(test)]
mod tests {
    use model::{EpochMillis, Pageview, PageviewAggregate};

    use super::super::{File, Tools};
    use super::*;
    use crate::format::Format;
    use crate::record::{NO_HEADERS, Record};
    use crate::route::Route;

    const ROWS: i64 = 10_000;

    fn record(offset: i64, value: &[u8]) -> Record<'_> {
        let timestamp = EpochMillis(1_795_525_200_000 + offset);
        Record { offset, timestamp, key: None, value: Some(value), headers: &NO_HEADERS }
    }

    fn events() -> Vec<u8> {
        let (mut file, mut tools) = (File::new(Format::Parquet), Tools::new());
        for offset in 0..ROWS {
            let user = offset % 7;
            let json = format!(r#"{{"user_id":{user},"postcode":"n1","webpage":"a","timestamp":{offset}}}"#);
            let event = Pageview::parse(json.as_bytes()).unwrap();
            file.push(&record(offset, json.as_bytes()), &Route::Event(Some(event)), 3, &mut tools).unwrap();
        }
        file.finish(&mut tools).unwrap()
    }

    fn counts() -> Vec<u8> {
        let (mut file, mut tools) = (File::new(Format::Parquet), Tools::new());
        for offset in 0..ROWS {
            let space = if offset % 3 == 0 { " " } else { "" };
            let json = format!(
                r#"{space}{{"postcode":"N1","window_start":"2021-01-26T12:04:00","pageview_count":{offset}}}"#
            );
            let count = PageviewAggregate::parse(json.as_bytes()).unwrap();
            file.push(&record(offset, json.as_bytes()), &Route::Count(count), 3, &mut tools).unwrap();
        }
        file.finish(&mut tools).unwrap()
    }

    /// Every column of every row.
    fn rows(file: Vec<u8>) -> Vec<String> {
        let reader = SerializedFileReader::new(Bytes::from(file)).unwrap();
        let rows = reader.get_row_iter(None).unwrap().map(|row| row.unwrap().to_string());
        rows.collect()
    }

    #[test]
    fn the_other_rows_stay_as_they_are_in_every_column() {
        for file in [events(), counts()] {
            let all = rows(file.clone());
            let keep: Vec<_> = (0..ROWS).map(|row| row % 7 != 3 && row > 5000).collect();
            let retained = rows(retain(file.into(), &keep).unwrap());
            let expected: Vec<_> = all.into_iter().zip(&keep).filter(|(_, keep)| **keep).collect();
            assert!(retained.iter().eq(expected.iter().map(|(row, _)| row)), "{} rows", retained.len());
        }
    }

    #[test]
    fn a_file_of_no_rows_is_still_one() {
        let none = retain(events().into(), &[false; ROWS as usize]).unwrap();
        assert_eq!(rows(none.clone()), Vec::<String>::new());
        assert_eq!(rows(retain(none.into(), &[]).unwrap()), Vec::<String>::new());
    }

    #[test]
    fn a_file_of_other_rows_is_refused() {
        for keep in [ROWS - 1, ROWS + 1] {
            assert!(retain(events().into(), &vec![true; keep as usize]).is_err());
        }
        assert!(retain(Bytes::from_static(b"PAR1"), &[]).is_err());
    }
}
