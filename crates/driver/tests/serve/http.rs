//! As little of an HTTP client as these tests need, so that they can also misbehave.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// No handler here takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Status and body of one request on a connection of its own.
pub fn exchange(port: u16, request: &[u8]) -> io::Result<(u16, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    read(&mut stream)
}

/// One response; the connection may stay open.
pub fn read(stream: &mut TcpStream) -> io::Result<(u16, String)> {
    let mut bytes = Vec::new();
    let mut part = [0; 16 << 10];
    loop {
        let text = String::from_utf8_lossy(&bytes);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head.lines().find_map(|line| line.strip_prefix("content-length:"));
            let length: usize = length.and_then(|l| l.trim().parse().ok()).unwrap_or(0);
            if body.len() >= length {
                let status = head.split_whitespace().nth(1).and_then(|s| s.parse().ok());
                return Ok((status.ok_or(io::ErrorKind::InvalidData)?, body[..length].to_owned()));
            }
        }
        match stream.read(&mut part)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            length => bytes.extend_from_slice(&part[..length]),
        }
    }
}

pub fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: function\r\nConnection: close\r\n\r\n");
    exchange(port, request.as_bytes())
}

pub fn posted(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nHost: function\r\nContent-Length: {length}");
    format!("{head}\r\nContent-Type: application/json\r\n\r\n{body}").into_bytes()
}

/// Status and answer of a call with this body.
pub fn post(port: u16, body: &str) -> (u16, Value) {
    let (status, body) = exchange(port, &posted("/", body)).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}
