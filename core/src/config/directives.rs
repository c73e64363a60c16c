//! The `#@…` directives of the ini dialect, applied to the text before its lines are read
//! (spec 06 §1.4).

use super::ConfigError;
use super::Ini;
use super::ini::Source;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Lines that all `#@for` of a file may make; an empty body counts as one. Fuzzing would spend its
/// time on nothing but repeating lines.
const LINES_MAX: usize = if cfg!(fuzzing) { 256 } else { 65536 };
/// Bytes that all `#@for` of a file may make.
const REPEATED_LEN_MAX: usize = 64 * LINES_MAX;
/// Longest text with variables replaced: `#@set A=%{A}%{A}` doubles with each line.
const REPLACED_LEN_MAX: usize = 4096;
/// Items in the list of an `#@if`.
const IF_ITEMS_MAX: usize = 32;

/// A line and where it stood.
#[derive(Debug, Clone)]
pub(super) struct Line {
    pub(super) number: usize,
    pub(super) text: String,
}

/// Applies all directives of one file.
pub(super) fn expand(
    file: &str,
    text: &str,
    variables: &mut BTreeMap<String, String>,
    source: &dyn Source,
    ini: &Ini,
) -> Result<Vec<Line>, ConfigError> {
    let lines = text.split('\n').enumerate();
    let lines: Vec<Line> =
        lines.map(|(at, text)| Line { number: at + 1, text: text.to_owned() }).collect();
    if !text.contains("#@") {
        return Ok(lines);
    }
    let mut expander = Expander { file, variables, source, ini };
    let lines = expander.conditions(lines)?;
    let lines = expander.repetitions(lines)?;
    expander.functions(lines)
}

struct Expander<'e> {
    file: &'e str,
    variables: &'e mut BTreeMap<String, String>,
    source: &'e dyn Source,
    ini: &'e Ini,
}

/// The rest of the line behind a directive word.
fn directive<'l>(line: &'l Line, word: &str) -> Option<&'l str> {
    let rest = line.text.trim().strip_prefix("#@")?.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| rest.trim())
}

