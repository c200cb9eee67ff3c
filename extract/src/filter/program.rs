//! Classic BPF: the programs that libpcap makes of filters, checked once and run safely.

/// An instruction as libpcap and kernels lay it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    /// What to do.
    pub code: u16,
    /// Instructions to leave out if a comparison holds.
    pub jump_true: u8,
    /// And if it does not.
    pub jump_false: u8,
    /// A number, or where something lies.
    pub k: u32,
}

/// Why instructions are no program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadProgram {
    /// There is none.
    #[error("it is empty")]
    Empty,
    /// More than any filter needs.
    #[error("it has more than {MAX_INSTRUCTIONS} instructions")]
    TooLong,
    /// An instruction that does not exist.
    #[error("instruction {at} is of the unknown code {code:#06x}")]
    Code {
        /// Its number.
        at: usize,
        /// Its code.
        code: u16,
    },
    /// A jump out of the program.
    #[error("instruction {at} leads out of it")]
    Jump {
        /// Its number.
        at: usize,
    },
    /// A scratch register beyond the last.
    #[error("instruction {at} uses scratch register {register}, of {SCRATCH}")]
    Scratch {
        /// Its number.
        at: usize,
        /// The register.
        register: u32,
    },
    /// A division by the constant 0.
    #[error("instruction {at} divides by zero")]
    DivisionByZero {
        /// Its number.
        at: usize,
    },
}

const MAX_INSTRUCTIONS: usize = 1 << 20;
const SCRATCH: usize = 16;

/// Where a value is taken from.
#[derive(Clone, Copy, Debug)]
enum From {
    Constant(u32),
    Index,
}

#[derive(Clone, Copy, Debug)]
enum Width {
    Byte,
    Half,
    Word,
}

#[derive(Clone, Copy, Debug)]
enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Modulo,
    And,
    Or,
    Xor,
    ShiftLeft,
    ShiftRight,
}

#[derive(Clone, Copy, Debug)]
enum Test {
    Equal,
    Greater,
    GreaterOrEqual,
    AnyBit,
}

/// A checked instruction. Jumps hold the number of the instruction that they lead to.
#[derive(Clone, Copy, Debug)]
enum Step {
    LoadPacket {
        width: Width,
        at: u32,
        indexed: bool,
    },
    Load(u32),
    LoadLength,
    LoadScratch(u8),
    IndexLoad(u32),
    IndexLoadLength,
    IndexLoadScratch(u8),
    /// Four times the low half of a byte: the length of an IPv4 header.
    IndexLoadHeaderLength(u32),
    Store(u8),
    IndexStore(u8),
    Arithmetic(Arithmetic, From),
    Negate,
    Jump(u32),
    JumpIf {
        test: Test,
        than: From,
        then: u32,
        otherwise: u32,
    },
    Return(From),
    ReturnAccumulator,
    ToIndex,
    ToAccumulator,
}

/// A program that ends, whatever the packet: each step leads forward.
#[derive(Clone, Debug)]
pub struct Program {
    steps: Box<[Step]>,
}

impl Program {
    /// Checks instructions.
    ///
    /// # Errors
    /// They are no program.
    pub fn new(instructions: &[Instruction]) -> Result<Self, BadProgram> {
        match instructions.len() {
            0 => return Err(BadProgram::Empty),
            1..=MAX_INSTRUCTIONS => {}
            _ => return Err(BadProgram::TooLong),
        }
        let count = instructions.len();
        let step = |(at, instruction): (usize, &Instruction)| step(at, count, instruction);
        Ok(Self { steps: instructions.iter().enumerate().map(step).collect::<Result<_, _>>()? })
    }

    /// Runs it on the captured bytes of a packet of `wire_bytes`. 0 says that the packet does not pass.
    #[must_use]
    pub fn run(&self, packet: &[u8], wire_bytes: u32) -> u32 {
        // A load beyond the captured bytes and a division by zero end a program with 0.
        self.result(packet, wire_bytes).unwrap_or(0)
    }

