//! Capture files: pcap (draft-ietf-opsawg-pcap) and pcapng (draft-ietf-opsawg-pcapng), read as a stream.

use crate::timestamp::Timestamp;
use p2pnet_protocol::wire::{Malformed, Reader};
use std::fmt;
use std::io::{self, Read};
use std::ops::Range;

/// The most bytes that one frame, or one block of a pcapng file, may have.
pub const FRAME_BYTES_MAX: usize = 4 << 20;
/// The most interfaces that one section of a pcapng file may describe.
const INTERFACES_MAX: usize = 1024;

/// What a frame begins with, by its number in the registry of link types (tcpdump.org/linktypes.html).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkType(pub u32);

/// One captured frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was captured.
    pub at: Timestamp,
    /// What it begins with.
    pub link: LinkType,
    /// What was captured of it.
    pub bytes: &'a [u8],
}

/// Why a file can't be read, or not further.
#[derive(Debug)]
#[non_exhaustive]
pub enum CaptureError {
    /// It could not be read at all.
    Io(io::Error),
    /// It begins with something else.
    NotACapture,
    /// It is compressed by gzip.
    Compressed,
    /// It is a capture of a kind that isn't known here.
    Unsupported(&'static str),
    /// A frame or block is too long to be real, or at least to be held.
    TooLong {
        /// How long it says it is.
        bytes: u32,
    },
    /// What it says makes no sense.
    Malformed(&'static str),
    /// More interfaces are described than are kept.
    TooManyInterfaces,
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(error) => error.fmt(f),
            Self::NotACapture => f.write_str("it is no capture: neither pcap nor pcapng"),
            Self::Compressed => f.write_str("it is compressed: unpack it with gunzip first"),
            Self::Unsupported(what) => write!(f, "{what} isn't supported"),
            Self::TooLong { bytes } => {
                write!(f, "a frame says it has {bytes} bytes; at most {FRAME_BYTES_MAX} are read")
            }
            Self::Malformed(what) => write!(f, "the capture is damaged: {what} makes no sense"),
            Self::TooManyInterfaces => {
                write!(f, "the capture describes more than {INTERFACES_MAX} interfaces")
            }
        }
    }
}

impl std::error::Error for CaptureError {}

impl From<io::Error> for CaptureError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Malformed> for CaptureError {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed.0)
    }
}

/// The order of bytes in a number.
#[derive(Clone, Copy, Debug)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u32(self, from: &mut Reader<'_>, what: &'static str) -> Result<u32, Malformed> {
        from.array(what).map(|bytes| match self {
            Self::Big => u32::from_be_bytes(bytes),
            Self::Little => u32::from_le_bytes(bytes),
        })
    }

    fn u16(self, from: &mut Reader<'_>, what: &'static str) -> Result<u16, Malformed> {
        from.array(what).map(|bytes| match self {
            Self::Big => u16::from_be_bytes(bytes),
            Self::Little => u16::from_le_bytes(bytes),
        })
    }

    fn u64(self, from: &mut Reader<'_>, what: &'static str) -> Result<u64, Malformed> {
        from.array(what).map(|bytes| match self {
            Self::Big => u64::from_be_bytes(bytes),
            Self::Little => u64::from_le_bytes(bytes),
        })
    }
}

/// An interface of a pcapng section.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    snap_bytes: u32,
    units_per_second: u64,
    offset_seconds: i64,
}

#[derive(Clone, Copy, Debug)]
enum Format {
    Pcap { units_per_second: u64, link: LinkType },
    Pcapng,
}

/// A capture file that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    from: R,
    format: Format,
    order: Order,
    /// Those of the present section.
    interfaces: Vec<Interface>,
    /// The present frame, or the block that holds it.
    buffer: Vec<u8>,
    cut_short: bool,
}

// Types of blocks in a pcapng file.
const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

impl<R: Read> Capture<R> {
    /// Looks at the head of a file.
    ///
    /// # Errors
    /// [`CaptureError`] if it is no capture that can be read.
    pub fn open(from: R) -> Result<Self, CaptureError> {
        let mut this = Self {
            from,
            format: Format::Pcapng,
            order: Order::Big,
            interfaces: Vec::new(),
            buffer: Vec::new(),
            cut_short: false,
        };
        let mut magic = [0; 4];
        if !this.fill(&mut magic)? {
            return Err(CaptureError::NotACapture);
        }
        const MICROS: u64 = 1_000_000;
        const NANOS: u64 = 1_000_000_000;
        match u32::from_be_bytes(magic) {
            0xa1b2_c3d4 => this.open_pcap(Order::Big, MICROS)?,
            0xa1b2_3c4d => this.open_pcap(Order::Big, NANOS)?,
            0xd4c3_b2a1 => this.open_pcap(Order::Little, MICROS)?,
            0x4d3c_b2a1 => this.open_pcap(Order::Little, NANOS)?,
            SECTION => this.open_pcapng()?,
            0xa1b2_cd34 | 0x34cd_b2a1 => {
                return Err(CaptureError::Unsupported("Kuznetzov's variant of pcap"));
            }
            first if first >> 16 == 0x1f8b => return Err(CaptureError::Compressed),
            _ => return Err(CaptureError::NotACapture),
        }
        Ok(this)
    }

