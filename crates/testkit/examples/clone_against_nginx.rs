//! Clones of one repository of about 100 MB, from this server and from `git http-backend` behind nginx, in turn.
//!
//! `bench/clone` runs this after it has installed nginx and fcgiwrap and built the server. Both sides serve the same
//! files on loopback, ask for a credential, and use the same git; this side also decides and records.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use doorward_testkit::{Git, History, Server, write_history};

const RUNS: usize = 5;
const CLOCK_TICKS: f64 = 100.0;

fn main() {
    let program = std::env::args().nth(1).expect("the path of the built server");
    let began = Instant::now();
    let server = Server::start_with(&program, &[("DOORWARD_LOG_LEVEL", "warn")]);
    println!("start-up to the first line: {:.0} ms", began.elapsed().as_secs_f64() * 1e3);
    println!("memory when idle: {:.1} MiB", mebibytes(server.memory("VmRSS")));
    let git = server.git();
    let source = server.directory().join("source.git");
    write_history(&git, &source, History { commits: 20_000, binary_bytes: 400_000 });
    server.cli().ok(&["repository", "create", "home/large", "--import", &source.to_string_lossy()]);
    let bare = server.bare("home/large");
    println!("repository: {}", git.ok(&bare, &["count-objects", "-vH"]).replace('\n', ", "));
    let nginx = Nginx::start(server.directory(), &bare);

    let ours = Side { name: "doorward", url: server.url_of("home/large") };
    let theirs = Side { name: "nginx + http-backend", url: nginx.url() };
    for (scenario, at_once, arguments) in [
        ("one clone", 1, &["clone", "-q", "--bare"][..]),
        ("8 clones at once", 8, &["clone", "-q", "--bare"]),
        ("8 shallow clones at once", 8, &["clone", "-q", "--bare", "--depth", "1"]),
        ("ls-remote", 1, &["ls-remote", "-q"]),
    ] {
        let mut samples = [Vec::new(), Vec::new()];
        for run in 0..=RUNS {
            for (side, samples) in [&ours, &theirs].into_iter().zip(&mut samples) {
                let sample = side.run(&git, server.directory(), at_once, arguments);
                // The first round warms the page cache and is not counted.
                if run > 0 {
                    samples.push(sample);
                }
            }
        }
        for (side, samples) in [&ours, &theirs].into_iter().zip(&samples) {
            let wall: Vec<f64> = samples.iter().map(|sample| sample.0).collect();
            let cpu: Vec<f64> = samples.iter().map(|sample| sample.1).collect();
            println!("{scenario:26} {:22} wall {}  CPU {}", side.name, spread(&wall), spread(&cpu));
        }
    }
    println!("memory of the server's own at most: {:.1} MiB", mebibytes(server.memory("VmHWM")));
}

/// One of the two servers.
struct Side {
    name: &'static str,
    url: String,
}

impl Side {
    /// Runs so many clients at once; seconds on the wall, and of CPU in the whole machine, clients included.
    fn run(&self, git: &Git, directory: &Path, at_once: usize, arguments: &[&str]) -> (f64, f64) {
        let targets: Vec<PathBuf> = (0..at_once).map(|number| directory.join(format!("target{number}"))).collect();
        let before = busy();
        let began = Instant::now();
        let children: Vec<Child> = targets
            .iter()
            .map(|target| {
                let mut command = git.command(directory, arguments);
                command.arg(&self.url).stdout(Stdio::null());
                if arguments[0] == "clone" {
                    command.arg(target);
                }
                command.spawn().expect("git runs")
            })
            .collect();
        for mut child in children {
            assert!(child.wait().expect("git ends").success(), "{}", self.name);
        }
        let wall = began.elapsed().as_secs_f64();
        let cpu = busy() - before;
        targets.iter().for_each(|target| drop(fs::remove_dir_all(target)));
        (wall, cpu)
    }
}

/// Seconds that the whole machine has worked: a server's own children are not all to be found, and both sides have the
/// same clients.
fn busy() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).enumerate();
    // All but the fourth and fifth, which are idle and waiting, and those of guests, which are in the others.
    let ticks =
        fields.filter(|(place, _)| !matches!(place, 3 | 4 | 8 | 9)).filter_map(|(_, field)| field.parse::<f64>().ok());
    ticks.sum::<f64>() / CLOCK_TICKS
}