impl Expander<'_> {
    fn warn(&mut self, line: &Line, message: &str) {
        self.ini.warn(format!("{}: {message}", self.place(line)));
    }

    fn place(&self, line: &Line) -> String {
        format!("{}:{}", self.file, line.number)
    }

    /// `#@set` and `#@if … #@else … #@endif`, in file order.
    fn conditions(&mut self, lines: Vec<Line>) -> Result<Vec<Line>, ConfigError> {
        let mut kept = Vec::new();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let Some(condition) = directive(&line, "if") else {
                self.keep(line, &mut kept)?;
                continue;
            };
            let holds = self.condition(&line, condition);
            let mut branches = [Vec::new(), Vec::new()];
            let (mut branch, mut ended) = (0, false);
            for inner in lines.by_ref() {
                if directive(&inner, "endif") == Some("") {
                    ended = true;
                    break;
                } else if directive(&inner, "else") == Some("") {
                    branch = 1;
                } else if let Some(branch) = branches.get_mut(branch) {
                    branch.push(inner);
                }
            }
            let [mut then, otherwise] = branches;
            if !ended {
                self.warn(&line, "#@if without #@endif, text kept");
                then.extend(otherwise);
            } else if !holds {
                then = otherwise;
            }
            for inner in then {
                self.keep(inner, &mut kept)?;
            }
        }
        Ok(kept)
    }

    /// A line that is not part of a condition's own.
    fn keep(&mut self, line: Line, kept: &mut Vec<Line>) -> Result<(), ConfigError> {
        if let Some(rest) = directive(&line, "set") {
            self.set(&line, rest);
        } else if directive(&line, "add_annotation").is_some() {
            let error = ConfigError::invalid("#@add_annotation is not supported");
            return Err(error.at(&self.place(&line)));
        } else {
            kept.push(line);
        }
        Ok(())
    }

    fn set(&mut self, line: &Line, rest: &str) {
        let Some((name, value)) = rest.split_once('=') else {
            return self.warn(line, "#@set without =");
        };
        let mut value = self.replace_variables(line, value.trim());
        if value.starts_with("$(") && value.ends_with(')') {
            self.warn(line, "commands are not run, the value stays empty");
            value.clear();
        }
        self.variables.insert(name.trim().to_owned(), value);
    }

    fn condition(&mut self, line: &Line, condition: &str) -> bool {
        let parsed = condition.strip_prefix("%{").and_then(|rest| {
            let (name, rest) = rest.split_once('}')?;
            let list = rest.trim().strip_prefix("in")?.trim();
            Some((name.trim(), list.strip_prefix('[')?.strip_suffix(']')?))
        });
        let Some((name, list)) = parsed else {
            self.warn(line, "malformed #@if condition, taken as false");
            return false;
        };
        let items: Vec<&str> = list.split(',').map(str::trim).take(IF_ITEMS_MAX).collect();
        match name {
            "LOCAL_IP" => {
                let ips = self.source.local_ips();
                items.iter().any(|item| ips.iter().any(|ip| self.ip_matches(line, *ip, item)))
            }
            "LOCAL_HOST" => items.contains(&self.source.host_name().as_str()),
            _ => self.variables.get(name).is_some_and(|value| items.contains(&value.as_str())),
        }
    }

    fn ip_matches(&mut self, line: &Line, ip: IpAddr, item: &str) -> bool {
        let Some((base, bits)) = item.split_once('/') else { return ip.to_string() == item };
        match (base.parse::<Ipv4Addr>(), bits.parse::<u32>(), ip) {
            (Ok(base), Ok(bits @ 8..=30), IpAddr::V4(ip)) => {
                let mask = u32::MAX << (32 - bits);
                u32::from(base) & mask == u32::from(ip) & mask
            }
            (Ok(_), Ok(8..=30), _) => false,
            _ => {
                self.warn(line, "network must be a.b.c.d/8 to /30, not matched");
                false
            }
        }
    }

    /// `#@for … #@endfor`.
    fn repetitions(&mut self, lines: Vec<Line>) -> Result<Vec<Line>, ConfigError> {
        let (mut made, mut made_len, mut repeated) = (Vec::new(), 0, 0_usize);
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let Some(rest) = directive(&line, "for") else {
                made.push(line);
                continue;
            };
            let (mut body, mut ended) = (Vec::new(), false);
            for inner in lines.by_ref() {
                ended = directive(&inner, "endfor") == Some("");
                if ended {
                    break;
                }
                body.push(inner);
            }
            let Some((name, values)) = for_range(rest).filter(|_| ended) else {
                self.warn(&line, "malformed #@for or no #@endfor, text kept once");
                made.extend(body);
                continue;
            };
            let too_long = || {
                ConfigError::invalid("#@for repeats too often or makes too much text")
                    .at(&self.place(&line))
            };
            // Both limits matter: an empty body may repeat for ever, a long one fills the memory.
            repeated += values.size_hint().0.saturating_mul(body.len().max(1)).min(LINES_MAX + 1);
            if repeated > LINES_MAX {
                return Err(too_long());
            }
            let tag = format!("{{${name}}}");
            for value in values {
                let value = value.to_string();
                for inner in &body {
                    let text = inner.text.replace(&tag, &value);
                    made_len += text.len();
                    if made_len > REPEATED_LEN_MAX {
                        return Err(too_long());
                    }
                    made.push(Line { number: inner.number, text });
                }
            }
        }
        Ok(made)
    }

    /// `#@function NAME` in front of `key = value`.
    fn functions(&mut self, lines: Vec<Line>) -> Result<Vec<Line>, ConfigError> {
        let mut made = Vec::new();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let Some(function) = directive(&line, "function") else {
                made.push(line);
                continue;
            };
            let Some(next) = lines.next() else { break };
            let Some((key, value)) = next.text.split_once('=') else {
                self.warn(&line, "#@function without key=value behind it");
                made.push(next);
                continue;
            };
            let values = match function {
                "LOCAL_IP_GET" => self.local_ips(value.trim()),
                "REPLACE_VARS" => vec![self.replace_variables(&next, value.trim())],
                _ => {
                    self.warn(&line, "unknown #@function, value taken as it is");
                    vec![value.trim().to_owned()]
                }
            };
            made.extend(values.into_iter().map(|value| Line {
                number: next.number,
                text: format!("{}={value}", key.trim()),
            }));
        }
        Ok(made)
    }

    fn local_ips(&self, value: &str) -> Vec<String> {
        let (kind, index) = match value.strip_suffix(']').and_then(|value| value.split_once('[')) {
            Some((kind, index)) => (kind, Some(index)),
            None => (value, None),
        };
        let private = kind.eq_ignore_ascii_case("inner") || kind.eq_ignore_ascii_case("private");
        let is_private = |ip: &IpAddr| matches!(ip, IpAddr::V4(ip) if ip.is_private());
        let ips = self.source.local_ips();
        let ips: Vec<String> =
            ips.iter().filter(|ip| is_private(ip) == private).map(IpAddr::to_string).collect();
        match index {
            None => ips,
            Some("-1") => vec![ips.last().cloned().unwrap_or_default()],
            Some(index) => {
                let ip = index.trim().parse().ok().and_then(|index: usize| ips.get(index));
                vec![ip.cloned().unwrap_or_default()]
            }
        }
    }

    fn replace_variables(&mut self, line: &Line, text: &str) -> String {
        let mut replaced = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once("%{") {
            replaced.push_str(before);
            if replaced.len() > REPLACED_LEN_MAX {
                break;
            }
            let Some((name, tail)) = after.split_once('}') else {
                replaced.push_str("%{");
                rest = after;
                break;
            };
            match self.variables.get(name) {
                Some(value) => replaced.push_str(value),
                None => {
                    replaced.push_str(&format!("%{{{name}}}"));
                    self.warn(line, "unknown variable kept as it is");
                }
            }
            rest = tail;
        }
        replaced.push_str(rest);
        if replaced.len() > REPLACED_LEN_MAX {
            self.warn(line, "text too long with its variables, cut");
            replaced.truncate(replaced.floor_char_boundary(REPLACED_LEN_MAX));
        }
        replaced
    }
}

