//! Damaged files: the readers of Parquet and Arrow that we build on panic about some of them, where
//! they should refuse.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
};

/// What a reader says; a panic is a refusal. The reader is not to be used again then.
pub(crate) fn contained<T, E>(
    read: impl FnOnce() -> Result<T, E>,
    refused: impl FnOnce(String) -> E,
) -> Result<T, E> {
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(read) => read,
        Err(panic) => Err(refused(format!("the file is damaged: {}", words(panic.as_ref())))),
    }
}

fn words(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(words), _) => words,
        (None, Some(words)) => words,
        (None, None) => "its reader gave up without a word",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_a_refusal_in_its_words() {
        let read = |says: fn() -> Result<u32, String>| contained(says, |why| why);
        assert_eq!(read(|| Ok(1)), Ok(1));
        assert_eq!(read(|| Err("no".to_owned())), Err("no".to_owned()));
        assert_eq!(read(|| panic!("static")), Err("the file is damaged: static".to_owned()));
        assert_eq!(read(|| panic!("{} {}", 1, 2)), Err("the file is damaged: 1 2".to_owned()));
    }
}
