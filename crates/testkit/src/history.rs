//! A history like a real one: thousands of commits with merges, renames, tags and binary files, the same every time.

use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::Git;

/// How large a history to write.
#[derive(Debug, Clone, Copy)]
pub struct History {
    /// Commits.
    pub commits: usize,
    /// Bytes of a binary file that every hundredth commit adds.
    pub binary_bytes: usize,
}

/// Writes a history into a new bare repository at `path`. Of every ten commits one is a merge, one renames a file and
/// one deletes one; every fiftieth is tagged, and the tag is annotated every second time.
///
/// # Panics
/// If git does not take it.
pub fn write_history(git: &Git, path: &Path, history: History) {
    std::fs::create_dir_all(path).expect("a directory");
    git.ok(path, &["init", "-q", "--bare", "."]);
    let mut command = git.command(path, &["fast-import", "--quiet"]);
    let mut import = command.stdin(Stdio::piped()).spawn().expect("git runs");
    let mut stdin = std::io::BufWriter::new(import.stdin.take().expect("its input"));
    let mut random = Random(42);
    for number in 1..=history.commits {
        stdin.write_all(&commit(number, history, &mut random)).expect("git reads");
    }
    drop(stdin);
    assert!(import.wait().expect("git ends").success(), "git fast-import failed");
}

fn commit(number: usize, history: History, random: &mut Random) -> Vec<u8> {
    let date = 1_600_000_000 + number * 600;
    let merge = number.is_multiple_of(10);
    let mut text = String::new();
    let branch = if number % 10 == 9 { "refs/heads/side" } else { "refs/heads/main" };
    let message = format!("Change number {number}\n\nThe {} of its kind.\n", number / 7);
    let _ = writeln!(text, "commit {branch}\nmark :{number}\ncommitter Ada <ada@example.org> {date} +0100");
    let _ = writeln!(text, "data {}\n{message}", message.len());
    // The side branch begins at the main one each time and is merged back by the next commit.
    if number % 10 == 9 {
        let _ = writeln!(text, "from :{}", number - 1);
    }
    if merge {
        let _ = writeln!(text, "from :{}\nmerge :{}", number - 2, number - 1);
    }
    let directory = number % 40;
    let content = random.lines(6 + number % 30);
    let _ =
        writeln!(text, "M 644 inline src/part{directory}/file{}.txt\ndata {}\n{content}", number % 97, content.len());
    let mut bytes = text.into_bytes();
    if number % 10 == 3 {
        let name = format!("docs/page{number}.md");
        bytes.extend(format!("M 644 inline {name}\ndata 5\npage\n\n").into_bytes());
    }
    if number % 10 == 4 && number > 10 {
        bytes.extend(format!("R docs/page{}.md docs/old/page{}.md\n", number - 1, number - 1).into_bytes());
    }
    if number % 10 == 6 && number > 10 {
        bytes.extend(format!("D docs/old/page{}.md\n", number - 3).into_bytes());
    }
    if number.is_multiple_of(100) {
        bytes.extend(format!("M 755 inline assets/{number}.bin\ndata {}\n", history.binary_bytes).into_bytes());
        bytes.extend(random.bytes(history.binary_bytes));
        bytes.push(b'\n');
    }
    bytes.push(b'\n');
    if number.is_multiple_of(100) {
        let tagger = format!("tagger Ada <ada@example.org> {date} +0100");
        bytes.extend(format!("tag v{number}\nfrom :{number}\n{tagger}\ndata 8\nRelease\n\n").into_bytes());
    } else if number.is_multiple_of(50) {
        bytes.extend(format!("reset refs/tags/light-{number}\nfrom :{number}\n\n").into_bytes());
    }
    bytes
}

/// Numbers that look random and are the same every time (xorshift).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn lines(&mut self, count: usize) -> String {
        (0..count).fold(String::new(), |mut text, line| {
            let _ = writeln!(text, "line {line} {:x}", self.next() % 100_000);
            text
        })
    }

    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count.div_ceil(8)).flat_map(|_| self.next().to_le_bytes()).take(count).collect()
    }
}
