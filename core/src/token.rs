//! Anti-leech tokens.
