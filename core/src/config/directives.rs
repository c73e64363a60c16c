//! The `#@…` directives of the ini dialect, applied to the text before its lines are read
//! (spec 06 §1.4).

use super::ConfigError;
use super::ini::Source;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Lines that `#@for` may make.
const LINES_MAX: usize = 65536;
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
    warnings: &mut Vec<String>,
) -> Result<Vec<Line>, ConfigError> {
    let lines = text.split('\n').enumerate();
    let lines: Vec<Line> =
        lines.map(|(at, text)| Line { number: at + 1, text: text.to_owned() }).collect();
    if !text.contains("#@") {
        return Ok(lines);
    }
    let mut expander = Expander { file, variables, source, warnings };
    let lines = expander.conditions(lines)?;
    let lines = expander.repetitions(lines)?;
    expander.functions(lines)
}

struct Expander<'e> {
    file: &'e str,
    variables: &'e mut BTreeMap<String, String>,
    source: &'e dyn Source,
    warnings: &'e mut Vec<String>,
}

/// The rest of the line behind a directive word.
fn directive<'l>(line: &'l Line, word: &str) -> Option<&'l str> {
    let rest = line.text.trim().strip_prefix("#@")?.strip_prefix(word)?;
    (rest.is_empty() || rest.starts_with([' ', '\t'])).then(|| rest.trim())
}

impl Expander<'_> {
    fn warn(&mut self, line: &Line, message: &str) {
        self.warnings.push(format!("{}:{}: {message}", self.file, line.number));
    }

    /// `#@set` and `#@if … #@else … #@endif`, in file order.
    fn conditions(&mut self, lines: Vec<Line>) -> Result<Vec<Line>, ConfigError> {
        let mut kept = Vec::new();
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            if let Some(rest) = directive(&line, "set") {
                self.set(&line, rest);
            } else if directive(&line, "add_annotation").is_some() {
                let place = format!("{}:{}", self.file, line.number);
                return Err(ConfigError::invalid("#@add_annotation is not supported").at(&place));
            } else if let Some(condition) = directive(&line, "if") {
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
                let [then, otherwise] = branches;
                if !ended {
                    self.warn(&line, "#@if without #@endif, text kept");
                    kept.extend(then.into_iter().chain(otherwise));
                    continue;
                }
                for inner in if holds { then } else { otherwise } {
                    match directive(&inner, "set") {
                        Some(rest) => self.set(&inner, rest),
                        None => kept.push(inner),
                    }
                }
            } else {
                kept.push(line);
            }
        }
        Ok(kept)
    }

    fn set(&mut self, line: &Line, rest: &str) {
        let Some((name, value)) = rest.split_once('=') else {
            return self.warn(line, "#@set without =");
        };
        let mut value = self.replace_variables(line, value.trim());
        if value.starts_with("$(") {
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
        let mut made = Vec::new();
        let mut lines = lines.into_iter();
        while let Some(line) = lines.next() {
            let Some(rest) = directive(&line, "for") else {
                made.push(line);
                continue;
            };
            let body: Vec<Line> =
                lines.by_ref().take_while(|line| directive(line, "endfor") != Some("")).collect();
            let Some((name, values)) = for_range(rest) else {
                self.warn(&line, "malformed #@for, text kept once");
                made.extend(body);
                continue;
            };
            let tag = format!("{{${name}}}");
            for value in values {
                if made.len() + body.len() > LINES_MAX {
                    let place = format!("{}:{}", self.file, line.number);
                    return Err(ConfigError::invalid("#@for makes too many lines").at(&place));
                }
                let value = value.to_string();
                made.extend(body.iter().map(|line| Line {
                    number: line.number,
                    text: line.text.replace(&tag, &value),
                }));
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
        replaced + rest
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
        assert!(load(&[("a.conf", "#@add_annotation X lib.so\n")]).is_err());
    }
}
