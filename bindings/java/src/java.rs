//! Calls back into Java, and the threads that make them.

use fdfs_core::{Error, ErrorKind};
use jni::Env;
use jni::ids::JStaticMethodID;
use jni::objects::{JByteArray, JByteBuffer, JClass, JObject, JObjectArray, JString};
use jni::refs::Global;
use jni::signature::{Primitive, ReturnType};
use jni::sys::{
    JNI_OK, JNI_VERSION_1_8, JNIEnv, JavaVMAttachArgs, jclass, jint, jlong, jmethodID, jvalue,
};
use jni::vm::JavaVM;
use jni::{JValue, jni_sig, jni_str};
use std::sync::OnceLock;

/// Shorthand for what the `jni` crate returns.
pub(crate) type JniResult<T> = jni::errors::Result<T>;

/// The class that is called back, and its methods; looked up once, because a thread of the core
/// would search them in the wrong class loader.
struct Methods {
    class: Global<JClass<'static>>,
    complete: JStaticMethodID,
    fail: JStaticMethodID,
    progress: JStaticMethodID,
    interrupted: JStaticMethodID,
    log: JStaticMethodID,
}

static METHODS: OnceLock<Methods> = OnceLock::new();

/// Looks up what will be called back.
pub(crate) fn find_methods(env: &mut Env<'_>) -> JniResult<()> {
    let class = env.find_class(jni_str!("io/github/fdfs/Native"))?;
    let complete = jni_sig!("(JJLjava/lang/Object;)V");
    let fail = jni_sig!(
        "(JLjava/lang/String;Ljava/lang/String;Ljava/lang/String;ILjava/lang/String;IZZ\
         Ljava/lang/String;)V"
    );
    let progress = jni_sig!("(JJ)V");
    let interrupted = jni_sig!("()Z");
    let log = jni_sig!("(ILjava/lang/String;)V");
    let methods = Methods {
        complete: env.get_static_method_id(&class, jni_str!("complete"), complete)?,
        fail: env.get_static_method_id(&class, jni_str!("fail"), fail)?,
        progress: env.get_static_method_id(&class, jni_str!("progress"), progress)?,
        interrupted: env.get_static_method_id(&class, jni_str!("interrupted"), interrupted)?,
        log: env.get_static_method_id(&class, jni_str!("log"), log)?,
        class: env.new_global_ref(&class)?,
    };
    // A second look-up finds the same.
    let _ = METHODS.set(methods);
    Ok(())
}

/// A thread of the core that Java knows, and Java as it sees it. It must leave Java before it ends.
struct Attached(*mut JNIEnv);

impl Drop for Attached {
    fn drop(&mut self) {
        let Ok(vm) = JavaVM::singleton() else { return };
        // SAFETY: the pointer is that of the running virtual machine; this thread was attached
        // by `attach` and runs no Java code any more.
        unsafe { ((**vm.get_raw()).v1_4.DetachCurrentThread)(vm.get_raw()) };
    }
}

thread_local! {
    /// `None` on threads that Java brought itself.
    static ATTACHED: Option<Attached> = attach();
}

/// Attaches this thread unless it is a Java thread. As a daemon: the virtual machine must be able
/// to end while the core waits for a server. Once it has ended, its functions refuse calls or
/// never return, and no thread of the core is waited for.
fn attach() -> Option<Attached> {
    let vm = JavaVM::singleton().ok()?;
    if vm.is_thread_attached().ok()? {
        return None;
    }
    let mut env = std::ptr::null_mut();
    let mut args = JavaVMAttachArgs {
        version: JNI_VERSION_1_8,
        name: jni_str!("fdfs-core").as_ptr().cast_mut(),
        group: std::ptr::null_mut(),
    };
    let args: *mut JavaVMAttachArgs = &raw mut args;
    // SAFETY: the pointers to the virtual machine and to the two locals are valid during the call.
    let done = unsafe {
        ((**vm.get_raw()).v1_4.AttachCurrentThreadAsDaemon)(vm.get_raw(), &raw mut env, args.cast())
    };
    (done == JNI_OK).then_some(Attached(env.cast()))
}

/// Java as this thread of the core sees it; none on other threads.
pub(crate) fn core_env() -> Option<*mut JNIEnv> {
    ATTACHED.with(|attached| attached.as_ref().map(|attached| attached.0))
}

