//! Class numbers and their names.

use ganglion_proto::v1::TrafficClass;

/// All classes, by number.
pub const ALL: [TrafficClass; 10] = [
    TrafficClass::Unknown,
    TrafficClass::Benign,
    TrafficClass::Ddos,
    TrafficClass::Dos,
    TrafficClass::PortScan,
    TrafficClass::Bot,
    TrafficClass::BruteForce,
    TrafficClass::Web,
    TrafficClass::Heartbleed,
    TrafficClass::Infiltration,
];

/// As people write it.
pub fn name(class: TrafficClass) -> &'static str {
    match class {
        TrafficClass::Unknown => "Unknown",
        TrafficClass::Benign => "Benign",
        TrafficClass::Ddos => "DDoS",
        TrafficClass::Dos => "DoS",
        TrafficClass::PortScan => "PortScan",
        TrafficClass::Bot => "Bot",
        TrafficClass::BruteForce => "BruteForce",
        TrafficClass::Web => "Web",
        TrafficClass::Heartbleed => "Heartbleed",
        TrafficClass::Infiltration => "Infiltration",
    }
}

/// As it stands in playbooks and metrics.
pub fn label(class: TrafficClass) -> &'static str {
    match class {
        TrafficClass::Unknown => "unknown",
        TrafficClass::Benign => "benign",
        TrafficClass::Ddos => "ddos",
        TrafficClass::Dos => "dos",
        TrafficClass::PortScan => "port-scan",
        TrafficClass::Bot => "bot",
        TrafficClass::BruteForce => "brute-force",
        TrafficClass::Web => "web",
        TrafficClass::Heartbleed => "heartbleed",
        TrafficClass::Infiltration => "infiltration",
    }
}

/// The class with this label.
pub fn from_label(text: &str) -> Option<TrafficClass> {
    ALL.into_iter().find(|class| label(*class) == text)
}

/// The class with this number.
pub fn from_number(number: u32) -> Option<TrafficClass> {
    i32::try_from(number).ok().and_then(|number| TrafficClass::try_from(number).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_frozen_ones() {
        for (number, class) in ALL.into_iter().enumerate() {
            assert_eq!(class as usize, number);
            assert_eq!(from_number(number as u32), Some(class));
            assert_eq!(from_label(label(class)), Some(class));
        }
        assert_eq!(from_number(10), None);
    }
}