/// `ID from A to B [step S]`.
fn for_range(rest: &str) -> Option<(&str, std::iter::StepBy<std::ops::RangeInclusive<u32>>)> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    let (name, from, to, step) = match words.as_slice() {
        [name, "from", from, "to", to] => (*name, from, to, 1),
        [name, "from", from, "to", to, "step", step] => (*name, from, to, step.parse().ok()?),
        _ => return None,
    };
    let (from, to) = (from.parse::<u32>().ok()?, to.parse::<u32>().ok()?);
    (step > 0 && from <= to).then(|| (name, (from..=to).step_by(step)))
}

#[cfg(test)]
mod tests {
    use crate::config::ini::tests::load;

    fn values(text: &str, key: &str) -> Vec<String> {
        let ini = load(&[("a.conf", text)]).unwrap();
        ini.all("", key).into_iter().map(|(value, _)| value.to_owned()).collect()
    }

    #[test]
    fn conditions_choose_by_address_host_and_variable() {
        let text = "#@set E = prod\n#@if %{LOCAL_IP} in [10.0.0.0/16, 9.9.9.9]\na=1\n#@else\na=2\n\
                    #@endif\n#@if %{LOCAL_HOST} in [web2]\nb=1\n#@else\nb=2\n#@endif\n\
                    #@if %{E} in [dev, prod]\nc=1\n#@endif\n#@if broken\nd=1\n#@endif\n";
        assert_eq!(values(text, "a"), ["1"]);
        assert_eq!(values(text, "b"), ["2"]);
        assert_eq!(values(text, "c"), ["1"]);
        assert!(values(text, "d").is_empty());
        assert!(values("#@if %{LOCAL_IP} in [10.0.1.7/31]\nk=1\n#@endif\n", "k").is_empty());
        assert_eq!(values("#@if %{X} in [1]\nk=1\n", "k"), ["1"], "kept without #@endif");
    }

