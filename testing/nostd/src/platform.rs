//! What an operating system's runtime would bring: an entry point, memory, an end, and the few symbols that the
//! compiler and the host's prebuilt `core` and `alloc` expect. For x86-64 Linux.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, global_asm};
use core::cell::UnsafeCell;
use core::ptr;
use core::sync::atomic::{AtomicUsize, Ordering};

const HEAP_BYTES: usize = 64 << 20;

/// Hands out memory and takes none back: the program is short.
struct Bump {
    used: AtomicUsize,
    heap: UnsafeCell<[u8; HEAP_BYTES]>,
}

// SAFETY: every byte of the heap is handed out at most once, by an atomic counter.
unsafe impl Sync for Bump {}

// SAFETY: blocks are inside the heap, aligned as asked, and never overlap.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let base = self.heap.get().addr();
        let mut used = self.used.load(Ordering::Relaxed);
        loop {
            let start = (base + used).next_multiple_of(layout.align()) - base;
            let end = start + layout.size();
            if end > HEAP_BYTES {
                return ptr::null_mut();
            }
            match self.used.compare_exchange(used, end, Ordering::AcqRel, Ordering::Relaxed) {
                // SAFETY: `start` is within the heap.
                Ok(_) => return unsafe { self.heap.get().cast::<u8>().add(start) },
                Err(now) => used = now,
            }
        }
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: Bump = Bump { used: AtomicUsize::new(0), heap: UnsafeCell::new([0; HEAP_BYTES]) };

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    exit(101)
}

fn exit(status: i32) -> ! {
    // SAFETY: exit(2) takes a number and doesn't come back.
    unsafe { asm!("syscall", in("rax") 60, in("rdi") status, options(noreturn)) }
}

// The kernel enters with an aligned stack; a function expects the return address of its call on top of that.
global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call start");

#[unsafe(no_mangle)]
extern "C" fn start() -> ! {
    exit(crate::run())
}

// The host's `core` and `alloc` were built to unwind; this program never does.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}

// Memory functions in assembly or with volatile accesses: the compiler would turn plain loops into calls of themselves.

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    // SAFETY: the caller promises that both ranges are valid and apart.
    unsafe {
        asm!("rep movsb", inout("rcx") bytes => _, inout("rdi") to => _, inout("rsi") from => _)
    };
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, bytes: usize) -> *mut u8 {
    if to.addr() <= from.addr() || to.addr() >= from.addr() + bytes {
        // SAFETY: copying upwards never overwrites what is still to be read.
        return unsafe { memcpy(to, from, bytes) };
    }
    for at in (0..bytes).rev() {
        // SAFETY: the caller promises both ranges; downwards, nothing unread is overwritten.
        unsafe { ptr::write_volatile(to.add(at), *from.add(at)) };
    }
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, value: i32, bytes: usize) -> *mut u8 {
    // SAFETY: the caller promises the range.
    unsafe {
        asm!("rep stosb", inout("rcx") bytes => _, inout("rdi") to => _, in("al") value as u8)
    };
    to
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    for at in 0..bytes {
        // SAFETY: the caller promises both ranges.
        let (a, b) =
            unsafe { (ptr::read_volatile(left.add(at)), ptr::read_volatile(right.add(at))) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// # Safety
/// As C's.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(left: *const u8, right: *const u8, bytes: usize) -> i32 {
    // SAFETY: as promised by the caller.
    unsafe { memcmp(left, right, bytes) }
}
