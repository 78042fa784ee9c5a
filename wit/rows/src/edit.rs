//! Changes a batch where it lies: for transforms that answer each record with that record, changed. Must never
//! change a record other than the one that is edited.

use crate::bytes::{append, u16_at, write};
use crate::intern::Interner;
use crate::{
    ENTRY_SIZE, Entry, EntryRow, HEADER_SIZE, HeaderRow, Parts, RecordView, Span, TooLarge, View,
};

/// Rows of more bytes than this are not written; the worker accepts less.
const MAX_HEADER_SIZE: usize = 4_096;

/// A batch that is being changed in place. Writes about as much as changes, whatever the size of the records: new
/// bytes go to the end of the arena, the old ones stay as a gap.
///
/// ```
/// use connect_rows::{Builder, Editor, View};
///
/// let mut builder = Builder::new();
/// builder.add().value(b"21.5").header("unit", b"C").finish()?;
///
/// let mut editor = Editor::new(builder.finish());
/// for index in 0..editor.len() {
///     if let Some(mut record) = editor.record(index) {
///         record.set_header("unit", b"celsius")?;
///     }
/// }
/// let parts = editor.finish();
/// assert_eq!(View::new(&parts).record(0).and_then(|record| record.header("unit")), Some(&b"celsius"[..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Editor {
    parts: Parts,
    topics: Interner,
    names: Interner,
}

impl Editor {
    /// Takes a batch; each record becomes its own origin. Rows of a size that this version does not know how to
    /// write are left alone: there is no record to edit then.
    pub fn new(parts: Parts) -> Self {
        let mut editor = Self {
            parts,
            topics: Interner::default(),
            names: Interner::default(),
        };
        editor.prepare();
        editor
    }

    /// Number of records.
    #[inline]
    pub fn len(&self) -> usize {
        self.parts.records()
    }

    /// Whether there is no record.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch as it is now.
    #[inline]
    pub fn view(&self) -> View<'_> {
        View::new(&self.parts)
    }

    /// The record at `index`, to be changed.
    #[inline]
    pub fn record(&mut self, index: usize) -> Option<RecordEditor<'_>> {
        (index < self.len()).then_some(RecordEditor {
            editor: self,
            index,
        })
    }

    /// The changed batch.
    pub fn finish(self) -> Parts {
        self.parts
    }

    /// Sets origins, and gives each record headers of its own: runs may overlap in what was taken. Afterwards every
    /// run is inside the header rows, whatever was taken.
    fn prepare(&mut self) {
        let rows = self.header_rows();
        let size = self.parts.entry_size as usize;
        if size < ENTRY_SIZE {
            return;
        }
        let Parts {
            entries,
            headers,
            header_size,
            ..
        } = &mut self.parts;
        let mut free = 0;
        for (index, row) in (0u32..).zip(entries.chunks_exact_mut(size)) {
            write::<60, 4>(row, index.to_le_bytes());
            let Some((first, count)) = Entry::of(row).map(|entry| (entry.first(), entry.count()))
            else {
                continue;
            };
            let end = u64::from(first) + u64::from(count);
            if end > rows {
                // Not a batch that was checked; these headers cannot be read either.
                write::<40, 8>(row, [0; 8]);
            } else if count > 0 && u64::from(first) < free {
                if let Some(moved) = copy_run(headers, *header_size as usize, first, count) {
                    write::<40, 4>(row, moved.to_le_bytes());
                    free = u64::from(moved) + u64::from(count);
                }
            } else {
                free = free.max(end);
            }
        }
    }

    /// Number of header rows; zero where their size is too small to be one.
    fn header_rows(&self) -> u64 {
        let size = self.parts.header_size as usize;
        if size < HEADER_SIZE {
            0
        } else {
            (self.parts.headers.len() / size) as u64
        }
    }

    #[inline]
    fn row(&self, index: usize) -> Option<EntryRow> {
        let start = index.checked_mul(self.parts.entry_size as usize)?;
        EntryRow::read(self.parts.entries.get(start..)?)
    }

    #[inline]
    fn write(&mut self, index: usize, row: &EntryRow) {
        let start = index.saturating_mul(self.parts.entry_size as usize);
        let place = self
            .parts
            .entries
            .get_mut(start..)
            .and_then(|rest| rest.first_chunk_mut::<ENTRY_SIZE>());
        if let Some(place) = place {
            *place = row.to_bytes();
        }
    }
}

/// Copies a run to the end of the header rows, where it belongs to one record alone; answers its first row, `None` if
/// the rows cannot be counted any more.
fn copy_run(headers: &mut Vec<u8>, size: usize, first: u32, count: u32) -> Option<u32> {
    let moved = u32::try_from(headers.len() / size)
        .ok()
        .filter(|moved| moved.checked_add(count).is_some())?;
    let (start, length) = (first as usize * size, count as usize * size);
    // Whatever does not fill a row would shift those that follow.
    headers.truncate(moved as usize * size);
    headers.extend_from_within(start..start + length);
    Some(moved)
}

