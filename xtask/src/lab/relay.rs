//! What lies between a host and the switch: delay, jitter and loss, as scenarios and command lines name them.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use super::draw::{Draw, Setting, Settings, Split, rng};
use super::host::Host;
use super::run_dir::RunDir;
use crate::process::Group;

/// What every frame suffers on its way between a host and the switch, in each direction by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Link {
    /// One way: a round trip takes twice as long.
    pub(crate) delay_ms: u64,
    /// The delay is drawn from this much less to this much more, evenly.
    pub(crate) jitter_ms: u64,
    /// Frames lost of a thousand.
    pub(crate) loss_permille: u64,
}

/// What became of frames: taken = delivered + lost + no room + refused + waiting.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) taken: u64,
    pub(crate) delivered: u64,
    /// By chance, as asked for.
    pub(crate) lost: u64,
    /// Too many were under way.
    pub(crate) no_room: u64,
    /// By an interface that was down.
    pub(crate) refused: u64,
    pub(crate) waiting: u64,
}

/// Where links come from: a draw for each host.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Relay {
    delay_ms: Setting,
    #[serde(default = "none")]
    jitter_ms: Setting,
    #[serde(default = "none")]
    loss_permille: Setting,
}

fn none() -> Setting {
    Setting::same(Draw::Between(0, 0))
}

/// The longest delay, and the most that is lost: a range has time-outs, too.
const LONGEST_MS: u64 = 500;
const MOST_PERMILLE: u64 = 300;

impl Relay {
    /// One host's link.
    pub(crate) fn link(&self, seed: u64, host: &str, split: Split) -> Result<Link> {
        let from = [
            ("delay_ms".to_owned(), self.delay_ms.clone()),
            ("jitter_ms".to_owned(), self.jitter_ms.clone()),
            ("loss_permille".to_owned(), self.loss_permille.clone()),
        ];
        let drawn = Settings::draw(&from.into(), split, &mut rng(seed, &format!("relay-{host}"), 0))?;
        let link = Link {
            delay_ms: drawn.number("delay_ms")?,
            jitter_ms: drawn.number("jitter_ms")?,
            loss_permille: drawn.number("loss_permille")?,
        };
        if link.delay_ms > LONGEST_MS || link.jitter_ms > link.delay_ms || link.loss_permille > MOST_PERMILLE {
            bail!(
                "the link of {host} ({link:?}) leaves its bounds: delay up to {LONGEST_MS} ms, jitter up to the delay, \
                 loss up to {} %",
                MOST_PERMILLE / 10
            );
        }
        Ok(link)
    }
}

/// `delay=40ms,jitter=5ms,loss=1%`; each may be a range, from which every host draws: `delay=5..30ms`.
impl FromStr for Relay {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut delay, mut jitter, mut loss) = (None, None, None);
        for part in text.split(',') {
            let (key, value) = part.split_once('=').ok_or_else(|| format!("`{part}` is no key=value"))?;
            let (slot, unit, scale) = match key {
                "delay" => (&mut delay, "ms", 1.0),
                "jitter" => (&mut jitter, "ms", 1.0),
                "loss" => (&mut loss, "%", 10.0),
                _ => return Err(format!("`{key}`: known are delay, jitter and loss")),
            };
            let number = value.strip_suffix(unit).ok_or_else(|| format!("{key} `{value}` lacks its unit {unit}"))?;
            if slot.replace(Setting::same(range(key, number, scale)?)).is_some() {
                return Err(format!("{key} is given twice"));
            }
        }
        let delay_ms = delay.ok_or("delay is missing, as in delay=40ms,jitter=5ms,loss=1%")?;
        Ok(Self { delay_ms, jitter_ms: jitter.unwrap_or_else(none), loss_permille: loss.unwrap_or_else(none) })
    }
}

/// One number or `low..high`, in steps of one over `scale`.
fn range(key: &str, text: &str, scale: f64) -> Result<Draw, String> {
    let number = |text: &str| {
        let value: f64 = text.parse().map_err(|_| format!("{key} `{text}` is no number"))?;
        let steps = value * scale;
        if !(0.0..=1e6).contains(&steps) || (steps - steps.round()).abs() > 1e-6 {
            return Err(format!("{key} `{text}`: from 0, in steps of {}", 1.0 / scale));
        }
        Ok(steps.round() as u64)
    };
    let (low, high) = text.split_once("..").unwrap_or((text, text));
    let (low, high) = (number(low)?, number(high)?);
    if low > high {
        return Err(format!("{key}: the range {text} runs backwards"));
    }
    Ok(Draw::Between(low, high))
}

