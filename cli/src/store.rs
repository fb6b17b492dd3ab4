//! Where received files go, and files that peers ask for come from: a directory, or a disk image.

use crate::failure::Failure;
use crate::settings::show_size;
use crate::up::{is_out_of_descriptors, out_of_descriptors};
use p2pnet_driver::Builder;
use p2pnet_driver::state::{StateDir, StateError};
use p2pnet_driver::storage::{
    Error, ImageOptions, MemoryMappedFileManager, Options, VirtualImageFileManager,
};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

/// The size of a new image, in bytes.
const IMAGE_BYTES: u64 = 4 << 30;

/// What is set about the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreSettings {
    /// The directory; none stands for `inbox` in the state directory.
    pub(crate) inbox: Option<PathBuf>,
    /// The image that is used instead of the directory.
    pub(crate) image: Option<PathBuf>,
    /// How large a new image's disk is, in bytes; none stands for the default.
    pub(crate) image_size: Option<u64>,
    /// The most bytes that all files may have together.
    pub(crate) quota: Option<u64>,
}

impl Default for StoreSettings {
    fn default() -> Self {
        Self { inbox: None, image: None, image_size: Some(IMAGE_BYTES), quota: None }
    }
}

/// The builder of a node that keeps files in this store, which is made if it isn't there.
///
/// # Errors
/// The store can't be opened, or another node has it.
pub(crate) fn open(
    builder: Builder,
    settings: &StoreSettings,
    state: &Path,
) -> Result<Builder, Failure> {
    make_private(state).map_err(|error| {
        Failure::failed(format!("can't make the state directory {}: {error}", state.display()))
            .fix("see who may write there, or name another state with --state DIR")
    })?;
    match &settings.image {
        Some(path) => open_image(builder, settings, path, state),
        None => open_inbox(builder, settings, state),
    }
}

fn open_inbox(
    builder: Builder,
    settings: &StoreSettings,
    state: &Path,
) -> Result<Builder, Failure> {
    let path = settings.inbox.clone().unwrap_or_else(|| state.join("inbox"));
    let mut options = Options::default();
    options.quota_bytes = settings.quota;
    // Whoever reads where a file lies need not know from where the node was started.
    let opened = std::path::absolute(&path).and_then(|path| {
        make_private(&path)?;
        Ok(path)
    });
    let opened = opened.map_err(Error::Io);
    match opened.and_then(|path| MemoryMappedFileManager::open(&path, options)) {
        Ok(manager) => Ok(builder.file_manager(manager)),
        Err(error) => Err(not_opened("inbox", "--inbox DIR", &path, &error, state)),
    }
}

fn open_image(
    builder: Builder,
    settings: &StoreSettings,
    path: &Path,
    state: &Path,
) -> Result<Builder, Failure> {
    let mut options = ImageOptions::default();
    options.quota_bytes = settings.quota;
    options.virtual_size = settings.image_size.unwrap_or(IMAGE_BYTES);
    let opened = std::path::absolute(path).map_err(Error::Io);
    match opened.and_then(|path| VirtualImageFileManager::open_or_create(&path, options)) {
        Ok(manager) => Ok(builder.file_manager(manager)),
        Err(error) => Err(not_opened("image", "--image FILE", path, &error, state)),
    }
}

/// Makes a directory for its owner alone, if there is none.
fn make_private(path: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn not_opened(what: &str, option: &str, path: &Path, error: &Error, state: &Path) -> Failure {
    let shown = path.display();
    if matches!(error, Error::InUse) {
        // Nobody but a node on the same state has the inbox that belongs to it.
        if let Err(StateError::InUse(_)) = StateDir::open(state) {
            return state_in_use(state);
        }
        return Failure::failed(format!("another node keeps its files in {shown}"))
            .fix(format!("name another place with {option}"));
    }
    let problem = format!("can't keep files in the {what} {shown}: {error}");
    if matches!(error, Error::Io(error) if is_out_of_descriptors(error)) {
        return out_of_descriptors(problem);
    }
    Failure::failed(problem).fix(format!(
        "see what is there and who may write to it, or name another place with {option}"
    ))
}

/// What is said where another node runs on the same state.
pub(crate) fn state_in_use(state: &Path) -> Failure {
    Failure::failed(format!("a node is running already on the state in {}", state.display())).fix(
        "speak to it (`p2pnet peers`), stop it (`p2pnet stop`), or give this one a state of its own with --state DIR",
    )
}

/// Sees whether a new image can be that large.
///
/// # Errors
/// It is smaller or larger than images can be.
pub(crate) fn check_image_size(bytes: Option<u64>) -> Result<(), String> {
    const SMALLEST: u64 = 36 << 20;
    const LARGEST: u64 = 2040 << 30;
    match bytes {
        Some(bytes) if !(SMALLEST..=LARGEST).contains(&bytes) => {
            Err(format!("an image holds from {} to {}", show_size(SMALLEST), show_size(LARGEST)))
        }
        _ => Ok(()),
    }
}
