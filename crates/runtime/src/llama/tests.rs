use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::*;

fn model() -> Option<Arc<Model>> {
    let default =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../../data/models/gemma-3-270m-q4_k_m.gguf");
    let path = std::env::var_os("ANDON_TEST_MODEL").map_or(default, PathBuf::from);
    if !path.is_file() {
        println!("skipped: there is no model at {}", path.display());
        return None;
    }
    init_backend();
    Some(Arc::new(Model::load(&path, |_| true).unwrap()))
}

fn context(model: &Arc<Model>) -> Context {
    let params = ContextParams { length: 2048, batch: 512, threads: 1, embeddings: None };
    Context::new(model, params).unwrap()
}

fn read(context: &mut Context, tokens: &[Token], from: usize, piece: usize) {
    let mut position = from;
    for part in tokens[from..].chunks(piece) {
        context.decode(part, position, Outputs::Last).unwrap();
        position += part.len();
    }
}

/// Mean difference of all logits.
fn distance(a: &[f32], b: &[f32]) -> f64 {
    let sum: f64 = a.iter().zip(b).map(|(a, b)| f64::from((a - b).abs())).sum();
    sum / f64::from(u32::try_from(a.len()).unwrap())
}

#[test]
fn a_shortened_context_computes_what_a_fresh_one_does() {
    let Some(model) = model() else { return };
    // Longer than Gemma's window of 512 tokens, and nowhere the same.
    let story: String = (1..=70)
        .map(|day| format!("On day {day} the keeper saw {} ships. ", day * 37 % 91))
        .collect();
    let tokens = |ending: &str| model.tokenize(&format!("{story}{ending}"), true, false);
    let wanted = tokens("Then, on the last day, he");
    let other = tokens("Something else was written here, and at some length. ");
    let common = wanted.iter().zip(&other).take_while(|(a, b)| a == b).count();
    assert!(common > 700 && common < wanted.len() - 1, "{common} of {}", wanted.len());

    let mut fresh = context(&model);
    read(&mut fresh, &wanted, 0, 128);
    let expected = fresh.logits().unwrap().to_vec();
    // Rounding alone: the same text in other pieces.
    fresh.clear();
    read(&mut fresh, &wanted, 0, 500);
    let rounding = distance(&expected, fresh.logits().unwrap());
    // What missing text does: the ending alone, at its place.
    fresh.clear();
    read(&mut fresh, &wanted, common, 128);
    let missing = distance(&expected, fresh.logits().unwrap());

    let mut reused = context(&model);
    read(&mut reused, &other, 0, 128);
    assert!(reused.forget_from(common));
    read(&mut reused, &wanted, common, 128);
    let difference = distance(&expected, reused.logits().unwrap());
    assert!(
        difference < missing / 4.0,
        "reused {difference}, rounding {rounding}, missing text {missing}"
    );
    println!("reused {difference}, rounding {rounding}, missing text {missing}");
}

#[test]
fn a_raised_flag_breaks_a_computation_off() {
    let Some(model) = model() else { return };
    let mut context = context(&model);
    let flag = Arc::new(std::sync::atomic::AtomicBool::new(true));
    context.set_abort_flag(Some(Arc::clone(&flag)));
    let tokens = model.tokenize("some words", true, false);
    assert_eq!(context.decode(&tokens, 0, Outputs::Last), Err(DecodeError::Aborted));
    assert!(context.forget_from(0));
    flag.store(false, std::sync::atomic::Ordering::Relaxed);
    assert_eq!(context.decode(&tokens, 0, Outputs::Last), Ok(()));
}
