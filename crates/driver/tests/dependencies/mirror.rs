//! A mirror: files of some directories over HTTP, as they are.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};

/// Serves until the test ends.
pub struct Mirror {
    pub url: String,
}

impl Mirror {
    /// A file is looked for in one root after the other; of a directory it is its `index.html`.
    pub fn start(roots: Vec<PathBuf>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let roots = roots.clone();
                std::thread::spawn(move || serve(stream, &roots));
            }
        });
        Self { url }
    }
}

fn serve(mut stream: TcpStream, roots: &[PathBuf]) {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let Some(Ok(first)) = lines.next() else { return };
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    let mut words = first.split(' ');
    let (method, path) = (words.next().unwrap(), words.next().unwrap_or("/"));
    let path = path.split('?').next().unwrap().replace("%2f", "/");
    let found = roots.iter().find_map(|root| read(root, &path));
    let (status, kind, body) = match found {
        Some((kind, body)) => ("200 OK", kind, body),
        None => ("404 Not Found", "text/plain", b"not found".to_vec()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    let body = if method == "HEAD" { Vec::new() } else { body };
    // A tool that has read enough may be gone.
    let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
}

fn read(root: &Path, path: &str) -> Option<(&'static str, Vec<u8>)> {
    let file = root.join(path.trim_matches('/'));
    let file = if file.is_dir() { file.join("index.html") } else { file };
    let html = file.extension().is_some_and(|e| e == "html");
    let kind = if html { "text/html" } else { "application/octet-stream" };
    Some((kind, std::fs::read(file).ok()?))
}
