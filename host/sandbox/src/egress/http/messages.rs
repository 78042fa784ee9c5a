//! What a guest keeps of HTTP messages. Headers, requests and what is buffered of their bodies lie on
//! the worker's side from the moment a guest makes them, granted or not, sent or not. So each has a
//! size, and of all together there are only so many. Nothing here judges where a request goes.

use wasmtime::StoreContextMut;
use wasmtime::component::{LinkerInstance, Resource, ResourceTable};
use wasmtime_wasi_http::p2::bindings::http::types::{
    HeaderError, Host as _, HostFields, HostIncomingResponse as OfIncoming,
    HostOutgoingRequest as OfRequest, HostOutgoingResponse as OfResponse, Method,
};
use wasmtime_wasi_http::p2::body::{HostFutureTrailers, HostIncomingBody};
use wasmtime_wasi_http::p2::types::{
    HostFutureIncomingResponse, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView, WasiHttpView as _};

use crate::limit::{Limit, Refused};
use crate::state::State;

/// Most bytes of the headers that a guest puts together, as wasmtime counts them: with some overhead
/// for each.
pub(super) const FIELDS_BYTES: usize = 16 << 10;
/// Most bytes of a body that are buffered in one piece; two pieces are.
pub(super) const CHUNK_BYTES: usize = 64 << 10;
/// Most bytes of a method, an authority, and a path with its query, each.
const TEXT_BYTES: usize = 8 << 10;

/// How many headers, requests, responses and their bodies one instance has.
#[derive(Debug)]
pub(super) struct Messages {
    connections: u32,
    most: usize,
    /// As many as there were when they were counted last, and those that were made since. Those that
    /// are gone by now are found out when there seems to be no room.
    made: usize,
}

impl Messages {
    /// For an instance with so many connections: a message on each has some headers, a request and a
    /// response, and others are being put together meanwhile.
    pub(super) fn new(connections: u32) -> Self {
        Self {
            connections,
            most: (connections as usize).saturating_mul(4).saturating_add(16),
            made: 0,
        }
    }

    /// Takes room for one more.
    ///
    /// # Errors
    /// There are as many as there may be.
    fn room(&mut self, table: &mut ResourceTable) -> Result<(), Refused> {
        if self.made >= self.most {
            self.made = table.iter_mut().filter(|entry| is_message(*entry)).count();
        }
        if self.made >= self.most {
            return Err(Refused {
                limit: Limit::Connections,
                value: self.connections.into(),
                asked: None,
            });
        }
        self.made += 1;
        Ok(())
    }
}

/// Whether it holds headers, or a part of a body that has arrived.
fn is_message(entry: &dyn std::any::Any) -> bool {
    if let Some(response) = entry.downcast_ref::<HostFutureIncomingResponse>() {
        return !matches!(response, HostFutureIncomingResponse::Consumed);
    }
    if let Some(trailers) = entry.downcast_ref::<HostFutureTrailers>() {
        return !matches!(trailers, HostFutureTrailers::Consumed);
    }
    entry.is::<FieldMap>()
        || entry.is::<HostOutgoingRequest>()
        || entry.is::<HostOutgoingResponse>()
        || entry.is::<HostIncomingResponse>()
        || entry.is::<HostIncomingBody>()
}

/// With room for one more.
fn room(state: &mut State) -> Result<WasiHttpCtxView<'_>, Refused> {
    state.hooks.messages.room(&mut state.table)?;
    Ok(state.http())
}

fn fits(text: Option<&str>) -> bool {
    text.is_none_or(|text| text.len() <= TEXT_BYTES)
}

/// Counts wherever one comes into being beside what it is made of. A request takes the place of its
/// headers, a response that of its request, trailers that of their body. Handed-out headers and the
/// body of a response live on when their message is gone.
pub(super) fn link(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Store<'a> = StoreContextMut<'a, State>;
    type Fields = Resource<FieldMap>;
    type Entries = Vec<(String, Vec<u8>)>;
    type Request = Resource<HostOutgoingRequest>;
    type Set = (Result<(), ()>,);

    types.func_wrap("[constructor]fields", |mut store: Store<'_>, (): ()| {
        let mut http = room(store.data_mut())?;
        Ok((HostFields::new(&mut http)?,))
    })?;
    types.func_wrap(
        "[static]fields.from-list",
        |mut store: Store<'_>, (entries,): (Entries,)| {
            let mut http = room(store.data_mut())?;
            let made: Result<Fields, HeaderError> = match http.from_list(entries) {
                Ok(fields) => Ok(fields),
                Err(error) => Err(http.convert_header_error(error)?),
            };
            Ok((made,))
        },
    )?;
    types.func_wrap(
        "[method]fields.clone",
        |mut store: Store<'_>, (fields,): (Fields,)| {
            let mut http = room(store.data_mut())?;
            Ok((HostFields::clone(&mut http, fields)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.headers",
        |mut store: Store<'_>, (request,): (Request,)| {
            let mut http = room(store.data_mut())?;
            Ok((OfRequest::headers(&mut http, request)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-response.headers",
        |mut store: Store<'_>, (response,): (Resource<HostOutgoingResponse>,)| {
            let mut http = room(store.data_mut())?;
            Ok((OfResponse::headers(&mut http, response)?,))
        },
    )?;
    types.func_wrap(
        "[method]incoming-response.headers",
        |mut store: Store<'_>, (response,): (Resource<HostIncomingResponse>,)| {
            let mut http = room(store.data_mut())?;
            Ok((OfIncoming::headers(&mut http, response)?,))
        },
    )?;
    types.func_wrap(
        "[method]incoming-response.consume",
        |mut store: Store<'_>, (response,): (Resource<HostIncomingResponse>,)| {
            let mut http = room(store.data_mut())?;
            Ok((OfIncoming::consume(&mut http, response)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: Store<'_>, (request, method): (Request, Method)| -> wasmtime::Result<Set> {
            match &method {
                Method::Other(name) if !fits(Some(name)) => Ok((Err(()),)),
                _ => Ok((store.data_mut().http().set_method(request, method)?,)),
            }
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: Store<'_>,
         (request, text): (Request, Option<String>)|
         -> wasmtime::Result<Set> {
            if !fits(text.as_deref()) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, text)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-path-with-query",
        |mut store: Store<'_>,
         (request, text): (Request, Option<String>)|
         -> wasmtime::Result<Set> {
            if !fits(text.as_deref()) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_path_with_query(request, text)?,))
        },
    )
}
