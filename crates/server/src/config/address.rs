//! Addresses to listen on, as people write them.

use std::net::SocketAddr;

use serde::{Deserialize as _, Deserializer, de};

/// Reads an address; the error says how it is to be written.
pub fn parse(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        let port = text.strip_prefix("localhost").unwrap_or(text);
        let port = port.strip_prefix(':').unwrap_or(port).parse::<u16>();
        let rule = "must be an IP address and a port";
        match port {
            Ok(port) => format!("{rule}: write 127.0.0.1:{port}"),
            Err(_) => format!("{rule}, such as 127.0.0.1:8080; {text:?} is not"),
        }
    })
}

pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SocketAddr, D::Error> {
    parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_is_answered_with_the_right_one() {
        assert_eq!(parse("[::1]:0").unwrap().port(), 0);
        for near in ["8080", ":8080", "localhost:8080"] {
            assert!(parse(near).unwrap_err().ends_with("write 127.0.0.1:8080"), "{near}");
        }
        for far in ["", "example.org:80", "127.0.0.1", "70000"] {
            assert!(parse(far).unwrap_err().contains("such as 127.0.0.1:8080"), "{far}");
        }
    }
}
