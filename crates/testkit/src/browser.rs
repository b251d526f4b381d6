//! A real browser: Debian's Chromium, driven by WebDriver (<https://www.w3.org/TR/webdriver2/>).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A browser with one window. It is closed when this is dropped.
#[derive(Debug)]
pub struct Browser {
    driver: Child,
    agent: ureq::Agent,
    /// Where the driver is.
    base: String,
    session: String,
    #[expect(dead_code, reason = "held for its Drop")]
    profile: TempDir,
}

/// How the browser is.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// Pixels from side to side.
    pub width: u32,
    /// Whether its user wants dark pages.
    pub dark: bool,
    /// Whether scripts run.
    pub scripts: bool,
}

impl Browser {
    /// Starts a browser.
    ///
    /// # Panics
    /// If Chromium and its driver are not there: `apt install chromium chromium-driver`.
    pub fn start(look: Look) -> Self {
        // The port that a driver picks may be taken by another before it listens; then it ends, and the next one picks another.
        let (driver, port) = (0..20).find_map(|_| start_driver()).expect("chromedriver starts");
        let base = format!("http://127.0.0.1:{port}");
        let agent =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).proxy(None);
        let agent = agent.build().new_agent();
        let profile = TempDir::new().expect("a directory");
        let mut arguments = vec![
            "--headless=new".to_owned(),
            "--no-sandbox".into(),
            "--disable-gpu".into(),
            "--disable-dev-shm-usage".into(),
            "--no-first-run".into(),
            "--disable-background-networking".into(),
            "--disable-component-update".into(),
            "--disable-sync".into(),
            "--hide-scrollbars".into(),
            "--force-device-scale-factor=1".into(),
            format!("--user-data-dir={}", profile.path().display()),
        ];
        if look.dark {
            arguments.push("--blink-settings=preferredColorScheme=0".into());
        }
        let scripts = if look.scripts { 1 } else { 2 };
        let options = json!({
            "args": arguments,
            "prefs": { "profile.managed_default_content_settings.javascript": scripts },
        });
        let wanted = json!({ "capabilities": { "alwaysMatch": {
            "goog:chromeOptions": options, "timeouts": { "implicit": 10_000, "pageLoad": 60_000 },
        } } });
        let mut browser = Self { driver, agent, base, session: String::new(), profile };
        let session = browser.call("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        // The window of a headless browser cannot be as narrow as a telephone; what it pretends to be can.
        let metrics = json!({ "width": look.width, "height": 900, "deviceScaleFactor": 1, "mobile": look.width < 500 });
        browser.tool("Emulation.setDeviceMetricsOverride", &metrics);
        let scheme = if look.dark { "dark" } else { "light" };
        let features = json!({ "features": [{ "name": "prefers-color-scheme", "value": scheme }] });
        browser.tool("Emulation.setEmulatedMedia", &features);
        browser
    }

    /// Goes to an address.
    pub fn go(&self, address: &str) {
        self.command("POST", "/url", &json!({ "url": address }));
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.command("GET", "/url", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// The page as it is now.
    pub fn source(&self) -> String {
        self.command("GET", "/source", &Value::Null).as_str().unwrap_or_default().to_owned()
    }

    /// The text of the first thing that a selector finds, once there is one.
    pub fn text(&self, selector: &str) -> String {
        // What was found on one page may be gone when it is read, since another has come in the meantime.
        loop {
            let path = format!("/session/{}/element/{}/text", self.session, self.find(selector));
            match self.ask("GET", &path, &Value::Null) {
                (200, value) => return value.as_str().unwrap_or_default().to_owned(),
                (404, value) if value["error"] == "stale element reference" => {}
                // The driver says so where the page goes while it looks.
                (500, value) if value["message"].as_str().is_some_and(|why| why.contains(GONE)) => {}
                (status, value) => panic!("the text of {selector}: {status} {value}"),
            }
        }
    }

    /// Clicks on the first thing that a selector finds, once there is one.
    pub fn click(&self, selector: &str) {
        self.command("POST", &format!("/element/{}/click", self.find(selector)), &json!({}));
    }

    /// Types into the first field that a selector finds, once there is one.
    pub fn write(&self, selector: &str, text: &str) {
        self.command("POST", &format!("/element/{}/value", self.find(selector)), &json!({ "text": text }));
    }

    /// Presses a key: `\u{e004}` is Tab, `\u{e007}` is Enter.
    pub fn press(&self, key: &str) {
        let keys = json!([{ "type": "keyDown", "value": key }, { "type": "keyUp", "value": key }]);
        self.command("POST", "/actions", &json!({ "actions": [{ "type": "key", "id": "keys", "actions": keys }] }));
    }

    /// Runs a script in the page, also where pages may run none of their own; what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.command("POST", "/execute/async", &json!({ "script": script, "args": [] }))
    }

    /// Keeps a picture of the page.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn picture(&self, file: &Path) {
        let taken = self.tool("Page.captureScreenshot", &json!({ "captureBeyondViewport": true }));
        let bytes = STANDARD.decode(taken["data"].as_str().unwrap_or_default()).expect("base 64");
        std::fs::write(file, bytes).expect("the picture is written");
    }

