//! Sorting more fixed-size keys than fit into memory: sorted runs on disk, merged while reading.

use std::{
    cmp::Reverse,
    collections::BinaryHeap,
    fs::File,
    io::{self, BufReader, BufWriter, Read, Seek, Write},
    path::{Path, PathBuf},
};

/// Runs that are merged at once. More runs than this are first merged into fewer, so that neither
/// memory nor open files grow with the number of keys.
const FAN_IN: usize = 64;
const READ_BUFFER: usize = 64 << 10;

/// Collects keys of `N` bytes and gives them back in ascending order. Memory: one run (`N *
/// run_len` bytes).
pub(crate) struct ExternalSort<const N: usize> {
    dir: PathBuf,
    run: Vec<[u8; N]>,
    run_len: usize,
    runs: Vec<File>,
}

impl<const N: usize> ExternalSort<N> {
    /// Runs are unlinked temporary files in `dir`.
    pub(crate) fn new(dir: &Path, run_len: usize) -> ExternalSort<N> {
        ExternalSort {
            dir: dir.to_owned(),
            run: Vec::new(),
            run_len: run_len.max(2),
            runs: Vec::new(),
        }
    }

    pub(crate) fn push(&mut self, key: [u8; N]) -> io::Result<()> {
        self.run.push(key);
        if self.run.len() >= self.run_len {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        self.run.sort_unstable();
        let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(&self.dir)?);
        for key in &self.run {
            file.write_all(key)?;
        }
        self.run.clear();
        self.add_run(file)
    }

    fn add_run(&mut self, file: BufWriter<File>) -> io::Result<()> {
        let mut file = file.into_inner().map_err(|error| error.into_error())?;
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// All keys in ascending order.
    pub(crate) fn sorted(mut self) -> io::Result<Sorted<N>> {
        self.run.sort_unstable();
        while self.runs.len() > FAN_IN {
            let batch: Vec<File> = self.runs.drain(..FAN_IN).collect();
            let mut merged = Sorted::<N>::new(batch, Vec::new())?;
            let mut file = BufWriter::with_capacity(1 << 18, tempfile::tempfile_in(&self.dir)?);
            while let Some(key) = merged.next()? {
                file.write_all(&key)?;
            }
            self.add_run(file)?;
        }
        Sorted::new(self.runs, self.run)
    }
}

/// The merge of sorted runs.
pub(crate) struct Sorted<const N: usize> {
    runs: Vec<BufReader<File>>,
    heads: BinaryHeap<Reverse<([u8; N], usize)>>,
    /// The run that never left memory.
    rest: std::vec::IntoIter<[u8; N]>,
    rest_head: Option<[u8; N]>,
}

impl<const N: usize> Sorted<N> {
    fn new(files: Vec<File>, rest: Vec<[u8; N]>) -> io::Result<Sorted<N>> {
        let mut rest = rest.into_iter();
        let rest_head = rest.next();
        let runs = files
            .into_iter()
            .map(|file| BufReader::with_capacity(READ_BUFFER, file))
            .collect::<Vec<_>>();
        let mut sorted =
            Sorted { heads: BinaryHeap::with_capacity(runs.len()), runs, rest, rest_head };
        for run in 0..sorted.runs.len() {
            sorted.refill(run)?;
        }
        Ok(sorted)
    }

    fn refill(&mut self, run: usize) -> io::Result<()> {
        let mut key = [0; N];
        match self.runs[run].read_exact(&mut key) {
            Ok(()) => {
                self.heads.push(Reverse((key, run)));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The next key, or `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<[u8; N]>> {
        let from_disk = self.heads.peek().map(|Reverse((key, _))| *key);
        match (from_disk, self.rest_head) {
            (None, None) => Ok(None),
            (Some(disk), rest) if rest.is_none_or(|rest| disk <= rest) => {
                if let Some(Reverse((_, run))) = self.heads.pop() {
                    self.refill(run)?;
                }
                Ok(Some(disk))
            }
            (_, rest) => {
                self.rest_head = self.rest.next();
                Ok(rest)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sort(keys: &[u32], run_len: usize) -> Vec<u32> {
        let dir = tempfile::tempdir().unwrap();
        let mut sort = ExternalSort::<4>::new(dir.path(), run_len);
        for key in keys {
            sort.push(key.to_be_bytes()).unwrap();
        }
        let mut sorted = sort.sorted().unwrap();
        std::iter::from_fn(|| sorted.next().unwrap()).map(u32::from_be_bytes).collect()
    }

    #[test]
    fn more_runs_than_are_merged_at_once() {
        let keys: Vec<u32> = (0..1_000).map(|n: u32| n.wrapping_mul(2_654_435_761)).collect();
        let mut expected = keys.clone();
        expected.sort_unstable();
        assert_eq!(sort(&keys, 3), expected);
    }

    proptest! {
        #[test]
        fn it_sorts(keys in prop::collection::vec(any::<u32>(), 0..300), run_len in 2usize..50) {
            let mut expected = keys.clone();
            expected.sort_unstable();
            prop_assert_eq!(sort(&keys, run_len), expected);
        }
    }
}
