//! Parquet: a row group for every 65,536 rows, Snappy, times as microseconds in UTC, every column optional.
//!
//! A footer ends a Parquet file, so one that is to be gone on with consists of finished parts beside it; so does one whose columns grow. When it
//! is finished the parts become one: their pages are copied as they are, and a column that a part lacks is empty there.

use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use doom_bus::consume::Delivered;
use doom_protocol::EventKind;
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical},
    column::writer::{ColumnCloseResult, ColumnWriter},
    data_type::ByteArray,
    errors::ParquetError,
    file::{
        metadata::ParquetMetaDataReader,
        properties::{EnabledStatistics, WriterProperties},
        reader::ChunkReader,
        writer::{SerializedColumnWriter, SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::{ColumnPath, Type as Schema, TypePtr},
};

use super::{
    columns::{Column, Type, Values},
    fill::Table,
    sink::{Progress, Sink, Unwritten},
};

/// Rows of a row group.
const GROUP: usize = 65_536;

/// The file.
pub(crate) struct Parquet {
    table: Table,
    path: PathBuf,
    progress: Progress,
    part: Option<Part>,
}

/// A part that is being written, and how many columns it has.
struct Part {
    writer: SerializedFileWriter<File>,
    width: usize,
}

fn broken(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

fn part_path(path: &Path, number: usize) -> PathBuf {
    path.with_extension(format!("part.{number}"))
}

impl Parquet {
    /// Begins it, or goes on.
    pub(crate) fn open(kind: EventKind, path: &Path, progress: Progress) -> io::Result<Self> {
        let mut table = Table::new(kind);
        table.know(&progress.columns);
        Ok(Self { table, path: path.to_owned(), progress, part: None })
    }

    fn put_rows(&mut self) -> io::Result<()> {
        let rows = &mut self.table.rows;
        if rows.rows == 0 {
            return Ok(());
        }
        rows.level();
        if self.part.as_ref().is_some_and(|part| part.width != rows.columns.len()) {
            close(&mut self.part, &mut self.progress)?;
        }
        let part = match &mut self.part {
            Some(part) => part,
            none => {
                let file = File::create(part_path(&self.path, self.progress.parts))?;
                let (schema, properties) = (schema(&rows.columns).map_err(broken)?, properties(&rows.columns));
                let writer = SerializedFileWriter::new(file, schema, properties).map_err(broken)?;
                none.insert(Part { writer, width: rows.columns.len() })
            }
        };
        write_group(&mut part.writer, &mut rows.columns).map_err(broken)?;
        self.progress.columns = rows.columns.iter().map(|column| column.name.clone()).collect();
        self.progress.rows += rows.rows as u64;
        rows.clear();
        Ok(())
    }
}

/// Ends the part that is open.
fn close(part: &mut Option<Part>, progress: &mut Progress) -> io::Result<()> {
    if let Some(Part { writer, .. }) = part.take() {
        writer.into_inner().map_err(broken)?.sync_all()?;
        progress.parts += 1;
    }
    Ok(())
}

fn schema(columns: &[Column]) -> Result<TypePtr, ParquetError> {
    let fields = columns.iter().map(|column| {
        let (physical, logical) = match column.kind {
            Type::Integer => (Physical::INT64, None),
            Type::Float => (Physical::DOUBLE, None),
            Type::Flag => (Physical::BOOLEAN, None),
            Type::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
            Type::Time => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        };
        let field = Schema::primitive_type_builder(&column.name, physical).with_repetition(Repetition::OPTIONAL);
        field.with_logical_type(logical).build().map(Arc::new)
    });
    Ok(Arc::new(Schema::group_type_builder("event").with_fields(fields.collect::<Result<_, _>>()?).build()?))
}

fn properties(columns: &[Column]) -> Arc<WriterProperties> {
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("doomctl ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::SNAPPY)
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk);
    // Texts say the same again and again; numbers do not.
    for column in columns.iter().filter(|column| column.kind == Type::Text) {
        properties = properties.set_column_dictionary_enabled(ColumnPath::from(column.name.as_str()), true);
    }
    Arc::new(properties.build())
}

fn write_group(writer: &mut SerializedFileWriter<File>, columns: &mut [Column]) -> Result<(), ParquetError> {
    let mut group = writer.next_row_group()?;
    for column in columns {
        next(&mut group, |writer| {
            let levels = Some(&*column.present);
            match (writer.untyped(), &mut column.values) {
                (ColumnWriter::Int64ColumnWriter(w), Values::Integers(list) | Values::Times(list)) => w.write_batch(list, levels, None)?,
                (ColumnWriter::DoubleColumnWriter(w), Values::Floats(list)) => w.write_batch(list, levels, None)?,
                (ColumnWriter::BoolColumnWriter(w), Values::Flags(list)) => w.write_batch(list, levels, None)?,
                (ColumnWriter::ByteArrayColumnWriter(w), Values::Texts(bytes, ends)) => {
                    // One buffer for all of them.
                    let whole = Bytes::from(std::mem::take(bytes));
                    let mut begin = 0;
                    let texts = ends.iter().map(|end| ByteArray::from(whole.slice(std::mem::replace(&mut begin, *end)..*end)));
                    w.write_batch(&texts.collect::<Vec<_>>(), levels, None)?
                }
                _ => return Err(ParquetError::General(format!("column {} is of another type", column.name))),
            };
            Ok(())
        })?;
    }
    group.close().map(drop)
}

fn next<W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    fill: impl FnOnce(&mut SerializedColumnWriter<'_>) -> Result<(), ParquetError>,
) -> Result<(), ParquetError> {
    let mut column = group.next_column()?.ok_or_else(|| ParquetError::General("there is no further column".to_owned()))?;
    fill(&mut column)?;
    column.close()
}

impl Sink for Parquet {
    fn add(&mut self, delivered: &Delivered, sequence: u64) -> Result<(), Unwritten> {
        self.table.add(delivered, sequence).map_err(Unwritten::NoEvent)?;
        if self.table.rows.rows >= GROUP {
            self.put_rows()?;
        }
        Ok(())
    }

    fn progress(&mut self) -> &mut Progress {
        &mut self.progress
    }

    fn is_due(&self) -> bool {
        // A part for a few rows would make a slow file.
        self.part.is_some()
    }

    fn checkpoint(&mut self) -> io::Result<Progress> {
        self.put_rows()?;
        close(&mut self.part, &mut self.progress)?;
        Ok(self.progress.clone())
    }

    fn finish(mut self: Box<Self>) -> io::Result<PathBuf> {
        self.put_rows()?;
        close(&mut self.part, &mut self.progress)?;
        let parts: Vec<PathBuf> = (0..self.progress.parts).map(|number| part_path(&self.path, number)).collect();
        if let [only] = &*parts {
            fs::rename(only, &self.path)?;
            return Ok(self.path);
        }
        join(&parts, &self.path, &self.table.rows.columns).map_err(broken)?;
        for part in &parts {
            fs::remove_file(part)?;
        }
        Ok(self.path)
    }
}

/// Copies the row groups of all parts into one file that has all of the columns.
fn join(parts: &[PathBuf], path: &Path, columns: &[Column]) -> Result<(), ParquetError> {
    let mut writer = SerializedFileWriter::new(File::create(path)?, schema(columns)?, properties(columns))?;
    for part in parts {
        let file = File::open(part)?;
        let metadata = ParquetMetaDataReader::new().parse_and_finish(&file)?;
        for rows in metadata.row_groups() {
            let mut group = writer.next_row_group()?;
            let count = usize::try_from(rows.num_rows()).unwrap_or(0);
            for column in columns {
                let there = rows.columns().iter().find(|chunk| chunk.column_path().string() == column.name);
                match there {
                    Some(chunk) => copy(&mut group, &file, chunk, rows.num_rows())?,
                    None => next(&mut group, |writer| none(writer, count))?,
                }
            }
            group.close()?;
        }
    }
    writer.into_inner()?.sync_all()?;
    Ok(())
}

fn copy<W: io::Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    file: &impl ChunkReader,
    chunk: &parquet::file::metadata::ColumnChunkMetaData,
    rows: i64,
) -> Result<(), ParquetError> {
    let whole = ColumnCloseResult {
        bytes_written: u64::try_from(chunk.compressed_size()).unwrap_or(0),
        rows_written: u64::try_from(rows).unwrap_or(0),
        metadata: chunk.clone(),
        bloom_filter: None,
        column_index: None,
        offset_index: None,
    };
    group.append_column(file, whole)
}

/// So many rows without a value.
fn none(writer: &mut SerializedColumnWriter<'_>, rows: usize) -> Result<(), ParquetError> {
    let absent = vec![0; rows];
    let levels = Some(&*absent);
    match writer.untyped() {
        ColumnWriter::Int64ColumnWriter(w) => w.write_batch(&[], levels, None),
        ColumnWriter::DoubleColumnWriter(w) => w.write_batch(&[], levels, None),
        ColumnWriter::BoolColumnWriter(w) => w.write_batch(&[], levels, None),
        ColumnWriter::ByteArrayColumnWriter(w) => w.write_batch(&[], levels, None),
        _ => Err(ParquetError::General("a column of a type that is never written".to_owned())),
    }
    .map(drop)
}
