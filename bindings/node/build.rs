//! Sets the linker up for an addon: symbols of Node are found when it is loaded, and the library
//! stays in memory when a worker thread that loaded it ends.

fn main() {
    napi_build::setup();
}
