//! The captures and where they are.

use std::fs::File;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use ganglion_extract::capture::Capture;

use super::Error;

const TAR_BLOCK_BYTES: usize = 512;

/// A capture, and what the reference wrote for it into `NAME.csv`.
pub(crate) struct Pair {
    /// Its name.
    pub(crate) name: &'static str,
    capture: Stored,
}

/// Where a capture is.
enum Stored {
    /// As `NAME.pcap` beside the CSV.
    Beside,
    /// Below `pcap/`.
    Gzip(&'static str),
    /// Archive below `pcap/`, file in it.
    Member(&'static str, &'static str),
}

use Stored::{Beside, Gzip, Member};

const fn pair(name: &'static str, capture: Stored) -> Pair {
    Pair { name, capture }
}

/// All of them.
pub(crate) const PAIRS: &[Pair] = &[
    pair("cassandra_loopback", Gzip("apps/nfstream__cassandra.pcap.gz")),
    pair("dnscrypt_udp_fragments", Gzip("apps/ndpi__dnscrypt-v1-and-resolver-pings.pcap.gz")),
    pair("fin_variants_odd_headers", Member("proto/suricata.tar.gz", "bug-76/input.pcap")),
    pair("ftp_bruteforce", Gzip("attack/zeek__bruteforce.pcap.gz")),
    pair("ftp_data_dns_ipv6", Member("proto/suricata.tar.gz", "output-eve-ftp-data/input.pcap")),
    pair("gnutella_timeouts", Gzip("apps/ndpi__gnutella.pcap.gz")),
    pair("http_web_page_fail", Beside),
    pair("icmp_tunnel", Gzip("attack/ndpi__icmp-tunnel.pcap.gz")),
    pair("mining_zero_window", Beside),
    pair("mixed_p2p_long", Gzip("apps/nfstream__skype.pcap.gz")),
    pair("os_fingerprint_probes", Gzip("attack/packets__activeosfingerprinting.pcap.gz")),
    pair("portscan_syn", Gzip("attack/ndpi__synscan.pcap.gz")),
    pair("qinq_padding", Gzip("apps/ndpi__ja3_lots_of_cipher_suites.pcap.gz")),
    pair("sctp", Member("proto/zeek.tar.gz", "communityid/sctp.pcap")),
    pair("smb_vlan_long", Beside),
    pair("syn_ecn_cwr_flood", Beside),
    pair("synflood_spoofed", Beside),
    pair("tls_idle_gaps", Gzip("apps/ndpi__nest_log_sink.pcap.gz")),
    pair("tls_keepalive_long", Gzip("apps/ndpi__wechat.pcap.gz")),
    pair("web_icmp_small", Gzip("general/tcpreplay__test__test.pcap.gz")),
    pair("whatsapp_bulks", Gzip("apps/ndpi__whatsapp.pcap.gz")),
];

/// Where the two files of a pair are.
pub(crate) struct Files {
    /// What the reference wrote.
    pub(crate) csv: PathBuf,
    capture: PathBuf,
    member: Option<&'static str>,
}

impl Files {
    /// Opens the capture.
    pub(crate) fn capture(&self) -> Result<Capture, Error> {
        let Some(name) = self.member else { return Ok(Capture::open(&self.capture)?) };
        let mut archive = Vec::new();
        GzDecoder::new(File::open(&self.capture)?).read_to_end(&mut archive)?;
        let packed = self.capture.display();
        let bytes = member(&archive, name).ok_or_else(|| format!("no {name} in {packed}"))?.to_vec();
        Ok(Capture::from_reader(Cursor::new(bytes), &format!("{name} in {packed}"))?)
    }
}

/// A file of a tar archive.
fn member<'a>(archive: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut rest = archive;
    loop {
        let (header, behind) = rest.split_at_checked(TAR_BLOCK_BYTES)?;
        let size = std::str::from_utf8(header.get(124..136)?).ok()?;
        let size = usize::from_str_radix(size.trim_matches(['\0', ' ']), 8).ok()?;
        let stored = header.get(..100)?.split(|byte| *byte == 0).next()?;
        if stored == name.as_bytes() {
            return behind.get(..size);
        }
        rest = behind.get(size.next_multiple_of(TAR_BLOCK_BYTES)..)?;
    }
}

/// The files of a pair: those that come with the project, else those in the shared folder; why not, where there are
/// none.
pub(crate) fn files(pair: &Pair) -> Result<Files, String> {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/oracle/pairs");
    let csv = own.join(pair.name).with_extension("csv");
    if csv.exists() {
        return Ok(Files { csv, capture: own.join(pair.name).with_extension("pcap.gz"), member: None });
    }
    let data = shared().join("data");
    let csv = data.join("oracle").join(pair.name).with_extension("csv");
    let (capture, member) = match pair.capture {
        Beside => (csv.with_extension("pcap"), None),
        Gzip(path) => (data.join("pcap").join(path), None),
        Member(archive, name) => (data.join("pcap").join(archive), Some(name)),
    };
    if let Some(absent) = [&csv, &capture].into_iter().find(|file| !file.exists()) {
        return Err(format!("no {} ($GANGLION_SHARED names the folder)", absent.display()));
    }
    Ok(Files { csv, capture, member })
}

fn shared() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    std::env::var_os("GANGLION_SHARED").map_or_else(beside, PathBuf::from)
}
