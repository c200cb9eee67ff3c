//! Profiles, columns, formats, filters and labels.

use super::*;

/// A raw-IP capture of one UDP packet a number, each a second after the one before and between other ports.
fn raw_ip(packets: u16) -> Vec<u8> {
    let mut file = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65_535, 101].map(u32::to_le_bytes).concat();
    for number in 0..packets {
        file.extend([1_499_443_200 + u32::from(number), 0, 28, 500].map(u32::to_le_bytes).concat());
        file.extend([0x45, 0, 1, 0xf4, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
        file.extend([4000 + number, 53, 480, 0].map(u16::to_be_bytes).concat());
    }
    file
}

/// The default profile, no `--profile`.
fn extract_ganglion(inputs: &[&Path], output: &Path, more: &[&str]) -> Output {
    ganglion().args(["flow", "extract"]).args(inputs).arg("-o").arg(output).args(more).output().unwrap()
}

#[test]
fn rows_of_all_formats_and_cores_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let captures: Vec<_> = PAIRS.iter().map(|(name, _)| capture(name)).collect();
    let inputs: Vec<_> = captures.iter().map(PathBuf::as_path).collect();
    for profile in ["ganglion", "cicflowmeter"] {
        let files = [("a.parquet", "1"), ("b.parquet", "3"), ("c.csv", "2"), ("d.csv", "1"), ("e.jsonl", "1")];
        let files = files.map(|(name, jobs)| {
            let path = folder.path().join(format!("{profile}-{name}"));
            let done = extract_ganglion(&inputs, &path, &["--profile", profile, "--jobs", jobs, "--json"]);
            assert_eq!(code(&done), 0, "{}", err(&done));
            assert!(json(&done)["rows"].as_u64() > Some(100), "{}", out(&done));
            path
        });
        let [a, b, c, d, e] = files.each_ref();
        assert!(fs::read(a).unwrap() == fs::read(b).unwrap(), "{profile}: Parquet depends on the cores");
        assert!(fs::read(c).unwrap() == fs::read(d).unwrap(), "{profile}: CSV depends on the cores");
        assert!(fs::read(a).unwrap().starts_with(b"PAR1"));
        let compared = diff(a, c, &["--json", "--tolerance", "0"]);
        assert_eq!(code(&compared), 0, "{profile}: {}", out(&compared));
        let rows = json(&compared)["rows_compared"].as_u64().unwrap();
        assert_eq!(fs::read_to_string(e).unwrap().lines().count() as u64, rows);
        assert_eq!(fs::read_to_string(c).unwrap().lines().count() as u64, rows + 1);
    }
}

/// Blocks of large files are read ahead; a pipe has none.
#[test]
fn large_captures_one_after_the_other_are_the_same_on_all_cores() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, cut, pipe] = ["whole.pcap", "cut.pcap", "pipe"].map(|name| folder.path().join(name));
    let bytes = raw_ip(30_000);
    fs::write(&whole, &bytes).unwrap();
    fs::write(&cut, &bytes[..999_999]).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let [alone, all] = ["1", "4"].map(|jobs| {
        let rows = folder.path().join(format!("{jobs}.csv"));
        let inputs: [&Path; 3] = [&cut, &pipe, &whole];
        let done = std::thread::scope(|scope| {
            scope.spawn(|| fs::write(&pipe, &bytes).unwrap());
            extract_ganglion(&inputs, &rows, &["--json", "--jobs", jobs])
        });
        assert_eq!(code(&done), 3, "{}", err(&done));
        let mut summary = json(&done);
        for changing in ["jobs", "output", "peak_memory_bytes"] {
            summary.as_object_mut().unwrap().remove(changing);
        }
        (fs::read_to_string(rows).unwrap(), summary)
    });
    assert_eq!(alone.1, all.1);
    assert!(alone.0 == all.0, "rows depend on the cores");
    let frames = 30_000 + 30_000 + (999_999 - 24) / 44;
    assert_eq!(all.1["frames"], frames);
}

