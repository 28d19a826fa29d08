//! The pages are embedded at compile time: new ones make a new binary.
fn main() {
    println!("cargo::rerun-if-changed=../../web/dist");
}
