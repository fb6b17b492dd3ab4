//! A crate that needs `std`: whatever depends on it can't be `no_std`.

/// How many threads the machine runs at once: a question that only `std` answers.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
