//! The binary allocates with the system's malloc, or the comparison would be another one.

use std::fs;

#[test]
fn no_allocator_is_linked_in() {
    let binary = fs::read(env!("CARGO_BIN_EXE_bench-bare")).unwrap();
    let name = b"jemalloc";
    assert!(!binary.windows(name.len()).any(|window| window == name));
}
