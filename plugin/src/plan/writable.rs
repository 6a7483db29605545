//! One value of a golden record on its way into a change's JSON: as it is, or brought into the form
//! that the CRM's field takes.

use super::columns::{Appended, Values, View};
use crate::provider::Provider;
use crate::provider_id::shown;
use crate::values::encode;
use crate::values::json;
use crate::values::{
    coerce,
    field::{Field, Kind},
};
use hashbrown::HashMap;
use std::borrow::Cow;

/// A column that is written, with the text around its values.
pub(crate) struct Writable<'a> {
    pub(crate) view: View<'a>,
    /// The CRM's name of the field.
    pub(crate) field: &'a str,
    /// `,"name":` and the opening quotation mark, if the value is a JSON string.
    pub(crate) before: String,
    pub(crate) after: &'static str,
    /// What a null or empty value is written as, if it empties the field.
    pub(crate) cleared: Option<String>,
    /// Texts that mean null.
    pub(crate) null_values: &'a [String],
    /// Whether values that are numbers or booleans by themselves go without quotation marks.
    pub(crate) bare: bool,
    /// CRM values by golden values, in every mode.
    pub(crate) map: Option<&'a ValueMap>,
    /// A list of several was written, and nobody knows whether the field takes several.
    pub(crate) joined: bool,
    /// How values are brought into the form that the field takes, once that is known.
    pub(crate) coercion: Option<Coercion<'a>>,
    /// What happened to values of this batch.
    pub(crate) remarks: Remarks,
}

/// How the values of a column become those of a field.
pub(crate) struct Coercion<'a> {
    pub(crate) field: &'a Field,
    /// How many minutes a time without a zone is ahead of UTC.
    pub(crate) zone: Option<i64>,
}

/// Words that exports write where there is no value. Each may be a value all the same, so it is
/// counted and not guessed.
const NULL_WORDS: [&str; 25] = [
    "NULL",
    "null",
    "Null",
    "\\N",
    "None",
    "none",
    "NONE",
    "nan",
    "NaN",
    "NAN",
    "NaT",
    "NA",
    "<NA>",
    "N/A",
    "n/a",
    "nil",
    "undefined",
    // A spreadsheet, of what it cannot calculate.
    "#N/A",
    "#NULL!",
    "#REF!",
    "#VALUE!",
    "#NAME?",
    "#DIV/0!",
    "#NUM!",
    "#ERROR!",
];

/// Whether a text may mean that there is no value.
pub(crate) fn is_null_word(text: &str) -> bool {
    let text = text.trim();
    NULL_WORDS.contains(&text) || is_invisible(text)
}

/// Whether there are characters, and none that anybody sees: zero-width ones, and the mark at the
/// beginning of files.
fn is_invisible(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| matches!(c, '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'))
}

/// Whether a text may be a word for null, or a number in scientific notation. A look at both ends
/// tells of most that they are not.
#[inline]
fn is_suspect(text: &str) -> bool {
    match text.as_bytes() {
        [b'N' | b'n' | b'\\' | b'<' | b'#' | b'u', ..] => text.len() <= 9,
        // A blank, or the first byte of a character that nobody sees.
        [b' ' | b'\t' | 0xe2 | 0xef, ..] => is_null_word(text),
        [.., b' '] => is_null_word(text),
        [b'0'..=b'9', .., b'0'..=b'9'] => text.len() <= 24 && text.contains("+"),
        _ => false,
    }
}

/// CRM values by golden values.
pub(crate) type ValueMap = HashMap<String, String>;

/// A text by its map: as a whole, or else option by option where it may have several.
fn mapped<'t>(map: Option<&'t ValueMap>, several: bool, text: &'t str) -> Cow<'t, str> {
    let Some(map) = map else { return text.into() };
    // Blanks around a value are left out when it is written, so they do not hide it from the map.
    if let Some(value) = map.get(text).or_else(|| map.get(text.trim())) {
        return value.as_str().into();
    }
    if !several || !text.contains(';') {
        return text.into();
    }
    let options =
        text.split(';').map(|option| map.get(option.trim()).map_or(option, String::as_str));
    options.collect::<Vec<_>>().join(";").into()
}

