//! Those who serve the same repositories: this server, `git http-backend` behind nginx and behind Apache, and nginx with files.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use doorward_testkit::Server;
use rustix::process::{Pid, Signal, kill_process_group};

/// One who serves.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    /// Address and port.
    pub(crate) host: String,
    /// User name and secret, as they stand in a URL.
    pub(crate) user: String,
    /// `Authorization: …`; nothing for who asks for none.
    pub(crate) authorization: String,
    /// Where its files lie, if it serves files alone.
    pub(crate) files: PathBuf,
    /// Whether it serves files alone.
    pub(crate) is_static: bool,
    /// Whether it speaks no version of the protocol but the first.
    pub(crate) is_old: bool,
    server: Option<Server>,
    /// Stopped when this is dropped.
    _running: Running,
}

/// Programs of a peer's.
#[derive(Default)]
struct Running(Vec<Child>);

/// The repositories, by their names in URLs below `home`.
pub(crate) const NAMES: [&str; 4] = ["small", "medium", "large", "many"];

impl Peer {
    /// This server, with copies of the repositories in `source`.
    pub(crate) fn doorward(program: &str, source: &Path) -> Self {
        let server = Server::start_with(program, &[("DOORWARD_LOG_LEVEL", "warn")]);
        for name in NAMES {
            server.cli().ok(&["repository", "create", &format!("home/{name}")]);
            let bare = server.bare(&format!("home/{name}"));
            fs::remove_dir_all(&bare).expect("removed");
            copy(&source.join(format!("{name}.git")), &bare);
        }
        let secret = server.cli().token("admin", &["read:repository:bitbucket", "write:repository:bitbucket"], &[]).1;
        Self {
            user: format!("admin:{secret}"),
            authorization: format!("Authorization: Bearer {secret}\r\n"),
            ..Self::with_server("doorward", server)
        }
    }

    /// This server as the gateway before another peer, with a data directory of its own.
    pub(crate) fn gateway(program: &str, name: &'static str, upstream: &Self) -> Self {
        let configuration = format!(
            "[[upstream]]\nname = \"upstream\"\nworkspaces = \"home\"\ngit = \"http://{}\"\nforms = \"as-sent\"\n\
             git_per_hour = 4000000000\n",
            upstream.host
        );
        let server = Server::start_configured(program, &configuration, &[("DOORWARD_LOG_LEVEL", "warn")]);
        Self {
            user: upstream.user.clone(),
            authorization: upstream.authorization.clone(),
            ..Self::with_server(name, server)
        }
    }

