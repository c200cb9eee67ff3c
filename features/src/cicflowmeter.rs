//! Names of the columns of the `cicflowmeter` profile: those of the corrected tool, and how others spell them.
//!
//! ONE table, in the corrected tool's order. Aliases are those of the tool's older releases and of the data sets that
//! were made with them: ISCX 2017 (`Total Fwd Packets`, with leading blanks in its files), CSE-CIC-IDS2018 and
//! CICFlowMeter 4 (`Tot Fwd Pkts`). Case, blanks, dashes and underscores never count.

/// Number of columns.
pub const COUNT: usize = 94;

/// A column's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    /// As the corrected tool writes it: what manifests of bundles say.
    pub canonical: &'static str,
    /// Other spellings of the same column.
    pub aliases: &'static [&'static str],
    /// Whether a model may read it: no address, port, identifier, time of day or label.
    pub input: bool,
}

/// All names, in the corrected tool's order.
pub const NAMES: [Name; COUNT] = [
    identity("Flow ID", &[]),
    identity("Src IP", &["Source IP"]),
    identity("Src Port", &["Source Port"]),
    identity("Dst IP", &["Destination IP"]),
    identity("Dst Port", &["Destination Port"]),
    input("Protocol", &[]),
    identity("Timestamp", &[]),
    input("Flow Duration", &[]),
    input("Total Fwd Packet", &["Total Fwd Packets", "Tot Fwd Pkts"]),
    input("Total Bwd packets", &["Total Backward Packets", "Tot Bwd Pkts"]),
    input("Total Length of Fwd Packet", &["Total Length of Fwd Packets", "TotLen Fwd Pkts"]),
    input("Total Length of Bwd Packet", &["Total Length of Bwd Packets", "TotLen Bwd Pkts"]),
    input("Fwd Packet Length Max", &["Fwd Pkt Len Max"]),
    input("Fwd Packet Length Min", &["Fwd Pkt Len Min"]),
    input("Fwd Packet Length Mean", &["Fwd Pkt Len Mean"]),
    input("Fwd Packet Length Std", &["Fwd Pkt Len Std"]),
    input("Bwd Packet Length Max", &["Bwd Pkt Len Max"]),
    input("Bwd Packet Length Min", &["Bwd Pkt Len Min"]),
    input("Bwd Packet Length Mean", &["Bwd Pkt Len Mean"]),
    input("Bwd Packet Length Std", &["Bwd Pkt Len Std"]),
    input("Flow Bytes/s", &["Flow Byts/s"]),
    input("Flow Packets/s", &["Flow Pkts/s"]),
    input("Flow IAT Mean", &[]),
    input("Flow IAT Std", &[]),
    input("Flow IAT Max", &[]),
    input("Flow IAT Min", &[]),
    input("Fwd IAT Total", &["Fwd IAT Tot"]),
    input("Fwd IAT Mean", &[]),
    input("Fwd IAT Std", &[]),
    input("Fwd IAT Max", &[]),
    input("Fwd IAT Min", &[]),
    input("Bwd IAT Total", &["Bwd IAT Tot"]),
    input("Bwd IAT Mean", &[]),
    input("Bwd IAT Std", &[]),
    input("Bwd IAT Max", &[]),
    input("Bwd IAT Min", &[]),
    input("Fwd PSH Flags", &[]),
    input("Bwd PSH Flags", &[]),
    input("Fwd URG Flags", &[]),
    input("Bwd URG Flags", &[]),
    input("Fwd RST Flags", &[]),
    input("Bwd RST Flags", &[]),
    input("Fwd Header Length", &["Fwd Header Len"]),
    input("Bwd Header Length", &["Bwd Header Len"]),
    input("Fwd Packets/s", &["Fwd Pkts/s"]),
    input("Bwd Packets/s", &["Bwd Pkts/s"]),
    input("Packet Length Min", &["Min Packet Length", "Pkt Len Min"]),
    input("Packet Length Max", &["Max Packet Length", "Pkt Len Max"]),
    input("Packet Length Mean", &["Pkt Len Mean"]),
    input("Packet Length Std", &["Pkt Len Std"]),
    input("Packet Length Variance", &["Pkt Len Var"]),
    input("FIN Flag Count", &["FIN Flag Cnt"]),
    input("SYN Flag Count", &["SYN Flag Cnt"]),
    input("RST Flag Count", &["RST Flag Cnt"]),
    input("PSH Flag Count", &["PSH Flag Cnt"]),
    input("ACK Flag Count", &["ACK Flag Cnt"]),
    input("URG Flag Count", &["URG Flag Cnt"]),
    input("CWR Flag Count", &["CWE Flag Count", "CWE Flag Cnt", "CWR Flag Cnt"]),
    input("ECE Flag Count", &["ECE Flag Cnt"]),
    input("Down/Up Ratio", &[]),
    input("Average Packet Size", &["Pkt Size Avg"]),
    input("Fwd Segment Size Avg", &["Avg Fwd Segment Size", "Fwd Seg Size Avg"]),
    input("Bwd Segment Size Avg", &["Avg Bwd Segment Size", "Bwd Seg Size Avg"]),
    input("Fwd Bytes/Bulk Avg", &["Fwd Avg Bytes/Bulk", "Fwd Byts/b Avg"]),
    input("Fwd Packet/Bulk Avg", &["Fwd Avg Packets/Bulk", "Fwd Pkts/b Avg"]),
    input("Fwd Bulk Rate Avg", &["Fwd Avg Bulk Rate", "Fwd Blk Rate Avg"]),
    input("Bwd Bytes/Bulk Avg", &["Bwd Avg Bytes/Bulk", "Bwd Byts/b Avg"]),
    input("Bwd Packet/Bulk Avg", &["Bwd Avg Packets/Bulk", "Bwd Pkts/b Avg"]),
    input("Bwd Bulk Rate Avg", &["Bwd Avg Bulk Rate", "Bwd Blk Rate Avg"]),
    input("Subflow Fwd Packets", &["Subflow Fwd Pkts"]),
    input("Subflow Fwd Bytes", &["Subflow Fwd Byts"]),
    input("Subflow Bwd Packets", &["Subflow Bwd Pkts"]),
    input("Subflow Bwd Bytes", &["Subflow Bwd Byts"]),
    input("FWD Init Win Bytes", &["Init_Win_bytes_forward", "Init Fwd Win Byts", "Init Win Bytes Fwd"]),
    input("Bwd Init Win Bytes", &["Init_Win_bytes_backward", "Init Bwd Win Byts", "Init Win Bytes Bwd"]),
    input("Fwd Act Data Pkts", &["act_data_pkt_fwd"]),
    input("Bwd Act Data Pkts", &[]),
    input("Fwd Seg Size Min", &["min_seg_size_forward", "Min Seg Size Fwd"]),
    input("Bwd Seg Size Min", &[]),
    input("Active Mean", &[]),
    input("Active Std", &[]),
    input("Active Max", &[]),
    input("Active Min", &[]),
    input("Idle Mean", &[]),
    input("Idle Std", &[]),
    input("Idle Max", &[]),
    input("Idle Min", &[]),
    input("ICMP Code", &[]),
    input("ICMP Type", &[]),
    input("Fwd TCP Retrans. Count", &[]),
    input("Bwd TCP Retrans. Count", &[]),
    input("Total TCP Retrans. Count", &[]),
    input("Total Connection Flow Time", &["Total TCP Flow Time"]),
    identity("Label", &["Traffic Type"]),
];

