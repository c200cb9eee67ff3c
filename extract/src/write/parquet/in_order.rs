//! Made by many threads, taken in order.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// What was made and not yet taken, by number.
type Made<T> = Mutex<BTreeMap<usize, T>>;

/// Where things are taken.
struct Taking<'a, T, E> {
    take: &'a mut (dyn FnMut(T) -> Result<(), E> + Send),
    next: usize,
    result: Result<(), E>,
}

/// Gives to `take` what `make` makes of the numbers below `end`, in their order, by so many threads. Each makes the next
/// that nobody has, and one at a time takes what there is. An error of `take` ends all.
pub(super) fn in_order<T: Send, E: Send>(
    threads: NonZeroUsize,
    end: usize,
    make: &(impl Fn(usize) -> Option<T> + Sync),
    take: &mut (impl FnMut(T) -> Result<(), E> + Send),
) -> Result<(), E> {
    let (next, made) = (AtomicUsize::new(0), Made::default());
    let taking = Mutex::new(Taking { take, next: 0, result: Ok(()) });
    let work = || {
        let numbers = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed)).take_while(|at| *at < end);
        for at in numbers {
            let Some(one) = make(at) else { return };
            locked(&made).insert(at, one);
            if let Ok(mut taking) = taking.try_lock()
                && taking.all(&made).is_break()
            {
                next.store(end, Ordering::Relaxed);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.get() {
            scope.spawn(work);
        }
        work();
    });
    let mut taking = taking.into_inner().unwrap_or_else(PoisonError::into_inner);
    // What was made while another was taking.
    let _ = taking.all(&made);
    taking.result
}

impl<T, E> Taking<'_, T, E> {
    /// Takes what there is, as far as nothing is missing between.
    fn all(&mut self, made: &Made<T>) -> ControlFlow<()> {
        while self.result.is_ok()
            && let Some(one) = next(made, self.next)
        {
            self.next += 1;
            self.result = (self.take)(one);
        }
        if self.result.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}

/// Without the lock once it is out: `while let` would hold it.
fn next<T>(made: &Made<T>, at: usize) -> Option<T> {
    locked(made).remove(&at)
}

fn locked<T>(made: &Made<T>) -> MutexGuard<'_, BTreeMap<usize, T>> {
    made.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_taken_once_and_in_order_until_something_fails() {
        for threads in [1, 2, 5].map(|number| NonZeroUsize::new(number).unwrap()) {
            for fails_at in [0, 1, 70, 199, 200] {
                let mut taken = Vec::new();
                let result = in_order(threads, 200, &|at| Some(at * 3), &mut |one| {
                    taken.push(one);
                    if one == fails_at * 3 { Err("full") } else { Ok(()) }
                });
                assert_eq!(result, if fails_at < 200 { Err("full") } else { Ok(()) });
                assert!(taken.iter().copied().eq((0..200).take(fails_at + 1).map(|at| at * 3)), "{taken:?}");
            }
        }
    }
}
