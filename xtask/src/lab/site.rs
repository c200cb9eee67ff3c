//! What the web servers of the range serve.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::Result;
use rand::RngCore;

use super::draw::rng;

/// Where nginx passes dynamic requests to (`drive sink`).
pub(crate) const SINK_PORT: u16 = 8081;
/// How many pages and pictures there are.
pub(crate) const PAGES: u64 = 12;
pub(crate) const PICTURES: u64 = 20;
/// The file from which downloads take their first part.
pub(crate) const LARGE: &str = "/dl/large.bin";
const LARGE_BYTES: usize = 20 << 20;

/// Writes pages, pictures and one large file; the same bytes every time.
pub(crate) fn create(dir: &Path) -> Result<()> {
    let root = dir.join("www");
    for folder in ["static", "dl", "search"] {
        fs::create_dir_all(root.join(folder))?;
    }
    let mut rng = rng(0, "site", 0);
    let mut random = |length: usize| {
        let mut bytes = vec![0; length];
        rng.fill_bytes(&mut bytes);
        bytes
    };
    for page in 0..PAGES {
        let mut text =
            format!("<!doctype html><title>Page {page}</title><link rel=stylesheet href=/static/style.css>\n");
        for line in 0..(page + 1) * 40 {
            writeln!(text, "<p>Line {line} of page {page}, as dull as the others on this page.</p>")?;
        }
        fs::write(root.join(format!("page-{page}.html")), &text)?;
        if page == 0 {
            fs::write(root.join("index.html"), &text)?;
            fs::write(root.join("search/index.html"), text)?;
        }
    }
    fs::write(root.join("static/style.css"), "p { margin: 1em }\n".repeat(400))?;
    fs::write(root.join("static/app.js"), "console.log('range');\n".repeat(2000))?;
    for picture in 0..PICTURES {
        let length = 2_000 + usize::try_from(picture * picture)? * 600;
        fs::write(root.join(format!("static/{picture}.jpg")), random(length))?;
    }
    fs::write(root.join(LARGE.trim_start_matches('/')), random(LARGE_BYTES))?;
    Ok(())
}

/// An nginx that stays in the foreground, over HTTP and TLS, with everything below `prefix`.
pub(crate) fn nginx_config(dir: &Path, prefix: &Path) -> String {
    let (dir, prefix) = (dir.display(), prefix.display());
    format!(
        "daemon off; worker_processes 1; user www-data; pid {prefix}/nginx.pid;\n\
         events {{ worker_connections 4096; }}\n\
         http {{\n\
           types {{ text/html html; text/css css; image/jpeg jpg; application/javascript js; }}\n\
           access_log {prefix}/access.log; sendfile on; keepalive_timeout 65; client_max_body_size 0;\n\
           client_body_temp_path {prefix}/tmp/body; proxy_temp_path {prefix}/tmp/proxy;\n\
           fastcgi_temp_path {prefix}/tmp/fastcgi; uwsgi_temp_path {prefix}/tmp/uwsgi; scgi_temp_path {prefix}/tmp/scgi;\n\
           server {{\n\
             listen 80 default_server; listen [::]:80 default_server;\n\
             listen 443 ssl default_server; listen [::]:443 ssl default_server;\n\
             ssl_certificate {dir}/etc/tls.crt; ssl_certificate_key {dir}/etc/tls.key;\n\
             root {dir}/www; index index.html;\n\
             location ~ ^/(api|login|upload|gate|task)(/|$) {{\n\
               proxy_pass http://127.0.0.1:{SINK_PORT}; proxy_request_buffering off; proxy_http_version 1.1;\n\
             }}\n\
           }}\n\
         }}\n"
    )
}