/// What happened to the values of a column, to be told to the person who confirms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Remarks {
    /// Left out because they are empty.
    empty: u64,
    /// Written so that the field is emptied.
    cleared: u64,
    /// Decimals cut off.
    cut: u64,
    /// Not among the options, and taken all the same.
    unlisted: u64,
    /// One of those.
    example: Option<String>,
    /// Numbers in scientific notation where text is written.
    rounded: u64,
    /// One of those.
    rounded_example: Option<String>,
    /// Words that may mean null.
    null_words: u64,
    /// One of those.
    null_word: Option<String>,
}

impl Remarks {
    pub(crate) fn add(&mut self, other: &Remarks) {
        self.empty += other.empty;
        self.cleared += other.cleared;
        self.cut += other.cut;
        self.unlisted += other.unlisted;
        self.rounded += other.rounded;
        if self.rounded_example.is_none() {
            self.rounded_example.clone_from(&other.rounded_example);
        }
        self.null_words += other.null_words;
        if self.null_word.is_none() {
            self.null_word.clone_from(&other.null_word);
        }
        if self.example.is_none() {
            self.example.clone_from(&other.example);
        }
    }

    pub(crate) fn warnings(&self, name: &str, provider: Provider) -> Vec<String> {
        let values = |count: u64, what: &str| {
            if count == 1 {
                format!("1 {what}value is")
            } else {
                format!("{count} {what}values are")
            }
        };
        let crm = provider.name();
        let mut warnings = Vec::new();
        if self.empty > 0 {
            warnings.push(format!(
                "`{name}`: {} not written, because an empty value would clear the CRM's",
                values(self.empty, "empty ")
            ));
        }
        if self.cleared > 0 {
            warnings.push(format!(
                "`{name}`: {} null or empty and will clear the CRM's (null_policy)",
                values(self.cleared, "")
            ));
        }
        if self.cut > 0 {
            warnings.push(format!(
                "`{name}`: {} cut to the decimals that the field holds",
                values(self.cut, "")
            ));
        }
        if self.null_words > 0 {
            let word = self.null_word.as_deref().unwrap_or_default();
            warnings.push(format!(
                "`{name}`: {} a word such as `{word}`, which may mean that there is none, and is written as text; `null_values` names the words that mean null",
                values(self.null_words, "")
            ));
        }
        if self.rounded > 0 {
            let example = shown(self.rounded_example.as_deref().unwrap_or_default());
            warnings.push(format!(
                "`{name}`: {} like `{example}`, as spreadsheets show long numbers, of which the last digits are lost; read the column as text",
                values(self.rounded, "")
            ));
        }
        if self.unlisted > 0 {
            let example = shown(self.example.as_deref().unwrap_or_default());
            warnings.push(format!(
                "`{name}`: {} not among the options, such as `{example}`; {crm} takes it as a new one",
                values(self.unlisted, "")
            ));
        }
        warnings
    }
}

/// Whether it is what spreadsheets make of a long number, such as `4.93E+11`.
fn is_rounded(text: &str) -> bool {
    let Some((digits, exponent)) = text.split_once("E+").or_else(|| text.split_once("e+")) else {
        return false;
    };
    let are_digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let (whole, fraction) = digits.split_once(['.', ',']).unwrap_or((digits, "0"));
    are_digits(whole) && are_digits(fraction) && are_digits(exponent)
}

