//! Links OpenBLAS, which the scores over stored vectors multiply matrices with.

fn main() {
    println!("cargo:rustc-link-lib=openblas");
}
