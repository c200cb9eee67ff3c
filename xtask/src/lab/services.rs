//! The servers of the range: real daemons with settings of their own, in private folders.
//!
//! They run in a mount namespace with its own user files (see `drive::private`), so that passwords
//! to guess exist without a user on the machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::host::{Host, Role};
use super::run_dir::RunDir;
use super::{accounts, site};
use crate::process::{Group, output};

/// Ports of the bulk transfer servers; each serves one client at a time.
pub(crate) const BULK_PORTS: [u16; 2] = [5201, 5202];
/// Name under which the server answers, and every name below it.
pub(crate) const DOMAIN: &str = "lab.test";

/// Starts every server; returns once all of them listen.
pub(crate) fn start(dir: &RunDir, hosts: &[Host]) -> Result<Vec<Group>> {
    site::create(&dir.path)?;
    accounts::create(&dir.path)?;
    certificate(&dir.path)?;
    let mut groups = Vec::new();
    let mut waits = Vec::new();
    for host in hosts {
        for (name, command, ports) in servers(dir, host)? {
            let log = dir.log(&format!("{}-{name}", host.name));
            groups.push(Group::start(command, Some(&log))?);
            waits.push((format!("{name} on {}", host.name), host, ports, log));
        }
    }
    for (name, host, ports, log) in waits {
        wait_for(host, &ports).with_context(|| {
            let said = fs::read_to_string(&log).unwrap_or_default();
            format!("{name} did not start; it said: {}", said.trim())
        })?;
    }
    Ok(groups)
}

type Server = (&'static str, Command, Vec<u16>);

fn servers(dir: &RunDir, host: &Host) -> Result<Vec<Server>> {
    match host.role {
        Role::Server => {
            let mut servers = web(dir, host)?;
            servers.push(ssh(dir, host)?);
            servers.push(ftp(dir, host)?);
            servers.push(dns(dir, host));
            for port in BULK_PORTS {
                let mut command = host.command("iperf3");
                command.args(["-s", "-p", &port.to_string()]);
                servers.push(("iperf3", command, vec![port]));
            }
            Ok(servers)
        }
        Role::Mirror | Role::Control => web(dir, host),
        Role::Neighbour => Ok(vec![("sink", sink(host, "0.0.0.0", &[80, 3306, 8080])?, vec![80, 3306, 8080])]),
        Role::Client | Role::Attacker => Ok(Vec::new()),
    }
}

fn sink(host: &Host, bind: &str, ports: &[u16]) -> Result<Command> {
    let mut command = host.drive("sink")?;
    command.args(["--bind", bind]);
    command.args(ports.iter().map(u16::to_string));
    Ok(command)
}

fn web(dir: &RunDir, host: &Host) -> Result<Vec<Server>> {
    let prefix = dir.path.join(format!("nginx-{}", host.name));
    fs::create_dir_all(prefix.join("tmp"))?;
    let config = site::nginx_config(&dir.path, &prefix);
    let file = prefix.join("nginx.conf");
    fs::write(&file, config)?;
    let mut nginx = host.command("nginx");
    nginx.arg("-p").arg(&prefix).arg("-c").arg(&file).arg("-e").arg(prefix.join("error.log"));
    Ok(vec![
        ("sink", sink(host, "127.0.0.1", &[site::SINK_PORT])?, vec![site::SINK_PORT]),
        ("nginx", nginx, vec![80, 443]),
    ])
}

fn private(dir: &RunDir, host: &Host, program: &str) -> Result<Command> {
    let mut command = host.drive("private")?;
    command.arg(&dir.path).arg(program);
    Ok(command)
}

fn ssh(dir: &RunDir, host: &Host) -> Result<Server> {
    let key = dir.path.join("etc/ssh_host_ed25519_key");
    output(Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key))?;
    let config = dir.path.join("etc/sshd_config");
    let text = format!(
        "Port 22\nHostKey {}\nPidFile none\nUsePAM no\nPasswordAuthentication yes\nPermitRootLogin no\n\
         UseDNS no\nAuthorizedKeysFile none\nPrintMotd no\nSubsystem sftp internal-sftp\nMaxStartups 30:30:100\n",
        key.display()
    );
    fs::write(&config, text)?;
    // sshd starts itself again for each connection and insists on being called by its full path.
    let mut command = private(dir, host, "/usr/sbin/sshd")?;
    command.args(["-D", "-e", "-f"]).arg(&config);
    Ok(("sshd", command, vec![22]))
}

fn ftp(dir: &RunDir, host: &Host) -> Result<Server> {
    let config = dir.path.join("etc/vsftpd.conf");
    let text = format!(
        "listen=NO\nlisten_ipv6=YES\nbackground=NO\nlocal_enable=YES\nwrite_enable=YES\nanonymous_enable=NO\n\
         chroot_local_user=YES\nallow_writeable_chroot=YES\nsecure_chroot_dir={}\npam_service_name=vsftpd\n\
         seccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\npasv_min_port=30000\npasv_max_port=30200\n\
         xferlog_enable=NO\n",
        dir.path.join("empty").display()
    );
    fs::write(&config, text)?;
    let mut command = private(dir, host, "/usr/sbin/vsftpd")?;
    command.arg(&config);
    Ok(("vsftpd", command, vec![21]))
}

fn dns(dir: &RunDir, host: &Host) -> Server {
    let mut command = host.command("dnsmasq");
    command.args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--bind-interfaces"]);
    command.args(["--user=root", "--group=root", "--except-interface=lo", "--dns-forward-max=1000"]);
    command.arg(format!("--interface={}", host.interface()));
    command.arg(format!("--pid-file={}", dir.path.join("dnsmasq.pid").display()));
    command.arg(format!("--address=/{DOMAIN}/{}", host.v4)).arg(format!("--address=/{DOMAIN}/{}", host.v6));
    command.arg(format!("--txt-record=info.{DOMAIN},{}", "range ".repeat(30)));
    ("dnsmasq", command, vec![53])
}

fn certificate(dir: &Path) -> Result<()> {
    let (key, cert) = (dir.join("etc/tls.key"), dir.join("etc/tls.crt"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]);
    command.args(["-subj", &format!("/CN={DOMAIN}")]).arg("-keyout").arg(&key).arg("-out").arg(&cert);
    output(&mut command)?;
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600))?;
    Ok(())
}

/// Waits until something listens on `ports`, without sending a packet.
fn wait_for(host: &Host, ports: &[u16]) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        crate::stop::check()?;
        let tables = output(host.command("cat").args(["/proc/net/tcp", "/proc/net/tcp6"]))?;
        let listening = |port: &u16| {
            let local = format!(":{port:04X}");
            tables.lines().any(|line| {
                let mut words = line.split_whitespace();
                words.nth(1).is_some_and(|address| address.ends_with(&local)) && words.nth(1) == Some("0A")
            })
        };
        match ports.iter().find(|port| !listening(port)) {
            None => return Ok(()),
            Some(port) if Instant::now() > deadline => bail!("nothing listens on port {port} after 10 s"),
            Some(_) => std::thread::sleep(Duration::from_millis(30)),
        }
    }
}
