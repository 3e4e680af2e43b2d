//! The page a browser shows at the end of a sign-in: one that needs nothing else.

use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// Longest a browser may take to read it.
const PATIENCE: Duration = Duration::from_secs(5);

#[derive(Debug, PartialEq, Eq)]
pub struct Page {
    status: &'static str,
    title: &'static str,
    text: String,
}

impl Page {
    pub fn signed_in() -> Self {
        let text = "You may close this window.".to_owned();
        Self { status: "200 OK", title: "You are signed in.", text }
    }

    pub fn failed(text: impl Into<String>) -> Self {
        Self { status: "400 Bad Request", title: "You are not signed in.", text: text.into() }
    }

    pub fn not_found() -> Self {
        let text = "The command waits for a sign-in at /catcher only.".to_owned();
        Self { status: "404 Not Found", title: "There is nothing here.", text }
    }

    pub fn too_large() -> Self {
        let text = "The request is larger than any that ends a sign-in.".to_owned();
        Self { status: "431 Request Header Fields Too Large", title: "That is too much.", text }
    }

    /// Answers a request with it. A browser that left is no reason to fail.
    pub async fn send(self, mut connection: TcpStream) {
        let answer = self.answer();
        let _ = tokio::time::timeout(PATIENCE, async {
            connection.write_all(answer.as_bytes()).await?;
            connection.shutdown().await
        })
        .await;
    }

    fn answer(&self) -> String {
        let (title, text) = (escape(self.title), escape(&self.text));
        let body = format!(
            "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title>\
             <style>body{{font:1.1rem system-ui,sans-serif;margin:20vh auto;max-width:32rem;\
             text-align:center;color-scheme:light dark}}</style>\
             <h1>{title}</h1><p>{text}</p></html>\n"
        );
        // The address holds the code: it is neither kept nor handed on.
        format!(
            "HTTP/1.1 {}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n\
             Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n\
             Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n\
             X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n{body}",
            self.status,
            body.len()
        )
    }
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_is_text_and_no_markup() {
        let answer = Page::failed("<script>alert('&\"')</script>").answer();
        assert!(!answer.contains("<script"), "{answer}");
        assert!(answer.contains("&lt;script&gt;alert(&#39;&amp;&quot;&#39;)"), "{answer}");
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())), "{head}");
    }
}
