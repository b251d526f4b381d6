//! What asks: requests as a git client would send them, on connections that are kept, with the answers read and dropped.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::peers::Peer;
use crate::scenarios::Round;

/// A connection that is kept.
pub(crate) struct Caller {
    host: String,
    /// None after the other side has hung up.
    stream: Option<TcpStream>,
    buffer: Vec<u8>,
}

/// What came.
pub(crate) struct Answered {
    pub(crate) status: u16,
    /// Bytes of the body, its chunks' lengths included.
    pub(crate) bytes: usize,
}

impl Caller {
    pub(crate) fn new(peer: &Peer) -> Self {
        Self { host: peer.host.clone(), stream: None, buffer: vec![0; 256 * 1024] }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.host).expect("a connection");
        stream.set_nodelay(true).expect("set");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("set");
        stream
    }

    /// Sends a request and reads its answer to the end. The status is 0 if the other side hung up before that.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Answered {
        self.ask_and_keep(request, |_| {})
    }

    /// The same, and gives the pieces of the body away.
    pub(crate) fn ask_and_keep(&mut self, request: &[u8], mut keep: impl FnMut(&[u8])) -> Answered {
        let nothing = Answered { status: 0, bytes: 0 };
        let mut stream = self.stream.take().unwrap_or_else(|| self.connect());
        if stream.write_all(request).is_err() {
            return nothing;
        }
        let (mut have, mut head) = (0, None);
        while head.is_none() {
            match stream.read(&mut self.buffer[have..]).expect("an answer") {
                0 => return nothing,
                read => have += read,
            }
            head = self.buffer[..have].windows(4).position(|end| end == b"\r\n\r\n");
        }
        let head = head.expect("a head");
        let text = String::from_utf8_lossy(&self.buffer[..head]).to_ascii_lowercase();
        let status = text.get(9..12).and_then(|status| status.parse().ok()).expect("a status");
        let length = text.split("content-length: ").nth(1).map(|rest| rest.split("\r\n").next().unwrap_or(rest));
        let length: Option<usize> = length.map(|length| length.parse().expect("a number"));
        keep(&self.buffer[head + 4..have]);
        let mut bytes = have - head - 4;
        let mut end: Vec<u8> = self.buffer[..have].to_vec();
        while length.map_or_else(|| !end.ends_with(b"\r\n0\r\n\r\n"), |length| bytes < length) {
            let read = stream.read(&mut self.buffer).expect("an answer");
            if read == 0 {
                return nothing;
            }
            keep(&self.buffer[..read]);
            bytes += read;
            end.extend_from_slice(&self.buffer[read.saturating_sub(8)..read]);
            end.drain(..end.len().saturating_sub(8));
        }
        if !text.contains("connection: close") {
            self.stream = Some(stream);
        }
        Answered { status, bytes }
    }
}

/// `GET …/info/refs`, or the file that holds its answer.
pub(crate) fn info_refs(peer: &Peer, repository: &str) -> Vec<u8> {
    let (host, authorization) = (&peer.host, &peer.authorization);
    let path = match peer.is_static {
        true => format!("/{repository}.info"),
        false => format!("/home/{repository}.git/info/refs?service=git-upload-pack"),
    };
    let protocol = protocol(peer);
    format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n{authorization}{protocol}\r\n").into()
}

/// A question to `git-upload-pack`; or, of one who has only files, for the file that holds its answer.
pub(crate) fn upload_pack(peer: &Peer, repository: &str, file: &str, question: &[u8]) -> Vec<u8> {
    let (host, authorization) = (&peer.host, &peer.authorization);
    if peer.is_static {
        return format!("GET /{file} HTTP/1.1\r\nHost: {host}\r\n\r\n").into();
    }
    let protocol = protocol(peer);
    let head = format!(
        "POST /home/{repository}.git/git-upload-pack HTTP/1.1\r\nHost: {host}\r\n{authorization}{protocol}\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n",
        question.len()
    );
    [head.into_bytes(), question.to_vec()].concat()
}

/// The version of the protocol in which a peer is asked.
fn protocol(peer: &Peer) -> &'static str {
    if peer.is_old { "" } else { "Git-Protocol: version=2\r\n" }
}

/// A command of version 2, with what git says of itself.
pub(crate) fn command(name: &str, arguments: impl IntoIterator<Item = String>) -> Vec<u8> {
    doorward_testkit::command(name, &["agent=git/2.47.3", "object-format=sha1"], arguments)
}

/// What a load took.
#[derive(Clone, Copy)]
pub(crate) struct Taken {
    /// Seconds on the clock.
    pub(crate) wall: f64,
    /// Seconds that cores were busy with anything but the load itself: with the server, with whatever it starts, and with the
    /// kernel's work for both.
    pub(crate) cpu: f64,
}

/// Runs something and tells what it took.
pub(crate) fn taken(work: impl FnOnce()) -> Taken {
    let (began, busy, own) = (Instant::now(), busy(), own());
    work();
    let wall = began.elapsed().as_secs_f64();
    Taken { wall, cpu: (self::busy() - busy - (self::own() - own)).max(0.0) }
}

/// Seconds that the whole machine has worked so far.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).enumerate();
    // All but the fourth and fifth, which are idle and waiting, and those of guests, which are in the others.
    let ticks = fields
        .filter(|(place, _)| !matches!(place, 3 | 4 | 7 | 8 | 9))
        .filter_map(|(_, field)| field.parse::<f64>().ok());
    ticks.sum::<f64>() / CLOCK_TICKS
}

/// Seconds that this process and those that it has started and seen end have worked so far.
fn own() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(4);
    fields.filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / CLOCK_TICKS
}

/// Time, or rate, and processor time of each operation: the median, and the least and the greatest of the rounds.
pub(crate) fn cell(rounds: &[Round]) -> String {
    if rounds.is_empty() {
        return "–".into();
    }
    let failed: usize = rounds.iter().map(|round| round.failed).sum();
    let failed = if failed == 0 { String::new() } else { format!(", {failed} failed") };
    if rounds[0].late.is_some() {
        return format!("p99 {} ms{failed}", spread(rounds.iter().filter_map(|round| round.late).collect()));
    }
    if rounds.iter().all(|round| round.count == 0) {
        return format!("none{failed}");
    }
    let wall = rounds.iter().map(|round| round.taken.wall * 1e3 / round.count as f64).collect();
    let cpu = rounds.iter().map(|round| round.taken.cpu * 1e3 / round.count as f64).collect();
    if rounds[0].count > 100 {
        let rate = rounds.iter().map(|round| round.count as f64 / round.taken.wall).collect();
        return format!("{}/s, CPU {} ms{failed}", spread(rate), spread(cpu));
    }
    format!("{} ms, CPU {} ms{failed}", spread(wall), spread(cpu))
}

/// The median, and the least and the greatest.
pub(crate) fn spread(mut values: Vec<f64>) -> String {
    values.sort_by(f64::total_cmp);
    let shown = |value: f64| match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.1}"),
        value => format!("{value:.3}"),
    };
    format!("{} ({}–{})", shown(values[values.len() / 2]), shown(values[0]), shown(values[values.len() - 1]))
}

const CLOCK_TICKS: f64 = 100.0;
