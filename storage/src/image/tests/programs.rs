//! The image in the eyes of qemu-img, mtools and fusefat, and their images in ours.

use super::*;
use crate::suite::{content, incoming, read, receive};

fn filled(image: &Image, options: ImageOptions) -> Vec<(&'static str, Vec<u8>)> {
    let mut manager = image.open_as(options);
    let files = [
        ("small.txt", content(5, 1)),
        ("a longer name, größer.bin", content(3 << 20, 2)),
        ("EMPTY", Vec::new()),
    ];
    for (number, (name, bytes)) in files.iter().enumerate() {
        receive(&mut manager, &incoming(name, bytes.len() as u64, number as u8), bytes).unwrap();
    }
    files.to_vec()
}

#[test]
fn qemu_img_agrees_on_both_kinds() {
    for (kind, subformat) in [(ImageKind::Dynamic, "dynamic"), (ImageKind::Fixed, "fixed")] {
        let image = Image::new();
        let options = ImageOptions { kind, ..Image::options() };
        filled(&image, options.clone());
        let path = text(&image.path());
        let told = run("qemu-img", &["info", "-f", "vpc", "--output=json", &path]);
        let size = vhd::rounded(SIZE);
        assert!(told.contains(&format!("\"virtual-size\": {size}")), "{told}");
        // What qemu-img reads is what we read, every byte of it.
        let raw = image.directory.path().join("ours.raw");
        let file: Arc<dyn Medium> = Arc::new(File::open(image.path()).unwrap());
        let disk = disk::Disk::open(file).unwrap();
        let mut bytes = vec![0; size as usize];
        disk.read_at(0, &mut bytes).unwrap();
        std::fs::write(&raw, &bytes).unwrap();
        run("qemu-img", &["compare", "-f", "vpc", "-F", "raw", &path, &text(&raw)]);
        // And what qemu-img makes of it is the same image to us.
        let again = Image::new();
        let how = format!("subformat={subformat},force_size=on");
        run(
            "qemu-img",
            &["convert", "-f", "vpc", "-O", "vpc", "-o", &how, &path, &text(&again.path())],
        );
        let mut theirs = again.open_as(options.clone());
        let mut ours = image.open_as(options);
        let names = |manager: &mut VirtualImageFileManager| -> Vec<_> {
            manager.list().unwrap().into_iter().map(|info| (info.name, info.size)).collect()
        };
        assert_eq!(names(&mut theirs), names(&mut ours));
        receive(&mut theirs, &incoming("more", 1_000_000, 9), &content(1_000_000, 9)).unwrap();
        drop(theirs);
        again.check();
    }
}

#[test]
fn mcopy_reads_what_was_received_and_writes_what_is_sent() {
    let image = Image::new();
    let files = filled(&image, Image::options());
    let partition = image.extract();
    let out = image.directory.path().join("out");
    for (name, bytes) in &files {
        run("mcopy", &["-i", &text(&partition), &format!("::{name}"), &text(&out)]);
        assert!(std::fs::read(&out).unwrap() == *bytes, "{name}");
        std::fs::remove_file(&out).unwrap();
    }
    // What mtools puts into a file system that we made is read, and clashes with it are found: by short names too.
    let theirs = content(100_000, 7);
    std::fs::write(&out, &theirs).unwrap();
    run("mcopy", &["-i", &text(&partition), &text(&out), "::Their long file name.txt"]);
    run("mmd", &["-i", &text(&partition), "::Folder"]);
    let back = Image::new();
    let raw = image.directory.path().join("raw");
    run("qemu-img", &["convert", "-f", "vpc", "-O", "raw", &text(&image.path()), &text(&raw)]);
    let mut whole = std::fs::read(&raw).unwrap();
    whole.truncate(partition::PARTITION_AT as usize);
    whole.extend(std::fs::read(&partition).unwrap());
    std::fs::write(&raw, whole).unwrap();
    run(
        "qemu-img",
        &[
            "convert",
            "-f",
            "raw",
            "-O",
            "vpc",
            "-o",
            "force_size=on",
            &text(&raw),
            &text(&back.path()),
        ],
    );
    let mut manager = back.open_as(Image::options());
    assert_eq!(read(&mut manager, Which::Name("THEIR LONG FILE NAME.TXT")).unwrap(), theirs);
    for (wanted, given) in
        [("their LONG file name.txt", "their LONG file name (2).txt"), ("FOLDER", "FOLDER (2)")]
    {
        let info = receive(&mut manager, &incoming(wanted, 3, 20), b"new").unwrap();
        assert_eq!(info.name, given);
    }
    assert!(matches!(manager.get_file(Which::Name("folder")), Err(Error::NotFound)));
    drop(manager);
    back.check();
}

