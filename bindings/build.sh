# Sourced by scripts of the bindings, with the root of the project as working folder.

# What zig links for: every glibc since this one.
glibc=2.17

# build CRATE TARGET [RUSTC-OPTION…]: builds a binding's library with FDFS_PROFILE of cargo (release)
# and prints the folder it is in. For TARGET, as Rust calls it, zig links; '' is this machine, with
# its own linker.
build() {
    local crate=$1 target=$2 profile=${FDFS_PROFILE:-release} cargo=(cargo rustc) flags=
    shift 2
    local folder=${CARGO_TARGET_DIR:-target}${target:+/$target}/$profile
    [ "$profile" != dev ] || folder=${folder%dev}debug
    if [ -n "$target" ]; then
        case $target in
        *-linux-gnu) cargo=(cargo-zigbuild rustc --target "$target.$glibc") ;;
        *-linux-musl)
            # The program brings the C library, musl as well.
            cargo=(cargo-zigbuild rustc --target "$target")
            flags='-C target-feature=-crt-static'
            ;;
        *) echo "packages for $target cannot be made here yet" >&2 && return 1 ;;
        esac
    fi
    RUSTFLAGS="${RUSTFLAGS:-}${flags:+ $flags}" "${cargo[@]}" --quiet --locked --lib \
        --profile "$profile" --package "$crate" -- "$@" && echo "$folder"
}
