//! Git's own server program behind a little HTTP, for what has to go wrong on demand: `git http-backend` answers, and the test says
//! who is let in, what is refused for no reason, and when everything breaks.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::Git;
use crate::lfs::{LfsStore, OF_TRANSFERS};

/// A Git host that is `git http-backend`. It stops when this is dropped.
#[derive(Debug)]
pub struct Backend {
    address: String,
    root: PathBuf,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    lfs: LfsStore,
    stopped: AtomicBool,
}

/// What it does, and what it was asked.
#[derive(Debug, Default)]
struct State {
    /// The values of the `Authorization` header that are let in; everybody as long as nobody was named.
    credentials: Option<Vec<String>>,
    faults: Vec<Fault>,
    requests: Vec<Request>,
    arrived: Vec<String>,
}

/// One request that came, as far as tests ask.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path, with its query.
    pub path: String,
    /// What was presented.
    pub authorization: Option<String>,
    /// The status of the answer; 0 if the connection was broken.
    pub status: u16,
    /// The protocol's command, if it is one of version 2.
    pub command: Option<String>,
}

/// Something that goes wrong, for so many of the requests that it is about.
#[derive(Debug, Clone)]
struct Fault {
    /// What is in the method, the path and the protocol's command of the requests that it is about, with spaces between them.
    about: String,
    /// For how many.
    times: usize,
    /// What happens.
    what: What,
}

/// What goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It is answered with a status and headers.
    Status(u16, Vec<String>),
    /// The connection ends before anything is done.
    Before,
    /// It is done, and the connection ends before the answer.
    After,
    /// So many bytes of the answer come, and then the connection ends.
    Within(usize),
    /// The connection ends at once, and it is done later.
    Later(Duration),
    /// So many bytes of the answer come, and then nothing.
    Stall(usize),
    /// It is answered as it should be, later.
    Late(Duration),
    /// It is not done, and these bytes are the answer, as to a fetch.
    Says(Vec<u8>),
}

impl Backend {
    /// Starts one with no repositories, below a directory.
    ///
    /// # Panics
    /// If it cannot listen.
    pub fn start(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("an address");
        let address = listener.local_addr().expect("its address").to_string();
        let shared = Arc::<Shared>::default();
        let backend = Self { address, root: root.into(), shared: Arc::clone(&shared) };
        let root = backend.root.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if shared.stopped.load(Ordering::Relaxed) {
                    return;
                }
                let (root, shared) = (root.clone(), Arc::clone(&shared));
                std::thread::spawn(move || while let Some(true) = serve(&stream, &root, &shared) {});
            }
        });
        backend
    }

    /// Address and port.
    pub fn host(&self) -> &str {
        &self.address
    }

    /// The address before a repository's name.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a repository such as `acme/site` out of a directory's history, to be pushed to as well; where it is.
    ///
    /// # Panics
    /// If git cannot.
    pub fn add(&self, git: &Git, name: &str, from: &Path) -> PathBuf {
        let bare = self.root.join(format!("{name}.git"));
        let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
        git.ok(&self.root, &["clone", "-q", "--mirror", "--no-local", &text(from), &text(&bare)]);
        git.ok(&bare, &["config", "http.receivepack", "true"]);
        bare
    }

    /// Lets in who presents this from now on, or nothing if that is empty, and nobody else but those who were let in before.
    pub fn admit(&self, authorization: &str) {
        self.state().credentials.get_or_insert_default().push(authorization.to_owned());
    }

    /// Lets somebody in no more.
    pub fn revoke(&self, authorization: &str) {
        self.state().credentials.get_or_insert_default().retain(|known| known != authorization);
    }

    /// Lets something go wrong.
    pub fn fault(&self, about: &str, times: usize, what: What) {
        self.state().faults.push(Fault { about: about.to_owned(), times, what });
    }

    /// Lets nothing go wrong any more.
    pub fn mend(&self) {
        self.state().faults.clear();
    }

    /// What it was asked so far.
    pub fn requests(&self) -> Vec<Request> {
        self.state().requests.clone()
    }

    /// How many requests have arrived, be they answered or not, whose method, path and command contain a text.
    pub fn arrived(&self, about: &str) -> usize {
        self.state().arrived.iter().filter(|arrived| arrived.contains(about)).count()
    }

    /// What it was asked since this was called last.
    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.state().requests)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with a request, if anything does.
    fn strike(&self, what: &str) -> Option<What> {
        let mut state = self.lock();
        let fault = state.faults.iter_mut().find(|fault| fault.times > 0 && what.contains(&fault.about))?;
        fault.times -= 1;
        Some(fault.what.clone())
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(&self.address);
    }
}

