//! As little of an HTTP/1.1 server as the stand-ins of Lambda's own parts need.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A request; names of fields are in lower case.
pub struct Request {
    pub path: String,
    pub fields: HashMap<String, String>,
    pub body: Vec<u8>,
}

/// One end of a connection.
pub struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn new(stream: TcpStream) -> Self {
        Self { reader: BufReader::new(stream) }
    }

    /// The next request; none when the other end has gone.
    pub fn request(&mut self) -> Option<Request> {
        let first = self.line()?;
        let mut words = first.split(' ').map(str::to_owned);
        let path = words.nth(1)?;
        let mut fields = HashMap::new();
        loop {
            let line = self.line()?;
            let Some((name, value)) = line.split_once(':') else { break };
            fields.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = fields.get("content-length").and_then(|length| length.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        self.reader.read_exact(&mut body).ok()?;
        Some(Request { path, fields, body })
    }

    fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    }

    /// Answers; false when nobody is there any more.
    pub fn respond(&mut self, status: u16, fields: &[(&str, &str)], body: &[u8]) -> bool {
        let mut head = format!("HTTP/1.1 {status} .\r\nContent-Length: {}\r\n", body.len());
        for (name, value) in fields {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let bytes = [head.as_bytes(), b"\r\n", body].concat();
        self.reader.get_mut().write_all(&bytes).is_ok()
    }
}