    fn open_pcap(&mut self, order: Order, units_per_second: u64) -> Result<(), CaptureError> {
        let mut head = [0; 20];
        if !self.fill(&mut head)? {
            return Err(CaptureError::NotACapture);
        }
        let mut head = Reader::new(&head);
        // The version, two fields that nobody uses, and how much of a frame was kept at most.
        head.take(16, "head")?;
        // The upper bits may tell of a checksum at each frame's end, which does no harm.
        let link = LinkType(order.u32(&mut head, "link type")? & 0x0fff_ffff);
        (self.order, self.format) = (order, Format::Pcap { units_per_second, link });
        Ok(())
    }

    fn open_pcapng(&mut self) -> Result<(), CaptureError> {
        self.next_block_after(&SECTION.to_be_bytes())?.map(drop).ok_or(CaptureError::NotACapture)
    }

    /// The next frame; `None` at the end of the file.
    ///
    /// # Errors
    /// [`CaptureError`] if the file can't be read further. What came before stays valid.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let (at, link, place) = match self.format {
            Format::Pcap { units_per_second, link } => {
                let Some(at) = self.next_pcap(units_per_second)? else { return Ok(None) };
                (at, link, 0..self.buffer.len())
            }
            Format::Pcapng => {
                let Some(packet) = self.next_pcapng()? else { return Ok(None) };
                let known = usize::try_from(packet.interface).ok();
                let known = known.and_then(|number| self.interfaces.get(number));
                let known = known.ok_or(CaptureError::Malformed("an interface's number"))?;
                let per_second = known.units_per_second;
                let at = Timestamp::new(packet.units, per_second, known.offset_seconds);
                (at, known.link, packet.place)
            }
        };
        Ok(Some(Frame { at, link, bytes: self.buffer.get(place).unwrap_or_default() }))
    }

    /// Whether the file ended within a frame, as that of a capture that still runs does.
    pub const fn is_cut_short(&self) -> bool {
        self.cut_short
    }

    fn next_pcap(&mut self, units_per_second: u64) -> Result<Option<Timestamp>, CaptureError> {
        let mut head = [0; 16];
        if !self.fill(&mut head)? {
            return Ok(None);
        }
        let (order, mut head) = (self.order, Reader::new(&head));
        let seconds = order.u32(&mut head, "time")?;
        let fraction = order.u32(&mut head, "time")?;
        let captured = order.u32(&mut head, "frame length")?;
        let at = Timestamp::new(u64::from(fraction), units_per_second, i64::from(seconds));
        Ok(self.read_exactly(captured)?.then_some(at))
    }

    /// Reads blocks up to the next one that holds a frame.
    fn next_pcapng(&mut self) -> Result<Option<Packet>, CaptureError> {
        while let Some(kind) = self.next_block_after(&[])? {
            let mut from = Reader::new(&self.buffer);
            if kind == INTERFACE {
                let interface = interface(self.order, &mut from)?;
                if self.interfaces.len() >= INTERFACES_MAX {
                    return Err(CaptureError::TooManyInterfaces);
                }
                self.interfaces.push(interface);
                continue;
            }
            let snap_bytes = self.interfaces.first().map_or(0, |first| first.snap_bytes);
            let head = packet_head(kind, self.order, snap_bytes, &mut from)?;
            // Names, statistics, secrets and whatever else there is have none.
            let Some((interface, units, captured)) = head else { continue };
            let start = self.buffer.len().saturating_sub(from.rest().len());
            let captured = usize::try_from(captured).unwrap_or(usize::MAX);
            from.take(captured, "frame length")?;
            let place = start..start.saturating_add(captured);
            return Ok(Some(Packet { interface, units, place }));
        }
        Ok(None)
    }

    /// Reads the next block's body into the buffer and gives its type. A new section has an order of bytes and interfaces
    /// of its own. `begun` are those of its first bytes that were read already.
    fn next_block_after(&mut self, begun: &[u8]) -> Result<Option<u32>, CaptureError> {
        let mut head = [0; 8];
        let (known, unknown) = head.split_at_mut_checked(begun.len()).unwrap_or_default();
        known.copy_from_slice(begun);
        if !self.fill(unknown)? {
            return Ok(None);
        }
        let mut read = 8;
        // This type reads the same in both orders.
        if head.starts_with(&SECTION.to_be_bytes()) {
            let mut magic = [0; 4];
            if !self.fill(&mut magic)? {
                return Ok(None);
            }
            self.order = section_order(magic)?;
            self.interfaces.clear();
            read = 12;
        }
        let mut head = Reader::new(&head);
        let kind = self.order.u32(&mut head, "block type")?;
        let length = self.order.u32(&mut head, "block length")?;
        const TAIL_BYTES: u32 = 4;
        let rest = length.checked_sub(read).filter(|rest| *rest >= TAIL_BYTES && length % 4 == 0);
        if !self.read_exactly(rest.ok_or(CaptureError::Malformed("a block's length"))?)? {
            return Ok(None);
        }
        let body = self.buffer.len().saturating_sub(4);
        let mut tail = Reader::new(self.buffer.get(body..).unwrap_or_default());
        if self.order.u32(&mut tail, "block length")? != length {
            return Err(CaptureError::Malformed("a block's second length"));
        }
        self.buffer.truncate(body);
        Ok(Some(kind))
    }

    /// Fills `head`; false at the end of the file.
    fn fill(&mut self, head: &mut [u8]) -> Result<bool, CaptureError> {
        let mut filled = 0usize;
        while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.from.read(rest) {
                Ok(0) => {
                    self.cut_short = filled > 0;
                    return Ok(false);
                }
                Ok(read) => filled = filled.saturating_add(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Reads so many bytes into the buffer, whose memory grows only as they come; false if the file ends before.
    fn read_exactly(&mut self, bytes: u32) -> Result<bool, CaptureError> {
        self.buffer.clear();
        if u64::from(bytes) > FRAME_BYTES_MAX as u64 {
            return Err(CaptureError::TooLong { bytes });
        }
        self.from.by_ref().take(u64::from(bytes)).read_to_end(&mut self.buffer)?;
        let whole = self.buffer.len() as u64 == u64::from(bytes);
        self.cut_short |= !whole;
        Ok(whole)
    }
}

fn section_order(magic: [u8; 4]) -> Result<Order, CaptureError> {
    match u32::from_be_bytes(magic) {
        0x1a2b_3c4d => Ok(Order::Big),
        0x4d3c_2b1a => Ok(Order::Little),
        _ => Err(CaptureError::Malformed("a section's order of bytes")),
    }
}

/// A frame of a pcapng file.
struct Packet {
    interface: u32,
    units: u64,
    /// Where it lies in the buffer.
    place: Range<usize>,
}

/// What a block says of its frame: the interface, the time, and how many bytes there are of it.
fn packet_head(
    kind: u32,
    order: Order,
    snap_bytes: u32,
    from: &mut Reader<'_>,
) -> Result<Option<(u32, u64, u32)>, CaptureError> {
    let interface = match kind {
        ENHANCED_PACKET => order.u32(from, "interface")?,
        PACKET => {
            let number = order.u16(from, "interface")?;
            order.u16(from, "drops")?;
            u32::from(number)
        }
        SIMPLE_PACKET => {
            let original = order.u32(from, "frame length")?;
            let captured = if snap_bytes == 0 { original } else { original.min(snap_bytes) };
            return Ok(Some((0, 0, captured)));
        }
        _ => return Ok(None),
    };
    let high = u64::from(order.u32(from, "time")?);
    let low = u64::from(order.u32(from, "time")?);
    let captured = order.u32(from, "frame length")?;
    order.u32(from, "frame length")?;
    Ok(Some((interface, high << 32 | low, captured)))
}

/// An interface description's body.
fn interface(order: Order, from: &mut Reader<'_>) -> Result<Interface, CaptureError> {
    const RESOLUTION: u16 = 9;
    const OFFSET: u16 = 14;
    let link = LinkType(u32::from(order.u16(from, "link type")?));
    order.u16(from, "interface")?;
    let snap_bytes = order.u32(from, "interface")?;
    let mut interface =
        Interface { link, snap_bytes, units_per_second: 1_000_000, offset_seconds: 0 };
    while !from.is_empty() {
        let code = order.u16(from, "option")?;
        let length = usize::from(order.u16(from, "option")?);
        let mut value = Reader::new(from.take(length, "option")?);
        // Padded to a multiple of four, where a careless writer may have left the last padding out.
        let padding = length.wrapping_neg() & 3;
        from.take(padding.min(from.rest().len()), "option")?;
        match code {
            0 => break,
            RESOLUTION => interface.units_per_second = resolution(value.u8("time resolution")?)?,
            OFFSET => {
                interface.offset_seconds = order.u64(&mut value, "time offset")?.cast_signed()
            }
            _ => {}
        }
    }
    Ok(interface)
}

/// Units of time in a second: a power of ten, or of two if the highest bit is set.
fn resolution(byte: u8) -> Result<u64, CaptureError> {
    let exponent = u32::from(byte & 0x7f);
    let units =
        if byte & 0x80 == 0 { 10u64.checked_pow(exponent) } else { 1u64.checked_shl(exponent) };
    units.ok_or(CaptureError::Malformed("a resolution of time"))
}

#[cfg(test)]
#[path = "capture_tests.rs"]
mod tests;
