//! The first and the last call of a source's instance.

use std::sync::Arc;

use connect_sandbox::{CallError, Role, SourceInstance};
use tokio::task::JoinHandle;

use super::resume::StoredPoints;
use crate::delivery::{Orders, TaskContext, TaskError};
use crate::guest::{Failed, SourceGuest};

/// An instance that is being made.
pub(crate) type Making = JoinHandle<Result<SourceInstance, CallError>>;

/// Begins to make an instance.
pub(crate) fn make(ctx: &TaskContext) -> Making {
    let points = Arc::new(StoredPoints {
        store: ctx.store.clone(),
        connector: ctx.spec.name.clone(),
        report: ctx.report.clone(),
    });
    let scope = ctx.scope(Role::Source, ctx.access.clone());
    let plugin = ctx.spec.plugin.clone();
    ctx.guests
        .spawn(async move { plugin.source(scope, points).await })
}

/// Opens an instance; none when the task is to end instead, see [`TaskContext::ends_within`].
pub(crate) async fn open(
    ctx: &TaskContext,
    making: Making,
    mut orders: Option<&mut Orders>,
) -> Result<Option<SourceGuest>, TaskError> {
    let instance = match making.await {
        Ok(made) => made.map_err(|source| TaskError::Plugin {
            place: ctx.who(),
            source: Box::new(source),
        })?,
        Err(_) => {
            return Err(TaskError::Gone {
                call: "instantiate",
            });
        }
    };
    let guest = SourceGuest::new(&ctx.guests, instance);
    loop {
        let opened = tokio::select! {
            opened = guest.open(ctx.settings.as_ref().clone()) => opened,
            () = ctx.stop.cancelled() => return Ok(None),
        };
        match opened {
            Ok(()) => return Ok(Some(guest)),
            Err(Failed::Call(CallError::Retriable { reason, after, .. })) => {
                ctx.report.puts_off_opening();
                ctx.report
                    .running(Some(format!("waiting to open: {reason}")));
                if ctx.ends_within(after, orders.as_deref_mut()).await {
                    return Ok(None);
                }
            }
            Err(failed) => return Err(failed.at(ctx.who())),
        }
    }
}