#[test]
fn the_default_profile_counts_every_frame() {
    let (_folder, rows) = place("rows.csv");
    let done = extract_ganglion(&[&capture("ftp_data_dns_ipv6")], &rows, &["--json"]);
    let summary = json(&done);
    assert_eq!(
        (code(&done), summary["profile"].as_str(), summary["frames"].as_u64()),
        (0, Some("ganglion"), Some(1350))
    );
    let count = |name: &str| summary[name].as_u64().unwrap();
    let no_flow: u64 = summary["no_flow"].as_object().unwrap().values().filter_map(Value::as_u64).sum();
    assert_eq!(count("in_rows") + count("after_end") + no_flow, count("frames"), "{summary}");
    assert!(count("flows_peak") > 0 && summary["ended"]["capture_end"].as_u64().is_some(), "{summary}");
    let text = fs::read_to_string(&rows).unwrap();
    let header = text.lines().next().unwrap();
    assert!(header.starts_with("flow_id,timestamp,community_id,initiator,"), "{header}");
    assert!(text.lines().nth(1).unwrap().contains(",1:"), "a Community ID");
    assert!(text.contains("2001:") || text.contains("fe80:") || text.contains("3ffe:"), "IPv6 is in rows");
    let said = extract_ganglion(&[&capture("ftp_data_dns_ipv6")], &rows, &[]);
    assert!(err(&said).contains("flows held at one time, at most: "), "{}", err(&said));
    let shown = ganglion().args(["flow", "show"]).arg(&rows).output().unwrap();
    assert!(code(&shown) == 0 && out(&shown).starts_with("TIME (UTC)"), "{}", err(&shown));
}

#[test]
fn a_damaged_capture_gives_the_flows_before_on_all_cores() {
    let (folder, rows) = place("rows.csv");
    let cut = folder.path().join("cut.pcap");
    let whole = plain("ftp_bruteforce");
    fs::write(&cut, &whole[..whole.len() - 5]).unwrap();
    let run = |jobs: &str| {
        let done = extract_ganglion(&[&cut, &capture("smb_vlan_long")], &rows, &["--json", "--jobs", jobs]);
        assert_eq!((code(&done), json(&done)["files_unread"].as_u64()), (3, Some(0)), "{}", err(&done));
        assert!(err(&done).contains("cut.pcap: damaged at byte "), "{}", err(&done));
        // A capture of 2014, then one of 2013.
        assert!(json(&done)["backwards"].as_u64() > Some(0) && json(&done)["frames"].as_u64() > Some(605));
        fs::read_to_string(&rows).unwrap()
    };
    let one = run("1");
    assert!(one.lines().count() > 10 && one == run("4"));
}

#[test]
fn the_flow_inside_of_a_tunnel_is_taken_when_asked_for() {
    let (folder, rows) = place("rows.csv");
    let input = folder.path().join("tunnel.pcap");
    let mut file = [0xa1b2_c3d4_u32, 2 | 4 << 16, 0, 0, 65_535, 101].map(u32::to_le_bytes).concat();
    file.extend([1_499_443_200, 0, 48, 48_u32].map(u32::to_le_bytes).concat());
    file.extend([0x45, 0, 0, 48, 0, 0, 0, 0, 64, 4, 0, 0, 198, 18, 0, 1, 198, 18, 0, 2]);
    file.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 198, 19, 0, 1, 198, 19, 0, 2]);
    file.extend([4000_u16, 53, 8, 0].map(u16::to_be_bytes).concat());
    fs::write(&input, file).unwrap();
    let run = |more: &[&str]| {
        let done = extract_ganglion(&[&input], &rows, more);
        assert_eq!(code(&done), 0, "{}", err(&done));
        fs::read_to_string(&rows).unwrap()
    };
    assert!(!run(&[]).contains("198.19.0.1"));
    assert!(run(&["--inner"]).contains("198.19.0.1-198.19.0.2-4000-53-17,"));
}

