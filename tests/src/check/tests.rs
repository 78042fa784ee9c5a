//! The verdicts themselves are tested: each wrong outcome must be told from a right one.

use super::{Jump, Life, lives, stream, walk};
use crate::outline::{empty, hash};

fn lines(text: &str) -> Vec<u64> {
    text.chars()
        .map(|letter| {
            if letter == '_' {
                empty()
            } else {
                hash(letter.to_string().as_bytes())
            }
        })
        .collect()
}

fn walked(sent: &str, arrived: &str) -> Result<Vec<Jump>, String> {
    walk(&lines(sent), &lines(arrived)).map_err(|error| error.to_string())
}

#[test]
fn identical_content_has_no_jump() {
    assert_eq!(walked("ab_c__d", "ab_c__d"), Ok(vec![]));
}

#[test]
fn a_repeat_is_a_jump_back() {
    assert_eq!(
        walked("abcdef", "abcdcdef"),
        Ok(vec![Jump {
            at: 4,
            from: 4,
            to: 2
        }])
    );
    assert_eq!(
        walked("abc", "aabc"),
        Ok(vec![Jump {
            at: 1,
            from: 1,
            to: 0
        }])
    );
}

#[test]
fn a_repeat_may_begin_with_empty_lines() {
    assert_eq!(
        walked("a__bc", "a__b__bc"),
        Ok(vec![Jump {
            at: 4,
            from: 4,
            to: 1
        }])
    );
}

#[test]
fn a_missing_line_is_found_wherever_it_is() {
    assert!(
        walked("abcd", "bcd")
            .unwrap_err()
            .contains("line 1 is missing")
    );
    assert!(
        walked("abcd", "abd")
            .unwrap_err()
            .contains("line 3 is missing")
    );
    assert!(
        walked("abcd", "abc")
            .unwrap_err()
            .contains("the end is missing")
    );
    assert!(
        walked("a_b", "ab")
            .unwrap_err()
            .contains("line 2 is missing")
    );
    assert!(
        walked("abcd", "")
            .unwrap_err()
            .contains("the end is missing")
    );
}

#[test]
fn a_line_that_is_missing_and_comes_later_is_out_of_order() {
    assert!(walked("abcd", "acbd").is_err());
}

#[test]
fn what_was_not_sent_is_found() {
    assert!(walked("abc", "abxc").unwrap_err().contains("no such line"));
    assert!(walked("abc", "ab_c").is_err());
    assert!(
        walked("abc", "abc_")
            .unwrap_err()
            .contains("empty lines too many")
    );
}

#[test]
fn ending_in_the_middle_of_a_repeat_is_not_the_end() {
    assert!(
        walked("abcd", "abcdbc")
            .unwrap_err()
            .contains("the end is missing")
    );
}

fn life(start: usize, offset: u64) -> Life {
    Life { start, offset }
}

#[test]
fn lives_fit_together_at_the_durable_offset() {
    let (queue, repeated) = stream(&lines("abcdcdef"), &[life(0, 0), life(4, 2)]).unwrap();
    assert_eq!((queue, repeated), (lines("abcdef"), 2));
}

#[test]
fn repeating_what_was_durable_is_found() {
    // Offset 3 was durable, yet the second life begins at 2.
    assert!(stream(&lines("abcdcdef"), &[life(0, 0), life(4, 3)]).is_err());
}

#[test]
fn leaving_out_what_was_not_durable_is_found() {
    // Offset 2 was durable, yet the second life begins at 4.
    assert!(stream(&lines("abcdef"), &[life(0, 0), life(4, 2)]).is_err());
    // Offset 5 was durable although only four had been written.
    assert!(stream(&lines("abcdf"), &[life(0, 0), life(4, 5)]).is_err());
}

fn records(text: &str, offsets: &[u64]) -> Vec<(u64, u64)> {
    offsets.iter().copied().zip(lines(text)).collect()
}

#[test]
fn a_file_of_some_of_the_queues_records_is_checked_the_same_way() {
    let held = records("abcde", &[1, 3, 4, 8, 9]);
    assert_eq!(lives(&lines("abcde"), &[life(0, 0)], &held).unwrap(), 0);
    // Three were written, offset 4 was durable: the third comes again.
    assert_eq!(
        lives(&lines("abccde"), &[life(0, 0), life(3, 4)], &held).unwrap(),
        1
    );
    // A life that died before it had written what it repeats, and one that wrote nothing.
    let three = [life(0, 0), life(3, 3), life(4, 3), life(4, 3)];
    assert_eq!(lives(&lines("abcbbcde"), &three, &held).unwrap(), 3);
}

#[test]
fn a_file_that_repeats_or_skips_durable_records_is_found() {
    let held = records("abcde", &[1, 3, 4, 8, 9]);
    assert!(lives(&lines("abcbcde"), &[life(0, 0), life(3, 4)], &held).is_err());
    assert!(lives(&lines("abcde"), &[life(0, 0), life(3, 3)], &held).is_err());
    assert!(lives(&lines("abde"), &[life(0, 0), life(2, 8)], &held).is_err());
    assert!(lives(&lines("abcd"), &[life(0, 0)], &held).is_err());
}
