//! A file manager of one's own, which keeps files in memory: `cargo run -p p2pnet-storage --example custom`.
use p2pnet_storage::*;
use std::sync::{Arc, Mutex};

#[derive(Clone, Default)]
struct InMemory(Arc<Mutex<Vec<Held>>>);
#[derive(Clone)]
struct Held(FileInfo, Vec<u8>);
struct Receiving(InMemory, ChunkSet, Held);

impl FileManager for InMemory {
    fn list(&mut self) -> Result<Vec<FileInfo>> {
        Ok(self.0.lock().unwrap().iter().map(|held| held.0.clone()).collect())
    }
    fn get_file(&mut self, which: Which<'_>) -> Result<Box<dyn OutgoingFile>> {
        let found = self.0.lock().unwrap().iter().find(|held| which.is(&held.0)).cloned();
        Ok(Box::new(found.ok_or(Error::NotFound)?))
    }
    fn inbound(&mut self, wanted: &Incoming) -> Result<Box<dyn InboundFile>> {
        let chunks = ChunkSet::new(wanted.size, wanted.chunk_bytes)?;
        let (name, size, id) = (names::sanitise(&wanted.name), wanted.size, wanted.id);
        let held = Held(FileInfo { name, size, id, path: None }, vec![0; size as usize]);
        Ok(Box::new(Receiving(self.clone(), chunks, held)))
    }
}

impl OutgoingFile for Held {
    fn info(&self) -> &FileInfo {
        &self.0
    }
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        buffer.copy_from_slice(&self.1[offset as usize..][..buffer.len()]);
        Ok(())
    }
}

impl InboundFile for Receiving {
    fn received(&self) -> &ChunkSet {
        &self.1
    }
    fn write(&mut self, chunk: u64, data: &[u8]) -> Result<()> {
        let (offset, length) = self.1.range(chunk).ok_or(Error::OutOfRange)?;
        self.2.1[offset as usize..][..length].copy_from_slice(data);
        self.1.insert(chunk);
        Ok(())
    }
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        self.2.read_at(offset, buffer)
    }
    fn complete(self: Box<Self>) -> Result<FileInfo> {
        self.0.0.lock().unwrap().push(self.2.clone());
        Ok(self.2.0)
    }
}

fn main() -> Result<()> {
    let mut manager: Box<dyn FileManager> = Box::new(InMemory::default());
    manager.write("../greeting", 5, &mut &b"hello"[..])?;
    manager.list().map(|files| println!("{files:?}"))
}
