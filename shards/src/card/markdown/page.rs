//! Writes Markdown that says what it was given and nothing else: whatever comes from the data is escaped.

/// What a reader finds where a fact is missing.
pub(super) const NOT_KNOWN: &str = "not known";

/// A page in the making.
#[derive(Debug, Default)]
pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn heading(&mut self, level: usize, title: &str) {
        if !self.text.is_empty() {
            self.text.push('\n');
        }
        self.text.push_str(&format!("{} {title}\n", "#".repeat(level)));
    }

    /// A paragraph of Markdown.
    pub(super) fn paragraph(&mut self, markdown: &str) {
        self.text.push_str(&format!("\n{markdown}\n"));
    }

    /// What a person wrote, paragraph by paragraph; or the line that asks for it.
    pub(super) fn note(&mut self, note: Option<&String>, wanted: &str) {
        match note.filter(|note| !note.trim().is_empty()) {
            Some(note) => note
                .replace("\r\n", "\n")
                .split("\n\n")
                .filter(|part| !part.trim().is_empty())
                .for_each(|part| self.paragraph(&escape(part))),
            None => self.paragraph(&format!("*To be written by a person: {wanted}.*")),
        }
    }

    /// A list of Markdown lines; "not known" when there is none.
    pub(super) fn list(&mut self, items: &[String]) {
        if items.is_empty() {
            return self.paragraph(&format!("{}.", capital(NOT_KNOWN)));
        }
        self.text.push('\n');
        for item in items {
            self.text.push_str(&format!("- {item}\n"));
        }
    }

    /// A table of Markdown cells. Columns of numbers stand to the right.
    pub(super) fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: Vec<&str>| format!("| {} |\n", cells.join(" | "));
        let number = |cell: &String| cell.is_empty() || cell == NOT_KNOWN || cell.starts_with(|c: char| c.is_ascii_digit() || c == '-');
        let side = |at: usize| if at > 0 && rows.iter().filter_map(|row| row.get(at)).all(number) { "---:" } else { "---" };
        self.text.push('\n');
        self.text.push_str(&line(head.to_vec()));
        self.text.push_str(&line((0..head.len()).map(side).collect()));
        for row in rows {
            self.text.push_str(&line(row.iter().map(String::as_str).collect()));
        }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

/// Text on one line without what would hide or reorder other text: control characters, line and paragraph separators,
/// bidirectional overrides, zero-width characters.
fn one_line(text: &str) -> String {
    let hidden =
        |c: char| c.is_control() || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}');
    text.split(|c: char| c.is_whitespace() || hidden(c)).filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

/// Text as Markdown that shows it, in a paragraph, a list or a cell of a table.
pub(super) fn escape(text: &str) -> String {
    let line = one_line(text);
    let mut out = String::with_capacity(line.len() + line.len() / 8);
    // A number with a point and a space behind it begins a list at the start of a line, and only there.
    let digits = line.bytes().take_while(u8::is_ascii_digit).count();
    let marks_list = digits > 0 && matches!(line.get(digits + 1..digits + 2), None | Some(" "));
    for (at, c) in line.char_indices() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '~' | '$' => out.extend(['\\', c]),
            '#' | '+' | '-' | '=' | '!' if at == 0 => out.extend(['\\', c]),
            '.' | ')' if marks_list && at == digits => out.extend(['\\', c]),
            '@' => out.push_str("&#64;"),
            // Readers make links of what begins like a url; a text from the web shall not become one.
            ':' if line[at + 1..].starts_with("//") => out.push_str("&#58;"),
            _ => out.push(c),
        }
    }
    out
}

/// A name from the data or the program as code, safe in a cell of a table too.
pub(super) fn code(text: &str) -> String {
    let line = one_line(text);
    if line.is_empty() {
        return "(none)".to_owned();
    }
    // Inside a table a pipe ends the cell even in code, and outside of one its escape would show: such a name is text. So is
    // what could be taken for HTML by a reader that looks for it before it looks for code.
    if line.contains(['|', '<']) {
        return escape(&line);
    }
    let mut longest = 0;
    let mut run = 0;
    for c in line.chars() {
        run = if c == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let pad = if line.starts_with('`') || line.ends_with('`') { " " } else { "" };
    format!("{fence}{pad}{line}{pad}{fence}")
}

/// A url that was checked, as a link.
pub(super) fn link(url: &str) -> String {
    let plain: String = url
        .chars()
        .map(|c| if matches!(c, '<' | '>' | '|' | '\\' | '`' | '"') { format!("%{:02X}", c as u32) } else { c.to_string() })
        .collect();
    format!("<{plain}>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(escape("a|b\nc\r\n<script>&*_`[x](y)"), "a\\|b c &lt;script&gt;&amp;\\*\\_\\`\\[x\\](y)");
        assert_eq!(escape("# h"), "\\# h");
        assert_eq!(escape("1. one 1. two"), "1\\. one 1. two");
        assert_eq!(["4.keep", "1.2.0", "7", "7."].map(escape), ["4.keep", "1.2.0", "7", "7\\."]);
        assert_eq!(escape("see http://x@y"), "see http&#58;//x&#64;y");
        assert_eq!(escape("a\u{202E}b\u{200B}c\0d"), "a b c d");
        assert_eq!(escape("--- | ---"), "\\--- \\| ---");
    }

    #[test]
    fn code_holds_backticks_and_gives_way_to_pipes() {
        assert_eq!(code("a``b"), "```a``b```");
        assert_eq!(code("`a"), "`` `a ``");
        assert_eq!(["a|b", "a <b>"].map(code), ["a\\|b", "a &lt;b&gt;"]);
        assert_eq!(code(" \n"), "(none)");
    }
}
