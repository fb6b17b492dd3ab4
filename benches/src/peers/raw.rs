//! Raw TCP over `std`: the limit.

use crate::blocking::{Connector, Pipe};
use crate::buffer::Buffer;
use crate::job::BATCH_BYTES;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpStream};

pub(super) struct Raw;

impl Connector for Raw {
    fn client(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        Ok(Box::new(RawPipe { stream, input: None }))
    }

    fn server(&self, stream: TcpStream) -> io::Result<Box<dyn Pipe>> {
        self.client(stream)
    }
}

struct RawPipe {
    stream: TcpStream,
    input: Option<Buffer>,
}

impl Pipe for RawPipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn read(&mut self) -> io::Result<&[u8]> {
        let input = self.input.get_or_insert_with(|| Buffer::new(BATCH_BYTES));
        let length = self.stream.read(input)?;
        Ok(&input[..length])
    }

    fn finish(&mut self) -> io::Result<()> {
        self.stream.shutdown(Shutdown::Write)
    }

    fn rest(&mut self) {
        self.input = None;
    }
}
