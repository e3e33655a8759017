//! Rows into a Parquet file, a row group at a time: of the rows of one group, each column is written from first to last.

use std::mem::take;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use model::Pageview;
use model::PageviewAggregate;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, Int32Type, Int64Type};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::{ColumnPath, TypePtr};

use super::{Error, Fill, ZSTD_LEVEL};
use crate::record::Record;
use crate::route::Route;

/// The most bytes of records in a row group, and the most rows: what has to be in memory at a time.
const GROUP_BYTES: usize = 8 << 20;
const GROUP_ROWS: usize = 1 << 17;
/// How many values are handed to a column at a time.
const STEP: usize = 1024;

/// The columns of events.
const EVENTS: &str = "message event {
    required int64 user_id (INTEGER(64, false));
    required binary postcode (STRING);
    required binary webpage (STRING);
    required int64 timestamp (TIMESTAMP(MILLIS, true));
    required int64 ingested_at (TIMESTAMP(MILLIS, true));
    required int32 partition;
    required int64 offset;
    required binary event (STRING);
}";

/// The columns of counts. `record` is what the other columns cannot give back: the record's value, where it is not
/// written as the aggregator writes it.
const COUNTS: &str = "message count {
    required binary postcode (STRING);
    required int64 window_start (TIMESTAMP(MILLIS, true));
    required int64 pageview_count;
    required int32 partition;
    required int64 offset;
    optional binary record (STRING);
}";

/// A Parquet file that is being written.
#[derive(Debug, Default)]
pub(crate) struct Columns {
    file: Option<SerializedFileWriter<Vec<u8>>>,
    rows: Rows,
    /// Bytes of records in the row groups written, and in the one that is filling.
    unpacked: usize,
    waiting: usize,
}

/// The row group that is filling. Events and counts have some columns in common; the others stay empty.
#[derive(Debug, Default)]
struct Rows {
    counts: bool,
    user_id: Vec<i64>,
    postcode: Texts,
    webpage: Texts,
    /// When it happened, or when its window starts, in milliseconds.
    time: Vec<i64>,
    ingested_at: Vec<i64>,
    pageview_count: Vec<i64>,
    partition: Vec<i32>,
    offset: Vec<i64>,
    value: Texts,
    /// Whether a count has a `record`: its definition level.
    has_value: Vec<i16>,
}

/// Many short texts in one piece of memory.
#[derive(Debug, Default)]
struct Texts {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

static EVENT_SCHEMA: LazyLock<TypePtr> = LazyLock::new(|| schema(EVENTS));
static COUNT_SCHEMA: LazyLock<TypePtr> = LazyLock::new(|| schema(COUNTS));
pub(super) static PROPERTIES: LazyLock<Arc<WriterProperties>> = LazyLock::new(|| Arc::new(properties()));

fn schema(text: &str) -> TypePtr {
    Arc::new(parse_message_type(text).unwrap_or_else(|error| unreachable!("{text} is a schema: {error}")))
}

/// What grows from row to row is written as differences, what is different in every row without a dictionary. Only times
/// and offsets have statistics: of the others a row group holds nearly all values, and no query could leave it out.
fn properties() -> WriterProperties {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_statistics_enabled(EnabledStatistics::None);
    for ascending in ["timestamp", "ingested_at", "window_start", "offset"] {
        let column = ColumnPath::from(ascending);
        properties = properties
            .set_column_dictionary_enabled(column.clone(), false)
            .set_column_statistics_enabled(column.clone(), EnabledStatistics::Chunk)
            .set_column_encoding(column, Encoding::DELTA_BINARY_PACKED);
    }
    for distinct in ["user_id", "event", "record"] {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(distinct), false);
    }
    properties.build()
}

impl Columns {
    /// Adds a row.
    pub(super) fn row(
        &mut self,
        record: &Record<'_>,
        route: &Route<'_>,
        partition: i32,
    ) -> Result<(), Error> {
        let value = record.value.unwrap_or_default();
        match route {
            Route::Event(Some(event)) => self.rows.event(event, record, value),
            Route::Count(count) => self.rows.count(count, value)?,
            Route::Event(None) | Route::Envelope { .. } => {
                return Err(Error("a record without columns was routed to them".to_owned()));
            }
        }
        self.rows.partition.push(partition);
        self.rows.offset.push(record.offset);
        self.waiting += value.len();
        let is_full = self.waiting >= GROUP_BYTES || self.rows.offset.len() >= GROUP_ROWS;
        if is_full { self.write_group() } else { Ok(()) }
    }

    pub(super) fn fill(&self) -> Fill {
        Fill {
            packed: self.file.as_ref().map_or(0, SerializedFileWriter::bytes_written),
            unpacked: self.unpacked,
            waiting: self.waiting,
            memory: self.rows.memory() + self.file.as_ref().map_or(0, |file| file.inner().capacity()),
        }
    }

    pub(super) fn finish(mut self) -> Result<Vec<u8>, Error> {
        self.write_group()?;
        let Some(file) = self.file else { return Ok(Vec::new()) };
        let mut bytes = file.into_inner()?;
        bytes.shrink_to_fit();
        Ok(bytes)
    }