/// Unmounts when a test fails too.
struct Mount(PathBuf);

impl Drop for Mount {
    fn drop(&mut self) {
        _ = Command::new("fusermount").args(["-u", "-z", &text(&self.0)]).status();
    }
}

#[test]
fn a_mount_shows_the_files() {
    let image = Image::new();
    let files = filled(&image, Image::options());
    let partition = image.extract();
    let mount = Mount(image.directory.path().join("mount"));
    std::fs::create_dir(&mount.0).unwrap();
    run("fusefat", &["-o", "ro", &text(&partition), &text(&mount.0)]);
    for (name, bytes) in files.iter().filter(|(name, _)| name.is_ascii()) {
        assert!(std::fs::read(mount.0.join(name)).unwrap() == *bytes, "{name}");
    }
    assert_eq!(std::fs::read_dir(&mount.0).unwrap().count(), files.len());
}

#[test]
fn a_new_image_is_dynamic_and_takes_four_gibibytes() {
    let image = Image::new();
    let mut manager =
        image.open_as(ImageOptions { durability: Durability::Process, ..ImageOptions::default() });
    let huge = |size| Incoming { chunk_bytes: 1 << 20, ..incoming("huge", size, 1) };
    match manager.inbound(&huge(1 << 32)).map(drop) {
        Err(Error::TooLarge { size: 0x1_0000_0000, max: 0xffff_ffff }) => {}
        other => panic!("{other:?}"),
    }
    match manager.inbound(&huge((1 << 32) - 1)).map(drop) {
        Err(Error::DiskFull { needed: 0xffff_ffff, left }) => assert!(left > 4_200_000_000),
        other => panic!("{other:?}"),
    }
    receive(&mut manager, &incoming("small", 5, 2), b"small").unwrap();
    drop(manager);
    let told = run("qemu-img", &["info", "-f", "vpc", &text(&image.path())]);
    assert!(told.contains("virtual size: 4 GiB"), "{told}");
    assert!(
        std::fs::metadata(image.path()).unwrap().len() < 32 << 20,
        "only what is used is there"
    );
}

#[test]
fn an_image_of_another_kind_is_named() {
    let make = |change: &dyn Fn(&Path)| {
        let image = Image::new();
        drop(image.open_as(Image::options()));
        change(&image.path());
        VirtualImageFileManager::open_or_create(&image.path(), Image::options()).map(drop)
    };
    use std::os::unix::fs::FileExt as _;
    let write = |path: &Path, at, bytes: &[u8]| {
        OpenOptions::new().write(true).open(path).unwrap().write_all_at(bytes, at).unwrap()
    };
    let expect = |result: Result<()>, expected: ImageProblem| match result {
        Err(Error::Image(problem)) => assert_eq!(problem, expected),
        other => panic!("{other:?}"),
    };
    expect(make(&|path| std::fs::write(path, b"").unwrap()), ImageProblem::Truncated);
    expect(make(&|path| std::fs::write(path, [7; 4096]).unwrap()), ImageProblem::Cookie);
    // The header of the dynamic disk.
    expect(make(&|path| write(path, 520, b"x")), ImageProblem::Checksum);
    // Two blocks in one place.
    expect(make(&|path| write(path, 1536, &[0, 0, 0, 8, 0, 0, 0, 8])), ImageProblem::Layout);
    expect(make(&|path| write(path, 1536, &[0x7f, 0, 0, 8])), ImageProblem::Truncated);
    assert!(make(&|_| {}).is_ok());
}

