//! Metadata of both CRMs, and values brought into the form that a field takes.

use crate::input::Input;
use reverse_sync_plugin::{
    fuzzing::{instant, items, likeness, metadata as read, offset, record_id, scalar},
    provider::Provider,
    values::{
        coerce,
        encode::{is_plain_decimal, without_exponent},
        field::{Choice, CrmOption, Field, Kind},
    },
};
use serde_json::{Value, value::RawValue};

const SAME: u8 = 2;
const EXACT: u8 = 3;

fn kind(byte: u8) -> Kind {
    let options = [
        ("lead", "Lead"),
        ("mql", "Marketing Qualified"),
        ("red", "Red"),
        ("RED2", "red"),
        ("a b", "ä"),
    ];
    let options = options
        .map(|(value, label)| CrmOption { value: value.to_owned(), label: label.to_owned() });
    let choice =
        |multi, open| Kind::Choice(Choice { multi, open, options: options.clone().into() });
    match byte % 16 {
        0 => Kind::Text { max: Some(8), trimmed: true },
        1 => Kind::Text { max: None, trimmed: false },
        2 => Kind::Email { max: Some(30), trimmed: byte & 16 == 0 },
        3 => Kind::Number { scale: None },
        4 => Kind::Number { scale: Some(0) },
        5 => Kind::Number { scale: Some(2) },
        6 => Kind::Bool,
        7 => Kind::Date,
        8 => Kind::DateTime,
        9 => Kind::Time,
        10 => Kind::Reference,
        11 => Kind::Masked,
        12 => choice(false, false),
        13 => choice(true, false),
        14 => choice(byte & 32 == 0, true),
        _ => Kind::Other,
    }
}

/// A value in the form of its field is in that form: bringing it there again changes nothing and
/// loses nothing.
fn settles(provider: Provider, field: &Field, zone: Option<i64>, text: &str) {
    let Ok(Some((taken, _))) = coerce::coerce(field, zone, text) else { return };
    let again = coerce::coerce(field, zone, &taken);
    let (again, remark) = again.expect("what was taken is taken").expect("and is something");
    assert_eq!(again, taken, "{:?} of {text:?}", field.kind);
    assert!(!remark.cut, "cut again: {text:?}");
    let mut json = String::new();
    coerce::push_json(provider, &field.kind, &taken, &mut json);
    serde_json::from_str::<&RawValue>(&json).expect("it is JSON");
    let Ok(value) = serde_json::from_str::<Value>(&json) else {
        assert!(
            json.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'.')),
            "only a number can be too large for a parser: {json}"
        );
        return;
    };
    assert!(!matches!(value, Value::Array(_) | Value::Object(_) | Value::Null));
    if coerce::in_quotes(provider, &field.kind) {
        assert_eq!(value.as_str(), Some(&*taken));
    }
    if !matches!(field.kind, Kind::Masked) {
        assert_eq!(likeness(provider, Some(&field.kind), &json, &json), EXACT);
    }
}

pub(crate) fn value(bytes: &[u8]) {
    let mut input = Input(bytes);
    let (which, zone) = (input.byte(), i64::from(input.byte()) * 5 - 600);
    let provider = Provider::ALL[usize::from(which / 128)];
    let field = Field { name: "f".to_owned(), kind: kind(which), barred: None, may_be_empty: true };
    let (a, b) = (input.text(), input.text());
    settles(provider, &field, (zone % 2 == 0).then_some(zone), &a);
    let (quoted_a, quoted_b) =
        (Value::from(a.as_str()).to_string(), Value::from(b.as_str()).to_string());
    let is_json = |text: &str| serde_json::from_str::<Value>(text).is_ok() && text.trim() == text;
    for (wanted, held) in [(&a, &b), (&quoted_a, &quoted_b), (&a, &quoted_b)] {
        if !is_json(wanted) || !is_json(held) {
            continue;
        }
        let found = likeness(provider, Some(&field.kind), wanted, held);
        let back = likeness(provider, Some(&field.kind), held, wanted);
        // Text and e-mail are trimmed on one side alone.
        let one_way = matches!(field.kind, Kind::Text { .. } | Kind::Email { .. } | Kind::Masked);
        assert!(one_way || found == back, "{wanted} and {held}: {found} and {back}");
        let unknown = likeness(provider, None, wanted, held);
        assert!(
            unknown <= found.max(1) || matches!(field.kind, Kind::Masked),
            "what is one value to a field of any kind is one"
        );
        assert!(
            found < SAME
                || likeness(provider, Some(&field.kind), wanted, wanted) >= found
                || matches!(field.kind, Kind::Masked)
        );
    }
    for text in [&a, &b] {
        instant(text);
        offset(text);
        if is_json(text) {
            scalar(text);
            items(text);
        }
        if let Some(plain) = without_exponent(text) {
            assert!(is_plain_decimal(&plain), "{text} is {plain}");
            // What is too small for this type is zero to it, with or without a sign.
            let read = |text: &str| {
                text.parse::<f64>().ok().map(|n| if n == 0.0 { 0.0 } else { n }).map(f64::to_bits)
            };
            assert_eq!(read(&plain), read(text));
        }
        match record_id(provider, text) {
            Ok(id) => assert!(
                id.starts_with(text.as_str())
                    && id.bytes().all(|byte| byte.is_ascii_alphanumeric())
            ),
            Err(why) => assert!(!why.chars().any(char::is_control) && why.len() < 1_000),
        }
    }
}

pub(crate) fn metadata(bytes: &[u8]) {
    let mut input = Input(bytes);
    let which = input.byte();
    let provider = Provider::ALL[usize::from(which % 2)];
    let (body, text) = (input.bytes(), input.text());
    let Some(metadata) = read(provider, body) else { return };
    let answer: Value = serde_json::from_slice(body).expect("metadata is JSON");
    let list = answer[if provider == Provider::HubSpot { "results" } else { "fields" }]
        .as_array()
        .expect("fields are a list");
    for name in metadata.names() {
        assert!(list.iter().any(|field| field["name"].as_str() == Some(name)));
        let field = metadata.field(provider, name).expect("a field has its name");
        settles(provider, field, None, &text);
        if let Kind::Choice(choice) = &field.kind {
            for option in choice.options.iter().take(8) {
                let taken = coerce::coerce(field, None, &option.value);
                // A value with a `;` in it cannot be told from several, and blanks are nothing.
                let plain = !(choice.multi && option.value.contains(';'))
                    && !option.value.trim().is_empty();
                assert!(
                    !plain || matches!(&taken, Ok(Some((value, _))) if *value == option.value),
                    "{:?} is {taken:?}",
                    option.value
                );
            }
        }
    }
}
