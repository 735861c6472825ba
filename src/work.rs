//! Counts work, for tests that double what a parser reads: a time would depend on the machine.

use std::cell::Cell;

std::thread_local! {
    static STEPS: Cell<u64> = const { Cell::new(0) };
}

/// Notes one look at a thing whose size is bounded.
pub(crate) fn count() {
    add(1);
}

/// Notes a look at so many bytes or things.
pub(crate) fn add(steps: usize) {
    STEPS.set(STEPS.get() + steps as u64);
}

/// Returns how many steps were noted in this thread while `work` ran.
pub(crate) fn of<T>(work: impl FnOnce() -> T) -> (u64, T) {
    let before = STEPS.get();
    let done = work();
    (STEPS.get() - before, done)
}

/// Checks that twice the size is at most about twice the work, and that there is work.
pub(crate) fn grows_with_size<T>(size: usize, mut read: impl FnMut(usize) -> T) {
    let mut steps = |size| of(|| read(size)).0;
    let (once, twice) = (steps(size), steps(size * 2));
    assert!(once >= size as u64, "{once} steps for {size}: what is counted is not the work");
    assert!(twice < once * 5 / 2, "{once} steps for {size}, {twice} for {}", size * 2);
}
