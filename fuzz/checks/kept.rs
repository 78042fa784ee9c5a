//! The inputs that fuzzing kept, for tests that put them through the same checks. Must not pass when
//! there are none.

use std::path::Path;

/// Runs `check` on every input of `target`; the name of the last one is in the output of a failure.
pub(crate) fn each(target: &str, check: impl Fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus");
    let mut count = 0;
    for entry in std::fs::read_dir(corpus.join(target)).expect("there is a corpus") {
        let path = entry.expect("a corpus can be listed").path();
        println!("{}", path.display());
        check(&std::fs::read(&path).expect("an input can be read"));
        count += 1;
    }
    assert!(count > 0, "the corpus of {target} is empty");
}
