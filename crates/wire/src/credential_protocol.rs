//! What git and its credential helpers tell each other: lines of `key=value`, ended by an empty line (git-credential).

use std::fmt;
use std::io::{self, BufRead, Write};

use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

/// A description of a credential, as git gives it to a helper or takes it from one.
///
/// Attributes that this program has no use for are passed over, as the protocol asks.
#[derive(Clone, Default)]
pub struct Description {
    /// `https` or `http`.
    pub protocol: Option<String>,
    /// The host, with its port if that is not the usual one.
    pub host: Option<String>,
    /// The path without a leading slash; only with `credential.useHttpPath`.
    pub path: Option<String>,
    /// The user name.
    pub username: Option<String>,
    /// The secret.
    pub password: Option<SecretString>,
    /// How the credential is presented, if not as Basic: `Bearer`.
    pub authtype: Option<String>,
    /// The secret that goes with `authtype`, in place of a user name and a password.
    pub credential: Option<SecretString>,
    /// The schemes that the host's challenges name, in lower case (`wwwauth[]`).
    pub challenges: Vec<String>,
    /// When the secret ends, in seconds since 1970.
    pub password_expiry_utc: Option<i64>,
    /// What both sides can do besides: `authtype`, `state`.
    pub capabilities: Vec<String>,
    /// What a helper wants to be told again about this credential.
    pub state: Vec<String>,
    /// That it is not to be kept.
    pub ephemeral: bool,
    /// That no other helper is to be asked, nor the user.
    pub quit: bool,
}

/// Why a description cannot be read.
#[derive(Debug, Error)]
pub enum DescriptionError {
    /// The other side broke off.
    #[error("git's question cannot be read: {0}")]
    Read(#[from] io::Error),
    /// Longer than any description is.
    #[error("git's question is longer than {LIMIT} bytes")]
    TooLong,
    /// A line without `=`, or with bytes that no line may have.
    #[error("git's question has a line that is not `key=value`")]
    Malformed,
}

impl Description {
    /// Reads up to an empty line or the end.
    ///
    /// # Errors
    /// [`DescriptionError`] if it cannot be read, is too long, or is none.
    pub fn read(input: impl BufRead) -> Result<Self, DescriptionError> {
        let mut input = input.take(LIMIT as u64 + 1);
        let (mut description, mut length) = (Self::default(), 0);
        loop {
            let mut line = Vec::new();
            length += input.read_until(b'\n', &mut line)?;
            if length > LIMIT {
                return Err(DescriptionError::TooLong);
            }
            let ended = line.pop_if(|byte| *byte == b'\n').is_none();
            line.pop_if(|byte| *byte == b'\r');
            if line.is_empty() {
                return Ok(description);
            }
            let equals = line.iter().position(|byte| *byte == b'=').ok_or(DescriptionError::Malformed)?;
            let (key, value) = (String::from_utf8_lossy(&line[..equals]), &line[equals + 1..]);
            // Headers of servers are passed on as they are, whatever they are written in; the scheme alone counts.
            if key == "wwwauth[]" {
                description.challenge(&String::from_utf8_lossy(value));
            } else if USED.contains(&key.as_ref()) {
                let value = std::str::from_utf8(value).ok().filter(|value| !value.contains(ENDS));
                description.set(&key, value.ok_or(DescriptionError::Malformed)?);
            }
            if ended {
                return Ok(description);
            }
        }
    }

    /// Writes what a helper answers, or git would ask.
    ///
    /// # Errors
    /// Those of `output`; [`io::ErrorKind::InvalidInput`] for a value that would be more than a line.
    pub fn write(&self, mut output: impl Write) -> io::Result<()> {
        let mut lines = String::new();
        let mut line = |key: &str, value: &str| {
            // A line's end within a value would be an attribute of its own.
            if value.contains(ENDS) {
                return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("the {key} has more than one line")));
            }
            lines.push_str(&format!("{key}={value}\n"));
            Ok(())
        };
        for capability in &self.capabilities {
            line("capability[]", capability)?;
        }
        for (key, value) in
            [("protocol", &self.protocol), ("host", &self.host), ("path", &self.path), ("username", &self.username)]
        {
            if let Some(value) = value {
                line(key, value)?;
            }
        }
        if let Some(password) = &self.password {
            line("password", password.expose_secret())?;
        }
        if let (Some(authtype), Some(credential)) = (&self.authtype, &self.credential) {
            line("authtype", authtype)?;
            line("credential", credential.expose_secret())?;
        }
        if let Some(expiry) = self.password_expiry_utc {
            line("password_expiry_utc", &expiry.to_string())?;
        }
        for state in &self.state {
            line("state[]", state)?;
        }
        if self.quit {
            line("quit", "1")?;
        }
        output.write_all(lines.as_bytes())
    }

    fn challenge(&mut self, header: &str) {
        match header.split([' ', ',']).next().filter(|scheme| !scheme.is_empty()) {
            Some(scheme) => self.challenges.push(scheme.to_ascii_lowercase()),
            // An empty one takes back those before it.
            None => self.challenges.clear(),
        }
    }

    fn set(&mut self, key: &str, value: &str) {
        let text = || Some(value.to_owned());
        match key {
            "protocol" => self.protocol = text(),
            "host" => self.host = text(),
            "path" => self.path = text(),
            "username" => self.username = text(),
            "password" => self.password = Some(value.into()),
            "authtype" => self.authtype = text(),
            "credential" => self.credential = Some(value.into()),
            "password_expiry_utc" => self.password_expiry_utc = value.parse().ok(),
            "ephemeral" => self.ephemeral = matches!(value, "1" | "true"),
            "quit" => self.quit = matches!(value, "1" | "true"),
            // An empty one takes back those before it.
            "capability[]" if value.is_empty() => self.capabilities.clear(),
            "capability[]" => self.capabilities.push(value.into()),
            "state[]" if value.is_empty() => self.state.clear(),
            "state[]" => self.state.push(value.into()),
            _ => {}
        }
    }
}

