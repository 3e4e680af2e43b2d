//! What containers print, as the engine sends it: both streams in frames of one.

/// Bytes of a frame's head: the stream, three zeros, the length.
const HEAD: usize = 8;

/// Lines of both streams in the order they came.
pub fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8_lossy(&text(bytes)).lines().map(str::to_owned).collect()
}

/// The frames' bodies; what has no frames, as of a terminal, is taken as it is.
fn text(mut bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        if head[0] > 2 || head[1..4] != [0, 0, 0] {
            break;
        }
        let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let (body, rest) = rest.split_at(length.min(rest.len()));
        text.extend_from_slice(body);
        bytes = rest;
    }
    text.extend_from_slice(bytes);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_both_streams_are_one_text() {
        let framed = b"\x01\0\0\0\0\0\0\x04one\n\x02\0\0\0\0\0\0\x06two\nth\x01\0\0\0\0\0\0\x03ree";
        assert_eq!(lines(framed), ["one", "two", "three"]);
        assert_eq!(lines(b"a terminal's\nlines"), ["a terminal's", "lines"]);
        assert_eq!(lines(b"\x01\0\0\0\0\0\0\x09cut"), ["cut"]);
    }
}
