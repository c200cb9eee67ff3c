use super::*;

fn error(text: &str) -> String {
    SensorConfig::from_yaml(text, "sensor.yaml").unwrap_err().to_string()
}

#[test]
fn an_empty_file_means_the_defaults() {
    assert_eq!(SensorConfig::from_yaml("# nothing\n\n", "x").unwrap(), SensorConfig::default());
    assert_eq!(SensorConfig::default().mode, Mode::Observe);
}

#[test]
fn unknown_keys_are_named_with_their_line() {
    let message = error("interfaces: [eth0]\nmod: enforce\n");
    assert!(message.contains("`mod`") && message.contains("line 2"), "{message}");
    let message = error("interfaces: [eth0]\ntables:\n  flowz: 3\n");
    assert!(message.contains("`flowz`") && message.contains("line 3") && message.contains("tables"), "{message}");
}

#[test]
fn wrong_types_are_named_with_their_line() {
    let message = error("interfaces: [eth0]\ntables:\n  flows: many\n");
    assert!(message.contains("tables.flows") && message.contains("line 3"), "{message}");
    let message = error("mode: kill\n");
    assert!(message.contains("mode") && message.contains("kill") && message.contains("line 1"), "{message}");
}

#[test]
fn every_complaint_is_made_at_once() {
    let text = "interfaces: [\"a b\"]\nmetrics: 0.0.0.0:9\nallow: [198.18.0.0/99]\ntables: {half_open_sets: 3}\n\
                timeouts: {idle_ms: 0}\nbrain: http://198.18.0.1:5\n";
    let message = SensorConfig::from_yaml(text, "x").unwrap().validate().unwrap_err().to_string();
    for part in ["interfaces", "metrics", "allow", "half_open_sets", "timeouts.idle_ms", "brain"] {
        assert!(message.contains(part), "{part} missing in {message}");
    }
}

#[test]
fn the_command_line_wins() {
    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        overrides: Overrides,
    }
    let mut config = SensorConfig::from_yaml("interfaces: [eth0]\nmode: observe\nallow: [10.0.0.0/8]\n", "x").unwrap();
    let cli = <Cli as clap::Parser>::parse_from(["x", "-i", "gs0", "--enforce", "--inner", "--allow", "198.18.0.0/24"]);
    cli.overrides.apply(&mut config);
    assert_eq!(config.interfaces, ["gs0"]);
    assert_eq!(config.mode, Mode::Enforce);
    assert!(config.inner);
    assert_eq!(config.allow, ["10.0.0.0/8", "198.18.0.0/24"]);
    config.validate().unwrap();
}

#[test]
fn pin_folders_have_no_dots() {
    let config = SensorConfig { interfaces: vec!["eth0.5".into()], ..SensorConfig::default() };
    assert_eq!(config.pin_folder(), Path::new("/sys/fs/bpf/ganglion/eth0:5"));
}