#[inline]
fn store(arena: &mut Vec<u8>, bytes: &[u8]) -> Result<Span, TooLarge> {
    let span = Span::at_end(arena, bytes).ok_or(TooLarge::Bytes { what: "bytes" })?;
    append(arena, bytes);
    Ok(span)
}

/// One record of an [`Editor`].
#[derive(Debug)]
pub struct RecordEditor<'a> {
    editor: &'a mut Editor,
    index: usize,
}

impl RecordEditor<'_> {
    /// The record as it is now.
    #[inline]
    pub fn view(&self) -> Option<RecordView<'_>> {
        self.editor.view().record(self.index)
    }

    /// Sets the topic.
    ///
    /// # Errors
    /// [`TooLarge`] if the table of topics is full; nothing has changed then.
    pub fn set_topic(&mut self, topic: &str) -> Result<(), TooLarge> {
        let index = self
            .editor
            .topics
            .intern(&mut self.editor.parts.topics, 0, topic);
        let index = index.ok_or(TooLarge::Table { table: "topics" })?;
        self.change(|row| row.topic = index);
        Ok(())
    }

    /// Sets the key, or takes it away.
    ///
    /// # Errors
    /// [`TooLarge`] if the arena is full; nothing has changed then.
    pub fn set_key(&mut self, key: Option<&[u8]>) -> Result<(), TooLarge> {
        let span = key
            .map(|key| store(&mut self.editor.parts.arena, key))
            .transpose()?;
        self.change(|row| row.key = span);
        Ok(())
    }

    /// Sets the value, or makes it null.
    ///
    /// # Errors
    /// [`TooLarge`] if the arena is full; nothing has changed then.
    pub fn set_value(&mut self, value: Option<&[u8]>) -> Result<(), TooLarge> {
        let span = value
            .map(|value| store(&mut self.editor.parts.arena, value))
            .transpose()?;
        self.change(|row| row.value = span);
        Ok(())
    }

    /// Sets the first header of this name, or adds it after the others.
    ///
    /// # Errors
    /// [`TooLarge`] if the table of names, the header rows or the arena are full; nothing has changed then.
    #[inline]
    pub fn set_header(&mut self, name: &str, value: &[u8]) -> Result<(), TooLarge> {
        let Editor { parts, names, .. } = &mut *self.editor;
        let name = names
            .intern(&mut parts.names, 0, name)
            .ok_or(TooLarge::Table {
                table: "header names",
            })?;
        let size = parts.header_size as usize;
        let start = self.index.saturating_mul(parts.entry_size as usize);
        let entry = parts.entries.get(start..).and_then(Entry::of);
        if let (Some(entry), true) = (entry, size >= HEADER_SIZE) {
            let start = (entry.first() as usize).saturating_mul(size);
            let end = start.saturating_add((entry.count() as usize).saturating_mul(size));
            let mut run = parts.headers.get_mut(start..end).unwrap_or_default();
            while let Some((row, rest)) = run.split_at_mut_checked(size) {
                if u16_at::<0>(row) == name {
                    let span = store(&mut parts.arena, value)?;
                    write::<4, 8>(row, span.to_u64().to_le_bytes());
                    return Ok(());
                }
                run = rest;
            }
        }
        self.add_header(name, value)
    }

    #[cold]
    fn add_header(&mut self, name: u16, value: &[u8]) -> Result<(), TooLarge> {
        let editor = &mut *self.editor;
        let Some(mut row) = editor.row(self.index) else {
            return Ok(());
        };
        let size = editor.parts.header_size as usize;
        let rows = editor.header_rows();
        if !(HEADER_SIZE..=MAX_HEADER_SIZE).contains(&size)
            || rows + u64::from(row.count) >= u64::from(u32::MAX)
        {
            return Err(TooLarge::Bytes { what: "headers" });
        }
        let value = store(&mut editor.parts.arena, value)?;
        if row.count == 0 {
            row.first = rows as u32;
        } else if u64::from(row.first) + u64::from(row.count) != rows {
            let moved = copy_run(&mut editor.parts.headers, size, row.first, row.count);
            row.first = moved.ok_or(TooLarge::Bytes { what: "headers" })?;
        }
        let start = (row.first as usize + row.count as usize) * size;
        editor.parts.headers.truncate(start);
        HeaderRow { name, value }.write(&mut editor.parts.headers);
        editor.parts.headers.resize(start + size, 0);
        row.count += 1;
        editor.write(self.index, &row);
        Ok(())
    }

    fn change(&mut self, change: impl FnOnce(&mut EntryRow)) {
        if let Some(mut row) = self.editor.row(self.index) {
            change(&mut row);
            self.editor.write(self.index, &row);
        }
    }
}