/// Runs something with Java at hand, on whatever thread this is.
pub(crate) fn enter<T>(run: impl FnOnce(&mut Env<'_>) -> JniResult<T>) -> JniResult<T> {
    ATTACHED.with(|_| ());
    JavaVM::singleton()?.attach_current_thread(run)
}

/// The class that is called back, and its method that takes a result.
pub(crate) fn completing() -> Option<(jclass, jmethodID)> {
    METHODS.get().map(|methods| (methods.class.as_raw(), methods.complete.into_raw()))
}

/// What stands for errors of the `jni` crate: memory has run out, or this library is broken.
pub(crate) fn internal(error: jni::errors::Error) -> Error {
    Error::new(ErrorKind::Internal, "calling Java").with_source(error)
}

impl Methods {
    fn call(
        env: &mut Env<'_>,
        method: fn(&Self) -> &JStaticMethodID,
        args: &[jvalue],
    ) -> JniResult<()> {
        let methods = METHODS.get().ok_or(jni::errors::Error::UninitializedJavaVM)?;
        let returns = ReturnType::Primitive(Primitive::Void);
        // SAFETY: the method belongs to the class, returns nothing, and the callers below pass
        // the arguments of its signature in `find_methods`.
        unsafe {
            env.call_static_method_unchecked(&methods.class, method(methods), returns, args)
        }?;
        Ok(())
    }
}

/// Hands a result to its operation.
pub(crate) fn complete(
    env: &mut Env<'_>,
    op: jlong,
    number: jlong,
    value: &JObject<'_>,
) -> JniResult<()> {
    let args = [JValue::Long(op), JValue::Long(number), JValue::Object(value)];
    Methods::call(env, |methods| &methods.complete, &args.map(|arg| arg.as_jni()))
}

/// Hands an error to its operation.
pub(crate) fn fail(env: &mut Env<'_>, op: jlong, error: &Error) -> JniResult<()> {
    let kind = env.new_string(error.kind().name())?;
    let message = env.new_string(error.to_string())?;
    let server = optional(env, error.peer())?;
    let file_id = optional(env, error.file_id())?;
    let cause = std::error::Error::source(error).map(ToString::to_string);
    let cause = optional(env, cause.as_deref())?;
    let args = [
        JValue::Long(op),
        JValue::Object(&kind),
        JValue::Object(&message),
        JValue::Object(&server),
        JValue::Int(error.command().map_or(-1, |command| jint::from(command.0))),
        JValue::Object(&file_id),
        JValue::Int(error.status().map_or(0, |status| jint::from(status.0))),
        JValue::Bool(error.retryable()),
        JValue::Bool(error.outcome_unknown()),
        JValue::Object(&cause),
    ];
    Methods::call(env, |methods| &methods.fail, &args.map(|arg| arg.as_jni()))
}

/// Tells an operation how far it is. It may be over.
pub(crate) fn progress(op: jlong, moved: u64) {
    let moved = jlong::try_from(moved).unwrap_or(jlong::MAX);
    let args = [JValue::Long(op), JValue::Long(moved)].map(|arg| arg.as_jni());
    // Java catches what its listeners throw; nothing else can be done about a lost report.
    let _ = enter(|env| Methods::call(env, |methods| &methods.progress, &args));
}

/// Whether this thread, one of Java's, was interrupted.
pub(crate) fn is_interrupted(env: &mut Env<'_>) -> bool {
    let Some(methods) = METHODS.get() else { return false };
    let returns = ReturnType::Primitive(Primitive::Boolean);
    // SAFETY: the method belongs to the class, takes nothing and returns a boolean.
    let said = unsafe {
        env.call_static_method_unchecked(&methods.class, methods.interrupted, returns, &[])
    };
    said.and_then(|said| said.z()).unwrap_or(false)
}

/// Hands a line to Java's log.
pub(crate) fn log(level: jint, line: &str) {
    let _ = enter(|env| {
        let line = env.new_string(line)?;
        let args = [JValue::Int(level), JValue::Object(&line)].map(|arg| arg.as_jni());
        Methods::call(env, |methods| &methods.log, &args)
    });
}

fn optional<'l>(env: &mut Env<'l>, text: Option<&str>) -> JniResult<JString<'l>> {
    text.map_or_else(|| Ok(JString::default()), |text| env.new_string(text))
}

/// The text of a string; nothing for null.
pub(crate) fn text(env: &Env<'_>, string: &JString<'_>) -> JniResult<Option<String>> {
    if string.is_null() { Ok(None) } else { whole_text(env, string).map(Some) }
}

