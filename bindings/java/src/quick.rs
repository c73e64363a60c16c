//! Answers with the fewest calls of Java's functions. The `jni` crate asks before and after each of
//! them whether something was thrown, which costs more than most of what is called here.

use crate::java::{completing, core_env};
use jni::objects::JByteArray;
use jni::refs::Global;
use jni::sys::{JNIEnv, jclass, jint, jlong, jmethodID, jobject, jvalue};
use std::ffi::CStr;
use std::ptr::null_mut;

/// Java as a thread of the core sees it that calls it and is not called by it. Nothing has been thrown.
pub(crate) struct Quick {
    env: *mut JNIEnv,
    class: jclass,
    complete: jmethodID,
}

/// A reference that has to be given back.
pub(crate) struct Local(jobject);

impl Quick {
    /// None on other threads.
    pub(crate) fn here() -> Option<Self> {
        let (class, complete) = completing()?;
        Some(Self { env: core_env()?, class, complete })
    }

    /// Answers with a number alone.
    pub(crate) fn number(&self, op: jlong, number: jlong) {
        self.complete(op, number, null_mut());
    }

    /// Answers with an array.
    pub(crate) fn array(&self, op: jlong, array: &Global<JByteArray<'static>>) {
        self.complete(op, 0, array.as_raw());
    }

    /// A new array; none when there is no memory for it.
    pub(crate) fn bytes(&self, bytes: &[u8]) -> Option<Local> {
        let len = jint::try_from(bytes.len()).ok()?;
        // SAFETY: the environment is this thread's.
        let array = self.made(unsafe { ((**self.env).v1_1.NewByteArray)(self.env, len) })?;
        let from = bytes.as_ptr().cast();
        // SAFETY: as above; the array is as long as what is copied into it.
        unsafe { ((**self.env).v1_1.SetByteArrayRegion)(self.env, array.0, 0, len, from) };
        Some(array)
    }

    /// A new string of ASCII; none when there is no memory for it.
    pub(crate) fn ascii(&self, text: &CStr) -> Option<Local> {
        // SAFETY: the environment is this thread's; ASCII is what Java takes for UTF-8.
        self.made(unsafe { ((**self.env).v1_1.NewStringUTF)(self.env, text.as_ptr()) })
    }

    fn made(&self, value: jobject) -> Option<Local> {
        if value.is_null() {
            self.forget_thrown();
            return None;
        }
        Some(Local(value))
    }

    /// Answers with a value made here.
    pub(crate) fn value(&self, op: jlong, value: Local) {
        self.complete(op, 0, value.0);
        // SAFETY: the reference was made on this thread, and nobody else has it.
        unsafe { ((**self.env).v1_1.DeleteLocalRef)(self.env, value.0) };
    }

    fn complete(&self, op: jlong, number: jlong, value: jobject) {
        let args = [jvalue { j: op }, jvalue { j: number }, jvalue { l: value }];
        // SAFETY: the method belongs to the class and takes these arguments, and the reference is
        // null or valid; what it throws is forgotten before anything else is called.
        unsafe {
            let call = (**self.env).v1_1.CallStaticVoidMethodA;
            call(self.env, self.class, self.complete, args.as_ptr());
        }
        self.forget_thrown();
    }

    /// Java's own half catches what applications throw. What is left is that memory has run out.
    fn forget_thrown(&self) {
        // SAFETY: the environment is this thread's; both may be called whatever has been thrown.
        unsafe {
            if ((**self.env).v1_2.ExceptionCheck)(self.env) {
                ((**self.env).v1_1.ExceptionClear)(self.env);
                tracing::error!("Java threw when it was given an answer");
            }
        }
    }
}
