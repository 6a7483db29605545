//! Bounds for what a guest puts into the first line of a request. `wasi:http` bounds the path and
//! the headers; method and host it takes at any length, for each request that a guest holds, and
//! they are the host's memory.

use super::Guest;
use wasmtime::{
    StoreContextMut,
    component::{Linker, Resource},
};
use wasmtime_wasi_http::{
    WasiHttpView,
    p2::{
        bindings::http::types::{HostOutgoingRequest as _, Method},
        types::HostOutgoingRequest,
    },
};

/// Longest custom method.
const MAX_METHOD: usize = 32;
/// Longest host with its port: a name has 253 characters at most.
const MAX_HOST: usize = 300;

/// As `wasmtime-wasi-http` has it.
const TYPES: &str = "wasi:http/types@0.2.12";

type Set<T> = (Resource<HostOutgoingRequest>, T);
type Done = (Result<(), ()>,);

/// Replaces the two unbounded functions.
pub(super) fn bound(linker: &mut Linker<Guest>) -> wasmtime::Result<()> {
    linker.allow_shadowing(true);
    let mut types = linker.instance(TYPES)?;
    types.func_wrap(
        "[method]outgoing-request.set-method",
        |mut store: StoreContextMut<'_, Guest>,
         (request, method): Set<Method>|
         -> wasmtime::Result<Done> {
            if matches!(&method, Method::Other(text) if text.len() > MAX_METHOD) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_method(request, method)?,))
        },
    )?;
    types.func_wrap(
        "[method]outgoing-request.set-authority",
        |mut store: StoreContextMut<'_, Guest>,
         (request, host): Set<Option<String>>|
         -> wasmtime::Result<Done> {
            if host.as_ref().is_some_and(|host| host.len() > MAX_HOST) {
                return Ok((Err(()),));
            }
            Ok((store.data_mut().http().set_authority(request, host)?,))
        },
    )?;
    linker.allow_shadowing(false);
    Ok(())
}
