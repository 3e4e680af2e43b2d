//! What a function reaches that names hosts, and what it still does not.

use std::time::Duration;

use dispatch_driver::{Engine, Fault};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::bed::{Bed, until};
use crate::web;

/// Does to the network what its payload says.
const CLIENT: &str = r#"
import http.client, json, os, socket, ssl, urllib.error, urllib.request
def fetch(url, ca=None, proxy=None):
    context = ssl.create_default_context(cadata=ca) if ca else None
    proxies = urllib.request.ProxyHandler({"http": proxy, "https": proxy} if proxy else {})
    https = urllib.request.HTTPSHandler(context=context)
    try:
        with urllib.request.build_opener(proxies, https).open(url, timeout=20) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return [error.code, error.read().decode()]
    except OSError as error:
        return type(getattr(error, "reason", error)).__name__
def reach(host, port):
    """What a bare connection comes to: refused, or the first bytes."""
    try:
        with socket.create_connection((host, port), timeout=20) as stream:
            stream.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
            return stream.recv(8).decode()
    except OSError as error:
        return type(error).__name__
def handle(context, payload):
    if "proxy" in payload:
        os.environ.pop("no_proxy", None), os.environ.pop("NO_PROXY", None)
        payload["proxy"] = os.environ["HTTPS_PROXY"]
    if "reach" in payload: return reach(*payload["reach"])
    return fetch(**payload)
"#;

async fn deployed(bed: &Bed, language: &str, source: &str, egress: &[&str]) -> Uuid {
    let deployment = bed.deployment(language, source, |d| {
        d.egress = egress.iter().map(|e| (*e).to_owned()).collect();
    });
    bed.engine.build(&deployment).await.unwrap();
    deployment.id
}

/// What the client in Python gets.
async fn asked(bed: &Bed, egress: &[&str], payload: &Value) -> Value {
    let id = deployed(bed, "python3", CLIENT, egress).await;
    bed.result(id, &payload.to_string()).await
}

#[tokio::test]
async fn a_host_that_is_named_is_reached() {
    let bed = Bed::new().await;
    let port = web::plain().await.port();
    for host in ["localhost", "127.0.0.1"] {
        let named = format!("{host}:{port}");
        let got = asked(&bed, &[&named], &json!({"url": format!("http://{named}/a")})).await;
        assert_eq!(got, json!({"path": "/a", "host": named}));
    }
}

#[tokio::test]
async fn an_address_that_is_not_loopback_is_reached() {
    let bed = Bed::new().await;
    // Sends nothing: it only asks which of its addresses the machine would use.
    let probe = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    let own = probe.connect("192.0.2.1:9").and_then(|()| probe.local_addr());
    let mut places: Vec<_> = own.iter().map(|own| format!("{}:0", own.ip())).collect();
    places.push("[::1]:0".to_owned());
    for place in places {
        let Ok(address) = web::plain_at(&place).await else {
            println!("could not run: this machine cannot listen at {place}");
            continue;
        };
        let named = address.to_string();
        let got = asked(&bed, &[&named], &json!({"url": format!("http://{named}/")})).await;
        assert_eq!(got, json!({"path": "/", "host": named}));
    }
}

#[tokio::test]
async fn tls_is_end_to_end() {
    let bed = Bed::new().await;
    let (address, authority) = web::tls().await;
    let named = format!("localhost:{}", address.port());
    let url = format!("https://{named}/");
    let got = asked(&bed, &[&named], &json!({"url": url, "ca": authority})).await;
    assert_eq!(got, json!({"path": "/", "host": named}));
    let stranger = asked(&bed, &[&named], &json!({"url": url})).await;
    assert_eq!(stranger, json!("SSLCertVerificationError"));
    let tunnel = json!({"url": url, "ca": authority, "proxy": true});
    let got = asked(&bed, &[&named, "*.example.org"], &tunnel).await;
    assert_eq!(got, json!({"path": "/", "host": named}));
}

#[tokio::test]
async fn other_languages_reach_it_too() {
    let bed = Bed::new().await;
    let port = web::plain().await.port();
    let named = format!("localhost:{port}");
    let url = format!("http://{named}/");
    let languages = [
        ("nodejs", "module.exports = async (c, url) => (await fetch(url)).json();"),
        ("ruby", "require 'net/http'\ndef handle(c, url) = JSON.parse(Net::HTTP.get(URI(url)))"),
        ("php", "<?php function handle($c, $url) { return json_decode(file_get_contents($url)); }"),
        (
            "binary",
            "#!/usr/bin/env python3\nimport json, sys, urllib.request\n\
            print(urllib.request.urlopen(json.load(sys.stdin)['payload']).read().decode())",
        ),
    ];
    for (language, source) in languages {
        if !bed.has(language) {
            continue;
        }
        let id = deployed(&bed, language, source, &[&named]).await;
        let got = bed.result(id, &json!(url).to_string()).await;
        assert_eq!(got, json!({"path": "/", "host": named}), "{language}");
    }
}

