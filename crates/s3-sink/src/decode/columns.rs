//! Records out of the columns of a Parquet file.
//!
//! | file | has | the value is |
//! | --- | --- | --- |
//! | events | `offset`, `event` | `event` |
//! | counts | `offset`, `postcode`, `window_start`, `pageview_count`, `record` | `record`; where that is null, the row as [`PageviewAggregate::to_json`] writes it |
//!
//! Other columns repeat what is in the value; they are for those who query, and are not read here.

use std::borrow::Cow;

use bytes::Bytes;
use model::{EpochMillis, PageviewAggregate, Postcode, Window};
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{ByteArray, ByteArrayType, DataType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader as _, RowGroupReader, SerializedFileReader};

use super::{Decoded, Error};

/// How many rows are read at a time.
const ROWS: usize = 4096;

impl From<ParquetError> for Error {
    fn from(error: ParquetError) -> Self {
        Self::damaged(error)
    }
}

/// Calls `each` with every row of the file `body`, in their order.
pub(super) fn decode<E: From<Error>>(
    body: Bytes,
    mut each: impl FnMut(Decoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let file = SerializedFileReader::new(body).map_err(Error::from)?;
    for index in 0..file.num_row_groups() {
        let group = file.get_row_group(index).map_err(Error::from)?;
        if position(&*group, "event").is_some() {
            events(&*group, &mut each)?;
        } else {
            counts(&*group, &mut each)?;
        }
    }
    Ok(())
}

fn events<E: From<Error>>(
    group: &dyn RowGroupReader,
    each: &mut impl FnMut(Decoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut offsets, mut events) = (int64(group, "offset")?, bytes(group, "event")?);
    let mut left = rows(group)?;
    while left > 0 {
        let batch = left.min(ROWS);
        let (offsets, events) = (offsets.next(batch)?, events.next(batch)?);
        for (offset, event) in offsets.iter().zip(events) {
            let value = Some(Cow::Borrowed(event.data()));
            each(Decoded { offset: Some(*offset), value, envelope: None })?;
        }
        left -= batch;
    }
    Ok(())
}

fn counts<E: From<Error>>(
    group: &dyn RowGroupReader,
    each: &mut impl FnMut(Decoded<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let (mut offsets, mut postcodes) = (int64(group, "offset")?, bytes(group, "postcode")?);
    let (mut windows, mut counts) = (int64(group, "window_start")?, int64(group, "pageview_count")?);
    let mut records = bytes(group, "record")?;
    let mut left = rows(group)?;
    while left > 0 {
        let batch = left.min(ROWS);
        let (offsets, postcodes) = (offsets.next(batch)?, postcodes.next(batch)?);
        let (windows, counts) = (windows.next(batch)?, counts.next(batch)?);
        let mut records = records.next_optional(batch)?;
        for row in 0..batch {
            let value = match records.next().flatten() {
                Some(record) => Cow::Borrowed(record.data()),
                None => Cow::Owned(aggregate(&postcodes[row], windows[row], counts[row])?.to_json()),
            };
            each(Decoded { offset: Some(offsets[row]), value: Some(value), envelope: None })?;
        }
        left -= batch;
    }
    Ok(())
}

fn aggregate(postcode: &ByteArray, window: i64, count: i64) -> Result<PageviewAggregate, Error> {
    let postcode = postcode.as_utf8()?;
    let postcode =
        Postcode::parse(postcode).map_err(|error| Error::damaged(format!("{postcode:?} {error}")))?;
    let window_start = Window::containing(EpochMillis(window).to_seconds());
    if window_start.start().to_millis() != EpochMillis(window) {
        return Err(Error::damaged(format!("{window} is no start of a minute")));
    }
    let pageview_count = u64::try_from(count).map_err(Error::damaged)?;
    Ok(PageviewAggregate { postcode, window_start, pageview_count })
}

fn rows(group: &dyn RowGroupReader) -> Result<usize, Error> {
    usize::try_from(group.metadata().num_rows()).map_err(Error::damaged)
}

/// The column `name`, read batch by batch into the same memory.
struct Column<T: DataType> {
    name: &'static str,
    reader: ColumnReaderImpl<T>,
    values: Vec<T::T>,
    levels: Vec<i16>,
    is_optional: bool,
}

fn position(group: &dyn RowGroupReader, name: &str) -> Option<usize> {
    group.metadata().columns().iter().position(|column| column.column_path().string() == name)
}

fn column<T: DataType>(
    group: &dyn RowGroupReader,
    name: &'static str,
    of: impl FnOnce(ColumnReader) -> Option<ColumnReaderImpl<T>>,
) -> Result<Column<T>, Error> {
    let missing = || Error::damaged(format!("it has no column {name} of the right type"));
    let index = position(group, name).ok_or_else(missing)?;
    let is_optional = group.metadata().column(index).column_descr().max_def_level() > 0;
    let reader = of(group.get_column_reader(index)?).ok_or_else(missing)?;
    Ok(Column { name, reader, values: Vec::new(), levels: Vec::new(), is_optional })
}

fn int64(group: &dyn RowGroupReader, name: &'static str) -> Result<Column<Int64Type>, Error> {
    column(group, name, |reader| match reader {
        ColumnReader::Int64ColumnReader(reader) => Some(reader),
        _ => None,
    })
}

fn bytes(group: &dyn RowGroupReader, name: &'static str) -> Result<Column<ByteArrayType>, Error> {
    column(group, name, |reader| match reader {
        ColumnReader::ByteArrayColumnReader(reader) => Some(reader),
        _ => None,
    })
}

impl<T: DataType> Column<T> {
    /// The values of the next `rows`, of which none is null.
    fn next(&mut self, rows: usize) -> Result<&[T::T], Error> {
        self.read(rows)?;
        if self.values.len() < rows {
            return Err(Error::damaged(format!("column {} has too few values", self.name)));
        }
        Ok(&self.values)
    }

    /// The values of the next `rows`; null is `None`.
    fn next_optional(&mut self, rows: usize) -> Result<impl Iterator<Item = Option<&T::T>>, Error> {
        self.read(rows)?;
        let mut values = self.values.iter();
        let level = |row| if self.is_optional { self.levels[row] } else { 1 };
        Ok((0..rows).map(move |row| if level(row) > 0 { values.next() } else { None }))
    }

    fn read(&mut self, rows: usize) -> Result<(), Error> {
        self.values.clear();
        self.levels.clear();
        let mut read = 0;
        while read < rows {
            let levels = self.is_optional.then_some(&mut self.levels);
            let (records, ..) = self.reader.read_records(rows - read, levels, None, &mut self.values)?;
            if records == 0 {
                return Err(Error::damaged(format!("column {} ends early", self.name)));
            }
            read += records;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::basic::Compression;
    use parquet::file::properties::WriterProperties;
    use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
    use parquet::schema::parser::parse_message_type;

    use super::super::tests::read;
    use super::*;

    const EVENTS: &str = "message pageview {
        required int64 user_id (INTEGER(64, false));
        required binary postcode (STRING);
        required int64 offset;
        required binary event (STRING);
    }";
    const COUNTS: &str = "message count {
        required binary postcode (STRING);
        required int64 window_start (TIMESTAMP(MILLIS, true));
        required int64 pageview_count;
        required int32 partition;
        required int64 offset;
        optional binary record (STRING);
    }";

    type Group<'a> = SerializedRowGroupWriter<'a, Vec<u8>>;

    /// A file of one row group a `group`, each of which writes its columns in their order.
    fn file(schema: &str, groups: &[&dyn Fn(&mut Group<'_>)]) -> Vec<u8> {
        let schema = Arc::new(parse_message_type(schema).unwrap());
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(Default::default()));
        let mut writer = SerializedFileWriter::new(Vec::new(), schema, Arc::new(properties.build())).unwrap();
        for write in groups {
            let mut group = writer.next_row_group().unwrap();
            write(&mut group);
            group.close().unwrap();
        }
        writer.into_inner().unwrap()
    }

    fn write<T: DataType>(group: &mut Group<'_>, values: &[T::T], levels: Option<&[i16]>) {
        let mut column = group.next_column().unwrap().unwrap();
        column.typed::<T>().write_batch(values, levels, None).unwrap();
        column.close().unwrap();
    }

    fn texts(values: &[&str]) -> Vec<ByteArray> {
        values.iter().map(|text| ByteArray::from(*text)).collect()
    }

    fn two_events(first: i64) -> impl Fn(&mut Group<'_>) {
        move |group: &mut Group<'_>| {
            write::<Int64Type>(group, &[1, 2], None);
            write::<ByteArrayType>(group, &texts(&["SW19", "N1"]), None);
            write::<Int64Type>(group, &[first, first + 2], None);
            write::<ByteArrayType>(group, &texts(&["{\"a\":1}", "{ }"]), None);
        }
    }

    fn three_counts(group: &mut Group<'_>) {
        write::<ByteArrayType>(group, &texts(&["SW19", "EC1", "N1"]), None);
        write::<Int64Type>(group, &[1_611_662_640_000; 3], None);
        write::<Int64Type>(group, &[42, 1, 7], None);
        write::<parquet::data_type::Int32Type>(group, &[0; 3], None);
        write::<Int64Type>(group, &[5, 6, 8], None);
        write::<ByteArrayType>(group, &texts(&["{ \"as\": \"it came\" }"]), Some(&[0, 1, 0]));
    }

    #[test]
    fn events_come_as_they_lie_in_kafka_from_every_row_group() {
        let body = file(EVENTS, &[&two_events(7), &two_events(20)]);
        let found = read("raw/dt=2026-11-24/hour=13/x.parquet", body).unwrap();
        let rows: Vec<_> =
            found.iter().map(|(offset, value)| (offset.unwrap(), value.as_deref().unwrap())).collect();
        assert_eq!(rows, [(7, "{\"a\":1}"), (9, "{ }"), (20, "{\"a\":1}"), (22, "{ }")]);
    }

    #[test]
    fn counts_are_what_the_aggregator_writes_unless_the_record_says_otherwise() {
        let found = read("aggregates/dt=2021-01-26/x.parquet", file(COUNTS, &[&three_counts])).unwrap();
        let row = |postcode: &str, count: u64| {
            format!(
                "{{\"postcode\":\"{postcode}\",\"window_start\":\"2021-01-26T12:04:00\",\"pageview_count\":{count}}}"
            )
        };
        let expected = [(5, row("SW19", 42)), (6, "{ \"as\": \"it came\" }".to_owned()), (8, row("N1", 7))];
        assert_eq!(found, expected.map(|(offset, value)| (Some(offset), Some(value))));
    }

    #[test]
    fn more_rows_than_a_batch_are_read_in_their_order() {
        let count = 3 * ROWS as i64 + 17;
        let offsets: Vec<_> = (0..count).collect();
        let events: Vec<_> = offsets.iter().map(|offset| format!("event {offset}")).collect();
        let many = |group: &mut Group<'_>| {
            write::<Int64Type>(group, &offsets, None);
            write::<ByteArrayType>(group, &vec![ByteArray::from("N1"); offsets.len()], None);
            write::<Int64Type>(group, &offsets, None);
            write::<ByteArrayType>(
                group,
                &texts(&events.iter().map(String::as_str).collect::<Vec<_>>()),
                None,
            );
        };
        let found = read("raw/x.parquet", file(EVENTS, &[&many])).unwrap();
        assert_eq!(found.len(), offsets.len());
        let in_order = |(at, (offset, value)): (usize, &(Option<i64>, Option<String>))| {
            *offset == Some(at as i64) && value.as_deref() == Some(events[at].as_str())
        };
        assert!(found.iter().enumerate().all(in_order));
    }

    #[test]
    fn what_is_no_such_file_is_damaged() {
        let off_the_minute = |group: &mut Group<'_>| {
            write::<ByteArrayType>(group, &texts(&["SW19"]), None);
            write::<Int64Type>(group, &[1_611_662_640_001], None);
            write::<Int64Type>(group, &[42], None);
            write::<parquet::data_type::Int32Type>(group, &[0], None);
            write::<Int64Type>(group, &[5], None);
            write::<ByteArrayType>(group, &[], Some(&[0]));
        };
        let other = |group: &mut Group<'_>| write::<Int64Type>(group, &[5], None);
        let events = file(EVENTS, &[&two_events(7)]);
        for body in [
            b"PAR1".to_vec(),
            events[..events.len() - 9].to_vec(),
            file(COUNTS, &[&off_the_minute]),
            file("message x { required int64 offset; }", &[&other]),
            file("message x { required int64 event; }", &[&other]),
        ] {
            let found = read("aggregates/x.parquet", body);
            assert!(matches!(found, Err(Error::Damaged(_))), "{found:?}");
        }
    }
}