const fn input(canonical: &'static str, aliases: &'static [&'static str]) -> Name {
    Name { canonical, aliases, input: true }
}

const fn identity(canonical: &'static str, aliases: &'static [&'static str]) -> Name {
    Name { canonical, aliases, input: false }
}

/// A spelling without what never counts.
pub fn plain(spelling: &str) -> String {
    spelling.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

impl Name {
    /// How well a spelling fits: 0 is the canonical one, larger is an alias; `None` is another column.
    pub fn rank(&self, spelling: &str) -> Option<usize> {
        let spelling = plain(spelling);
        let mut spellings = std::iter::once(&self.canonical).chain(self.aliases);
        spellings.position(|known| plain(known) == spelling)
    }
}

/// The column of this name, in whatever spelling.
pub fn find(spelling: &str) -> Option<&'static Name> {
    NAMES.iter().find(|name| name.rank(spelling).is_some())
}

/// Where `name` stands among a table's columns: the best spelling of it, the first of equals. (The files of ISCX 2017
/// have one column twice.)
pub fn place<'a>(name: &Name, columns: impl IntoIterator<Item = &'a str>) -> Option<usize> {
    let ranked = columns.into_iter().enumerate().filter_map(|(at, spelling)| Some((name.rank(spelling)?, at)));
    ranked.min().map(|(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::TABLE;
    use std::collections::HashMap;

    #[test]
    fn no_spelling_means_two_columns() {
        let mut seen = HashMap::new();
        for name in &NAMES {
            for spelling in std::iter::once(&name.canonical).chain(name.aliases) {
                let before = seen.insert(plain(spelling), name.canonical);
                assert_eq!(before, None, "{spelling} of {}", name.canonical);
            }
        }
    }

    #[test]
    fn what_features_answer_to_is_in_the_table() {
        for reference in TABLE.iter().flat_map(|feature| feature.references()) {
            assert!(find(reference).is_some(), "{reference}");
        }
    }

    #[test]
    fn older_spellings_are_found() {
        let packets = find("Total Fwd Packet").unwrap();
        for columns in [[" Flow ID", " Total Fwd Packets"], ["flow_id", "tot_fwd_pkts"], ["Flow ID", "Tot Fwd Pkts"]] {
            assert_eq!(place(packets, columns), Some(1), "{columns:?}");
        }
        assert_eq!(place(packets, ["Tot Fwd Pkts", "Total Fwd Packet", "Total Fwd Packet"]), Some(1));
        assert_eq!(place(packets, ["Total Bwd packets"]), None);
    }

    /// Its lines are `"Name" = ["alias", …]`.
    #[test]
    fn the_trainer_spells_columns_alike() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../trainer/src/ganglion_trainer/tables/layouts/cicflowmeter.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let (_, numbers) = text.split_once("[numbers]\n").unwrap();
        let lines = numbers.lines().take_while(|line| !line.starts_with('['));
        let mut columns = 0;
        for line in lines.filter(|line| line.starts_with('"')) {
            let spellings: Vec<_> = line.split('"').skip(1).step_by(2).collect();
            let found = find(spellings[0]).unwrap_or_else(|| panic!("{}", spellings[0]));
            assert!(found.input, "{}", found.canonical);
            assert!(spellings.iter().all(|spelling| found.rank(spelling).is_some()), "{line}");
            columns += 1;
        }
        assert!(columns > 70, "{columns}");
    }

    #[test]
    fn nothing_that_names_a_host_is_an_input() {
        let left_out: Vec<_> = NAMES.iter().filter(|name| !name.input).map(|name| name.canonical).collect();
        assert_eq!(left_out, ["Flow ID", "Src IP", "Src Port", "Dst IP", "Dst Port", "Timestamp", "Label"]);
    }
}
