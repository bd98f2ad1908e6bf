//! SQL as `pg_dump` writes it, split into statements and sorted by when they may run. Pure.

/// The statements of a text, without comments before them, each with its semicolon.
pub(crate) fn split(sql: &str) -> Vec<&str> {
    let mut statements = Vec::new();
    let mut scan = Scan::of(sql);
    let mut begin = None;
    while !scan.rest.is_empty() {
        let at = sql.len() - scan.rest.len();
        match scan.step() {
            Piece::Nothing => {}
            Piece::Something => {
                begin.get_or_insert(at);
            }
            Piece::End => {
                let end = sql.len() - scan.rest.len();
                statements.extend(begin.take().and_then(|begin| sql.get(begin..end)));
                scan = Scan::of(scan.rest);
            }
        }
    }
    statements.extend(begin.and_then(|begin| sql.get(begin..)).map(str::trim_end));
    statements
}

/// The words, quoted pieces and signs of a statement, in order, each with where it begins.
pub(crate) fn tokens(statement: &str) -> Vec<(usize, &str)> {
    let mut tokens: Vec<(usize, &str)> = Vec::new();
    let mut scan = Scan::of(statement);
    while !scan.rest.is_empty() {
        let at = statement.len() - scan.rest.len();
        if matches!(scan.step(), Piece::Nothing) {
            continue;
        }
        let end = statement.len() - scan.rest.len();
        // A doubled mark goes on with the piece before.
        let begin = match tokens.last() {
            Some((before, token))
                if before + token.len() == at
                    && token.starts_with(['"', '\''])
                    && statement[at..].starts_with(&token[..1]) =>
            {
                tokens.pop().map_or(at, |(before, _)| before)
            }
            _ => at,
        };
        tokens.extend(statement.get(begin..end).map(|token| (begin, token)));
    }
    tokens
}

enum Piece {
    /// White space or a comment.
    Nothing,
    Something,
    /// The semicolon that ends a statement.
    End,
}

/// Where we are in a statement.
struct Scan<'a> {
    rest: &'a str,
    /// Open parentheses.
    depth: usize,
    /// What has been said so far makes `CREATE FUNCTION` or `PROCEDURE`, or may.
    opening: Opening,
    /// Open `BEGIN` and `CASE` of such a body.
    blocks: usize,
}

/// How a statement begins. Tables and columns may be called as words of routines are, without
/// quotes: `ALTER TABLE public.procedure`, `CREATE TABLE t (begin date)`.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Opening {
    /// Nothing was said.
    Nothing,
    /// `CREATE`, with `OR REPLACE` or without.
    Create,
    /// A routine, whose body may be `BEGIN ATOMIC … END`.
    Routine,
    /// Something else.
    Other,
}

impl<'a> Scan<'a> {
    fn of(rest: &'a str) -> Self {
        Self { rest, depth: 0, opening: Opening::Nothing, blocks: 0 }
    }

    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        self.rest = rest;
        taken
    }

    fn step(&mut self) -> Piece {
        let rest = self.rest;
        if rest.starts_with("--") {
            self.take(rest.find('\n').map_or(rest.len(), |at| at + 1));
            return Piece::Nothing;
        }
        if rest.starts_with("/*") {
            self.take(comment_bytes(rest));
            return Piece::Nothing;
        }
        let Some(first) = rest.chars().next() else { return Piece::Nothing };
        match first {
            c if c.is_whitespace() => {
                self.take(c.len_utf8());
                return Piece::Nothing;
            }
            '\'' => self.take(quoted_bytes(rest, '\'', false)),
            '"' => self.take(quoted_bytes(rest, '"', false)),
            '$' => self.take(dollar_bytes(rest)),
            c if c.is_alphabetic() || c == '_' => self.word(),
            ';' => {
                self.take(1);
                let ends = self.depth == 0 && self.blocks == 0;
                return if ends { Piece::End } else { Piece::Something };
            }
            c => {
                match c {
                    '(' => self.depth += 1,
                    ')' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.take(c.len_utf8())
            }
        };
        Piece::Something
    }

    fn word(&mut self) -> &'a str {
        let is_inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let end = self.rest.find(|c| !is_inside(c)).unwrap_or(self.rest.len());
        if end == 1 && self.rest.starts_with(['e', 'E']) && self.rest[1..].starts_with('\'') {
            return self.take(1 + quoted_bytes(&self.rest[1..], '\'', true));
        }
        let word = self.take(end);
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        self.opening = match self.opening {
            Opening::Nothing if is("create") => Opening::Create,
            Opening::Create if is("or") || is("replace") => Opening::Create,
            Opening::Create if is("function") || is("procedure") => Opening::Routine,
            Opening::Routine => Opening::Routine,
            _ => Opening::Other,
        };
        if self.opening == Opening::Routine {
            // Parameters may be called so too.
            let begins = self.depth == 0 && is("begin") && self.says_atomic();
            if begins || (self.blocks > 0 && is("case")) {
                self.blocks += 1;
            } else if is("end") {
                self.blocks = self.blocks.saturating_sub(1);
            }
        }
        word
    }

    /// Whether the next word is `ATOMIC`.
    fn says_atomic(&self) -> bool {
        let next = self.rest.trim_start().get(.."atomic".len());
        next.is_some_and(|word| word.eq_ignore_ascii_case("atomic"))
    }
}