impl Writable<'_> {
    /// Appends the member of one row, with a comma before it if `comma`. Nothing is appended unless
    /// the answer is `Written`.
    #[inline]
    pub(crate) fn append(
        &mut self,
        row: usize,
        comma: bool,
        scratch: &mut String,
        out: &mut String,
    ) -> Appended {
        let skip = usize::from(!comma);
        let appended = match self.view.absence(row) {
            Some(absence) => absence,
            None if self.means_null(row) => Appended::Null,
            None => self.append_value(row, skip, scratch, out),
        };
        match (appended, &self.cleared) {
            (Appended::Null | Appended::Empty, Some(cleared)) => {
                if self.coercion.as_ref().is_some_and(|coercion| !coercion.field.may_be_empty) {
                    return Appended::Unencodable;
                }
                out.push_str(cleared.get(skip..).unwrap_or_default());
                self.remarks.cleared += 1;
                Appended::Written
            }
            (Appended::Empty, None) => {
                self.remarks.empty += 1;
                Appended::Empty
            }
            (appended, _) => appended,
        }
    }

    /// Appends the member of a row that has a value.
    #[inline]
    fn append_value(
        &mut self,
        row: usize,
        skip: usize,
        scratch: &mut String,
        out: &mut String,
    ) -> Appended {
        let as_it_is = match &self.coercion {
            None => self.map.is_none(),
            Some(coercion) => self.map.is_none() && is_plain(&coercion.field.kind, &self.view),
        };
        let appended = if as_it_is {
            let (before, after) =
                if self.bare { self.around(row) } else { (self.before.as_str(), self.after) };
            self.view.append_value(row, before.get(skip..).unwrap_or_default(), after, true, out)
        } else if self.coercion.is_none() {
            self.append_mapped(row, skip, scratch, out)
        } else {
            self.append_coerced(row, skip, scratch, out)
        };
        if self.coercion.is_none()
            && !self.joined
            && appended == Appended::Written
            && self.view.items(row) > 1
        {
            self.joined = true;
        }
        appended
    }

    /// What the map says, where nobody knows what the field takes.
    fn append_mapped(
        &mut self,
        row: usize,
        skip: usize,
        scratch: &mut String,
        out: &mut String,
    ) -> Appended {
        let (before, after) = self.around(row);
        let value = match text(&self.view, row, scratch) {
            Ok(text) => mapped(self.map, self.view.items(row) > 1, text),
            Err(appended) => return appended,
        };
        if value.trim().is_empty() {
            return Appended::Empty;
        }
        // A map says texts; where a number or a boolean is due, it may say one.
        if after.is_empty()
            && !encode::is_plain_decimal(&value)
            && !matches!(&*value, "true" | "false")
        {
            return Appended::Unencodable;
        }
        out.push_str(before.get(skip..).unwrap_or_default());
        encode::push_escaped(out, &value);
        out.push_str(after);
        Appended::Written
    }

    /// The value in the form that the field takes.
    fn append_coerced(
        &mut self,
        row: usize,
        skip: usize,
        scratch: &mut String,
        out: &mut String,
    ) -> Appended {
        let Some(coercion) = &self.coercion else { return Appended::Unencodable };
        if self.has_too_many(row) {
            return Appended::Unencodable;
        }
        let text = match text(&self.view, row, scratch) {
            Ok(text) => text,
            Err(appended) => return appended,
        };
        match coerce::coerce(
            coercion.field,
            coercion.zone,
            &mapped(self.map, self.takes_several(), text),
        ) {
            Ok(Some((value, remark))) => {
                out.push_str(self.before.get(skip..).unwrap_or_default());
                encode::push_escaped(out, &value);
                out.push_str(self.after);
                self.remarks.cut += u64::from(remark.cut);
                if remark.unlisted {
                    self.remarks.unlisted += 1;
                    self.remarks.example.get_or_insert_with(|| text.to_owned());
                }
                Appended::Written
            }
            Ok(None) => Appended::Empty,
            Err(_) => Appended::Unencodable,
        }
    }

    /// Whether the value is one of the configured words for null. Others that may be are counted.
    #[inline]
    fn means_null(&mut self, row: usize) -> bool {
        match &self.view.values {
            Some(Values::Text { texts, .. }) => {
                let text = texts.get(row);
                // Hardly any text begins like one of these.
                (!self.null_values.is_empty() || is_suspect(text)) && self.judge_word(text)
            }
            Some(Values::Json(texts)) => match json::text(texts.get(row)) {
                Some(text) => {
                    (!self.null_values.is_empty() || is_suspect(&text)) && self.judge_word(&text)
                }
                None => false,
            },
            _ => false,
        }
    }

    #[cold]
    fn judge_word(&mut self, text: &str) -> bool {
        if self.null_values.iter().any(|word| word == text || word == text.trim()) {
            return true;
        }
        if is_null_word(text) {
            self.remarks.null_words += 1;
            self.remarks.null_word.get_or_insert_with(|| text.to_owned());
        } else if is_rounded(text) && !self.is_number() {
            self.remarks.rounded += 1;
            self.remarks.rounded_example.get_or_insert_with(|| text.to_owned());
        }
        false
    }

    fn is_number(&self) -> bool {
        matches!(
            self.coercion.as_ref().map(|coercion| &coercion.field.kind),
            Some(Kind::Number { .. })
        )
    }

    /// What stands around a value: Salesforce takes numbers and booleans without quotation marks.
    fn around(&self, row: usize) -> (&str, &'static str) {
        match self.bare && self.view.is_bare(row) {
            true => (self.before.strip_suffix('"').unwrap_or(&self.before), ""),
            false => (&self.before, self.after),
        }
    }

    fn takes_several(&self) -> bool {
        let kind = self.coercion.as_ref().map(|coercion| &coercion.field.kind);
        matches!(kind, Some(Kind::Choice(choice)) if choice.multi)
    }

    /// Whether the value is a list of several, and the field takes one.
    fn has_too_many(&self, row: usize) -> bool {
        self.view.items(row) > 1 && !self.takes_several()
    }

    /// Why the value of a row cannot be written.
    pub(crate) fn explain(&self, row: usize, provider: Provider) -> String {
        let Some(coercion) = &self.coercion else { return self.view.explain(row, provider) };
        if self.has_too_many(row) {
            return format!(
                "`{}` is a list of {} values, and the field takes one",
                self.view.name,
                self.view.items(row)
            );
        }
        let mut scratch = String::new();
        let (column, field) = (self.view.name, &coercion.field.name);
        let to = if column == field { String::new() } else { format!(" (field `{field}`)") };
        match text(&self.view, row, &mut scratch) {
            Ok(text) => match coerce::coerce(
                coercion.field,
                coercion.zone,
                &mapped(self.map, self.takes_several(), text),
            ) {
                Err(why) => format!("`{column}`{to} is `{}`, which {why}", shown(text)),
                Ok(_) => format!(
                    "`{column}`{to} is empty, and {} does not let this field be cleared",
                    provider.name()
                ),
            },
            Err(Appended::Unencodable) => self.view.explain(row, provider),
            Err(_) => format!(
                "`{column}`{to} is empty, and {} does not let this field be cleared",
                provider.name()
            ),
        }
    }
}

/// Whether values of this column fit the field as they are, whatever they say: no text has to be
/// made of them first.
#[inline]
fn is_plain(kind: &Kind, view: &View<'_>) -> bool {
    matches!(
        (kind, &view.values),
        (Kind::Bool, Some(Values::Boolean(_)))
            | (
                Kind::Number { scale: None },
                Some(Values::Integer(_) | Values::Number(_) | Values::Decimal(_))
            )
            | (Kind::Number { .. }, Some(Values::Integer(_)))
            | (Kind::Date, Some(Values::Date(_)))
            | (Kind::DateTime, Some(Values::Timestamp(_)))
    )
}

/// The text of a value, borrowed where it is one.
fn text<'t>(view: &View<'t>, row: usize, scratch: &'t mut String) -> Result<&'t str, Appended> {
    if let Some(absence) = view.absence(row) {
        return Err(absence);
    }
    if let Some(Cow::Borrowed(text)) = view.as_text(row) {
        return Ok(text);
    }
    scratch.clear();
    match view.append_unescaped(row, scratch) {
        Appended::Written => Ok(scratch),
        other => Err(other),
    }
}