    fn write_group(&mut self) -> Result<(), Error> {
        if self.rows.offset.is_empty() {
            return Ok(());
        }
        let file = match &mut self.file {
            Some(file) => file,
            None => {
                let schema = if self.rows.counts { &COUNT_SCHEMA } else { &EVENT_SCHEMA };
                let file =
                    SerializedFileWriter::new(Vec::new(), Arc::clone(schema), Arc::clone(&PROPERTIES))?;
                self.file.insert(file)
            }
        };
        let mut group = file.next_row_group()?;
        self.rows.write(&mut group)?;
        group.close()?;
        self.unpacked += take(&mut self.waiting);
        Ok(())
    }
}

impl Rows {
    fn event(&mut self, event: &Pageview<'_>, record: &Record<'_>, value: &[u8]) {
        // The bits of an unsigned number: the column's type says so.
        self.user_id.push(event.user_id.cast_signed());
        self.postcode.push(event.postcode.as_str().as_bytes());
        self.webpage.push(event.webpage.as_bytes());
        self.time.push(event.timestamp.to_millis().0);
        self.ingested_at.push(record.timestamp.0);
        self.value.push(value);
    }

    fn count(&mut self, count: &PageviewAggregate, value: &[u8]) -> Result<(), Error> {
        self.counts = true;
        self.postcode.push(count.postcode.as_str().as_bytes());
        self.time.push(count.window_start.start().to_millis().0);
        let number = i64::try_from(count.pageview_count);
        self.pageview_count.push(number.map_err(|error| Error(error.to_string()))?);
        let is_plain = count.to_json() == value;
        self.has_value.push(i16::from(!is_plain));
        if !is_plain {
            self.value.push(value);
        }
        Ok(())
    }

    fn memory(&self) -> usize {
        let numbers = [&self.user_id, &self.time, &self.ingested_at, &self.pageview_count, &self.offset];
        let texts = [&self.postcode, &self.webpage, &self.value];
        numbers.iter().map(|column| column.capacity() * 8).sum::<usize>()
            + texts.iter().map(|column| column.bytes.capacity() + column.ends.capacity() * 8).sum::<usize>()
            + self.partition.capacity() * 4
            + self.has_value.capacity() * 2
    }

    /// Writes and forgets all rows, column by column in the order of the schema.
    fn write(&mut self, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), Error> {
        if self.counts {
            self.postcode.write(None, group)?;
            numbers(&mut self.time, group)?;
            numbers(&mut self.pageview_count, group)?;
        } else {
            numbers(&mut self.user_id, group)?;
            self.postcode.write(None, group)?;
            self.webpage.write(None, group)?;
            numbers(&mut self.time, group)?;
            numbers(&mut self.ingested_at, group)?;
        }
        if let Some(mut column) = group.next_column()? {
            column.typed::<Int32Type>().write_batch(&self.partition, None, None)?;
            column.close()?;
            self.partition.clear();
        }
        numbers(&mut self.offset, group)?;
        let levels = take(&mut self.has_value);
        self.value.write(self.counts.then_some(levels.as_slice()), group)
    }
}

fn numbers(values: &mut Vec<i64>, group: &mut SerializedRowGroupWriter<'_, Vec<u8>>) -> Result<(), Error> {
    if let Some(mut column) = group.next_column()? {
        column.typed::<Int64Type>().write_batch(values, None, None)?;
        column.close()?;
        values.clear();
    }
    Ok(())
}

impl Texts {
    fn push(&mut self, text: &[u8]) {
        self.bytes.extend_from_slice(text);
        self.ends.push(self.bytes.len());
    }

    /// Writes and forgets the column; `levels` are those of an optional one.
    fn write(
        &mut self,
        levels: Option<&[i16]>,
        group: &mut SerializedRowGroupWriter<'_, Vec<u8>>,
    ) -> Result<(), Error> {
        let Some(mut column) = group.next_column()? else { return Ok(()) };
        let (bytes, ends) = (Bytes::from(take(&mut self.bytes)), take(&mut self.ends));
        let mut start = 0;
        let mut texts = ends.iter().map(|end| {
            let text = ByteArray::from(bytes.slice(start..*end));
            start = *end;
            text
        });
        match levels {
            Some(levels) => {
                let texts: Vec<_> = texts.collect();
                column.typed::<ByteArrayType>().write_batch(&texts, Some(levels), None)?;
            }
            None => {
                let mut step = Vec::with_capacity(STEP);
                loop {
                    step.extend(texts.by_ref().take(STEP));
                    if step.is_empty() {
                        break;
                    }
                    column.typed::<ByteArrayType>().write_batch(&step, None, None)?;
                    step.clear();
                }
            }
        }
        column.close()?;
        // Nobody else has it any more, and the next row group is as large.
        self.bytes = bytes.try_into_mut().map(Vec::from).unwrap_or_default();
        self.bytes.clear();
        self.ends = ends;
        self.ends.clear();
        Ok(())
    }
}