    fn result(&self, packet: &[u8], wire_bytes: u32) -> Option<u32> {
        let (mut a, mut x, mut scratch, mut at) = (0_u32, 0_u32, [0_u32; SCRATCH], 0_usize);
        loop {
            let step = *self.steps.get(at)?;
            at += 1;
            match step {
                Step::LoadPacket { width, at, indexed } => a = load(packet, width, at, if indexed { x } else { 0 })?,
                Step::Load(k) => a = k,
                Step::LoadLength => a = wire_bytes,
                Step::LoadScratch(register) => a = *scratch.get(usize::from(register))?,
                Step::IndexLoad(k) => x = k,
                Step::IndexLoadLength => x = wire_bytes,
                Step::IndexLoadScratch(register) => x = *scratch.get(usize::from(register))?,
                Step::IndexLoadHeaderLength(at) => x = (load(packet, Width::Byte, at, 0)? & 0xf) * 4,
                Step::Store(register) => *scratch.get_mut(usize::from(register))? = a,
                Step::IndexStore(register) => *scratch.get_mut(usize::from(register))? = x,
                Step::Arithmetic(what, with) => a = what.of(a, with.value(x))?,
                Step::Negate => a = a.wrapping_neg(),
                Step::Jump(to) => at = to as usize,
                Step::JumpIf { test, than, then, otherwise } => {
                    at = if test.holds(a, than.value(x)) { then } else { otherwise } as usize;
                }
                Step::Return(value) => return Some(value.value(x)),
                Step::ReturnAccumulator => return Some(a),
                Step::ToIndex => x = a,
                Step::ToAccumulator => a = x,
            }
        }
    }
}

impl From {
    #[inline]
    fn value(self, index: u32) -> u32 {
        match self {
            Self::Constant(k) => k,
            Self::Index => index,
        }
    }
}

impl Arithmetic {
    #[inline]
    fn of(self, a: u32, b: u32) -> Option<u32> {
        match self {
            Self::Add => Some(a.wrapping_add(b)),
            Self::Subtract => Some(a.wrapping_sub(b)),
            Self::Multiply => Some(a.wrapping_mul(b)),
            Self::Divide => a.checked_div(b),
            Self::Modulo => a.checked_rem(b),
            Self::And => Some(a & b),
            Self::Or => Some(a | b),
            Self::Xor => Some(a ^ b),
            Self::ShiftLeft => Some(a.checked_shl(b).unwrap_or(0)),
            Self::ShiftRight => Some(a.checked_shr(b).unwrap_or(0)),
        }
    }
}

impl Test {
    #[inline]
    fn holds(self, a: u32, b: u32) -> bool {
        match self {
            Self::Equal => a == b,
            Self::Greater => a > b,
            Self::GreaterOrEqual => a >= b,
            Self::AnyBit => a & b != 0,
        }
    }
}

/// Bytes of the packet, in network order.
#[inline]
fn load(packet: &[u8], width: Width, at: u32, index: u32) -> Option<u32> {
    let bytes = packet.get(at.checked_add(index)? as usize..)?;
    match width {
        Width::Byte => bytes.first().map(|byte| u32::from(*byte)),
        Width::Half => bytes.first_chunk().map(|half| u32::from(u16::from_be_bytes(*half))),
        Width::Word => bytes.first_chunk().map(|word| u32::from_be_bytes(*word)),
    }
}

// Parts of a code, as in <pcap/bpf.h>.
const CLASS: u16 = 0x07;
const WIDTH: u16 = 0x18;
const MODE: u16 = 0xe0;
const OPERATION: u16 = 0xf0;
const SOURCE_INDEX: u16 = 0x08;
const SOURCE_RETURN: u16 = 0x18;