/// nginx with fcgiwrap in a directory of its own. Both are stopped when this is dropped.
struct Nginx {
    nginx: Child,
    fcgiwrap: Child,
    port: u16,
}

impl Nginx {
    fn start(directory: &Path, bare: &Path) -> Self {
        let home = directory.join("nginx");
        fs::create_dir_all(home.join("root")).expect("made");
        std::os::unix::fs::symlink(bare, home.join("root/large.git")).expect("linked");
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let home_text = home.display().to_string();
        // The password is `secret`, as a plain SHA-1: the fastest check that nginx has.
        fs::write(home.join("htpasswd"), "admin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").expect("written");
        fs::write(home.join("gitconfig"), "[safe]\n\tdirectory = *\n[http]\n\treceivepack = true\n").expect("written");
        fs::write(
            home.join("nginx.conf"),
            CONFIGURATION.replace("@HOME@", &home_text).replace("@PORT@", &port.to_string()),
        )
        .expect("written");
        let mut fcgiwrap = Command::new("fcgiwrap");
        fcgiwrap.args(["-c", "8", "-s", &format!("unix:{home_text}/fcgiwrap.sock")]);
        fcgiwrap.env("GIT_CONFIG_GLOBAL", home.join("gitconfig"));
        let fcgiwrap = fcgiwrap.spawn().expect("fcgiwrap runs");
        while !home.join("fcgiwrap.sock").exists() {
            std::thread::sleep(Duration::from_millis(10));
        }
        let mut nginx = Command::new("nginx");
        let nginx =
            nginx.args(["-c", &format!("{home_text}/nginx.conf"), "-p", &home_text]).spawn().expect("nginx runs");
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(10));
        }
        Self { nginx, fcgiwrap, port }
    }

    fn url(&self) -> String {
        format!("http://admin:secret@127.0.0.1:{}/large.git", self.port)
    }

    /// Both programs and the workers they have forked.
    fn pids(&self) -> Vec<u32> {
        let parents = [self.nginx.id(), self.fcgiwrap.id()];
        let children = |pid: &u32| {
            let list = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
            list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>()
        };
        parents.iter().flat_map(children).chain(parents).collect()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // The parents first: they would replace a worker that ends.
        for pid in self.pids().into_iter().rev() {
            let _ = Command::new("kill").arg(pid.to_string()).stderr(Stdio::null()).status();
        }
        let _ = (self.nginx.wait(), self.fcgiwrap.wait());
    }
}

/// Median, least and greatest.
fn spread(samples: &[f64]) -> String {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (least, greatest) = (sorted[0], sorted[sorted.len() - 1]);
    format!("{:7.3} s ({least:.3}–{greatest:.3})", sorted[sorted.len() / 2])
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

const CONFIGURATION: &str = "
daemon off;
worker_processes 2;
pid @HOME@/nginx.pid;
error_log @HOME@/error.log;
user root;
events { worker_connections 512; }
http {
    access_log off;
    client_max_body_size 0;
    client_body_temp_path @HOME@/body;
    fastcgi_temp_path @HOME@/fastcgi;
    proxy_temp_path @HOME@/proxy;
    uwsgi_temp_path @HOME@/uwsgi;
    scgi_temp_path @HOME@/scgi;
    server {
        listen 127.0.0.1:@PORT@;
        location / {
            auth_basic git;
            auth_basic_user_file @HOME@/htpasswd;
            fastcgi_buffering off;
            fastcgi_request_buffering off;
            fastcgi_param SCRIPT_FILENAME /usr/lib/git-core/git-http-backend;
            fastcgi_param GIT_HTTP_EXPORT_ALL 1;
            fastcgi_param GIT_PROJECT_ROOT @HOME@/root;
            fastcgi_param GIT_PROTOCOL $http_git_protocol;
            fastcgi_param PATH_INFO $uri;
            fastcgi_param QUERY_STRING $query_string;
            fastcgi_param REQUEST_METHOD $request_method;
            fastcgi_param CONTENT_TYPE $content_type;
            fastcgi_param CONTENT_LENGTH $content_length;
            fastcgi_param HTTP_CONTENT_ENCODING $http_content_encoding;
            fastcgi_param REMOTE_USER $remote_user;
            fastcgi_pass unix:@HOME@/fcgiwrap.sock;
        }
    }
}
";