#[test]
fn an_image_has_one_manager() {
    let image = Image::new();
    let _manager = image.open_as(Image::options());
    let second = VirtualImageFileManager::open_or_create(&image.path(), Image::options());
    assert!(matches!(second, Err(Error::InUse)));
}

#[test]
fn a_full_image_is_told_and_room_comes_back() {
    let image = Image::new();
    let mut manager = image.open_as(Image::options());
    let big = |number| Incoming { chunk_bytes: 1 << 20, ..incoming("big", 15 << 20, number) };
    let bytes = content(15 << 20, 3);
    receive(&mut manager, &big(1), &bytes).unwrap();
    drop(manager.inbound(&big(2)).unwrap());
    assert!(matches!(manager.inbound(&big(3)), Err(Error::DiskFull { .. })));
    manager.forget(suite::id(2)).unwrap();
    receive(&mut manager, &big(3), &bytes).unwrap();
    assert!(matches!(manager.inbound(&big(4)), Err(Error::DiskFull { .. })));
    let mut reading = manager.get_file(Which::Id(suite::id(1))).unwrap();
    manager.remove("big").unwrap();
    assert!(matches!(reading.read_at(0, &mut [0; 10]), Err(Error::Changed)));
    receive(&mut manager, &big(4), &bytes).unwrap();
    drop(manager);
    image.check();
}

#[test]
fn the_directory_grows_past_many_clusters() {
    let image = Image::new();
    let mut manager = image.open_as(Image::options());
    for number in 0..400_u64 {
        let name = format!("{number} {}", "a long name ".repeat(15));
        manager.write(&name, 8, &mut &number.to_le_bytes()[..]).unwrap();
    }
    drop(manager);
    image.check();
    let mut manager = image.open_as(Image::options());
    let files = manager.list().unwrap();
    assert_eq!(files.len(), 400);
    for info in files {
        let number: u64 = info.name.split(' ').next().unwrap().parse().unwrap();
        assert_eq!(read(&mut manager, Which::Name(&info.name)).unwrap(), number.to_le_bytes());
    }
}

#[test]
fn a_full_disk_under_an_image_is_told_and_harms_nothing() {
    let disk = crate::mapped::tests::Tmpfs::new("12m");
    let path = disk.0.path().join("store.vhd");
    let open = || VirtualImageFileManager::open_or_create(&path, Image::options()).unwrap();
    let mut manager = open();
    let big = |number, size| Incoming { chunk_bytes: 1 << 16, ..incoming("big", size, number) };
    let bytes = content(3 << 20, 1);
    receive(&mut manager, &big(1, 3 << 20), &bytes).unwrap();
    for _ in 0..2 {
        match manager.inbound(&big(2, 20 << 20)).map(drop) {
            Err(Error::DiskFull { needed, .. }) => assert_eq!(needed, 20 << 20),
            other => panic!("{other:?}"),
        }
        drop(manager);
        run("qemu-img", &["info", "-f", "vpc", &text(&path)]);
        manager = open();
    }
    receive(&mut manager, &big(3, 1_000), &bytes[..1_000]).unwrap();
    drop(manager);
    // Made of the copy, since there is no room for more here.
    let elsewhere = Image::new();
    std::fs::copy(&path, elsewhere.path()).unwrap();
    let mut manager = elsewhere.open_as(Image::options());
    assert!(read(&mut manager, Which::Name("big")).unwrap() == bytes);
    drop(manager);
    elsewhere.check();
}
