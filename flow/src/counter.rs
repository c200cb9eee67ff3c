//! Every packet and every record is counted, by what became of it.

macro_rules! counters {
    ($($(#[$meta:meta])* $name:ident = $label:literal),* $(,)?) => {
        /// Index into [`Counters`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u32)]
        pub enum Counter { $($(#[$meta])* $name),* }

        impl Counter {
            /// All of them, in order of their index.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// Stable name, as in metrics and reports.
            pub const fn label(self) -> &'static str {
                match self { $(Self::$name => $label),* }
            }
        }
    };
}

counters! {
    /// Wire packets that reached a program.
    Seen = "seen",
    /// Their bytes.
    SeenBytes = "seen_bytes",
    /// Dropped: source or destination blocked by address.
    DropBlock = "drop_block",
    /// Dropped: blocked by network.
    DropBlockNet = "drop_block_net",
    /// Dropped: verdict on the flow.
    DropVerdict = "drop_verdict",
    /// Dropped: over the rate of a limited source.
    DropRate = "drop_rate",
    /// Dropped: new flow over the limit of its destination.
    DropNewFlow = "drop_new_flow",
    /// Would have been dropped, were the mode `enforce`.
    WouldDrop = "would_drop",
    /// No flow: neither IPv4 nor IPv6.
    NotIp = "not_ip",
    /// No flow: frame ends inside a header.
    Truncated = "truncated",
    /// No flow: header contradicts itself.
    Malformed = "malformed",
    /// No flow: later fragment of a datagram whose first one was not seen, or is forgotten.
    Fragment = "fragment",
    /// No flow: too many IPv6 extension headers.
    TooManyHeaders = "too_many_headers",
    /// Skipped: the flow's lock stayed taken.
    SkipLock = "skip_lock",
    /// Skipped: the flow table is full.
    SkipFull = "skip_full",
    /// Skipped: came after the flow was exported as ended.
    SkipAfterEnd = "skip_after_end",
    /// Skipped: would have opened the next flow of an entry that was still being deleted.
    SkipClosing = "skip_closing",
    /// Skipped: single-packet flow overwritten by another; folded into its source.
    SkipFolded = "skip_folded",
    /// Skipped: leaving by an interface whose role counts arrivals alone.
    SkipRole = "skip_role",
    /// Packets in records of ended flows that reached the ring buffer.
    Exported = "exported",
    /// Packets in records of ended flows that the full ring buffer refused.
    ExportLost = "export_lost",
    /// Records written to the ring buffer.
    Records = "records",
    /// Records that the full ring buffer refused.
    RecordsLost = "records_lost",
    /// Flows given a full entry.
    FlowsOpened = "flows_opened",
    /// Flows exported as ended.
    FlowsEnded = "flows_ended",
    /// Source entries overwritten by another source.
    SourcesReplaced = "sources_replaced",
    /// Source updates left out because the set's lock stayed taken.
    SourcesSkipped = "sources_skipped",
    /// Packets passed by an allow rule before any block was looked up.
    Allowed = "allowed",
    /// Datagrams forgotten for others although fragments of theirs could still come.
    FragmentsReplaced = "fragments_replaced",
    /// Packets counted in the flow that their tunnel carries.
    Inner = "inner",
}

/// Number of counters.
pub const COUNT: usize = Counter::ALL.len();

/// Value of `COUNTERS`, a per-CPU array of one entry: one look-up per packet reaches all of them.
pub type Counters = [u64; COUNT];

impl From<crate::NotAFlow> for Counter {
    #[inline(always)]
    fn from(why: crate::NotAFlow) -> Self {
        match why {
            crate::NotAFlow::NotIp => Self::NotIp,
            crate::NotAFlow::Truncated => Self::Truncated,
            crate::NotAFlow::Malformed => Self::Malformed,
            crate::NotAFlow::Fragment => Self::Fragment,
            crate::NotAFlow::TooManyHeaders => Self::TooManyHeaders,
        }
    }
}