/// What `egress` listens at is in the way of the port such a program usually gets.
#[tokio::test]
async fn a_served_binary_gets_a_port_that_is_free() {
    let bed = Bed::new().await;
    let source = r#"#!/usr/bin/env python3
import http.server, json, os
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def do_POST(self):
        self.do_GET()
        self.wfile.write(json.dumps({"payload": os.environ["PORT"]}).encode())
http.server.HTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
"#;
    let deployment = bed.deployment("binary", source, |d| {
        d.handler = "http:./handler".to_owned();
        d.egress = vec!["stand.in:8080".to_owned()];
    });
    bed.engine.build(&deployment).await.unwrap();
    assert_eq!(bed.result(deployment.id, "0").await, json!("8081"));
}

#[tokio::test]
async fn what_is_not_named_is_not_reached() {
    let bed = Bed::new().await;
    let address = web::plain().await;
    let (port, other) = (address.port(), web::plain().await.port());
    let named = format!("localhost:{other}");
    let id = deployed(&bed, "python3", CLIENT, &[&named, "stand.in", "10.9.8.7"]).await;
    let reach = async |host: &str, port: u16| {
        bed.result(id, &json!({"reach": [host, port]}).to_string()).await
    };
    assert_eq!(reach("127.0.0.1", port).await, json!("ConnectionRefusedError"), "the machine's");
    assert_eq!(reach("example.org", 80).await, json!("gaierror"));
    assert_eq!(reach("10.9.8.6", 80).await, json!("OSError"), "no route leads there");
    // Somebody listens at the port, for another host.
    assert_eq!(reach("127.0.0.1", 80).await, json!("ConnectionResetError"));
    assert_eq!(reach("127.77.0.2", other).await, json!("ConnectionResetError"));
    assert_eq!(reach("localhost", other).await, json!("HTTP/1.0"));
}

#[tokio::test]
async fn the_proxy_asks_the_same_rules() {
    let bed = Bed::new().await;
    let (port, other) = (web::plain().await.port(), web::plain().await.port());
    let named = format!("localhost:{port}");
    let id = deployed(&bed, "python3", CLIENT, &["*.example.org", &named]).await;
    let by_proxy =
        async |url: String| bed.result(id, &json!({"url": url, "proxy": true}).to_string()).await;
    let got = by_proxy(format!("http://{named}/a?b")).await;
    assert_eq!(got, json!({"path": "/a", "host": named}));
    for url in [format!("http://localhost:{other}/"), "http://example.org/".to_owned()] {
        let refused = by_proxy(url).await;
        assert_eq!(refused[0], 403);
        assert!(refused[1].as_str().unwrap().contains("`egress` does not name"), "{refused}");
    }
    let refused = by_proxy(format!("https://localhost:{other}/")).await;
    assert_eq!(refused, json!("OSError"), "a tunnel is refused as well");
}

