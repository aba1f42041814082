//! How numbers are said to a person.

/// A duration, rounded: to a tenth of a second below a minute, to the second below an hour, to the minute from there on.
pub(super) fn duration(milliseconds: i64) -> String {
    let sign = if milliseconds < 0 { "−" } else { "" };
    let milliseconds = milliseconds.unsigned_abs();
    let to = |unit: u64| milliseconds.saturating_add(unit / 2) / unit;
    let (tenths, seconds, minutes) = (to(100), to(1_000), to(60_000));
    let told = match () {
        () if tenths < 600 => format!("{}.{} s", tenths / 10, tenths % 10),
        () if seconds < 3_600 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        () if seconds < 3_600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        () if minutes % 60 == 0 => format!("{} h", minutes / 60),
        () => format!("{} h {:02} min", minutes / 60, minutes % 60),
    };
    format!("{sign}{told}")
}

/// A count with its noun, in the plural where it is not one; thousands are told apart.
pub(super) fn count(number: u64, noun: &str) -> String {
    let noun = match (number, noun.strip_suffix('y')) {
        (1, _) => noun.to_owned(),
        (_, Some(stem)) => format!("{stem}ies"),
        (_, None) => format!("{noun}s"),
    };
    format!("{} {noun}", grouped(number))
}

/// A number with its thousands told apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut told = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            told.push(',');
        }
        told.push(digit);
    }
    told
}

/// A sentence that begins as one.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_the_precision_that_a_reader_needs() {
        for (milliseconds, told) in [
            (0, "0.0 s"),
            (50, "0.1 s"),
            (17_196, "17.2 s"),
            (59_949, "59.9 s"),
            (59_950, "1 min"),
            (245_400, "4 min 05 s"),
            (3_599_500, "1 h"),
            (7_200_000, "2 h"),
            (7_380_000, "2 h 03 min"),
            (-1_500, "−1.5 s"),
        ] {
            assert_eq!(duration(milliseconds), told, "{milliseconds}");
        }
    }

    #[test]
    fn counts_are_readable() {
        assert_eq!(count(1, "stream"), "1 stream");
        assert_eq!(count(10_000, "entry"), "10,000 entries");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(grouped(999), "999");
    }
}