    /// How many requests a gateway has made of its upstream.
    pub(crate) fn asked_upstream(&self) -> u64 {
        let Some(server) = &self.server else { return 0 };
        let text = server.http().get("/metrics", &[]).text();
        let lines = text.lines().filter(|line| line.starts_with("doorward_upstream_requests_total{"));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// Bytes that a gateway has `fetched` from its upstream, or `served` out of its mirrors.
    pub(crate) fn upstream_bytes(&self, what: &str) -> u64 {
        let Some(server) = &self.server else { return 0 };
        let text = server.http().get("/metrics", &[]).text();
        let name = format!("doorward_upstream_{what}_bytes_total{{");
        let lines = text.lines().filter(|line| line.starts_with(&name));
        lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum()
    }

    /// nginx, which hands requests to `git http-backend` in fcgiwrap. What it was asked is in `nginx/access.log`.
    pub(crate) fn nginx(directory: &Path, source: &Path) -> Self {
        let home = directory.join("nginx");
        let host = prepare(&home, source);
        let socket = home.join("fcgiwrap.sock");
        let mut fcgiwrap = Command::new("fcgiwrap");
        fcgiwrap.args(["-c", "16", "-s", &format!("unix:{}", socket.display())]);
        let fcgiwrap =
            fcgiwrap.env("GIT_CONFIG_GLOBAL", home.join("gitconfig")).process_group(0).spawn().expect("fcgiwrap runs");
        await_that("fcgiwrap", || socket.exists());
        let nginx = nginx(&home, &host, HTTP_BACKEND);
        Self { _running: Running(vec![nginx, fcgiwrap]), ..Self::with_password("nginx + http-backend", host) }
    }

    /// Apache, which starts `git http-backend` itself.
    pub(crate) fn apache(directory: &Path, source: &Path) -> Self {
        let home = directory.join("apache");
        let host = prepare(&home, source);
        let configuration = filled(APACHE, &home, &host);
        fs::write(home.join("apache.conf"), configuration).expect("written");
        let mut apache = Command::new("apache2");
        apache.arg("-DFOREGROUND").arg("-f").arg(home.join("apache.conf"));
        let apache =
            apache.env("GIT_CONFIG_GLOBAL", home.join("gitconfig")).process_group(0).spawn().expect("apache runs");
        await_that("Apache", || TcpStream::connect(&host).is_ok());
        Self { _running: Running(vec![apache]), ..Self::with_password("Apache + http-backend", host) }
    }

    /// nginx with files and no credentials: the limit.
    pub(crate) fn files(directory: &Path) -> Self {
        let home = directory.join("files");
        fs::create_dir_all(home.join("root")).expect("made");
        let host = free_address();
        let nginx = nginx(&home, &host, FILES);
        Self {
            _running: Running(vec![nginx]),
            files: home.join("root"),
            is_static: true,
            authorization: String::new(),
            ..Self::with_password("static files", host)
        }
    }

    /// nginx, which answers a question for the refs of the small repository out of files, to whoever has the password: the fastest
    /// upstream there is.
    pub(crate) fn recorded(directory: &Path, advertisement: &[u8], refs: &[u8]) -> Self {
        let home = directory.join("recorded");
        fs::create_dir_all(home.join("root")).expect("made");
        fs::write(home.join("root/small.info"), advertisement).expect("written");
        fs::write(home.join("root/small.refs"), refs).expect("written");
        fs::write(home.join("htpasswd"), HTPASSWD).expect("written");
        let host = free_address();
        let nginx = nginx(&home, &host, RECORDED);
        Self { _running: Running(vec![nginx]), ..Self::with_password("recorded answers", host) }
    }

    /// A program in front of another peer, that takes the same credentials.
    pub(crate) fn before(name: &'static str, upstream: &Self, host: String, mut program: Command) -> Self {
        let child = program.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let running = Running(vec![child.unwrap_or_else(|error| panic!("{name}: {error}"))]);
        await_that(name, || TcpStream::connect(&host).is_ok());
        Self {
            user: upstream.user.clone(),
            authorization: upstream.authorization.clone(),
            _running: running,
            ..Self::with_password(name, host)
        }
    }

    fn with_server(name: &'static str, server: Server) -> Self {
        let host = server.host().to_owned();
        Self { server: Some(server), ..Self::with_password(name, host) }
    }

    pub(crate) fn with_password(name: &'static str, host: String) -> Self {
        Self {
            name,
            host,
            user: "admin:secret".into(),
            authorization: "Authorization: Basic YWRtaW46c2VjcmV0\r\n".into(),
            files: PathBuf::new(),
            is_static: false,
            is_old: false,
            server: None,
            _running: Running::default(),
        }
    }

    /// The most memory that this server's own process has had, in bytes; nothing of the others.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.server.as_ref().map(|server| server.memory("VmHWM"))
    }

    /// A header with a secret that is none.
    pub(crate) fn wrong(&self) -> &'static str {
        "Authorization: Basic YWRtaW46d3Jvbmc=\r\n"
    }

    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://{}@{}/home/{repository}.git", self.user, self.host)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        for child in &mut self.0 {
            // With whatever it has started.
            if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait();
        }
    }
}

/// A directory with copies of the repositories, a password file and a configuration of git that makes pushes as durable as ours.
fn prepare(home: &Path, source: &Path) -> String {
    let repositories = home.join("root/home");
    fs::create_dir_all(&repositories).expect("made");
    NAMES.iter().for_each(|name| copy(&source.join(format!("{name}.git")), &repositories.join(format!("{name}.git"))));
    fs::write(home.join("htpasswd"), HTPASSWD).expect("written");
    fs::write(home.join("gitconfig"), GIT_CONFIGURATION).expect("written");
    free_address()
}

fn copy(from: &Path, to: &Path) {
    assert!(Command::new("cp").arg("-a").args([from, to]).status().expect("cp").success());
}

pub(crate) fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").to_string()
}

