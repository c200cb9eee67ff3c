//! What `--help` says behind the options.

pub(in crate::cmd::flow) const EXAMPLES: &str = "\
Examples:
  ganglion flow extract traffic.pcap.gz -o flows.parquet
  ganglion flow extract day-*.pcapng -o flows.csv --profile cicflowmeter
  ganglion flow extract day.pcap -o flows.parquet --filter 'tcp port 443' --labels rules.yaml
  tcpdump -w - | ganglion flow extract - -o - | ganglion flow show -";

pub(in crate::cmd::flow) const LONG_HELP: &str = "\
Examples:
  ganglion flow extract traffic.pcap.gz -o flows.parquet
  ganglion flow extract day-*.pcapng -o flows.csv --profile cicflowmeter
  ganglion flow extract day.pcap -o flows.parquet --filter 'tcp port 443' --labels rules.yaml
  tcpdump -w - | ganglion flow extract - -o - | ganglion flow show -

Captures: pcap and pcapng, plain, gzip or zstd, whatever they are called. Several are read as one
capture, in the order given: a flow goes on from one file to the next. Link types: Ethernet, raw IP,
Linux cooked 1 and 2, null/loop; 802.11 is refused.

Columns: `--columns cicflowmeter` with the profile ganglion writes the features that CICFlowMeter has
too, by its names; what has no answer is left out, and said. The columns of Ganglion need its profile.

Labels: a file of rules, the first that matches wins:
  timezone: America/Halifax           # of times without an offset
  default: BENIGN
  rules:
    - {label: DDoS, from: 2017-07-07 15:56, to: 2017-07-07 16:17, host: 172.16.0.1, port: 80}
All keys, with an example that can be used: docs/extract.md. Rules that match nothing are told.

Exit codes:
  0  all captures read to their end (times that run backwards are counted and warned of)
  1  nothing was read, or OUT can't be written: a file that OUT was before is untouched
  2  wrong arguments, labels or filter; nothing is written
  3  a capture is damaged, is none, or has frames of a link type that is not read: said with input
     and byte; what came before, and the other captures, are in OUT";
