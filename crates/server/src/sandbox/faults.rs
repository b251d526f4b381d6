//! What goes wrong on demand: valid credentials that are refused in bursts, and answers that take their time.

use std::collections::HashMap;
use std::str::FromStr;
use std::time::{Duration, Instant};

use doorward_wire::parse_duration;
use thiserror::Error;

use super::SandboxSettings;

/// How often valid credentials are refused on git, and how many times in a row: `RATE[,BURST]`.
///
/// A request begins a burst with the chance `rate` if another one for the same workspace came within the minute before
/// it, and with a tenth of that otherwise; `burst` requests for that workspace are refused then, this one included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpuriousRefusals {
    /// From 0, never, to 1.
    pub rate: f64,
    /// How many requests a burst refuses.
    pub burst: u32,
}

/// How long an answer is held back: `200ms`, or a range to draw from, `100ms..2s`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// At least.
    pub from: Duration,
    /// At most.
    pub to: Duration,
}

/// A text that describes no fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` is not {expected}")]
pub struct FaultError {
    given: String,
    expected: &'static str,
}

#[derive(Debug)]
pub(crate) struct Faults {
    pub(crate) spurious: SpuriousRefusals,
    pub(crate) latency: Latency,
    draw: u64,
    workspaces: HashMap<String, Recent>,
}

/// What happened to a workspace's requests lately.
#[derive(Debug)]
struct Recent {
    last: Option<Instant>,
    left: u32,
}

impl SpuriousRefusals {
    /// None.
    pub const NONE: Self = Self { rate: 0.0, burst: 3 };
}

impl FromStr for SpuriousRefusals {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let error =
            || FaultError { given: shortened(text), expected: "a rate from 0 to 1, or RATE,BURST such as 0.2,3" };
        let (rate, burst) = match text.split_once(',') {
            Some((rate, burst)) => (rate, burst.trim().parse().map_err(|_| error())?),
            None => (text, Self::NONE.burst),
        };
        let rate: f64 = rate.trim().parse().map_err(|_| error())?;
        if (0.0..=1.0).contains(&rate) && burst > 0 { Ok(Self { rate, burst }) } else { Err(error()) }
    }
}

impl FromStr for Latency {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let error = || FaultError {
            given: shortened(text),
            expected: "a time up to 1h such as 200ms, or a range such as 100ms..2s",
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let (from, to) = (time(from).ok_or_else(error)?, time(to).ok_or_else(error)?);
        if from <= to && to <= LONGEST { Ok(Self { from, to }) } else { Err(error()) }
    }
}

impl Faults {
    pub(crate) fn new(settings: &SandboxSettings) -> Self {
        Self { spurious: settings.spurious, latency: settings.latency, draw: settings.seed, workspaces: HashMap::new() }
    }

    /// Whether a valid request to a workspace is refused.
    pub(crate) fn strike(&mut self, workspace: &str, now: Instant) -> bool {
        let SpuriousRefusals { rate, burst } = self.spurious;
        let drawn = self.draw();
        let recent = self.workspaces.entry(workspace.to_owned()).or_insert(Recent { last: None, left: 0 });
        let close = recent.last.is_some_and(|last| now.duration_since(last) < CLOSE);
        recent.last = Some(now);
        if rate == 0.0 {
            recent.left = 0;
            return false;
        }
        if recent.left > 0 {
            recent.left -= 1;
            return true;
        }
        let struck = rate == 1.0 || drawn < if close { rate } else { rate / 10.0 };
        if struck {
            recent.left = burst - 1;
        }
        struck
    }

    pub(crate) fn delay(&mut self) -> Duration {
        let Latency { from, to } = self.latency;
        if from == to { from } else { from + (to - from).mul_f64(self.draw()) }
    }

    /// A number from 0 to 1 (splitmix64).
    fn draw(&mut self) -> f64 {
        self.draw = self.draw.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.draw;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// A time with milliseconds as its smallest unit.
fn time(text: &str) -> Option<Duration> {
    match text.trim().strip_suffix("ms") {
        Some(number) => number.parse::<u32>().ok().map(|number| Duration::from_millis(number.into())),
        None if text.trim() == "0" => Some(Duration::ZERO),
        None => parse_duration(text.trim()).ok(),
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(100).collect()
}

const CLOSE: Duration = Duration::from_secs(60);
const LONGEST: Duration = Duration::from_secs(3600);

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(spurious: &str) -> Faults {
        let spurious = spurious.parse().expect("a rate");
        let settings = SandboxSettings { at: None, spurious, latency: Latency::default(), rate_limit: None, seed: 7 };
        Faults::new(&settings)
    }

    #[test]
    fn refusals_come_in_bursts_and_more_often_when_requests_come_close_together() {
        let count = |apart: Duration| {
            let (mut faults, mut now, mut struck) = (faults("0.2,1"), Instant::now(), 0);
            for _ in 0..2000 {
                now += apart;
                struck += u32::from(faults.strike("acme", now));
            }
            struck
        };
        let (close, apart) = (count(Duration::from_secs(1)), count(Duration::from_secs(300)));
        assert!((300..500).contains(&close) && (15..70).contains(&apart), "{close} close together, {apart} apart");

        let (mut faults, now) = (faults("0.05,4"), Instant::now());
        let drawn: String = (0..400).map(|_| if faults.strike("acme", now) { '!' } else { '.' }).collect();
        // The last one may be cut off.
        let mut bursts = drawn.trim_end_matches('!').split('.').filter(|burst| !burst.is_empty());
        assert!(bursts.all(|burst| burst.len() % 4 == 0), "{drawn}");
        assert!(drawn.contains("!!!!"), "{drawn}");
    }

    #[test]
    fn no_rate_refuses_nobody_and_the_whole_rate_everybody() {
        let now = Instant::now();
        let (mut none, mut all) = (faults("0"), faults("1"));
        assert!((0..100).all(|_| !none.strike("acme", now) && all.strike("acme", now)));
    }

    #[test]
    fn what_describes_no_fault_is_refused() {
        for text in ["", "2", "-1", "nan", "0.5,", "0.5,0", "0.5,x", "1e9"] {
            assert!(text.parse::<SpuriousRefusals>().is_err(), "{text}");
        }
        for text in ["", "2", "ms", "2s..1s", "2h", "..", "1s..", "9999999999ms"] {
            assert!(text.parse::<Latency>().is_err(), "{text}");
        }
        let (from, to) = (Duration::from_millis(100), Duration::from_secs(2));
        assert_eq!("100ms..2s".parse(), Ok(Latency { from, to }));
        assert_eq!("0".parse(), Ok(Latency::default()));
    }
}
