//! A small SOQL: what it says, not yet what it finds.
//!
//! SOQL and SOSL Reference: `SELECT` fields or `COUNT()`, `FROM` one object, `WHERE` with
//! comparisons, `LIKE`, `IN`, `NOT`, `AND`, `OR` and brackets, `ORDER BY`, `LIMIT`, `OFFSET`.
//! Whatever else the reference has (relationships, functions, groups, subqueries, `INCLUDES`, date
//! literals such as `TODAY`) is refused, as is what the reference refuses.

/// A query.
#[derive(Debug)]
pub(super) struct Query {
    /// Names and where they stand; none for `COUNT()`.
    pub(super) fields: Vec<Word>,
    pub(super) object: Word,
    pub(super) condition: Option<Condition>,
    pub(super) order: Vec<Order>,
    pub(super) limit: Option<usize>,
    pub(super) offset: usize,
}

/// A word, and the column where it begins, counted from 1.
#[derive(Clone, Debug)]
pub(super) struct Word {
    pub(super) text: String,
    pub(super) column: usize,
}

#[derive(Debug)]
pub(super) struct Order {
    pub(super) field: Word,
    pub(super) descending: bool,
    pub(super) nulls_last: bool,
}

#[derive(Debug)]
pub(super) enum Condition {
    All(Vec<Condition>),
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Comparison { field: Word, operator: Operator, values: Vec<Literal> },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Like,
    In,
    NotIn,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Literal {
    /// As it was quoted; a backslash that was before `_` or `%` is still there, for `LIKE`.
    Text(String),
    Number(f64),
    Bool(bool),
    /// `2026-10-02`.
    Date(jiff::civil::Date),
    /// `2026-10-02T08:15:30Z`, in milliseconds.
    Time(i64),
    Null,
}

/// What is wrong, and where.
#[derive(Debug)]
pub(super) struct Unexpected {
    pub(super) message: String,
    pub(super) column: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Name,
    Text,
    /// A number, a date or a time.
    Plain,
    Sign,
    End,
}

#[derive(Clone, Debug)]
struct Token {
    kind: Kind,
    word: Word,
}

pub(super) fn parse(query: &str) -> Result<Query, Unexpected> {
    let mut parser = Parser { tokens: tokens(query)?, at: 0 };
    let parsed = parser.query()?;
    match parser.peek().kind {
        Kind::End => Ok(parsed),
        _ => Err(parser.unexpected()),
    }
}

fn tokens(query: &str) -> Result<Vec<Token>, Unexpected> {
    let mut tokens = Vec::new();
    let characters: Vec<char> = query.chars().collect();
    let mut at = 0;
    while at < characters.len() {
        let start = at;
        let more = |mut at: usize, wanted: fn(char) -> bool| {
            while characters.get(at).is_some_and(|character| wanted(*character)) {
                at += 1;
            }
            at
        };
        let (kind, text) = match characters[at] {
            blank if blank.is_whitespace() => {
                at += 1;
                continue;
            }
            '\'' => {
                let (text, end) = quoted(&characters, at)?;
                at = end;
                (Kind::Text, text)
            }
            first if first.is_ascii_alphabetic() => {
                at = more(at, |character| {
                    character.is_ascii_alphanumeric() || matches!(character, '_' | '.')
                });
                (Kind::Name, characters[start..at].iter().collect())
            }
            first if first.is_ascii_digit() || first == '-' => {
                at = more(at + 1, |character| {
                    character.is_ascii_alphanumeric() || matches!(character, '.' | ':' | '+' | '-')
                });
                (Kind::Plain, characters[start..at].iter().collect())
            }
            first => {
                let two: String = characters[at..].iter().take(2).collect();
                let sign = if matches!(two.as_str(), "!=" | "<=" | ">=" | "<>") {
                    two
                } else {
                    first.to_string()
                };
                at += sign.len();
                (Kind::Sign, sign)
            }
        };
        tokens.push(Token { kind, word: Word { text, column: start + 1 } });
    }
    tokens.push(Token {
        kind: Kind::End,
        word: Word { text: "<EOF>".to_owned(), column: characters.len() + 1 },
    });
    Ok(tokens)
}

/// The text of a literal from its opening quote on, and where it ends.
fn quoted(characters: &[char], start: usize) -> Result<(String, usize), Unexpected> {
    let mut text = String::new();
    let mut at = start + 1;
    while let Some(character) = characters.get(at) {
        match (character, characters.get(at + 1)) {
            ('\'', _) => return Ok((text, at + 1)),
            ('\\', Some('n')) => text.push('\n'),
            ('\\', Some('r')) => text.push('\r'),
            ('\\', Some('t')) => text.push('\t'),
            ('\\', Some(escaped @ ('\'' | '"' | '\\'))) => text.push(*escaped),
            ('\\', Some(wildcard @ ('_' | '%'))) => text.extend(['\\', *wildcard]),
            ('\\', _) => {
                return Err(Unexpected {
                    message: "Illegal escape sequence in a string".to_owned(),
                    column: at + 1,
                });
            }
            (other, _) => {
                text.push(*other);
                at += 1;
                continue;
            }
        }
        at += 2;
    }
    Err(Unexpected { message: "unexpected token: '''".to_owned(), column: start + 1 })
}

/// Words that cannot be names.
const RESERVED: [&str; 13] = [
    "SELECT", "FROM", "WHERE", "AND", "OR", "NOT", "LIKE", "IN", "ORDER", "LIMIT", "OFFSET",
    "GROUP", "NULL",
];

struct Parser {
    tokens: Vec<Token>,
    at: usize,
}

impl Parser {
    fn peek(&self) -> &Token {
        &self.tokens[self.at.min(self.tokens.len() - 1)]
    }

