//! Gives the shared library its soname, which changes when the interface breaks.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libfdfs.so.1");
}