/// Answers one request; whether another may follow.
fn serve(stream: &TcpStream, root: &Path, shared: &Shared) -> Option<bool> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let mut words = line.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    let body = body(&mut reader, &headers)?;
    let authorization = headers.get("authorization").cloned();
    let command = String::from_utf8_lossy(&body[..body.len().min(100)]).split("command=").nth(1).map(str::to_owned);
    let command = command.and_then(|rest| rest.split(['\n', '0']).next().map(str::to_owned));
    let request = Request { method: method.clone(), path: path.clone(), authorization, status: 0, command };
    let what = format!("{method} {path} {}", request.command.as_deref().unwrap_or_default());
    shared.lock().arrived.push(what.clone());
    let fault = shared.strike(&what);
    let note = |status: u16| shared.lock().requests.push(Request { status, ..request.clone() });
    let is_let_in = {
        let state = shared.lock();
        let is_named = |named: &Vec<String>| named.contains(request.authorization.as_ref().unwrap_or(&String::new()));
        state.credentials.as_ref().is_none_or(is_named)
    };
    let mut writer = stream;
    let mut say = |status: u16, more: &[String], body: &[u8]| {
        let more: String = more.iter().map(|header| format!("{header}\r\n")).collect();
        let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\n{more}\r\n", body.len());
        writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(body)).ok()
    };
    match &fault {
        Some(What::Status(status, more)) => {
            note(*status);
            say(*status, more, b"")?;
            return Some(true);
        }
        Some(What::Says(answer)) => {
            note(200);
            say(200, &["Content-Type: application/x-git-upload-pack-result".into()], answer)?;
            return Some(true);
        }
        Some(What::Before) => {
            note(0);
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
        Some(What::Later(time)) => {
            note(0);
            let _ = stream.shutdown(std::net::Shutdown::Both);
            std::thread::sleep(*time);
            let _ = answered(root, &method, &path, &headers, body);
            return None;
        }
        Some(What::Late(time)) => std::thread::sleep(*time),
        _ => {}
    }
    let is_transfer = request.authorization.as_deref() == Some(OF_TRANSFERS);
    let is_let_in = if path.contains("/info/lfs/storage/") { is_transfer } else { is_let_in };
    if !is_let_in {
        note(401);
        say(401, &["WWW-Authenticate: Basic realm=\"x\"".into(), "Content-Type: text/plain".into()], b"Go away")?;
        return Some(true);
    }
    let base = format!("http://{}", stream.local_addr().ok()?);
    let (status, more, answer) = match shared.lfs.answer(&base, &method, &path, &body) {
        Some((status, Value::Null, object)) => (status, Vec::new(), object),
        Some((status, told, _)) => {
            (status, vec!["Content-Type: application/vnd.git-lfs+json".into()], told.to_string().into_bytes())
        }
        None => answered(root, &method, &path, &headers, body)?,
    };
    match fault {
        Some(What::After) => {
            note(0);
            let _ = stream.shutdown(std::net::Shutdown::Both);
            None
        }
        Some(What::Stall(bytes)) => {
            note(0);
            let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", answer.len());
            let _ =
                writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&answer[..bytes.min(answer.len())]));
            // Until the other side hangs up.
            let _ = reader.read(&mut [0]);
            None
        }
        Some(What::Within(bytes)) => {
            note(0);
            let head = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n", answer.len());
            let _ =
                writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&answer[..bytes.min(answer.len())]));
            let _ = stream.shutdown(std::net::Shutdown::Both);
            None
        }
        _ => {
            note(status);
            say(status, &more, &answer)?;
            Some(true)
        }
    }
}

/// The whole body of a request.
fn body(reader: &mut impl BufRead, headers: &HashMap<String, String>) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().ok()?, 0);
        reader.read_exact(&mut body).ok()?;
        return Some(body);
    }
    while headers.get("transfer-encoding").is_some_and(|encoding| encoding == "chunked") {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let length = usize::from_str_radix(line.trim(), 16).ok()?;
        let mut chunk = vec![0; length + 2];
        reader.read_exact(&mut chunk).ok()?;
        if length == 0 {
            break;
        }
        body.extend_from_slice(&chunk[..length]);
    }
    Some(body)
}

/// What `git http-backend` says (RFC 3875): status, headers, body.
fn answered(
    root: &Path,
    method: &str,
    path: &str,
    headers: &HashMap<String, String>,
    body: Vec<u8>,
) -> Option<(u16, Vec<String>, Vec<u8>)> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let header = |name: &str| headers.get(name).cloned().unwrap_or_default();
    let mut child = Command::new("git")
        .arg("http-backend")
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", root)
        .env("GIT_PROJECT_ROOT", root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("REMOTE_USER", "somebody")
        .env("REQUEST_METHOD", method)
        .env("PATH_INFO", path)
        .env("QUERY_STRING", query)
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .env("CONTENT_LENGTH", body.len().to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let mut stdin = child.stdin.take()?;
    let feeding = std::thread::spawn(move || stdin.write_all(&body));
    let mut output = Vec::new();
    child.stdout.take()?.read_to_end(&mut output).ok()?;
    let _ = feeding.join();
    let _ = child.wait();
    let end = output.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&output[..end]).into_owned();
    let (mut status, mut more) = (200, Vec::new());
    for line in head.lines() {
        match line.split_once(": ") {
            Some(("Status", value)) => status = value.split(' ').next()?.parse().ok()?,
            Some(_) => more.push(line.to_owned()),
            None => {}
        }
    }
    Some((status, more, output.split_off(end + 4)))
}
