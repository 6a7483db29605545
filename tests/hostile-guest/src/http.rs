//! Requests by an ordinary client.

use crate::{bindings::reverse_sync::destination::types::Error, other};
use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};
use wstd::{
    http::{Body, Client, Request},
    runtime::block_on,
};

/// How the host answered, as an error that ends the run.
pub(crate) fn said(answer: Result<String, String>) -> Error {
    other(&match answer {
        Ok(status) => format!("answered {status}"),
        Err(error) => format!("refused {error}"),
    })
}

/// A request, and the status of its answer.
pub(crate) fn send(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<String, String> {
    exchange(method, url, headers, body).map(|(status, _)| status.to_string())
}

/// A request and its answer: status and body.
pub(crate) fn exchange(
    method: &str,
    url: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Result<(u16, Vec<u8>), String> {
    block_on(async {
        let mut request = Request::builder().method(method).uri(url);
        if !body.is_empty() && !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request =
            request.body(Body::from(body.to_owned())).map_err(|error| error.to_string())?;
        let mut answer = Client::new().send(request).await.map_err(|error| format!("{error:?}"))?;
        let status = answer.status().as_u16();
        let contents =
            answer.body_mut().contents().await.map_err(|error| error.to_string())?.to_vec();
        Ok((status, contents))
    })
}

/// More requests than a host lets one instance have in flight.
const MANY: usize = 100;

/// The same request many times at once. How many were answered; if `keep`, none of the answers is
/// let go of before.
pub(crate) fn at_once(method: &str, url: &str, body: &str, keep: bool) -> usize {
    let client = Client::new();
    let one = async || {
        let request =
            Request::builder().method(method).uri(url).header("content-type", "application/json");
        let request =
            request.body(Body::from(body.to_owned())).map_err(|error| error.to_string())?;
        client.send(request).await.map_err(|error| format!("{error:?}"))
    };
    block_on(async {
        let mut pending: Vec<Pin<Box<dyn Future<Output = _> + '_>>> = Vec::new();
        for _ in 0..MANY {
            pending.push(Box::pin(one()));
        }
        let (mut kept, mut answered) = (Vec::new(), 0);
        poll_fn(|context| {
            pending.retain_mut(|request| match request.as_mut().poll(context) {
                Poll::Ready(answer) => {
                    answered += usize::from(answer.is_ok());
                    if keep {
                        kept.push(answer);
                    }
                    false
                }
                Poll::Pending => true,
            });
            if pending.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        answered
    })
}
