//! Fixed little-endian layouts shared by kernel and userspace.
//!
//! [`wire_struct!`] declares a `repr(C)` struct without padding (asserted at compile time) together with its
//! byte encoding and a description of its fields, so that no reader repeats an offset by hand.

/// One leaf field of a layout, as the trainer and the layout check see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    /// Name of the struct the field stands in.
    pub parent: &'static str,
    /// Field name.
    pub name: &'static str,
    /// Offset from the start of the outermost struct, in bytes.
    pub offset: usize,
    /// Size of one element, in bytes.
    pub size: usize,
    /// Elements (1 unless the field is an array).
    pub count: usize,
}

/// A value with a fixed little-endian byte layout equal to its memory layout on little-endian machines.
pub trait Wire: Sized + Copy {
    /// Encoded size in bytes.
    const LEN: usize;
    /// The all-zero value.
    const ZERO: Self;
    /// Elements, where the value is an array.
    const COUNT: usize = 1;

    /// Writes the value to the first [`Wire::LEN`] bytes of `out`; false when `out` is too short.
    fn put(&self, out: &mut [u8]) -> bool;

    /// Reads a value from the first [`Wire::LEN`] bytes, `None` when there are fewer.
    fn get(bytes: &[u8]) -> Option<Self>;

    /// Calls `visit` for each leaf field, with offsets counted from `base`.
    fn fields(parent: &'static str, name: &'static str, base: usize, visit: &mut dyn FnMut(Field)) {
        visit(Field { parent, name, offset: base, size: Self::LEN / Self::COUNT, count: Self::COUNT });
    }
}

macro_rules! wire_int {
    ($($t:ty),*) => {$(
        impl Wire for $t {
            const LEN: usize = size_of::<$t>();
            const ZERO: Self = 0;

            fn put(&self, out: &mut [u8]) -> bool {
                match out.get_mut(..Self::LEN) {
                    Some(slot) => { slot.copy_from_slice(&self.to_le_bytes()); true }
                    None => false,
                }
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                bytes.first_chunk().map(|b| <$t>::from_le_bytes(*b))
            }
        }
    )*};
}

wire_int!(u8, u16, u32, u64, i16, i32);

impl<T: Wire, const N: usize> Wire for [T; N] {
    const LEN: usize = T::LEN * N;
    const ZERO: Self = [T::ZERO; N];
    const COUNT: usize = N;

    fn put(&self, out: &mut [u8]) -> bool {
        if out.len() < Self::LEN {
            return false;
        }
        let mut slots = out.chunks_exact_mut(T::LEN);
        self.iter().all(|v| slots.next().is_some_and(|s| v.put(s)))
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        let mut all = Self::ZERO;
        let mut chunks = bytes.chunks_exact(T::LEN);
        for slot in &mut all {
            *slot = T::get(chunks.next()?)?;
        }
        Some(all)
    }
}

macro_rules! wire_struct {
    ($(#[$meta:meta])* pub struct $name:ident { $($(#[$fmeta:meta])* pub $field:ident: $t:ty),* $(,)? }) => {
        $(#[$meta])*
        #[repr(C)]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub struct $name { $($(#[$fmeta])* pub $field: $t),* }

        // A hole between fields would cross the ring buffer uninitialised.
        const _: () = assert!(size_of::<$name>() == <$name as $crate::wire::Wire>::LEN);

        impl $crate::wire::Wire for $name {
            const LEN: usize = 0 $(+ <$t as $crate::wire::Wire>::LEN)*;
            const ZERO: Self = Self { $($field: <$t as $crate::wire::Wire>::ZERO),* };

            fn put(&self, out: &mut [u8]) -> bool {
                let mut rest = match out.get_mut(..Self::LEN) { Some(rest) => rest, None => return false };
                $(
                    if !$crate::wire::Wire::put(&self.$field, rest) { return false; }
                    rest = &mut rest[<$t as $crate::wire::Wire>::LEN..];
                )*
                rest.is_empty()
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                let mut rest = bytes.get(..Self::LEN)?;
                $(
                    let $field = <$t as $crate::wire::Wire>::get(rest)?;
                    rest = &rest[<$t as $crate::wire::Wire>::LEN..];
                )*
                let _ = rest;
                Some(Self { $($field),* })
            }

            fn fields(_: &'static str, _: &'static str, base: usize, visit: &mut dyn FnMut($crate::wire::Field)) {
                let mut at = base;
                $(
                    <$t as $crate::wire::Wire>::fields(stringify!($name), stringify!($field), at, visit);
                    at += <$t as $crate::wire::Wire>::LEN;
                )*
                let _ = at;
            }
        }
    };
}

pub(crate) use wire_struct;
