//! Panics as errors, for bindings: none may cross the border to another language.

use crate::error::{Error, ErrorKind, Result};
use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

/// A call whose panics are errors.
#[derive(Debug)]
pub struct Caught<F: ?Sized>(Pin<Box<F>>);

/// Such a call, whatever it does.
pub type CaughtCall<T> = Caught<dyn Future<Output = Result<T>> + Send>;

impl<F> Caught<F> {
    /// The call, which is polled by nobody else.
    pub fn new(call: F) -> Self {
        Self(Box::pin(call))
    }

    /// The same, without its type.
    pub fn erased<T>(self) -> CaughtCall<T>
    where
        F: Future<Output = Result<T>> + Send + 'static,
    {
        Caught(self.0)
    }
}

impl<T, F: Future<Output = Result<T>> + ?Sized> Future for Caught<F> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(context)))
            .unwrap_or_else(|panic| Poll::Ready(Err(error(&*panic))))
    }
}

/// Does work whose panics are errors.
pub fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| Err(error(&*panic)))
}

fn error(panic: &(dyn Any + Send)) -> Error {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("a panic");
    Error::new(ErrorKind::Internal, format!("a bug in fdfs, please report it: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::ready;

    #[test]
    #[allow(clippy::panic, reason = "that is what is caught")]
    fn panics_are_errors_and_all_else_is_as_it_was() {
        let context = &mut Context::from_waker(std::task::Waker::noop());
        let mut poll = |call| Pin::new(&mut Caught::new(call)).poll(context).map(Result::unwrap);
        assert_eq!(poll(ready(Ok(7))), Poll::Ready(7));
        let mut call =
            Caught::new(async { if ready(true).await { panic!("at {}", 7) } else { Ok(()) } });
        let Poll::Ready(Err(error)) = Pin::new(&mut call).poll(context) else {
            panic!("it is not over")
        };
        assert_eq!(error.kind(), ErrorKind::Internal);
        assert!(error.to_string().contains("at 7"), "{error}");
        let error = caught(|| -> Result<()> { panic!("here") }).unwrap_err();
        assert!(error.to_string().contains("here"), "{error}");
        assert_eq!(caught(|| Ok(7)).unwrap(), 7);
    }
}
