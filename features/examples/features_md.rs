//! Prints `docs/features.md`: `cargo run -p ganglion-features --example features_md > docs/features.md`.

fn main() {
    print!("{}", ganglion_features::docs::features_markdown());
}