/// Everything but the secret.
impl fmt::Debug for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Description")
            .field("protocol", &self.protocol)
            .field("host", &self.host)
            .field("path", &self.path)
            .field("username", &self.username)
            .finish_non_exhaustive()
    }
}

/// What no value has: some programs take each of them for the end of a line or of a text.
const ENDS: [char; 3] = ['\n', '\r', '\0'];
/// The attributes that are read.
const USED: &[&str] = &[
    "protocol",
    "host",
    "path",
    "username",
    "password",
    "authtype",
    "credential",
    "password_expiry_utc",
    "ephemeral",
    "quit",
    "capability[]",
    "state[]",
];
/// The longest description that is read: a secret of some kilobytes, and what comes with it.
const LIMIT: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Description, DescriptionError> {
        Description::read(text.as_bytes())
    }

    #[test]
    fn what_git_asks_is_read_and_what_is_answered_is_written_line_by_line() {
        let text = "capability[]=authtype\ncapability[]=state\nprotocol=https\nhost=bitbucket.org\npath=acme/site.git\n\
             wwwauth[]=Basic realm=\"x\"\nusername=ada\npassword=a=b\npassword_expiry_utc=5\nstate[]=doorward:1\n\nrest";
        let description = read(text).expect("a description");
        assert_eq!(description.host.as_deref(), Some("bitbucket.org"));
        assert_eq!(description.password.as_ref().map(|secret| secret.expose_secret().to_owned()), Some("a=b".into()));
        let mut written = Vec::new();
        description.write(&mut written).expect("written");
        let expected = text.replace("wwwauth[]=Basic realm=\"x\"\n", "").replace("\n\nrest", "\n");
        assert_eq!(String::from_utf8_lossy(&written), expected);
        assert!(!format!("{description:?}").contains("a=b"));
        assert_eq!(description.challenges, ["basic"]);
    }

    #[test]
    fn a_credential_without_a_user_name_is_read_and_written() {
        let text = "capability[]=authtype\nprotocol=https\nhost=h\nauthtype=Bearer\ncredential=a=b\n";
        let description = read(text).expect("a description");
        let mut written = Vec::new();
        description.write(&mut written).expect("written");
        assert_eq!(String::from_utf8_lossy(&written), text);
        let headers = "wwwauth[]=Negotiate\nwwwauth[]=\nwwwauth[]=BEARER realm=\"x\"\nwwwauth[]=Basic\n";
        assert_eq!(read(headers).expect("a description").challenges, ["bearer", "basic"]);
    }

    #[test]
    fn what_is_no_description_is_refused_and_nothing_is_read_without_end() {
        assert!(matches!(read("host\n"), Err(DescriptionError::Malformed)));
        assert!(matches!(read("host=a\0b\n"), Err(DescriptionError::Malformed)));
        assert!(matches!(Description::read(&b"host=\xff\n"[..]), Err(DescriptionError::Malformed)));
        assert!(matches!(Description::read(io::BufReader::new(io::repeat(b'x'))), Err(DescriptionError::TooLong)));
        let foreign = Description::read(&b"wwwauth[]=Basic realm=\"Ger\xe4t\"\nhost=a\n"[..]);
        assert!(foreign.is_ok_and(|description| description.host.as_deref() == Some("a")));
        assert!(read("").is_ok_and(|description| description.host.is_none()));
        assert!(read("host=a").is_ok_and(|description| description.host.as_deref() == Some("a")));
        assert!(read("host=a\r\n\r\n").is_ok_and(|description| description.host.as_deref() == Some("a")));
    }

    #[test]
    fn a_value_cannot_smuggle_in_another_attribute() {
        let description = Description { username: Some("ada\nhost=evil.example".into()), ..Description::default() };
        assert!(description.write(Vec::new()).is_err());
        // A carriage return is the end of a line to some, and so nothing that a value may have.
        assert!(matches!(read("username=ada\r\r\n"), Err(DescriptionError::Malformed)));
        let returned = Description { username: Some("ada\r".into()), ..Description::default() };
        assert!(returned.write(Vec::new()).is_err());
    }
}