fn step(at: usize, count: usize, instruction: &Instruction) -> Result<Step, BadProgram> {
    let Instruction { code, k, .. } = *instruction;
    let unknown = BadProgram::Code { at, code };
    let register =
        || u8::try_from(k).ok().filter(|k| usize::from(*k) < SCRATCH).ok_or(BadProgram::Scratch { at, register: k });
    let from = if code & SOURCE_INDEX == 0 { From::Constant(k) } else { From::Index };
    let width = match code & WIDTH {
        0x00 => Some(Width::Word),
        0x08 => Some(Width::Half),
        0x10 => Some(Width::Byte),
        _ => None,
    };
    if code > 0xff {
        return Err(unknown);
    }
    match (code & CLASS, code & MODE, width) {
        (0, 0x00, _) => Ok(Step::Load(k)),
        (0, 0x20, Some(width)) => Ok(Step::LoadPacket { width, at: k, indexed: false }),
        (0, 0x40, Some(width)) => Ok(Step::LoadPacket { width, at: k, indexed: true }),
        (0, 0x60, _) => register().map(Step::LoadScratch),
        (0, 0x80, _) => Ok(Step::LoadLength),
        (1, 0x00, _) => Ok(Step::IndexLoad(k)),
        (1, 0x60, _) => register().map(Step::IndexLoadScratch),
        (1, 0x80, _) => Ok(Step::IndexLoadLength),
        (1, 0xa0, Some(Width::Byte)) => Ok(Step::IndexLoadHeaderLength(k)),
        (2, ..) => register().map(Step::Store),
        (3, ..) => register().map(Step::IndexStore),
        (4, ..) => arithmetic(at, code, from),
        (5, ..) => jump(at, count, instruction, from),
        (6, ..) => match code & SOURCE_RETURN {
            0x00 => Ok(Step::Return(From::Constant(k))),
            0x08 => Ok(Step::Return(From::Index)),
            0x10 => Ok(Step::ReturnAccumulator),
            _ => Err(unknown),
        },
        (7, ..) => match code & 0xf8 {
            0x00 => Ok(Step::ToIndex),
            0x80 => Ok(Step::ToAccumulator),
            _ => Err(unknown),
        },
        _ => Err(unknown),
    }
}

fn arithmetic(at: usize, code: u16, with: From) -> Result<Step, BadProgram> {
    let what = match code & OPERATION {
        0x00 => Arithmetic::Add,
        0x10 => Arithmetic::Subtract,
        0x20 => Arithmetic::Multiply,
        0x30 => Arithmetic::Divide,
        0x40 => Arithmetic::Or,
        0x50 => Arithmetic::And,
        0x60 => Arithmetic::ShiftLeft,
        0x70 => Arithmetic::ShiftRight,
        0x80 => return Ok(Step::Negate),
        0x90 => Arithmetic::Modulo,
        0xa0 => Arithmetic::Xor,
        _ => return Err(BadProgram::Code { at, code }),
    };
    match (what, with) {
        (Arithmetic::Divide | Arithmetic::Modulo, From::Constant(0)) => Err(BadProgram::DivisionByZero { at }),
        _ => Ok(Step::Arithmetic(what, with)),
    }
}

fn jump(at: usize, count: usize, instruction: &Instruction, than: From) -> Result<Step, BadProgram> {
    let Instruction { code, jump_true, jump_false, k } = *instruction;
    // Forward only, so that every program ends.
    let target = |distance: u32| {
        let to = (at + 1).checked_add(distance as usize).filter(|to| *to < count);
        to.and_then(|to| u32::try_from(to).ok()).ok_or(BadProgram::Jump { at })
    };
    let test = match code & OPERATION {
        0x00 => return target(k).map(Step::Jump),
        0x10 => Test::Equal,
        0x20 => Test::Greater,
        0x30 => Test::GreaterOrEqual,
        0x40 => Test::AnyBit,
        _ => return Err(BadProgram::Code { at, code }),
    };
    Ok(Step::JumpIf { test, than, then: target(jump_true.into())?, otherwise: target(jump_false.into())? })
}
