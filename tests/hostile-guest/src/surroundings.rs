//! What is around it: sockets, files, its own memory, earlier calls.

use crate::{
    Batch,
    bindings::{
        exports::reverse_sync::destination::destination::Target,
        reverse_sync::destination::types::Error,
    },
    http::{exchange, said, send},
    other, wanted,
};
use hostile_attacks::Surroundings;
use std::{
    hint::black_box,
    io::Read,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};
use wasip2::{
    filesystem::preopens::get_directories,
    sockets::{
        instance_network::instance_network,
        ip_name_lookup::resolve_addresses,
        network::{IpAddressFamily, IpSocketAddress, Ipv4SocketAddress},
        tcp_create_socket::create_tcp_socket,
        udp_create_socket::create_udp_socket,
    },
};

/// Calls that this memory has seen.
pub(crate) static CALLS: AtomicU64 = AtomicU64::new(0);

pub(crate) fn run(attack: Surroundings, target: &Target, batch: &Batch) -> Result<(), Error> {
    let base = &target.base_url;
    let body = format!(
        "{{\"inputs\":[{{\"id\":\"{}\",\"properties\":{}}}]}}",
        batch.ids[0], batch.fields[0]
    );
    let write =
        || send("POST", &format!("{base}/crm/v3/objects/contacts/batch/update"), &[], &body);
    let port = base.rsplit(':').next().and_then(|port| port.parse().ok()).unwrap_or(80);
    let address = IpSocketAddress::Ipv4(Ipv4SocketAddress { port, address: (127, 0, 0, 1) });
    match attack {
        Surroundings::Tcp => Err(other(&tcp(address))),
        Surroundings::Udp => Err(other(&match udp(address) {
            Ok(()) => "bound".to_owned(),
            Err(error) => format!("no socket: {error}"),
        })),
        Surroundings::Names => {
            Err(other(&match resolve_addresses(&instance_network(), "localhost") {
                Ok(addresses) => {
                    addresses.subscribe().block();
                    format!(
                        "{:?}",
                        addresses
                            .resolve_next_address()
                            .map_err(|error| format!("no name: {error:?}"))
                    )
                }
                Err(error) => format!("no name: {error:?}"),
            }))
        }
        Surroundings::Files => {
            let mut typed = Vec::new();
            let seen = [
                std::fs::read("/etc/passwd").is_ok(),
                std::fs::read_dir("/").is_ok(),
                std::fs::write("x", "x").is_ok(),
                !get_directories().is_empty(),
                std::env::vars().next().is_some(),
                std::env::args().next().is_some(),
                std::io::stdin().read_to_end(&mut typed).is_ok_and(|length| length > 0),
            ];
            Err(other(if seen.contains(&true) { "saw something" } else { "nothing to see" }))
        }
        Surroundings::ScanMemory => {
            // A write that is allowed, so that the token has been used; then a look at every byte
            // this instance has.
            let answer = write();
            let found = find_reversed(wanted(target, "reversed_needle")?.as_bytes());
            let control = find_reversed(b"eldeen-lortnoc");
            let kept = black_box("control-needle");
            Err(other(&format!(
                "{} found={found} control={control} {}",
                answer.unwrap_or_else(|error| error),
                kept.len()
            )))
        }
        Surroundings::EchoedToken => {
            let read = format!(
                "{{\"properties\":[\"firstname\"],\"inputs\":[{{\"id\":\"{}\"}}]}}",
                batch.ids[0]
            );
            let answer =
                exchange("POST", &format!("{base}/crm/v3/objects/contacts/batch/read"), &[], &read);
            Err(said(answer.map(|(status, _)| status.to_string())))
        }
        Surroundings::CarriedOver => Err(other(&format!("{} calls", CALLS.load(Relaxed)))),
        Surroundings::Exit => std::process::exit(0),
        Surroundings::Trap => core::arch::wasm32::unreachable(),
    }
}

/// A connection past `wasi:http`, by the sockets of WASI itself.
fn tcp(address: IpSocketAddress) -> String {
    let socket = match create_tcp_socket(IpAddressFamily::Ipv4) {
        Ok(socket) => socket,
        Err(error) => return format!("no socket: {error:?}"),
    };
    if let Err(error) = socket.start_connect(&instance_network(), address) {
        return format!("no socket: {error:?}");
    }
    socket.subscribe().block();
    match socket.finish_connect() {
        Ok(_) => "connected".to_owned(),
        Err(error) => format!("no socket: {error:?}"),
    }
}

fn udp(address: IpSocketAddress) -> Result<(), String> {
    let socket = create_udp_socket(IpAddressFamily::Ipv4).map_err(|error| format!("{error:?}"))?;
    let any = IpSocketAddress::Ipv4(Ipv4SocketAddress { port: 0, address: (127, 0, 0, 1) });
    socket.start_bind(&instance_network(), any).map_err(|error| format!("{error:?}"))?;
    socket.finish_bind().map_err(|error| format!("{error:?}"))?;
    socket.stream(Some(address)).map(drop).map_err(|error| format!("{error:?}"))
}

/// Whether the text whose reverse this is stands anywhere in this instance's memory. The text
/// itself is never made.
fn find_reversed(reversed: &[u8]) -> bool {
    let size = core::arch::wasm32::memory_size(0) * 65_536;
    // SAFETY: the linear memory of this instance is `size` bytes long; the first ones are left out
    // because a slice may not begin at address 0. Nothing writes while it is read: there is one
    // thread.
    let memory = unsafe { core::slice::from_raw_parts(16 as *const u8, size - 16) };
    !reversed.is_empty()
        && memory.windows(reversed.len()).any(|window| window.iter().eq(reversed.iter().rev()))
}
