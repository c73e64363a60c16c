# Everything that is checked, tested or generated has a verb here; CI calls nothing else.
.PHONY: check test interop bench bless fuzz

# Formatting, lints, documentation, and the core without sockets.
check:
	cargo fmt --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cargo build -p fdfs-core --no-default-features --quiet
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --quiet
	tests/arrows.sh

# Everything that needs only Rust.
test:
	cargo test --workspace --no-fail-fast

# Existing clients of other projects against our servers; installs them first.
interop:
	tests/interop/setup.sh
	cargo test -p fdfs-tests --test interop -- --ignored --nocapture

# Our servers measured, beside the original's when BASELINE names the folder of its binaries; see
# tests/bench.sh for what can be set.
bench:
	tests/bench.sh

# Writes generated files anew.
bless:
	BLESS=1 cargo test -p fdfs-core --test documents
	BLESS=1 cargo test -p fdfs-servers --test config_docs

# Each decoder under the coverage-guided fuzzer; needs a nightly toolchain and cargo-fuzz.
RUNS ?= 10000000
fuzz:
	cd core && for target in frame file_id ini; do \
		cargo +nightly fuzz run $$target -- -runs=$(RUNS) -max_len=4096 || exit 1; \
	done