    fn next(&mut self) -> Token {
        let token = self.peek().clone();
        self.at += 1;
        token
    }

    fn unexpected(&self) -> Unexpected {
        let Word { text, column } = &self.peek().word;
        Unexpected { message: format!("unexpected token: '{text}'"), column: *column }
    }

    /// Whether this keyword or sign comes next; it is taken then.
    fn takes(&mut self, text: &str) -> bool {
        let token = self.peek();
        let found = matches!(token.kind, Kind::Name | Kind::Sign)
            && token.word.text.eq_ignore_ascii_case(text);
        self.at += usize::from(found);
        found
    }

    fn expect(&mut self, text: &str) -> Result<(), Unexpected> {
        if self.takes(text) { Ok(()) } else { Err(self.unexpected()) }
    }

    fn name(&mut self) -> Result<Word, Unexpected> {
        let token = self.peek();
        if token.kind != Kind::Name
            || RESERVED.iter().any(|word| token.word.text.eq_ignore_ascii_case(word))
        {
            return Err(self.unexpected());
        }
        Ok(self.next().word)
    }

    fn count(&mut self) -> Result<usize, Unexpected> {
        let count = self.peek().word.text.parse().map_err(|_| self.unexpected())?;
        self.at += 1;
        Ok(count)
    }

    fn query(&mut self) -> Result<Query, Unexpected> {
        self.expect("SELECT")?;
        let mut fields = Vec::new();
        let first = self.name()?;
        if first.text.eq_ignore_ascii_case("COUNT") && self.takes("(") {
            self.expect(")")?;
        } else {
            fields.push(first);
            while self.takes(",") {
                fields.push(self.name()?);
            }
        }
        self.expect("FROM")?;
        let object = self.name()?;
        let condition = if self.takes("WHERE") { Some(self.condition()?) } else { None };
        let mut order = Vec::new();
        if self.takes("ORDER") {
            self.expect("BY")?;
            order.push(self.order()?);
            while self.takes(",") {
                order.push(self.order()?);
            }
        }
        let limit = if self.takes("LIMIT") { Some(self.count()?) } else { None };
        let offset = if self.takes("OFFSET") { self.count()? } else { 0 };
        Ok(Query { fields, object, condition, order, limit, offset })
    }

    /// Nulls come first, unless asked for otherwise.
    fn order(&mut self) -> Result<Order, Unexpected> {
        let field = self.name()?;
        let descending = self.takes("DESC");
        if !descending {
            self.takes("ASC");
        }
        let mut nulls_last = false;
        if self.takes("NULLS") {
            nulls_last = self.takes("LAST");
            if !nulls_last {
                self.expect("FIRST")?;
            }
        }
        Ok(Order { field, descending, nulls_last })
    }

    /// `AND` and `OR` side by side need brackets.
    fn condition(&mut self) -> Result<Condition, Unexpected> {
        let mut conditions = vec![self.term()?];
        let any = if self.takes("AND") {
            "AND"
        } else if self.takes("OR") {
            "OR"
        } else {
            return conditions.pop().ok_or_else(|| self.unexpected());
        };
        conditions.push(self.term()?);
        while self.takes(any) {
            conditions.push(self.term()?);
        }
        Ok(if any == "AND" { Condition::All(conditions) } else { Condition::Any(conditions) })
    }

    fn term(&mut self) -> Result<Condition, Unexpected> {
        if self.takes("NOT") {
            return Ok(Condition::Not(Box::new(self.term()?)));
        }
        if self.takes("(") {
            let inner = self.condition()?;
            self.expect(")")?;
            return Ok(inner);
        }
        let field = self.name()?;
        let operator = self.operator()?;
        let mut values = Vec::new();
        if matches!(operator, Operator::In | Operator::NotIn) {
            self.expect("(")?;
            values.push(self.literal()?);
            while self.takes(",") {
                values.push(self.literal()?);
            }
            self.expect(")")?;
        } else {
            values.push(self.literal()?);
        }
        Ok(Condition::Comparison { field, operator, values })
    }

    fn operator(&mut self) -> Result<Operator, Unexpected> {
        let known = [
            ("=", Operator::Equal),
            ("!=", Operator::NotEqual),
            ("<>", Operator::NotEqual),
            ("<", Operator::Less),
            ("<=", Operator::LessOrEqual),
            (">", Operator::Greater),
            (">=", Operator::GreaterOrEqual),
            ("LIKE", Operator::Like),
            ("IN", Operator::In),
        ];
        if let Some((_, operator)) = known.into_iter().find(|(text, _)| self.takes(text)) {
            return Ok(operator);
        }
        self.expect("NOT")?;
        self.expect("IN")?;
        Ok(Operator::NotIn)
    }

    fn literal(&mut self) -> Result<Literal, Unexpected> {
        let token = self.peek();
        let text = token.word.text.as_str();
        let literal = match token.kind {
            Kind::Text => Some(Literal::Text(text.to_owned())),
            Kind::Name if text.eq_ignore_ascii_case("null") => Some(Literal::Null),
            Kind::Name => text.to_ascii_lowercase().parse().ok().map(Literal::Bool),
            Kind::Plain => plain(text),
            Kind::Sign | Kind::End => None,
        };
        let literal = literal.ok_or_else(|| self.unexpected())?;
        self.at += 1;
        Ok(literal)
    }
}

fn plain(text: &str) -> Option<Literal> {
    if let Ok(number) = text.parse::<f64>() {
        return Some(Literal::Number(number));
    }
    if text.len() == 10 {
        return text.parse().ok().map(Literal::Date);
    }
    // A time has a zone: `Z`, `+00:00` or `+0000`.
    text.contains('T')
        .then(|| text.parse::<jiff::Timestamp>().ok())?
        .map(|time| Literal::Time(time.as_millisecond()))
}
