//! The next batch for the plugin out of what is waiting: in order per queue, in turn over queues,
//! one record alone where a stretch is to be walked carefully.

use connect_mapping::{MappingError, append_message};
use connect_record::Queue;
use connect_rows::{Builder, Parts};

use super::seat::{Seat, offset};
use crate::delivery::{Careful, TaskContext};
use crate::error::story;

/// A batch and where its records came from.
pub(crate) struct Chunk {
    pub(crate) parts: Parts,
    /// Seat and offset of each record, by its index in the batch.
    pub(crate) origins: Vec<(usize, u64)>,
    /// How many waiting messages of each seat the batch covers, bad ones included.
    pub(crate) counts: Vec<(usize, usize)>,
    /// Whether a single record was taken on purpose.
    pub(crate) careful: bool,
}

/// A message that cannot become a record.
pub(crate) struct Bad {
    pub(crate) seat: usize,
    pub(crate) offset: u64,
    pub(crate) error: MappingError,
}

/// What [`gather`] found.
pub(crate) enum Gathered {
    Nothing,
    Chunk(Chunk),
    /// The next message of a queue is bad and nothing before it is waiting.
    Bad(Bad),
}

/// Builds the next batch, beginning with seat `turn`.
pub(crate) fn gather(
    ctx: &TaskContext,
    seats: &[Seat],
    turn: usize,
    careful: &Careful,
) -> Gathered {
    let most_records = usize::try_from(ctx.batch_records()).unwrap_or(usize::MAX);
    let most_bytes = usize::try_from(ctx.batch_bytes()).unwrap_or(usize::MAX);
    let order = || (turn..seats.len()).chain(0..turn.min(seats.len()));
    let open = || {
        let seats = order().filter_map(|index| seats.get(index));
        seats.filter(|seat| !seat.paused)
    };
    let walks = open()
        .next()
        .is_some_and(|seat| is_careful(careful, &seat.queue, seat.put));
    let mut builder = room(open(), if walks { 1 } else { most_records }, most_bytes);
    let mut origins = Vec::new();
    let mut counts = Vec::new();
    let mut walked = false;
    'seats: for index in order() {
        let Some(seat) = seats.get(index).filter(|seat| !seat.paused) else {
            continue;
        };
        let slow = is_careful(careful, &seat.queue, seat.put);
        if slow && !origins.is_empty() {
            continue;
        }
        let mut count = 0;
        for message in &seat.waiting {
            let size = message.as_ref().map_or(0, |message| message.body.len());
            let full = origins.len() >= most_records || builder.arena_bytes() + size > most_bytes;
            if full && !origins.is_empty() {
                push(&mut counts, index, count);
                break 'seats;
            }
            let (keys, values) = (&*ctx.spec.key_converter, &*ctx.spec.value_converter);
            let appended = match message {
                Ok(message) => append_message(
                    &mut builder,
                    &seat.queue,
                    &seat.partition,
                    message,
                    keys,
                    values,
                ),
                Err(unreadable) => Err(MappingError::Unreadable(unreadable.reason.clone())),
            };
            let offset = offset(message);
            match appended {
                Ok(()) => origins.push((index, offset)),
                // It may fit into a later batch, which begins with its queue. Bad ones before it have left
                // names in this one as well.
                Err(MappingError::TooLarge(_))
                    if !origins.is_empty() || count > 0 || !counts.is_empty() =>
                {
                    push(&mut counts, index, count);
                    break 'seats;
                }
                Err(error) if ctx.spec.skip_bad_records => {
                    tracing::warn!(connector = %ctx.spec.name, task = ctx.task, queue = %seat.queue,
                        offset, error = %story(&error), "a bad message is skipped");
                }
                Err(error) if origins.is_empty() && count == 0 => {
                    return Gathered::Bad(Bad {
                        seat: index,
                        offset,
                        error,
                    });
                }
                // what stands before it goes first
                Err(_) => {
                    push(&mut counts, index, count);
                    break 'seats;
                }
            }
            count += 1;
            if slow && !origins.is_empty() {
                walked = true;
                push(&mut counts, index, count);
                break 'seats;
            }
        }
        push(&mut counts, index, count);
    }
    if counts.is_empty() {
        return Gathered::Nothing;
    }
    Gathered::Chunk(Chunk {
        parts: builder.finish(),
        origins,
        counts,
        careful: walked,
    })
}

/// A builder with room for what is waiting, so that it does not grow record by record.
fn room<'a>(
    seats: impl Iterator<Item = &'a Seat>,
    most_records: usize,
    most_bytes: usize,
) -> Builder {
    let waiting = seats.flat_map(|seat| &seat.waiting).flatten();
    let waiting = waiting.take(most_records);
    let (records, bytes) = waiting.fold((0, 0), |(records, bytes), message| {
        (records + 1, bytes + message.bytes())
    });
    Builder::with_capacity(records, bytes.min(most_bytes))
}

fn push(counts: &mut Vec<(usize, usize)>, seat: usize, count: usize) {
    if count > 0 {
        counts.push((seat, count));
    }
}

fn is_careful(careful: &Careful, queue: &Queue, next: u64) -> bool {
    careful.get(queue).is_some_and(|until| next < *until)
}
