//! Server-sent events of a watch.

use bytes::BytesMut;
use reqwest::Response;
use serde_json::Value;

use super::{Error, Result};

/// Largest event read: a function with its schemas stays far below.
const MAX_EVENT: usize = 16 << 20;

/// A stream of events.
pub struct Events {
    response: Response,
    buffer: BytesMut,
}

impl Events {
    pub(super) fn new(response: Response) -> Self {
        Self { response, buffer: BytesMut::new() }
    }

    /// The next event's data; `None` when the server ended the stream.
    ///
    /// # Errors
    /// Also the error the server ended it with, such as rights that were taken away.
    pub async fn next(&mut self) -> Result<Option<Value>> {
        loop {
            while let Some(end) = self.buffer.windows(2).position(|pair| pair == b"\n\n") {
                let event = self.buffer.split_to(end + 2);
                if let Some(data) = data(&event) {
                    if is_error(&event) {
                        return Err(Error::answer(0, data.as_bytes()));
                    }
                    let parsed = serde_json::from_str(&data);
                    return parsed.map(Some).map_err(|e| Error::NotJson(e.to_string()));
                }
            }
            if self.buffer.len() > MAX_EVENT {
                return Err(Error::NotJson("an event is too large".to_owned()));
            }
            let chunk = self.response.chunk().await;
            match chunk.map_err(|e| Error::connection("the server", &e))? {
                Some(chunk) => self.buffer.extend_from_slice(&chunk),
                None => return Ok(None),
            }
        }
    }
}

/// Whether an event is the error that ends a stream.
fn is_error(event: &[u8]) -> bool {
    event.split(|byte| *byte == b'\n').any(|line| line == b"event: error")
}

/// The data lines of an event; a heartbeat has none.
fn data(event: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(event);
    let lines: Vec<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("data:"))
        .map(|data| data.strip_prefix(' ').unwrap_or(data))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}
