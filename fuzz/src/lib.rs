//! What every fuzz target needs to be a program: libFuzzer's door, a counting allocator, and a count of steps.

pub use libfuzzer_sys;
pub use p2pnet_fuzzing as targets;
pub use p2pnet_inputs::heap::Counting;

use p2pnet_fuzzing::Target;
use std::ffi::c_int;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Makes a program of one of [`p2pnet_fuzzing`]'s targets.
#[macro_export]
macro_rules! target {
    ($target:ident) => {
        #[global_allocator]
        static HEAP: $crate::Counting = $crate::Counting;

        $crate::libfuzzer_sys::fuzz_target!(
            init: $crate::begin(),
            |data: &[u8]| $crate::run(&$crate::targets::$target, data)
        );
    };
}

static STEPS: AtomicU64 = AtomicU64::new(0);

/// Called once, before the first execution.
pub fn begin() {
    atexit(tell_steps);
}

/// One execution.
///
/// # Panics
/// If the target finds something.
pub fn run(target: &Target, data: &[u8]) {
    STEPS.fetch_add(target.run(data), Relaxed);
}

/// Printed beside libFuzzer's own statistics.
extern "C" fn tell_steps() {
    eprintln!("stat::number_of_steps: {}", STEPS.load(Relaxed));
}

// SAFETY: this is the C standard's, and a function without arguments may be called at any time.
unsafe extern "C" {
    /// Calls `function` when the process exits.
    safe fn atexit(function: extern "C" fn()) -> c_int;
}
