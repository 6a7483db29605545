//! Templates: text in which placeholders stand for ids, confirmed values and names.

/// A piece of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Stands for itself; the configuration's values are put in.
    Literal(String),
    /// `${id}`: the id of a record.
    Id,
    /// `${fields}`: its confirmed values, as a JSON object.
    Fields,
    /// `${members}`: the same without the braces.
    Members,
    /// `${names}`: a JSON array of field names.
    Names,
    /// `${text}`: a JSON string.
    Text,
    /// `${job}`: the name of a job.
    Job,
}

/// Reads a template. `value` knows the configuration's values, which any other placeholder stands
/// for.
///
/// # Errors
/// A placeholder that does not end; whatever `value` fails with.
pub fn parse(
    text: &str,
    value: impl Fn(&str) -> Result<String, String>,
) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${") {
        literal.push_str(before);
        let (key, after) = after
            .split_once('}')
            .ok_or_else(|| format!("`{text}` has a placeholder that does not end"))?;
        let piece = match key {
            "id" => Some(Piece::Id),
            "fields" => Some(Piece::Fields),
            "members" => Some(Piece::Members),
            "names" => Some(Piece::Names),
            "text" => Some(Piece::Text),
            "job" => Some(Piece::Job),
            key => {
                literal.push_str(&value(key)?);
                None
            }
        };
        if let Some(piece) = piece {
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(piece);
        }
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// The members of an object's text: it without its braces.
pub fn members(object: &str) -> &str {
    object.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_pieces_and_the_configuration_is_literal() {
        let value = |key: &str| {
            if key == "object" { Ok("Lead".to_owned()) } else { Err(format!("no `{key}`")) }
        };
        let literal = |text: &str| Piece::Literal(text.to_owned());
        assert_eq!(parse("/x/${object}/${id}", value), Ok(vec![literal("/x/Lead/"), Piece::Id]));
        assert_eq!(
            parse(r#"{"id":"${id}",${members}}"#, value),
            Ok(vec![
                literal(r#"{"id":""#),
                Piece::Id,
                literal("\","),
                Piece::Members,
                literal("}")
            ])
        );
        assert_eq!(
            parse("${fields}${names}${text}${job}", value),
            Ok(vec![Piece::Fields, Piece::Names, Piece::Text, Piece::Job])
        );
        assert_eq!(parse("", value), Ok(vec![]));
        assert_eq!(parse("${other}", value), Err("no `other`".to_owned()));
        assert!(parse("/x/${id", value).is_err());
    }
}
