//! Somebody at the web pages with no browser but cookies: pages are fetched, and forms on them filled in and sent.

use crate::{Http, Response, Server};

/// Somebody who goes from page to page.
#[derive(Debug, Clone)]
pub struct Visitor {
    http: Http,
    cookies: Vec<(String, String)>,
    /// The page that it sees.
    pub page: Page,
}

/// What it sees.
#[derive(Debug, Clone)]
pub struct Page {
    /// The path, with what follows.
    pub path: String,
    /// The answer.
    pub response: Response,
}

impl Visitor {
    /// Somebody who has not been here before.
    pub fn new(server: &Server) -> Self {
        Self::at(server.host())
    }

    /// The same at a host and port.
    pub fn at(host: &str) -> Self {
        let nothing = Response { status: 0, headers: Vec::new(), body: Vec::new() };
        Self { http: Http::new(host), cookies: Vec::new(), page: Page { path: "/".into(), response: nothing } }
    }

    /// Somebody who signs in to an account by a link that an administrator has made, with [`PASSWORD`].
    ///
    /// # Panics
    /// If it does not get in.
    pub fn signed_in(server: &Server, account: &str) -> Self {
        let link = server.cli().json(&["account", "link", account]);
        let mut visitor = Self::new(server);
        visitor.go(link["path"].as_str().expect("a path"));
        visitor.send("/account/welcome", &[("password", PASSWORD), ("again", PASSWORD)]);
        assert_eq!((visitor.page.response.status, visitor.page.path.as_str()), (200, "/"), "{}", visitor.text());
        visitor
    }

    /// Goes to a path, and on to where that leads.
    pub fn go(&mut self, path: &str) -> &mut Self {
        let response = self.ask("GET", path, &[], b"");
        self.follow(path, response)
    }

    /// Fills in the form of the page that goes to what `action` begins, and sends it: what is given, and what is hidden in it.
    ///
    /// # Panics
    /// If there is no such form.
    pub fn send(&mut self, action: &str, fields: &[(&str, &str)]) -> &mut Self {
        let html = self.html();
        let form = html.split("<form").skip(1).map(|rest| rest.split("</form>").next().unwrap_or_default());
        let form = form.filter(|form| attribute(form, "method") == "post");
        let form = form.filter(|form| attribute(form, "action").starts_with(action)).collect::<Vec<_>>();
        let form =
            form.first().unwrap_or_else(|| panic!("no form goes to {action} on {}: {}", self.page.path, self.text()));
        let to = attribute(form, "action");
        let hidden = form.split("<input").skip(1).filter(|input| attribute(input, "type") == "hidden");
        let hidden = hidden.map(|input| (attribute(input, "name"), attribute(input, "value")));
        let given = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let pairs: Vec<(String, String)> = hidden.chain(given).collect();
        self.post(&to, &pairs)
    }

    /// Sends a form that need not be on the page.
    pub fn post(&mut self, path: &str, fields: &[(String, String)]) -> &mut Self {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={}", encoded(name), encoded(value))).collect();
        let headers = ["Content-Type: application/x-www-form-urlencoded"];
        let response = self.ask("POST", path, &headers, body.join("&").as_bytes());
        self.follow(path, response)
    }

    /// One request with its cookies, and no step further.
    pub fn ask(&mut self, method: &str, path: &str, headers: &[&str], body: &[u8]) -> Response {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let cookie = format!("Cookie: {}", cookies.join("; "));
        let mut headers = headers.to_vec();
        if !cookies.is_empty() {
            headers.push(&cookie);
        }
        let response = self.http.call(method, path, &headers, body);
        for (_, set) in response.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (name, rest) = set.split_once('=').unwrap_or_default();
            let value = rest.split(';').next().unwrap_or_default();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() && !rest.contains("Max-Age=0") {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        response
    }

    fn follow(&mut self, path: &str, response: Response) -> &mut Self {
        let (mut path, mut response) = (path.to_owned(), response);
        for _ in 0..10 {
            let to = response.header("location").to_owned();
            if !(300..400).contains(&response.status) || !to.starts_with('/') {
                break;
            }
            response = self.ask("GET", &to, &[], b"");
            path = to;
        }
        self.page = Page { path, response };
        self
    }

    /// The status of the page.
    pub fn status(&self) -> u16 {
        self.page.response.status
    }

    /// The page as it was sent.
    pub fn html(&self) -> String {
        self.page.response.text()
    }

    /// What of it people read.
    pub fn text(&self) -> String {
        let html = self.html();
        let main = html.split("<main").nth(1).unwrap_or(&html);
        let words = main.split('<').map(|part| part.split_once('>').map_or("", |(_, text)| text));
        let text = words.collect::<Vec<_>>().join(" ");
        unescaped(&text.split_whitespace().collect::<Vec<_>>().join(" "))
    }

    /// The secret that the page shows.
    ///
    /// # Panics
    /// If it shows none.
    pub fn secret(&self) -> String {
        let html = self.html();
        let rest = html.split("id=\"secret\"").nth(1).unwrap_or_else(|| panic!("no secret: {}", self.text()));
        rest.split('>').nth(1).and_then(|rest| rest.split('<').next()).unwrap_or_default().to_owned()
    }

    /// The value of a cookie; empty without it.
    pub fn cookie(&self, name: &str) -> &str {
        self.cookies.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value)
    }

    /// Has a cookie that it was not given.
    pub fn set_cookie(&mut self, name: &str, value: &str) {
        self.cookies.retain(|(known, _)| known != name);
        self.cookies.push((name.to_owned(), value.to_owned()));
    }
}

/// The password of whoever was [`Visitor::signed_in`].
pub const PASSWORD: &str = "a sentence that nobody knows";

fn attribute(tag: &str, name: &str) -> String {
    let tag = tag.split('>').next().unwrap_or_default();
    let value = tag.split(&format!(" {name}=\"")).nth(1).and_then(|rest| rest.split('"').next());
    unescaped(value.unwrap_or_default())
}

fn unescaped(text: &str) -> String {
    let text = text.replace("&#34;", "\"").replace("&quot;", "\"").replace("&#39;", "'").replace("&lt;", "<");
    text.replace("&#60;", "<").replace("&#62;", ">").replace("&gt;", ">").replace("&#38;", "&").replace("&amp;", "&")
}

fn encoded(text: &str) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
    text.bytes().map(|byte| if plain(&byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}