fn nginx(home: &Path, host: &str, location: &str) -> Child {
    // To write down each request would be a part of what is measured, where nothing else costs as little.
    let log = if location == HTTP_BACKEND { "@HOME@/access.log" } else { "off" };
    let text = NGINX.replace("@LOCATION@", location).replace("@LOG@", log);
    fs::write(home.join("nginx.conf"), filled(&text, home, host)).expect("written");
    let mut nginx = Command::new("nginx");
    let nginx =
        nginx.arg("-c").arg(home.join("nginx.conf")).arg("-p").arg(home).process_group(0).spawn().expect("nginx runs");
    await_that("nginx", || TcpStream::connect(host).is_ok());
    nginx
}

fn filled(text: &str, home: &Path, host: &str) -> String {
    text.replace("@HOME@", &home.display().to_string()).replace("@HOST@", host)
}

fn await_that(name: &str, is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        sleep(Duration::from_millis(10));
    }
    panic!("{name} does not start");
}

/// The password is `secret`, as a plain SHA-1: the fastest check that nginx and Apache have.
const HTPASSWD: &str = "admin:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";

const GIT_CONFIGURATION: &str = "
[safe]
	directory = *
[http]
	receivepack = true
[core]
	fsync = committed,derived-metadata,reference
[uploadpack]
	allowAnySHA1InWant = true
";

const NGINX: &str = "
daemon off;
worker_processes 2;
pid @HOME@/nginx.pid;
error_log @HOME@/error.log;
user root;
events { worker_connections 1024; }
http {
    access_log @LOG@;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000;
    client_max_body_size 0;
    client_body_temp_path @HOME@/body;
    fastcgi_temp_path @HOME@/fastcgi;
    proxy_temp_path @HOME@/proxy;
    uwsgi_temp_path @HOME@/uwsgi;
    scgi_temp_path @HOME@/scgi;
    server {
        listen @HOST@;
        location / { @LOCATION@ }
    }
}
";

const FILES: &str = "root @HOME@/root;";

/// A POST is answered with a file, too.
const RECORDED: &str = "
            auth_basic git;
            auth_basic_user_file @HOME@/htpasswd;
            root @HOME@/root;
            location = /home/small.git/info/refs {
                types { }
                default_type application/x-git-upload-pack-advertisement;
                try_files /small.info =404;
            }
            location = /home/small.git/git-upload-pack { error_page 405 =200 /small.refs; return 405; }
            location = /small.refs {
                internal;
                types { }
                default_type application/x-git-upload-pack-result;
            }
";

const HTTP_BACKEND: &str = "
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
";

const APACHE: &str = "
ServerRoot /etc/apache2
ServerName localhost
Listen @HOST@
PidFile @HOME@/apache.pid
ErrorLog @HOME@/error.log
LogLevel error
LoadModule mpm_event_module /usr/lib/apache2/modules/mod_mpm_event.so
LoadModule authn_core_module /usr/lib/apache2/modules/mod_authn_core.so
LoadModule authn_file_module /usr/lib/apache2/modules/mod_authn_file.so
LoadModule auth_basic_module /usr/lib/apache2/modules/mod_auth_basic.so
LoadModule authz_core_module /usr/lib/apache2/modules/mod_authz_core.so
LoadModule authz_user_module /usr/lib/apache2/modules/mod_authz_user.so
LoadModule alias_module /usr/lib/apache2/modules/mod_alias.so
LoadModule env_module /usr/lib/apache2/modules/mod_env.so
LoadModule setenvif_module /usr/lib/apache2/modules/mod_setenvif.so
LoadModule cgid_module /usr/lib/apache2/modules/mod_cgid.so
ScriptSock @HOME@/cgid.sock
KeepAlive On
MaxKeepAliveRequests 0
PassEnv GIT_CONFIG_GLOBAL
SetEnv GIT_PROJECT_ROOT @HOME@/root
SetEnv GIT_HTTP_EXPORT_ALL 1
SetEnvIf Git-Protocol \".*\" GIT_PROTOCOL=$0
ScriptAlias / /usr/lib/git-core/git-http-backend/
<Location />
    AuthType Basic
    AuthName git
    AuthUserFile @HOME@/htpasswd
    Require valid-user
</Location>
";