/// The relay process of a range, and where it counts.
#[derive(Debug)]
pub(crate) struct Running {
    group: Group,
    counts: std::path::PathBuf,
    log: std::path::PathBuf,
}

/// Devices are there within this time.
const READY: Duration = Duration::from_secs(10);

/// Starts the relay in the switch's namespace; returns when the devices of every link are there. `far` is still there
/// too: the caller hands it to its host.
pub(crate) fn start(dir: &RunDir, seed: u64, hosts: &[Host]) -> Result<Option<Running>> {
    let counts = dir.path.join("relay.json");
    let mut command = Command::new("nsenter");
    command.arg(format!("--net=/run/netns/{}-switch", dir.id)).arg("--").arg(std::env::current_exe()?);
    command.args(["drive", "relay", "--seed", &seed.to_string(), "--counts"]).arg(&counts);
    let mut any = false;
    for (number, host) in hosts.iter().enumerate() {
        let Some(Link { delay_ms, jitter_ms, loss_permille }) = host.relay else { continue };
        any = true;
        command.arg("--link").arg(format!("port{number},far{number},{delay_ms},{jitter_ms},{loss_permille}"));
    }
    if !any {
        return Ok(None);
    }
    let log = dir.log("relay");
    let mut running = Running { group: Group::start(command, Some(&log))?, counts, log };
    let deadline = Instant::now() + READY;
    while !running.counts.exists() {
        running.check()?;
        if Instant::now() > deadline {
            bail!("the relay is not ready after {} s", READY.as_secs());
        }
        crate::stop::sleep(Duration::from_millis(20))?;
    }
    Ok(Some(running))
}

impl Running {
    /// An error if it is no longer there: every host behind it is cut off.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.group.poll()? {
            Some(status) => {
                let said = fs::read_to_string(&self.log).unwrap_or_default();
                bail!("the relay ended ({status}): {}", said.trim())
            }
            None => Ok(()),
        }
    }

    /// What became of frames, not older than a second.
    pub(crate) fn counts(&self) -> Result<Counts> {
        read(&self.counts)
    }
}

fn read(path: &Path) -> Result<Counts> {
    let text = fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    serde_json::from_slice(&text).with_context(|| format!("{} holds no counts", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_names_a_link() {
        let relay: Relay = "delay=40ms,jitter=5ms,loss=1%".parse().unwrap();
        let link = relay.link(1, "a", Split::Test).unwrap();
        assert_eq!(link, Link { delay_ms: 40, jitter_ms: 5, loss_permille: 10 });
        let relay: Relay = "delay=7ms".parse().unwrap();
        assert_eq!(relay.link(1, "a", Split::Train).unwrap(), Link { delay_ms: 7, jitter_ms: 0, loss_permille: 0 });
    }

    #[test]
    fn hosts_draw_from_ranges_each_for_itself() {
        let relay: Relay = "delay=10..90ms,jitter=0..9ms,loss=0.1..2%".parse().unwrap();
        let links: Vec<Link> = (0..20).map(|n| relay.link(1, &format!("h{n}"), Split::Train).unwrap()).collect();
        assert!(links.iter().all(|link| (10..=90).contains(&link.delay_ms) && (1..=20).contains(&link.loss_permille)));
        assert!(links.iter().any(|link| link.delay_ms != links[0].delay_ms));
        assert_eq!(relay.link(1, "h0", Split::Train).unwrap(), links[0]);
    }

    #[test]
    fn mistakes_are_named() {
        for (text, says) in [
            ("delay=40", "unit"),
            ("delay=ms", "no number"),
            ("speed=1ms", "known are"),
            ("jitter=1ms", "delay is missing"),
            ("delay=1ms,delay=2ms", "twice"),
            ("delay=9..3ms", "backwards"),
            ("delay=-1ms", "from 0"),
            ("delay=nanms", "from 0"),
            ("delay=1ms,loss=0.01%", "in steps of"),
            ("delay", "key=value"),
        ] {
            let error = text.parse::<Relay>().err().unwrap_or_default();
            assert!(error.contains(says), "{text}: {error}");
        }
        for text in ["delay=5ms,jitter=6ms", "delay=501ms", "delay=1ms,loss=31%"] {
            let error = text.parse::<Relay>().unwrap().link(1, "a", Split::Train).unwrap_err();
            assert!(format!("{error:#}").contains("bounds"), "{text}");
        }
    }
}
