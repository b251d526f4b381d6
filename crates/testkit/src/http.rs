//! Raw HTTP/1.1: what is sent is what the test says, also if no client would send it.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use serde_json::Value;

/// An address to send bytes to.
#[derive(Debug, Clone)]
pub struct Http {
    host: String,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status; 0 if the connection was closed without an answer.
    pub status: u16,
    /// The headers, with their names in small letters.
    pub headers: Vec<(String, String)>,
    /// The body, with chunks joined.
    pub body: Vec<u8>,
}

impl Http {
    /// To an address and port.
    pub fn new(host: &str) -> Self {
        Self { host: host.into() }
    }

    /// A new connection, with a time-out for reading.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).expect("the server takes connections");
        stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time-out");
        stream
    }

    /// Asks for a path, with headers such as `Authorization: Bearer x`.
    pub fn get(&self, path: &str, headers: &[&str]) -> Response {
        self.send("GET", path, headers, b"")
    }

    /// Sends a body of known length.
    pub fn post(&self, path: &str, headers: &[&str], body: &[u8]) -> Response {
        self.call("POST", path, headers, body)
    }

    /// Sends a body of known length in a request of any method.
    pub fn call(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
        let length = format!("Content-Length: {}", body.len());
        self.send(method, path, &[headers, &[&length]].concat(), body)
    }

    /// Calls the API as the holder of a token, with JSON; `null` is no body.
    pub fn json(&self, token: &str, method: &str, path: &str, body: &Value) -> Response {
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let authorization = format!("Authorization: Bearer {token}");
        self.call(method, path, &[authorization.as_str(), "Content-Type: application/json"], &body)
    }

    /// Sends bytes and reads the answer until the server closes the connection.
    pub fn raw(&self, bytes: &[u8]) -> Response {
        let mut stream = self.connect();
        // The server may answer and close before it has read everything.
        let _ = stream.write_all(bytes);
        read(&mut stream)
    }

    /// Sends bytes, closes its own half of the connection, and reads the answer.
    pub fn half_closed(&self, bytes: &[u8]) -> Response {
        let mut stream = self.connect();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(Shutdown::Write);
        read(&mut stream)
    }

    fn send(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
        self.raw(&self.request(method, path, headers, body))
    }

    fn request(&self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host);
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        head.push_str("\r\n");
        [head.as_bytes(), body].concat()
    }

    /// Sends a body of known length and leaves the answer to be read.
    ///
    /// # Panics
    /// If the server does not take it.
    pub fn begin(&self, path: &str, headers: &[&str], body: &[u8]) -> TcpStream {
        let length = format!("Content-Length: {}", body.len());
        let mut stream = self.connect();
        let request = self.request("POST", path, &[headers, &[&length]].concat(), body);
        stream.write_all(&request).expect("the server takes the request");
        stream
    }
}

impl Response {
    /// What is said of a refusal of the API, which must be this one.
    ///
    /// # Panics
    /// If it is another, or none.
    #[track_caller]
    pub fn refused(&self, status: u16, code: &str) -> Value {
        let value: Value =
            serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()));
        let found = (self.status, value["error"]["detail"]["code"].as_str());
        assert_eq!(found, (status, Some(code)), "{value}");
        value
    }

    /// A header's value; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Reads an answer to the end of the connection.
///
/// # Panics
/// If nothing comes within the time-out.
pub fn read(stream: &mut TcpStream) -> Response {
    let mut bytes = Vec::new();
    if let Err(error) = stream.read_to_end(&mut bytes) {
        let late = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
        assert!(!late, "the server did not close the connection; it sent {:?}", String::from_utf8_lossy(&bytes));
    }
    parse(&bytes)
}

fn parse(bytes: &[u8]) -> Response {
    let nothing = Response { status: 0, headers: Vec::new(), body: Vec::new() };
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else { return nothing };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok()).unwrap_or(0);
    if status == 100 {
        return parse(&bytes[end + 4..]);
    }
    let headers: Vec<(String, String)> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
        .collect();
    let chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    let body = &bytes[end + 4..];
    Response { status, headers, body: if chunked { joined(body) } else { body.to_vec() } }
}

fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    while let Some(end) = chunks.windows(2).position(|window| window == b"\r\n") {
        let digits = String::from_utf8_lossy(&chunks[..end]).into_owned();
        let length = usize::from_str_radix(digits.trim(), 16).unwrap_or(0);
        let Some(chunk) = chunks.get(end + 2..end + 2 + length).filter(|_| length > 0) else { break };
        body.extend_from_slice(chunk);
        chunks = chunks.get(end + 4 + length..).unwrap_or_default();
    }
    body
}
