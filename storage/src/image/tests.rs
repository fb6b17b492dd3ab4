//! The suite on an image, and the image in the eyes of other programs.

use super::*;
use crate::suite::{self, Rig};
use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

/// The smallest image is the quickest.
const SIZE: u64 = 40 << 20;

struct Image {
    directory: tempfile::TempDir,
}

impl Image {
    fn path(&self) -> PathBuf {
        self.directory.path().join("store.vhd")
    }

    fn options() -> ImageOptions {
        ImageOptions {
            virtual_size: SIZE,
            durability: Durability::Process,
            ..ImageOptions::default()
        }
    }

    fn open_as(&self, options: ImageOptions) -> VirtualImageFileManager {
        VirtualImageFileManager::open_or_create(&self.path(), options).unwrap()
    }

    /// The partition as a file of its own.
    fn extract(&self) -> PathBuf {
        let raw = self.directory.path().join("raw");
        run("qemu-img", &["convert", "-f", "vpc", "-O", "raw", &text(&self.path()), &text(&raw)]);
        let partition = self.directory.path().join("partition");
        let mut from = File::open(&raw).unwrap();
        let mut to = File::create(&partition).unwrap();
        io::Seek::seek(&mut from, io::SeekFrom::Start(partition::PARTITION_AT)).unwrap();
        io::copy(&mut from, &mut to).unwrap();
        std::fs::remove_file(raw).unwrap();
        partition
    }
}

impl Rig for Image {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn open_with(&self, quota_bytes: Option<u64>) -> Box<dyn FileManager> {
        Box::new(self.open_as(ImageOptions { quota_bytes, ..Self::options() }))
    }

    fn check(&self) {
        let entries = std::fs::read_dir(self.directory.path()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["store.vhd", "store.vhd.p2pnet"]);
        let partition = self.extract();
        run("fsck.fat", &["-n", &text(&partition)]);
        std::fs::remove_file(partition).unwrap();
    }
}

fn text(path: &Path) -> String {
    path.to_str().unwrap().to_owned()
}

/// Runs a program that must be there and succeed, and gives what it said.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| {
        panic!("{program}: {error}; apt-get install qemu-utils dosfstools mtools fusefat")
    });
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{said}{complained}",
        output.status
    );
    said
}

suite::suite!(Image);
mod crash;
mod power;
mod programs;
