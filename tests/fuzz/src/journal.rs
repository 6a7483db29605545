//! Journals: any bytes are survived, what was written reads back, and nothing behind damage is
//! believed.

use crate::input::Input;
use reverse_sync::{
    fuzzing::{JournalText, read_journal, sealed_lines},
    journal::{Ending, JournalError, Past},
};

pub(crate) fn journal(bytes: &[u8]) {
    let mut input = Input(bytes);
    match input.byte() % 4 {
        0 => survive(input.0),
        // With the right checksums: what is behind them has to bear anything too.
        1 => survive(&sealed_lines(input.0.split(|byte| *byte == b'\n'))),
        kind => damaged(kind, &written(&mut input), &mut input),
    }
}

/// All that is asked of a journal that was read.
fn survive(bytes: &[u8]) {
    let Ok((past, problems)) = read_journal(bytes) else { return };
    for writable in [0, 10, u64::MAX] {
        let doubt = past.in_doubt(writable);
        assert!(doubt.next(writable).is_none(), "a change that the plan does not have is in doubt");
        doubt.count();
    }
    past.counts.done();
    let numbers = past.done.or(&past.unknown).or(&past.updated);
    assert_eq!(numbers, past.done, "an outcome is not among those that are done");
    for number in [0, 1, 9, u64::MAX] {
        assert_eq!(past.done.contains(number), past.done.next(number) == Some(number));
        past.done.next_gap(number);
        past.done.below(number).spread(3);
    }
    assert!(problems.iter().all(|(_, problem)| past.done.contains(problem.change())));
}

/// A journal in lines.
fn written(input: &mut Input<'_>) -> Vec<Vec<u8>> {
    let mut journal = JournalText::default();
    let mut next = 0u64;
    for _ in 0..input.byte() % 12 {
        let what = input.byte();
        let count = u64::from(what / 8 % 8);
        match what % 8 {
            0 => journal.hand_out(next + count),
            1 => journal.settle(),
            2 => journal.doubt(),
            3 => journal.remember(input.text(), vec![input.text()]),
            4 => journal.finish(),
            kind => {
                let changes: Vec<u64> = (next..next + count + 1).collect();
                next += count + 1 + u64::from(what % 2);
                let ending =
                    [Ending::Failed, Ending::Drifted, Ending::Unknown][usize::from(what / 64 % 3)];
                match kind {
                    5 => journal.outcomes(changes, vec![], vec![]),
                    6 => journal.outcomes(vec![], changes, vec![]),
                    _ => {
                        let text = input.text();
                        journal.outcomes(
                            vec![],
                            vec![],
                            changes
                                .into_iter()
                                .map(|change| (change, ending, text.clone()))
                                .collect(),
                        );
                    }
                }
            }
        }
    }
    let (past, _) = read_journal(&journal.bytes).expect("what was written can be read");
    assert!(past.damage.is_none() && past.counts == journal.counts(), "{past:?}");
    assert_eq!(past.done.count(), journal.counts().done());
    survive(&journal.bytes);
    journal.bytes.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect()
}

/// What it says, without where it is damaged.
fn said(past: &Past) -> impl PartialEq + std::fmt::Debug + use<> {
    (
        past.done.clone(),
        past.updated.clone(),
        past.unknown.clone(),
        past.handed_out,
        past.counts,
        past.notes.clone(),
        past.finished,
    )
}

fn damaged(kind: u8, lines: &[Vec<u8>], input: &mut Input<'_>) {
    let whole = lines.concat();
    let mut bytes = whole.clone();
    if kind == 2 {
        input.edit(&mut bytes);
    } else {
        // Lines left out, twice there, or in another order.
        let mut moved = lines.to_vec();
        let (from, to) = (input.below(moved.len()), input.below(moved.len()));
        match input.byte() % 3 {
            0 => drop(moved.remove(from)),
            1 => moved.insert(to, lines[from].clone()),
            _ => moved.swap(from, to),
        }
        bytes = moved.concat();
    }
    // The lines before the first byte that differs are as they were; nothing else may be believed.
    let same = whole.iter().zip(&bytes).take_while(|(before, after)| before == after).count();
    let mut intact = whole[..same].iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    if bytes.len() == same && whole.len() == same {
        intact = whole.len();
    }
    let (expected, _) = read_journal(&whole[..intact]).expect("lines that are as they were");
    match read_journal(&bytes) {
        Ok((past, _)) => {
            assert_eq!(said(&past), said(&expected));
            assert!(
                past.damage.is_some() || bytes.len() - intact == 0 || bytes.last() != Some(&b'\n')
            );
        }
        // The first line may say another version.
        Err(JournalError::Format { .. }) => assert_eq!(intact, 0),
        Err(error) => panic!("{error}"),
    }
}
