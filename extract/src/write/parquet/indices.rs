//! Indices into a dictionary, as Parquet's hybrid encoding has them: their width in bits, then a run of one index, or
//! bit-packed groups of eight.

/// Indices to a group.
const GROUP: usize = 8;

/// Bits that an index into `values` values takes.
pub(super) fn width(values: usize) -> u32 {
    (usize::BITS - values.saturating_sub(1).leading_zeros()).max(1)
}

/// Bytes that the indices of so many rows take, or fewer.
pub(super) fn room_for(rows: usize, width: u32) -> usize {
    8 + rows.div_ceil(GROUP) * width as usize
}

/// Appends so many rows of the same index.
pub(super) fn run(rows: usize, index: u16, width: u32, out: &mut Vec<u8>) {
    out.push(width as u8);
    length((rows as u64) << 1, out);
    out.extend_from_slice(&index.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends all of `indices`, each of which fits in `width` bits, 16 at most.
pub(super) fn packed(indices: &[u16], width: u32, out: &mut Vec<u8>) {
    let groups = indices.len().div_ceil(GROUP);
    out.push(width as u8);
    length((groups as u64) << 1 | 1, out);
    // Shifts by constants take half the time.
    match width {
        1 => pack::<1>(indices, out),
        2 => pack::<2>(indices, out),
        3 => pack::<3>(indices, out),
        4 => pack::<4>(indices, out),
        5 => pack::<5>(indices, out),
        6 => pack::<6>(indices, out),
        7 => pack::<7>(indices, out),
        8 => pack::<8>(indices, out),
        9 => pack::<9>(indices, out),
        10 => pack::<10>(indices, out),
        11 => pack::<11>(indices, out),
        12 => pack::<12>(indices, out),
        13 => pack::<13>(indices, out),
        14 => pack::<14>(indices, out),
        15 => pack::<15>(indices, out),
        _ => pack::<16>(indices, out),
    }
}

fn pack<const WIDTH: usize>(indices: &[u16], out: &mut Vec<u8>) {
    let (groups, rest) = indices.as_chunks::<GROUP>();
    let mut last = [0; GROUP];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some(&last);
    for group in groups.iter().chain(last) {
        // Two halves of four: each fits in 64 bits.
        let half = |from: usize| (0..4).fold(0, |word, at| word | u64::from(group[from + at]) << (at * WIDTH));
        let word = u128::from(half(0)) | u128::from(half(4)) << (4 * WIDTH);
        out.extend_from_slice(&word.to_le_bytes()[..WIDTH]);
    }
}

/// A number of variable length (ULEB128).
fn length(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(indices: &[u16], width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        super::packed(indices, width, &mut out);
        assert!(out.len() <= room_for(indices.len(), width));
        out
    }

    fn run(rows: usize, index: u16, width: u32) -> Vec<u8> {
        let mut out = Vec::new();
        super::run(rows, index, width, &mut out);
        out
    }

    #[test]
    fn widths_hold_the_last_index() {
        for (values, bits) in [(1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (256, 8), (257, 9), (32_767, 15)] {
            assert_eq!(width(values), bits, "{values}");
        }
    }

    #[test]
    fn bits_are_packed_from_the_lowest() {
        // The example of Parquet's documentation: 0 to 7, three bits each.
        assert_eq!(packed(&[0, 1, 2, 3, 4, 5, 6, 7], 3), [3, 3, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
        for width in 1..=16 {
            let mask = (1_u32 << width) - 1;
            let indices: Vec<u16> = (0..1003_u32).map(|at| (at.wrapping_mul(40_503) & mask) as u16).collect();
            let bytes = packed(&indices, width);
            assert_eq!(bytes[..3], [width as u8, 0xfd, 0x01], "126 groups");
            assert_eq!(bytes.len(), 3 + 126 * width as usize);
            let bit = |at: usize| u32::from(bytes[3 + at / 8] >> (at % 8) & 1);
            for (at, index) in indices.iter().enumerate() {
                let first = at * width as usize;
                let read = (0..width).fold(0, |read, place| read | bit(first + place as usize) << place);
                assert_eq!(read, u32::from(*index), "{at} of width {width}");
            }
        }
    }

    #[test]
    fn a_run_takes_a_few_bytes() {
        assert_eq!(run(4096, 3, 8), [8, 0x80, 0x40, 3]);
        assert_eq!(run(1, 0x0102, 9), [9, 2, 2, 1]);
    }
}
