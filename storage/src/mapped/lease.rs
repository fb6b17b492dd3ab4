//! Leases: while this process holds one on a file, no other has the file open, and whoever wants to open or cut it
//! waits until the lease is given back.
//!
//! A lease is held for the microseconds in which a mapped window is touched. The kernel takes it away by force after
//! `/proc/sys/fs/lease-break-time` (45 s unless the operator changed it), so a process that is stopped for that long in
//! the middle of such a touch is the one that could still meet a `SIGBUS`.

#![allow(unsafe_code, reason = "no crate offers leases")]

use std::fs::File;
use std::os::fd::{AsRawFd as _, RawFd};

/// `F_SETSIG` of Linux, which the crate lacks.
#[cfg(target_os = "linux")]
const F_SETSIG: libc::c_int = 10;

/// A lease on the file for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lease(RawFd);

impl Lease {
    /// Takes a lease; there is none to be had while another process has the file open, on another user's file, and on
    /// file systems that know no leases.
    #[cfg(target_os = "linux")]
    pub(crate) fn take(file: &File) -> Option<Self> {
        let fd = file.as_raw_fd();
        // SAFETY: `fd` is open for as long as `file` is borrowed, and these commands take a number, no pointer.
        let taken = unsafe {
            // Whoever is made to wait causes a signal to the holder: one that is ignored by default, instead of
            // SIGIO, which ends a process.
            libc::fcntl(fd, F_SETSIG, libc::SIGURG) == 0
                && libc::fcntl(fd, libc::F_SETLEASE, libc::F_WRLCK) == 0
        };
        taken.then_some(Self(fd))
    }

    #[cfg(not(target_os = "linux"))]
    pub(crate) fn take(_file: &File) -> Option<Self> {
        None
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        // SAFETY: no pointer is passed. A lease lives within one call that borrows the file, so that the descriptor
        // is still the same.
        unsafe {
            libc::fcntl(self.0, libc::F_SETLEASE, libc::F_UNLCK);
        }
    }
}