#[test]
fn context_and_snapshots_add_columns_and_rows() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, more: &[&str]| {
        let path = folder.path().join(name);
        let mut all = vec!["--json"];
        all.extend(more);
        json(&extract_ganglion(&[&capture("smb_vlan_long"), &capture("ftp_bruteforce")], &path, &all))
    };
    let plain = run("a.csv", &[]);
    let context = run("b.csv", &["--context"]);
    let snapshots = run("c.csv", &["--snapshots"]);
    let count = |summary: &Value, name: &str| summary[name].as_u64().unwrap();
    assert!(count(&context, "columns") > count(&plain, "columns") + 50, "{context}");
    assert_eq!(count(&context, "rows"), count(&plain, "rows"));
    assert_eq!(count(&snapshots, "columns"), count(&plain, "columns"));
    assert!(count(&snapshots, "rows") > count(&plain, "rows"), "{snapshots}");
}

#[test]
fn cicflowmeters_columns_of_the_ganglion_profile() {
    let (_folder, rows) = place("rows.csv");
    let done = extract_ganglion(&[&capture("ftp_bruteforce")], &rows, &["--columns", "cicflowmeter", "--json"]);
    let summary = json(&done);
    let missing: Vec<_> = summary["columns_left_out"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(missing.contains(&"Total Connection Flow Time"), "{missing:?}");
    assert!(err(&done).contains("columns are left out, which the profile has no answer to: "), "{}", err(&done));
    let text = fs::read_to_string(&rows).unwrap();
    let ours: Vec<_> = text.lines().next().unwrap().split(',').collect();
    let reference = fs::read_to_string(pair("ftp_bruteforce", "csv")).unwrap();
    let theirs: Vec<_> = reference.lines().next().unwrap().split(',').collect();
    let kept: Vec<_> = theirs.iter().copied().filter(|name| *name != "Label" && !missing.contains(name)).collect();
    assert_eq!(ours, kept);
    // What both count alike is the same, by name and by spelling.
    let compared = json(&diff(&pair("ftp_bruteforce", "csv"), &rows, &["--json"]));
    assert!(compared["rows_compared"].as_u64() > Some(10), "{compared}");
    for name in ["Src IP", "Dst Port", "Timestamp"] {
        let column = compared["columns"].as_array().unwrap().iter().find(|column| column["name"] == name).unwrap();
        assert_eq!(column["different"], 0, "{column}");
    }
}

#[test]
fn a_filter_leaves_frames_out_and_counts_them() {
    let (folder, rows) = place("rows.csv");
    let run = |filter: &str| {
        let done = extract_ganglion(&[&capture("ftp_data_dns_ipv6")], &rows, &["--json", "--filter", filter]);
        assert_eq!(code(&done), 0, "{}", err(&done));
        let summary = json(&done);
        (summary["frames"].as_u64().unwrap(), summary["filtered"].as_u64().unwrap())
    };
    let (tcp, other) = (run("tcp"), run("not tcp"));
    assert_eq!((tcp.0, tcp.1), (other.1, other.0));
    assert!(tcp.0 > 0 && tcp.1 > 0 && tcp.0 + tcp.1 == 1350);
    assert_eq!(run("len > 100000"), (0, 1350));
    let said = extract_ganglion(&[&capture("ftp_data_dns_ipv6")], &rows, &["--filter", "udp"]);
    assert!(err(&said).contains("filtered out: "), "{}", err(&said));
    // `len` is the length on the wire: the frames are cut to 28 of 500 bytes.
    let cut = folder.path().join("cut.pcap");
    fs::write(&cut, raw_ip(5)).unwrap();
    let done = extract_ganglion(&[&cut], &rows, &["--json", "--filter", "len = 500 and udp src portrange 4001-4003"]);
    assert_eq!((json(&done)["frames"].as_u64(), json(&done)["filtered"].as_u64()), (Some(3), Some(2)));
    // What makes no sense on the capture's link type is no empty output.
    fs::write(&rows, "before").unwrap();
    let done = extract_ganglion(&[&cut], &rows, &["--filter", "ether host 0:0:0:0:0:1"]);
    assert_eq!((code(&done), fs::read_to_string(&rows).unwrap().as_str()), (2, "before"));
    assert!(err(&done).contains("can't be used on frames of link type raw IP"), "{}", err(&done));
}

#[test]
fn labels_are_a_column_and_rules_without_a_match_are_told() {
    let (folder, rows) = place("rows.csv");
    let (rules, input) = (folder.path().join("rules.yaml"), folder.path().join("in.pcap"));
    fs::write(&input, raw_ip(5)).unwrap();
    let text = "timezone: -03:00\ndefault: ok\nrules:\n\
        \x20 - {label: early, to: 2017-07-07 13:00:01}\n\
        \x20 - {label: never, name: nobody, src: 2001:db8::/32}\n\
        \x20 - {label: late, from: 2017-07-07T16:00:03Z, host: 198.18.0.2, port: 4003-4009, protocol: udp}\n";
    fs::write(&rules, text).unwrap();
    let labelled = |more: &[&str]| {
        let mut all = vec!["--labels", rules.to_str().unwrap()];
        all.extend(more);
        let done = extract_ganglion(&[&input], &rows, &all);
        assert_eq!(code(&done), 0, "{}", err(&done));
        let text = fs::read_to_string(&rows).unwrap();
        assert!(text.lines().next().unwrap().ends_with(",Label"));
        let label = |line: &str| line.rsplit(',').next().unwrap().to_owned();
        let mut labels: Vec<_> = text.lines().skip(1).map(label).collect();
        labels.sort();
        (labels.join(" "), done)
    };
    let (labels, done) = labelled(&[]);
    assert_eq!(labels, "early late late ok ok");
    assert!(err(&done).contains("1 label rules matched nothing: rule 2 (nobody)"), "{}", err(&done));
    assert!(err(&done).contains("labelled by 3 rules: 3; by default: 2"), "{}", err(&done));
    let (labels, done) = labelled(&["--profile", "cicflowmeter", "--json"]);
    assert_eq!(labels, "early late late ok ok");
    assert_eq!(json(&done)["labels"]["unmatched"], serde_json::json!(["rule 2 (nobody)"]));
    let (labels, _) = labelled(&["--columns", "cicflowmeter"]);
    assert_eq!(labels, "early late late ok ok");
    let shown = ganglion().args(["flow", "show"]).arg(&rows).output().unwrap();
    assert!(out(&shown).contains("LABEL") && out(&shown).contains("early"), "{}", out(&shown));
    // The file that the documentation names.
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../extract/examples/labels.yaml");
    let done = extract_ganglion(&[&input], &rows, &["--labels", example.to_str().unwrap(), "--json"]);
    assert_eq!(json(&done)["labels"]["unmatched"].as_array().map(Vec::len), Some(3), "{}", err(&done));
}

#[test]
fn parquet_is_shown_and_compared_and_damage_is_told() {
    let (folder, rows) = place("rows.parquet");
    assert_eq!(code(&extract_ganglion(&[&capture("ftp_bruteforce")], &rows, &[])), 0);
    let shown = ganglion().args(["flow", "show", "--limit", "2"]).arg(&rows).output().unwrap();
    assert_eq!((code(&shown), out(&shown).lines().count()), (0, 4), "{}", err(&shown));
    assert!(out(&shown).contains("192.168.56.101 :21"), "{}", out(&shown));
    let whole = fs::read(&rows).unwrap();
    let cut = folder.path().join("cut.parquet");
    fs::write(&cut, &whole[..whole.len() / 2]).unwrap();
    for output in [ganglion().args(["flow", "show"]).arg(&cut).output().unwrap(), diff(&rows, &cut, &[])] {
        assert_eq!(code(&output), 2);
        assert!(err(&output).contains("cut.parquet: no Parquet file that can be read"), "{}", err(&output));
    }
    // To a pipe, and from one.
    let piped = extract_ganglion(&[&capture("ftp_bruteforce")], Path::new("-"), &["--format", "parquet"]);
    assert!(code(&piped) == 0 && piped.stdout == whole, "{}", err(&piped));
    let empty = folder.path().join("empty.pcap");
    fs::write(&empty, "").unwrap();
    let done = extract_ganglion(&[&empty], &cut, &[]);
    assert_eq!(code(&done), 3, "{}", err(&done));
    let shown = ganglion().args(["flow", "show"]).arg(&cut).output().unwrap();
    assert_eq!((code(&shown), out(&shown).as_str()), (0, "0 of 0 flows\n"));
}