/// Its refusal shows that a program went there by itself.
#[tokio::test]
async fn programs_find_the_proxy() {
    let bed = Bed::new().await;
    let java = r#"
import java.net.HttpURLConnection;
import java.net.URL;
import java.util.Map;
import java.util.function.BiFunction;
public class handler implements BiFunction<Map<String, Object>, String, Object> {
    public Object apply(Map<String, Object> context, String url) {
        try {
            return ((HttpURLConnection) new URL(url).openConnection()).getResponseCode();
        } catch (java.io.IOException error) {
            return error.toString();
        }
    }
}
"#;
    let python = r#"
import urllib.error, urllib.request
def handle(context, url):
    try: return urllib.request.urlopen(url).status
    except urllib.error.HTTPError as error: return error.code
"#;
    let ruby =
        "require 'net/http'\ndef handle(c, url) = Net::HTTP.get_response(URI(url)).code.to_i";
    for (language, source) in [("python3", python), ("java", java), ("ruby", ruby)] {
        if !bed.has(language) {
            continue;
        }
        let deployment = bed.deployment(language, source, |d| {
            d.egress = vec!["*.example.org".to_owned()];
            d.handler = if language == "java" { "handler" } else { "" }.to_owned();
            d.memory_mib = 256;
        });
        bed.engine.build(&deployment).await.unwrap();
        let status = bed.result(deployment.id, r#""http://example.net/""#).await;
        assert_eq!(status, json!(403), "{language}");
    }
}

/// Resolvers read the number as 169.254.169.254: a name that leads to a cloud's metadata.
#[tokio::test]
async fn a_name_for_the_metadata_address_is_refused() {
    let bed = Bed::new().await;
    let name = "2852039166";
    let egress = [name, "*.example.org"];
    let url = format!("http://{name}/latest/meta-data/");
    let refused = asked(&bed, &egress, &json!({"url": url, "proxy": true})).await;
    assert_eq!(refused[0], 403);
    assert!(refused[1].as_str().unwrap().contains("no function may reach"), "{refused}");
    let direct = asked(&bed, &egress, &json!({"reach": ["127.77.0.2", 80]})).await;
    assert_eq!(direct, json!("ConnectionResetError"));
    let by_address = asked(&bed, &egress, &json!({"reach": ["169.254.169.254", 80]})).await;
    assert_eq!(by_address, json!("OSError"));
}

#[tokio::test]
async fn an_entry_that_is_no_host_is_its_authors_fault() {
    let bed = Bed::new().await;
    for entry in ["http://example.org/", "169.254.169.254"] {
        let deployment = bed.deployment("python3", CLIENT, |d| d.egress = vec![entry.to_owned()]);
        let error = bed.engine.build(&deployment).await.unwrap_err();
        assert_eq!((error.fault, error.code), (Fault::Caller, "ENGINE003"));
        assert!(error.message.contains(entry), "{}", error.message);
    }
}

/// Opens connections and says what came of them.
const HOLDER: &str = r#"
import socket
def dial(port):
    stream = socket.create_connection(("127.0.0.1", port), timeout=20)
    stream.sendall(b"x")
    return stream
def answered(stream, seconds):
    stream.settimeout(seconds)
    try: return stream.recv(1).decode()
    except TimeoutError: return None
def handle(context, payload):
    port = payload["port"]
    if "hold" in payload:
        kept = dial(port)
        while True: pass
    if "idle" in payload:
        stream = dial(port)
        return [answered(stream, 20), answered(stream, 20)]
    streams = [dial(port) for _ in range(3)]
    first = [answered(stream, 1) for stream in streams]
    streams[first.index("y")].close()
    return [first.count("y"), answered(streams[first.index(None)], 20)]
"#;

/// Answers `y` to the first byte of every connection, and says when a client has gone.
async fn echo() -> (u16, std::sync::Arc<std::sync::atomic::AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let gone = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = gone.clone();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let counter = counter.clone();
            tokio::spawn(async move {
                let mut byte = [0];
                while matches!(stream.read(&mut byte).await, Ok(1)) {
                    let _ = stream.write_all(b"y").await;
                }
                counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            });
        }
    });
    (port, gone)
}

#[tokio::test]
async fn connections_are_limited_closed_when_idle_and_end_with_the_worker() {
    let (port, gone) = echo().await;
    let named = format!("127.0.0.1:{port}");
    let gone = || gone.load(std::sync::atomic::Ordering::SeqCst);

    let bed = Bed::with(|c| c.max_connections = 2).await;
    let id = deployed(&bed, "python3", HOLDER, &[&named]).await;
    let limited = bed.result(id, &json!({"port": port}).to_string()).await;
    assert_eq!(limited, json!([2, "y"]), "the third is served when another has ended");

    let bed = Bed::with(|c| c.connection_idle_ms = 200).await;
    let id = deployed(&bed, "python3", HOLDER, &[&named]).await;
    let idle = bed.result(id, &json!({"port": port, "idle": true}).to_string()).await;
    assert_eq!(idle, json!(["y", ""]));

    let bed = Bed::new().await;
    let deployment = bed.deployment("python3", HOLDER, |d| {
        d.egress = vec![named.clone()];
        d.timeout = Duration::from_millis(500);
    });
    bed.engine.build(&deployment).await.unwrap();
    until("the connections of before are gone", || gone() == 4).await;
    let payload = json!({"port": port, "hold": true}).to_string();
    assert!(bed.error(deployment.id, &payload).await.contains("timed out"));
    until("the connection ended with its worker", || gone() == 5).await;
}
