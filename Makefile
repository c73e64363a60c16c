# Everything that is checked, tested or generated has a verb here; CI calls nothing else.
.PHONY: check test rust-tests sim interop c python node java polyglot packages docs bench sdk-bench bless fuzz

# The simulation needs this flag (docs/decisions/0003-simulation.md). With it for all that needs
# only Rust, libraries are built once; packages are built and tested without it.
check rust-tests sim interop polyglot: export RUSTFLAGS += --cfg tokio_unstable

# Formatting, lints, documentation, and the core without sockets.
check:
	cargo fmt --check
	cargo clippy --workspace --all-targets --quiet -- -D warnings
	cargo clippy -p fdfs-core -p fdfs-servers -p fdfs-tests \
		--features sim --lib --test sim --quiet -- -D warnings
	cargo build -p fdfs-core --no-default-features --quiet
	RUSTDOCFLAGS="-D warnings -A rustdoc::private_intra_doc_links" cargo doc --workspace --no-deps --quiet
	tests/arrows.sh

# Everything that needs only Rust.
test: rust-tests sim
rust-tests:
	cargo test --no-fail-fast

# Clusters in virtual time, with faults from seeds: SEEDS of them from FIRST on. What fails leaves its
# events in a file that is named. A build of its own, in which sockets are in memory; with
# CARGO_PROFILE_DEV_OPT_LEVEL=3 it plays four times as many seeds in the same time.
sim:
	SEEDS=$(SEEDS) FIRST=$(FIRST) cargo test -p fdfs-core -p fdfs-tests \
		--features fdfs-core/sim,fdfs-tests/sim --lib --test sim -- --nocapture

# Existing clients of other projects against our servers; installs them first.
interop:
	tests/interop/setup.sh
	cargo test --test interop -- --ignored --nocapture

# The package of a language, built and installed into a fresh environment outside of the tree.
SDK ?= $(or $(TMPDIR),/tmp)/fdfs-sdk
c python node java:
	bindings/$@/install.sh $(SDK)/$@

# Every scenario in every language, with the package installed as above; installs what that needs.
polyglot: export FDFS_PROFILE ?= dev
polyglot:
	cargo test --test polyglot -- --ignored --nocapture --test-threads=1

# What a release consists of, for TARGETS (this machine's), into target/dist; each is then used in a
# fresh environment. docs/packages.md says what has been tried.
packages:
	bindings/packages.sh target/dist
	tests/packages.sh target/dist

# Documentation of every language from its own comments, into target/docs.
docs:
	for sdk in c python node java; do bindings/$$sdk/docs.sh target/docs/$$sdk || exit 1; done

# Our servers measured, beside the original's when BASELINE names the folder of its binaries; see
# tests/bench.sh for what can be set.
bench:
	tests/bench.sh

# Every SDK measured beside the client in Rust and the usual client of its language.
sdk-bench:
	tests/sdk-bench.sh

# Writes generated files anew.
bless:
	BLESS=1 cargo test -p fdfs-c --test header
	BLESS=1 cargo test -p fdfs-core --test documents
	BLESS=1 cargo test -p fdfs-servers --test config_docs

# Each decoder under the coverage-guided fuzzer; needs a nightly toolchain and cargo-fuzz.
RUNS ?= 10000000
fuzz:
	cd core && for target in frame file_id ini; do \
		cargo +nightly fuzz run $$target -- -runs=$(RUNS) -max_len=4096 || exit 1; \
	done