    #[test]
    fn repetitions_and_functions_make_items() {
        let text = "#@for i from 0 to 4 step 2\nstore_path{$i}=/d{$i}/x\n#@endfor\n";
        assert_eq!(values(text, "store_path4"), ["/d4/x"]);
        assert!(values(text, "store_path1").is_empty());
        assert_eq!(values("#@function LOCAL_IP_GET\nip=inner\n", "ip"), ["10.0.1.7"]);
        assert_eq!(values("#@function LOCAL_IP_GET\nip=outer[-1]\n", "ip"), ["1.2.3.4"]);
        assert_eq!(values("#@function LOCAL_IP_GET\nip=inner[3]\n", "ip"), [""]);
        let text = "#@set A=x\n#@set B=%{A}y\n#@function REPLACE_VARS\nk=%{B}%{C}\nplain=%{A}\n";
        assert_eq!(values(text, "k"), ["xy%{C}"]);
        assert_eq!(values(text, "plain"), ["%{A}"], "plain values are not expanded");
        assert_eq!(values("#@set A=$(date)\n#@function REPLACE_VARS\nk=<%{A}>\n", "k"), ["<>"]);
    }

    #[test]
    fn runaway_repetitions_are_refused() {
        let text = "#@for i from 0 to 4000000000\nk={$i}\n#@endfor\n";
        assert!(load(&[("a.conf", text)]).is_err());
        assert!(load(&[("a.conf", "#@for i from 0 to 4000000000\n#@endfor\n")]).is_err());
        let long = format!("#@for i from 1 to 60000\nk={}\n#@endfor\n", "v".repeat(1000));
        assert!(load(&[("a.conf", &long)]).is_err());
        let many = "#@for i from 1 to 60000\n#@endfor\n".repeat(10);
        assert!(load(&[("a.conf", &many)]).is_err());
        let doubling = format!("#@set A=xxxxxxxx\n{}", "#@set A=%{A}%{A}\n".repeat(1000));
        assert!(load(&[("a.conf", &doubling)]).is_ok(), "variables have a longest length");
        assert!(load(&[("a.conf", "#@add_annotation X lib.so\n")]).is_err());
    }

    #[test]
    fn unfinished_blocks_keep_their_text_once() {
        assert_eq!(values("#@for i from 1 to 3\nk={$i}\n", "k"), ["{$i}"]);
        assert_eq!(values("#@for i from 3 to 1\nk=1\n#@endfor\n", "k"), ["1"]);
        assert_eq!(values("#@for i from 1 to 3 step 0\nk=1\n#@endfor\n", "k"), ["1"]);
        let text = "#@if %{X} in [1]\n#@set A=1\n#@function REPLACE_VARS\nk=%{A}\n";
        assert_eq!(values(text, "k"), ["1"]);
        let text = "#@if %{LOCAL_HOST} in [web1]\n#@add_annotation X l.so\n#@endif\n";
        assert!(load(&[("a.conf", text)]).is_err(), "also inside a condition");
        assert_eq!(values("#@function NONE\nk = v\n#@function LOCAL_IP_GET\nx\n", "k"), ["v"]);
    }

    #[test]
    fn variables_of_the_top_level_file_are_seen_in_included_ones() {
        let ini = load(&[
            ("a.conf", "#@set A=1\n#include b.conf\n#@set B=9\n"),
            ("b.conf", "#@set C=%{A}2\n#@function REPLACE_VARS\nk=%{C}\n"),
        ]);
        assert_eq!(ini.unwrap().global().get("k"), Some("12"));
    }
}