    /// Plugs an authenticator in, with a person at it whom it makes sure of, or not.
    pub fn authenticator(&self, makes_sure: bool) {
        self.command(
            "POST",
            "/webauthn/authenticator",
            &json!({
                "protocol": "ctap2", "transport": "internal", "hasResidentKey": true, "hasUserVerification": makes_sure,
                "isUserVerified": makes_sure, "isUserConsenting": true,
            }),
        );
    }

    fn find(&self, selector: &str) -> String {
        let found = self.command("POST", "/element", &json!({ "using": "css selector", "value": selector }));
        let id = found.as_object().and_then(|found| found.values().next()?.as_str());
        id.unwrap_or_else(|| panic!("nothing is at {selector} on {}: {found}", self.address())).to_owned()
    }

    fn tool(&self, name: &str, parameters: &Value) -> Value {
        self.command("POST", "/goog/cdp/execute", &json!({ "cmd": name, "params": parameters }))
    }

    fn command(&self, method: &str, path: &str, body: &Value) -> Value {
        self.call(method, &format!("/session/{}{path}", self.session), body)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, value) = self.ask(method, path, body);
        let body = body.to_string().chars().take(500).collect::<String>();
        assert_eq!(status, 200, "{method} {path} {body}: {value}");
        value
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let address = format!("{}{path}", self.base);
        let request =
            ureq::http::Request::builder().method(method).uri(&address).header("content-type", "application/json");
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let request = request.body(text).expect("a request");
        let mut answer = self.agent.run(request).unwrap_or_else(|error| panic!("{method} {path}: {error}"));
        let text = answer.body_mut().with_config().limit(LONGEST).read_to_string().expect("an answer");
        let mut value: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{method} {path}: {error} in {text}"));
        (answer.status().as_u16(), value["value"].take())
    }
}

/// Starts a driver; nothing if it ends without listening.
fn start_driver() -> Option<(Child, String)> {
    let mut driver = Command::new("chromedriver")
        .arg("--port=0")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("chromedriver is there: apt install chromium chromium-driver");
    let mut lines = BufReader::new(driver.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let port =
        lines.find_map(|line| Some(line.split("successfully on port ").nth(1)?.trim_end_matches('.').to_owned()));
    let Some(port) = port else {
        driver.wait().expect("it has ended");
        return None;
    };
    // What it writes from now on is nobody's, but must not fill the pipe.
    std::thread::spawn(move || lines.for_each(drop));
    Some((driver, port))
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Also after a failure: a browser that nobody ends goes on.
        if !self.session.is_empty() {
            let _ = self.agent.delete(format!("{}/session/{}", self.base, self.session)).call();
        }
        // Told to end, it ends its browser, too.
        if let Some(pid) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        let _ = self.driver.wait();
    }
}

/// How long a command may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(90);
/// What the driver says of what is on a page that has gone.
const GONE: &str = "does not belong to the document";
/// Bytes of an answer, of which a picture has most.
const LONGEST: u64 = 64 << 20;