/// Bytes of a comment, which may hold others.
fn comment_bytes(text: &str) -> usize {
    let bytes = text.as_bytes();
    let (mut at, mut depth) = (0, 0_usize);
    while at < bytes.len() {
        match bytes.get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => {
                (at, depth) = (at + 2, depth.saturating_sub(1));
                if depth == 0 {
                    return at;
                }
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Bytes of a quoted piece. A doubled mark ends and begins, which comes to the same.
fn quoted_bytes(text: &str, mark: char, escapes: bool) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if is_escaped {
            is_escaped = false;
        } else if escapes && c == '\\' {
            is_escaped = true;
        } else if c == mark {
            return at + 1;
        }
    }
    text.len()
}

/// Bytes of `$tag$ … $tag$`, or of a dollar that is something else.
fn dollar_bytes(text: &str) -> usize {
    let Some(end) = text[1..].find('$') else { return 1 };
    let tag = &text[..end + 2];
    let inner = &tag[1..=end];
    let is_tag = inner.chars().all(|c| c.is_alphanumeric() || c == '_')
        && !inner.starts_with(|c: char| c.is_ascii_digit());
    if !is_tag {
        return 1;
    }
    text[tag.len()..].find(tag).map_or(text.len(), |at| at + 2 * tag.len())
}

/// The statements that come after the rows, by when they run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Phases<'a> {
    /// What each session is told first.
    pub(super) settings: Vec<&'a str>,
    /// Keys and other constraints that make an index, with their tables: one at a time a table.
    pub(super) keys: Vec<(&'a str, &'a str)>,
    /// Indexes, with their tables: any number at a time.
    pub(super) indexes: Vec<(&'a str, &'a str)>,
    /// Everything else, one after the other.
    pub(super) rest: Vec<&'a str>,
}

/// Sorts the text after the rows. Keys and indexes need nothing of what comes with them.
pub(super) fn phases(sql: &str) -> Phases<'_> {
    let mut phases = Phases::default();
    for statement in split(sql) {
        if is_setting(statement) {
            phases.settings.push(statement);
        } else if let Some(table) = table_of_key(statement) {
            phases.keys.push((table, statement));
        } else if let Some(table) = table_of_index(statement) {
            phases.indexes.push((table, statement));
        } else {
            phases.rest.push(statement);
        }
    }
    phases
}

/// `SET …` and its kin, which hold for the session.
pub(super) fn is_setting(statement: &str) -> bool {
    statement.starts_with("SET ") || statement.starts_with("SELECT pg_catalog.set_config(")
}

fn table_of_key(statement: &str) -> Option<&str> {
    let rest = statement.strip_prefix("ALTER TABLE ")?;
    let (table, rest) = name(rest.strip_prefix("ONLY ").unwrap_or(rest));
    let (_, kind) = name(rest.trim_start().strip_prefix("ADD CONSTRAINT ")?);
    let kind = kind.trim_start();
    ["PRIMARY KEY ", "UNIQUE ", "EXCLUDE "].iter().any(|k| kind.starts_with(k)).then_some(table)
}

fn table_of_index(statement: &str) -> Option<&str> {
    let rest = statement.strip_prefix("CREATE ")?;
    let rest = rest.strip_prefix("UNIQUE ").unwrap_or(rest).strip_prefix("INDEX ")?;
    let (_, rest) = name(rest);
    let rest = rest.strip_prefix(" ON ")?;
    Some(name(rest.strip_prefix("ONLY ").unwrap_or(rest)).0)
}

/// A name with its schema and quotes at the front of the text, and what follows.
fn name(text: &str) -> (&str, &str) {
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += match c {
            '"' => quoted_bytes(&text[at..], '"', false),
            c if c.is_whitespace() || c == '(' || c == ';' => break,
            c => c.len_utf8(),
        };
    }
    text.split_at(at)
}

/// Schema and name of a table, unquoted.
pub(super) fn table_name(text: &str) -> (String, String) {
    let (mut parts, mut at) = (vec![String::new()], 0);
    while let Some(c) = text[at..].chars().next() {
        let last = parts.len() - 1;
        if c == '"' {
            let end = at + quoted_bytes(&text[at..], '"', false);
            let is_doubled = at > 0 && text[..at].ends_with('"');
            parts[last].push_str(if is_doubled { "\"" } else { "" });
            let inner = &text[at + 1..end];
            parts[last].push_str(inner.strip_suffix('"').unwrap_or(inner));
            at = end;
        } else {
            if c == '.' {
                parts.push(String::new());
            } else {
                parts[last].push(c);
            }
            at += c.len_utf8();
        }
    }
    let name = parts.pop().unwrap_or_default();
    (parts.pop().unwrap_or_default(), name)
}

#[cfg(test)]
mod tests;