/// The text of a string that is there, mostly without Java making a copy of its own for it first.
fn whole_text(env: &Env<'_>, string: &JString<'_>) -> JniResult<String> {
    let raw = env.get_raw();
    // SAFETY: the environment is that of this thread and the string one of its references; neither
    // function throws for a range that is all of the string.
    let bytes = unsafe {
        let functions = &**raw;
        let chars = (functions.v1_1.GetStringLength)(raw, string.as_raw());
        // No character takes more than three bytes, and none of them is 0: the first one is the end.
        let mut bytes = vec![0u8; usize::try_from(chars).unwrap_or(0) * 3 + 1];
        let to = bytes.as_mut_ptr().cast();
        (functions.v1_2.GetStringUTFRegion)(raw, string.as_raw(), 0, chars, to);
        let end = bytes.iter().position(|byte| *byte == 0);
        bytes.truncate(end.unwrap_or(0));
        bytes
    };
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text),
        // Java encodes NUL and what lies beyond U+FFFF in a way of its own, which is no UTF-8.
        Err(_) => string.try_to_string(env),
    }
}

/// The texts of an array of strings; none for null.
pub(crate) fn texts(
    env: &mut Env<'_>,
    array: &JObjectArray<'_, JString<'_>>,
) -> JniResult<Vec<String>> {
    if array.is_null() {
        return Ok(Vec::new());
    }
    let len = array.len(env)?;
    (0..len)
        .map(|at| {
            let string = array.get_element(env, at)?;
            let text = whole_text(env, &string);
            env.delete_local_ref(string);
            text
        })
        .collect()
}

/// An array of strings.
pub(crate) fn strings<'l>(env: &mut Env<'l>, texts: &[Option<String>]) -> JniResult<JObject<'l>> {
    let array = JObjectArray::<JString<'_>>::new(env, texts.len(), JString::null())?;
    for (at, text) in texts.iter().enumerate() {
        if let Some(text) = text {
            let string = env.new_string(text)?;
            array.set_element(env, at, &string)?;
            env.delete_local_ref(string);
        }
    }
    Ok(array.into())
}

/// Bytes as Java counts them.
pub(crate) fn signed(bytes: &[u8]) -> &[i8] {
    // SAFETY: both types have one byte and no invalid values.
    unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast(), bytes.len()) }
}

/// The same for writing.
pub(crate) fn signed_mut(bytes: &mut [u8]) -> &mut [i8] {
    // SAFETY: both types have one byte and no invalid values; the borrow stays exclusive.
    unsafe { std::slice::from_raw_parts_mut(bytes.as_mut_ptr().cast(), bytes.len()) }
}

/// Part of an array, copied.
pub(crate) fn region(
    env: &Env<'_>,
    array: &JByteArray<'_>,
    offset: jint,
    len: jint,
) -> JniResult<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(0)];
    array.get_region(env, offset, signed_mut(&mut bytes))?;
    Ok(bytes)
}

/// The memory of a direct buffer of Java's, kept alive.
pub(crate) struct Direct {
    _buffer: Global<JByteBuffer<'static>>,
    address: *mut u8,
    len: usize,
}

// SAFETY: the memory belongs to no thread, and Java leaves it alone while a call has it, as its
// documentation demands.
unsafe impl Send for Direct {}
// SAFETY: as above; shared access only reads.
unsafe impl Sync for Direct {}

impl Direct {
    /// The `len` bytes from `offset` on; nothing when the buffer does not have them.
    pub(crate) fn new(
        env: &Env<'_>,
        buffer: &JByteBuffer<'_>,
        offset: jlong,
        len: jlong,
    ) -> JniResult<Self> {
        let (Ok(offset), Ok(len)) = (usize::try_from(offset), usize::try_from(len)) else {
            return Err(jni::errors::Error::IndexOutOfBounds);
        };
        let capacity = env.get_direct_buffer_capacity(buffer)?;
        if offset.checked_add(len).is_none_or(|end| end > capacity) {
            return Err(jni::errors::Error::IndexOutOfBounds);
        }
        let address = match len {
            0 => std::ptr::NonNull::dangling().as_ptr(),
            // SAFETY: the offset lies within the buffer, as has just been checked.
            _ => unsafe { env.get_direct_buffer_address(buffer)?.add(offset) },
        };
        Ok(Self { _buffer: env.new_global_ref(buffer)?, address, len })
    }

    /// For writing into it.
    pub(crate) fn as_mut(&mut self) -> &mut [u8] {
        // SAFETY: the memory lives as long as the reference to its buffer, has that length, and
        // is this call's alone.
        unsafe { std::slice::from_raw_parts_mut(self.address, self.len) }
    }
}

impl AsRef<[u8]> for Direct {
    fn as_ref(&self) -> &[u8] {
        // SAFETY: the memory lives as long as the reference to its buffer, and has that length.
        unsafe { std::slice::from_raw_parts(self.address, self.len) }
    }
}
