//! JSON, read slowly: the whole text becomes a tree, and a key that occurs twice in one object is refused.

use std::collections::BTreeSet;
use std::iter::Peekable;
use std::str::Chars;

/// How many arrays and objects may lie in one another.
const DEPTH_MAX: usize = 127;

#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    Text(String),
    Array(Vec<Json>),
    /// In the order of the text; no key twice.
    Object(Vec<(String, Json)>),
}

impl Json {
    pub fn field(&self, name: &str) -> Option<&Json> {
        let Json::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// A whole number from 0 to 2^64 - 1, written with digits alone.
    pub fn whole_number(&self) -> Option<u64> {
        match self {
            Json::Number(text) if text.bytes().all(|byte| byte.is_ascii_digit()) => text.parse().ok(),
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match self {
            Json::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Reads one value and nothing behind it but white space.
    pub fn read(bytes: &[u8]) -> Result<Json, String> {
        let text = std::str::from_utf8(bytes).map_err(|err| err.to_string())?;
        let mut reader = Reader { rest: text.chars().peekable() };
        let value = reader.value(0)?;
        reader.white_space();
        match reader.rest.next() {
            None => Ok(value),
            Some(other) => Err(format!("`{other}` behind the value")),
        }
    }
}

struct Reader<'a> {
    rest: Peekable<Chars<'a>>,
}

impl Reader<'_> {
    fn white_space(&mut self) {
        while self.rest.next_if(|next| matches!(next, ' ' | '\t' | '\r' | '\n')).is_some() {}
    }

    fn expect(&mut self, wanted: char) -> Result<(), String> {
        match self.rest.next() {
            Some(found) if found == wanted => Ok(()),
            found => Err(format!("{found:?} where `{wanted}` belongs")),
        }
    }

    fn value(&mut self, depth: usize) -> Result<Json, String> {
        self.white_space();
        match self.rest.peek() {
            Some('{') => self.object(depth + 1),
            Some('[') => self.array(depth + 1),
            Some('"') => self.string().map(Json::Text),
            Some('-' | '0'..='9') => self.number(),
            Some('n') => self.word("null", Json::Null),
            Some('t') => self.word("true", Json::Bool(true)),
            Some('f') => self.word("false", Json::Bool(false)),
            other => Err(format!("{other:?} begins no value")),
        }
    }

    fn word(&mut self, word: &str, value: Json) -> Result<Json, String> {
        word.chars().try_for_each(|wanted| self.expect(wanted))?;
        Ok(value)
    }

    fn object(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err("too deep".into());
        }
        self.expect('{')?;
        let (mut fields, mut keys) = (Vec::new(), BTreeSet::new());
        self.white_space();
        if self.rest.next_if_eq(&'}').is_some() {
            return Ok(Json::Object(fields));
        }
        loop {
            self.white_space();
            let key = self.string()?;
            if !keys.insert(key.clone()) {
                return Err(format!("key `{key}` occurs twice"));
            }
            self.white_space();
            self.expect(':')?;
            let value = self.value(depth)?;
            fields.push((key, value));
            self.white_space();
            if self.rest.next_if_eq(&',').is_none() {
                self.expect('}')?;
                return Ok(Json::Object(fields));
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, String> {
        if depth > DEPTH_MAX {
            return Err("too deep".into());
        }
        self.expect('[')?;
        let mut items = Vec::new();
        self.white_space();
        if self.rest.next_if_eq(&']').is_some() {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.white_space();
            if self.rest.next_if_eq(&',').is_none() {
                self.expect(']')?;
                return Ok(Json::Array(items));
            }
        }
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect('"')?;
        let mut text = String::new();
        loop {
            match self.rest.next() {
                None => return Err("a string without an end".into()),
                Some('"') => return Ok(text),
                Some('\\') => text.push(self.escape()?),
                Some(control) if control < ' ' => return Err("a control character in a string".into()),
                Some(other) => text.push(other),
            }
        }
    }

    fn escape(&mut self) -> Result<char, String> {
        Ok(match self.rest.next() {
            Some(same @ ('"' | '\\' | '/')) => same,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                let mut units = vec![self.four_digits()?];
                if matches!(units[0], 0xd800..=0xdbff) {
                    self.expect('\\')?;
                    self.expect('u')?;
                    units.push(self.four_digits()?);
                }
                String::from_utf16(&units)
                    .ok()
                    .and_then(|text| text.chars().next())
                    .ok_or("half a surrogate")?
            }
            other => return Err(format!("{other:?} is no escape")),
        })
    }

    fn four_digits(&mut self) -> Result<u16, String> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.rest.next().and_then(|digit| digit.to_digit(16)).ok_or("not four digits")?;
            unit = unit * 16 + digit as u16;
        }
        Ok(unit)
    }

    fn number(&mut self) -> Result<Json, String> {
        let mut text = String::new();
        text.extend(self.rest.next_if_eq(&'-'));
        match self.rest.next() {
            Some('0') => text.push('0'),
            Some(digit @ '1'..='9') => {
                text.push(digit);
                self.digits(&mut text);
            }
            other => return Err(format!("{other:?} is no digit")),
        }
        if let Some(point) = self.rest.next_if_eq(&'.') {
            text.push(point);
            self.some_digits(&mut text)?;
        }
        if let Some(e) = self.rest.next_if(|next| matches!(next, 'e' | 'E')) {
            text.push(e);
            text.extend(self.rest.next_if(|next| matches!(next, '+' | '-')));
            self.some_digits(&mut text)?;
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(Json::Number(text)),
            _ => Err(format!("{text} is out of range")),
        }
    }

    fn digits(&mut self, text: &mut String) {
        while let Some(digit) = self.rest.next_if(char::is_ascii_digit) {
            text.push(digit);
        }
    }

    fn some_digits(&mut self, text: &mut String) -> Result<(), String> {
        let before = text.len();
        self.digits(text);
        if text.len() > before { Ok(()) } else { Err("no digit".into()) }
    }
}
