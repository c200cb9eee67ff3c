//! Sums of header bytes that a tool kept in 16 bits: in long flows they came out negative.

use ganglion_features::cicflowmeter::find;
use ganglion_flow::packet::TCP;

/// Sums, and the packets that they are over.
const SUMS: [(&str, &str); 2] = [("Fwd Header Length", "Total Fwd Packet"), ("Bwd Header Length", "Total Bwd packets")];
const PROTOCOL: &str = "Protocol";
/// Bytes of the shortest header of TCP, and of everything else.
const TCP_HEADER: f64 = 20.0;
const OTHER_HEADER: f64 = 8.0;
const WRAP: f64 = 65_536.0;

/// Where such sums stand among a model's inputs.
#[derive(Clone, Debug, Default)]
pub struct Headers {
    sums: Vec<(usize, usize)>,
    protocol: Option<usize>,
}

impl Headers {
    /// Among these inputs.
    pub fn of(features: &[String]) -> Self {
        let place = |name: &str| features.iter().position(|f| find(f).is_some_and(|known| known.canonical == name));
        let sums = SUMS.iter().filter_map(|(sum, over)| Some((place(sum)?, place(over)?))).collect();
        Self { sums, protocol: place(PROTOCOL) }
    }

    /// Puts the true sums in: the least that agree in 16 bits and are enough for the shortest headers of their packets.
    /// The trainer does the same.
    pub fn mend(&self, row: &mut [f32]) {
        for (sum, over) in &self.sums {
            let (value, packets) = (f64::from(row[*sum]), f64::from(row[*over]));
            if value < 0.0 {
                let is_tcp = self.protocol.is_some_and(|at| row[at] == f32::from(TCP));
                let least = packets.max(0.0) * if is_tcp { TCP_HEADER } else { OTHER_HEADER };
                row[*sum] = (value + WRAP * ((least - value) / WRAP).ceil().max(1.0)) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_that_wrapped_is_put_right() {
        let names = ["Protocol", "Total Fwd Packet", "Fwd Header Length"].map(String::from);
        let headers = Headers::of(&names);
        let mended = |protocol: f32, packets: f32, sum: f32| {
            let mut row = [protocol, packets, sum];
            headers.mend(&mut row);
            row[2]
        };
        assert_eq!(mended(6.0, 10.0, 200.0), 200.0);
        // 3 000 TCP packets have 60 000 bytes of headers at least; 60 032 − 65 536 is −5 504.
        assert_eq!(mended(6.0, 3_000.0, -5_504.0), 60_032.0);
        assert_eq!(mended(6.0, 8_000.0, -24_000.0), 172_608.0);
        assert_eq!(mended(17.0, 5_000.0, -10_000.0), 55_536.0);
    }
}
